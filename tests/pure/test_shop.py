"""The make-believe shop is repeatable, extendable, seasonal, dirty on demand, and has segments to find."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from segengine.demo import chance
from segengine.demo.shop import DEFAULT_TYPES, CustomerType, Shop, main
from segengine.demo.shop_lines import lines_table
from segengine.demo.shop_types import season
from segengine.errors import ConfigError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def lines(**options) -> pd.DataFrame:
    return Shop(**{"customers": 200, **options}).tables().lines


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["order_id", "line"]).reset_index(drop=True)


# --- the same rows however they are made


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    pd.testing.assert_frame_equal(lines(seed=3), lines(seed=3))
    assert not lines(seed=3).head(50).equals(lines(seed=4).head(50))


def test_a_customers_lines_do_not_depend_on_how_many_customers_there_are():
    few, many = lines(customers=50), lines(customers=2_500)
    pd.testing.assert_frame_equal(in_order(few), in_order(many[many["customer_id"] < "K0000050"]))


def test_any_slicing_of_the_customers_gives_the_same_rows():
    shop = Shop(customers=100, returns=0.1, dirt=0.02)
    whole = lines_table(shop, np.arange(100)).to_pandas()
    cut = pa.concat_tables([lines_table(shop, np.arange(a, b)) for a, b in ((60, 100), (0, 7), (7, 60))]).to_pandas()
    columns = list(whole.columns)
    pd.testing.assert_frame_equal(
        whole.sort_values(columns).reset_index(drop=True), cut.sort_values(columns).reset_index(drop=True)
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"returns": 0.1}, {"inflation": 0.01}, {"appears": {"occasional": 3}, "vanishes": {"devoted": 6}}],
    ids=["plain", "returns", "inflation", "appears"],
)
def test_more_months_leave_the_lines_of_the_earlier_ones_alone(options):
    half, year = lines(days=181, **options), lines(days=365, **options)
    assert half["ordered_at"].max() < pd.Timestamp("2023-07-01")
    pd.testing.assert_frame_equal(in_order(half), in_order(year[year["ordered_at"] < "2023-07-01"]))


# --- what is in it


def test_the_shares_of_the_types_are_met():
    truth = Shop(customers=1_000).tables().truth["true_segment"].value_counts()
    assert {kind.name: pytest.approx(1_000 * kind.share, abs=2) for kind in DEFAULT_TYPES} == truth.to_dict()


def test_types_differ_as_they_are_told_to():
    shop = Shop(customers=1_000)
    tables = shop.tables()
    orders = tables.lines.groupby(["customer_id", "order_id"]).agg(at=("ordered_at", "min"), value=("amount", "sum"))
    known = orders.reset_index().merge(tables.truth, on="customer_id").groupby("true_segment")
    value, last = known["value"].mean(), known["at"].max()
    for kind in DEFAULT_TYPES:
        assert value[kind.name] == pytest.approx(kind.basket_value, rel=0.15)
        if kind.leaves is None:
            years = known["order_id"].nunique()[kind.name] / (1_000 * kind.share)
            assert years == pytest.approx(365 / kind.days_between_orders, rel=0.10)
    assert last["lapsed"] < pd.Timestamp("2023-01-01") + pd.Timedelta(days=141)
    assert (last.drop("lapsed") > pd.Timestamp("2023-12-30")).all()


def test_regular_customers_are_more_regular():
    def variation(regularity: int) -> float:
        kind = CustomerType("one", 1.0, 10, 20.0, regularity=regularity, seasonality=0.0, spread=0.0)
        at = lines(segments=(kind,)).drop_duplicates("order_id").sort_values("ordered_at")
        gaps = at.groupby("customer_id")["ordered_at"].diff().dt.total_seconds()
        return float((gaps.groupby(at["customer_id"]).std() / gaps.groupby(at["customer_id"]).mean()).mean())

    assert variation(1) == pytest.approx(1.0, abs=0.1)
    assert variation(20) == pytest.approx(1 / np.sqrt(20), abs=0.06)


def test_december_is_a_peak_and_christmas_day_is_closed():
    days = lines(customers=500)["ordered_at"]
    by_month = days.dt.month.value_counts()
    active = by_month.drop([1, 2, 3, 4, 5])  # without the months in which those who lapse still buy
    assert active.idxmax() == 12
    assert active[12] > 1.3 * active.drop(12).mean()
    assert not (days.dt.strftime("%m-%d") == "12-25").any()
    assert days.dt.dayofweek.value_counts().idxmax() == 5
    assert days.dt.hour.between(7, 20).all()


def test_without_seasons_every_weekday_is_the_same():
    counts = lines(customers=1_000, seasons=0.0).drop_duplicates("order_id")["ordered_at"].dt.dayofweek.value_counts()
    assert counts.max() / counts.min() < 1.1


def test_seasons_average_to_one_over_a_year():
    assert season(dt.date(2023, 1, 1), 365).mean() == pytest.approx(1.0, abs=0.02)
    assert season(dt.date(2024, 1, 1), 366).mean() == pytest.approx(1.0, abs=0.02)


def test_a_type_prefers_its_categories():
    tables = Shop(customers=300).tables()
    rows = tables.lines.merge(tables.truth, on="customer_id")
    counts = rows.groupby(["true_segment", "category"]).size().unstack()
    favourite = {str(kind): str(name) for kind, name in counts.idxmax(axis=1).items()}
    assert favourite["topping up"] == "Brot"
    assert favourite["stocking up"] == "Haushalt"
    assert favourite["occasional"] == "Spielzeug"


def test_a_product_has_one_price():
    rows = lines()
    assert (rows["amount"] / rows["quantity"]).round(2).groupby(rows["product"]).nunique().eq(1).all()


def test_names_hold_more_than_ascii():
    tables = Shop(customers=200).tables()
    assert not all(name.isascii() for name in tables.customers["name"])
    assert tables.customers["customer_id"].is_unique
    assert {"茶 / Tee", "Кофе"} <= set(tables.lines["category"])


def test_ids_can_be_integers():
    rows, strings = lines(ids="integer", returns=0.05), lines(returns=0.05)
    assert rows["customer_id"].dtype == np.int64 and rows["order_id"].dtype == np.int64
    assert rows["order_id"].nunique() == strings["order_id"].nunique()
    assert rows["amount"].sum() == pytest.approx(strings["amount"].sum())


# --- change over time


def test_a_type_that_appears_buys_nothing_before_its_month():
    tables = Shop(customers=300, appears={"devoted": 6}).tables()
    first = tables.lines.merge(tables.truth, on="customer_id").groupby("true_segment")["ordered_at"].min()
    assert pd.Timestamp("2023-07-01") <= first["devoted"] < pd.Timestamp("2023-07-15")
    assert (first.drop("devoted") < pd.Timestamp("2023-01-15")).all()


def test_a_type_that_vanishes_stops_buying():
    tables = Shop(customers=300, vanishes={"devoted": 6}).tables()
    last = tables.lines.merge(tables.truth, on="customer_id").groupby("true_segment")["ordered_at"].max()
    assert last["devoted"] < pd.Timestamp("2023-07-01")


def test_customers_of_a_vanished_type_can_become_another():
    shop = Shop(customers=300, vanishes={"devoted": 6}, vanish_into="topping up")
    tables, before = shop.tables(), Shop(customers=300).tables()
    assert "devoted" not in set(tables.truth["true_segment"])
    devoted = before.truth.loc[before.truth["true_segment"] == "devoted", "customer_id"]
    assert set(tables.truth.set_index("customer_id").loc[devoted, "true_segment"]) == {"topping up"}
    rows = tables.lines[tables.lines["customer_id"].isin(devoted)]
    value = rows.groupby("order_id").agg(at=("ordered_at", "min"), value=("amount", "sum"))
    assert value[value["at"] < "2023-07-01"]["value"].mean() > 40
    assert value[value["at"] >= "2023-07-01"]["value"].mean() < 20


def test_growth_is_compounded_by_the_month():
    still = CustomerType("one", 1.0, 10, 30.0, seasonality=0.0, spread=0.0)
    rows = lines(segments=(replace(still, orders_growth=-0.10, value_growth=0.05),), customers=1_000)
    orders = rows.groupby("order_id").agg(at=("ordered_at", "min"), value=("amount", "sum"))
    by_month = orders.groupby(orders["at"].dt.month)["value"].agg(["size", "mean"])
    assert by_month["size"].pct_change().mean() == pytest.approx(-0.10, abs=0.02)
    assert by_month["mean"].pct_change().mean() == pytest.approx(0.05, abs=0.02)


# --- returns and dirt


def test_returns_are_lines_that_came_back_later():
    rows = lines(returns=0.10)
    back, bought = rows[rows["quantity"] < 0], rows[rows["quantity"] > 0]
    assert len(back) == pytest.approx(0.10 * len(bought), rel=0.1)
    assert (back["amount"] < 0).all() and back["order_id"].str.startswith("R").all()
    pair = back.assign(order_id="B" + back["order_id"].str[1:]).merge(bought, on=["order_id", "line"])
    assert len(pair) == len(back)
    assert (pair["amount_x"] == -pair["amount_y"]).all()
    assert (pair["ordered_at_x"] - pair["ordered_at_y"]).dt.days.between(1, 14).all()
    pd.testing.assert_frame_equal(in_order(bought), in_order(lines()))


def test_dirt_is_as_much_as_asked_for_and_of_every_kind():
    clean, rows = lines(customers=500), lines(customers=500, dirt=0.02)
    expected = pytest.approx(0.02 * len(clean), rel=0.15)
    assert rows["customer_id"].isna().sum() == expected
    assert rows["amount"].isna().sum() == expected
    years = rows["ordered_at"].dt.year
    assert (years.isna() | (years < 1900) | (years > 2090)).sum() == expected
    assert (years.isna().any(), (years == 1899).any(), (years == 2099).any()) == (True, True, True)
    assert rows.duplicated().sum() == len(rows) - len(clean) == expected
    assert not clean.duplicated().any()


def test_customers_who_opted_out_are_as_many_as_asked_for():
    customers = Shop(customers=2_000, opted_out=0.05).tables().customers
    assert (~customers["consent"]).sum() == pytest.approx(100, abs=30)
    assert Shop(customers=200).tables().customers["consent"].all()


# --- files


def test_files_hold_the_same_rows_as_memory(tmp_path: Path):
    shop = Shop(customers=2_100)
    config = shop.write(tmp_path, files=2)
    assert sorted(path.name for path in (tmp_path / "lines").iterdir()) == ["part-0000.parquet", "part-0001.parquet"]
    pd.testing.assert_frame_equal(in_order(pd.read_parquet(tmp_path / "lines")), in_order(shop.tables().lines))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "truth.parquet"), shop.tables().truth)
    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert told["as_of"] == dt.date(2024, 1, 1)
    assert (config.parent / told["tables"]["transactions"]["path"]).is_dir()


def test_the_configuration_that_is_written_is_valid(tmp_path: Path):
    from segengine.config import load

    loaded = load(Shop(customers=5, dirt=0.01).write(tmp_path))
    assert loaded.tables.transactions is not None and loaded.tables.transactions.duplicates == "drop"
    assert loaded.timezone == "Europe/Berlin"


def test_the_command_writes_a_shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(
        ["--customers", "30", "--days", "60", "--ids", "integer", "--returns", "0.05", "--out", str(tmp_path / "shop")]
    )
    assert "segengine run" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "shop" / "lines")
    assert table.schema.field("customer_id").type == pa.int64()
    assert table.schema.field("ordered_at").type == pa.timestamp("us")


@pytest.mark.parametrize(
    "options",
    [
        {"customers": 0},
        {"days": 0},
        {"appears": {"nobody": 1}},
        {"vanishes": {"lapsed": 1}, "vanish_into": "lapsed"},
        {"dirt": 0.5},
        {"segments": ()},
        {"ids": "uuid"},
    ],
)
def test_parameters_without_sense_are_refused(options):
    with pytest.raises(ConfigError, match="Shop"):
        Shop(**options)


# --- chance


def test_numbers_of_chance_are_spread_as_they_should_be():
    keys = np.arange(200_000)
    uniform = chance.uniform(1, "a", keys)
    assert np.histogram(uniform, bins=20, range=(0, 1))[0].std() < 3 * np.sqrt(10_000)
    assert abs(np.corrcoef(uniform, chance.uniform(1, "b", keys))[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[1:], uniform[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform, chance.uniform(2, "a", keys))[0, 1]) < 0.01
    normal = chance.normal(1, "n", keys)
    assert normal.mean() == pytest.approx(0, abs=0.01) and normal.std() == pytest.approx(1, abs=0.01)
    assert chance.exponential(1, "e", keys).mean() == pytest.approx(1, abs=0.01)
    counts = chance.poisson(3.0, 1, "p", keys)
    assert counts.mean() == pytest.approx(3, abs=0.02) and counts.var() == pytest.approx(3, abs=0.05)
    assert not chance.poisson(0.0, 1, "p", keys).any()


# --- the truth can be found


def rfm_and_more(rows: pd.DataFrame, as_of: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Features by family, computed without the engine; one row is a customer."""
    orders = rows.groupby(["customer_id", "order_id"], as_index=False).agg(
        at=("ordered_at", "min"), value=("amount", "sum"), items=("quantity", "sum"), products=("product", "nunique")
    )
    ago = (as_of - orders["at"]).dt.days
    orders["ago"] = ago
    orders["recent"] = orders["value"].where(ago <= 90, 0.0)
    orders["before"] = orders["value"].where((ago > 90) & (ago <= 180), 0.0)
    orders = orders.sort_values(["customer_id", "at"])
    orders["gap"] = orders.groupby("customer_id")["at"].diff().dt.total_seconds() / 86_400
    per = orders.groupby("customer_id")
    rfm = pd.DataFrame({"recency": per["ago"].min(), "frequency": per.size(), "monetary": per["value"].sum()})
    basket = per[["value", "items", "products"]].mean()
    tenure = pd.DataFrame({"days": per["ago"].max()})
    rhythm = pd.DataFrame({"mean": per["gap"].mean(), "variation": per["gap"].std() / per["gap"].mean()})
    trend = pd.DataFrame({"recent": per["recent"].sum(), "change": per["recent"].sum() - per["before"].sum()})
    return {"rfm": rfm, "basket": basket, "tenure": tenure, "rhythm": rhythm, "trend": trend}


def prepared(families: dict[str, pd.DataFrame]) -> Floats:
    """Imputed, signed log, standardised; rfm weighs 1 and all other families share 0.5."""
    blocks = []
    for family, frame in families.items():
        filled = frame.fillna(frame.median())
        logged = np.sign(filled) * np.log1p(filled.abs())
        weight = (1.0 if family == "rfm" else 0.5 / (len(families) - 1)) / frame.shape[1]
        blocks.append(((logged - logged.mean()) / logged.std()).to_numpy() * np.sqrt(weight))
    return np.asarray(np.hstack(blocks))


def best_labels(points: Floats, least_share: float = 0.03) -> Labels:
    """Labels of the k in 3 to 10 with the highest mean of the clusters' mean silhouettes."""
    best, chosen = -1.0, np.zeros(len(points), dtype=np.int64)
    for k in range(3, 11):
        labels = np.asarray(KMeans(k, n_init=10, random_state=7).fit_predict(points), dtype=np.int64)
        if np.bincount(labels).min() < least_share * len(points):
            continue
        macro = pd.Series(silhouette_samples(points, labels)).groupby(labels).mean().mean()
        if macro > best:
            best, chosen = macro, labels
    return chosen


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_true_segments_can_be_found(seed):
    shop = Shop(customers=1_000, seed=seed)
    tables = shop.tables()
    families = rfm_and_more(tables.lines, pd.Timestamp(shop.as_of))
    truth = tables.truth.set_index("customer_id")["true_segment"].loc[families["rfm"].index]
    labels = best_labels(prepared(families))
    assert len(set(labels)) == len(DEFAULT_TYPES)
    assert adjusted_rand_score(truth, labels) >= 0.97
