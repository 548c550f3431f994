"""The whole recipe on small shops: nothing is lost, the truth is found, and the layout of the data does not matter."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from segengine import runs
from segengine.errors import InputError, ModelError, QualityError
from segengine.report.terminal import show
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.usefixtures("compiled")

REPOSITORY = Path(__file__).parents[2]


def published(output: Path, table: str) -> pd.DataFrame:
    current = json.loads((output / "gold" / "current.json").read_text())
    return pd.read_parquet(output / "gold" / current["folder"] / table)


def segments_by_customer(output: Path) -> pd.DataFrame:
    """customer_id -> segment_key, lane, distance and every feature; sorted by id."""
    joined = published(output, "assignments").merge(published(output, "customers")[["customer_key", "customer_id"]])
    dropped = joined.drop(columns=["publication_id", "model_version", "as_of"])
    return dropped.sort_values("customer_id").reset_index(drop=True)


def centres(output: Path) -> Any:
    model = json.loads((output / "models" / "v0001" / "model.json").read_text())
    return np.array(model["centres"])


def test_rows_customers_and_money_agree_with_pandas(spark: SparkSession, tmp_path: Path) -> None:
    frame = shops.lines(customers=200)
    frame.loc[frame.index % 50 == 0, "client"] = " "
    shops.write_parquet(frame, tmp_path / "lines", files=3)
    summary = runs.run(shops.write_config(tmp_path, extra="powerbi: {enabled: true}\n"), spark=spark)

    good = frame[frame["client"].str.strip() != ""]
    cents = (good["price"] * 100).round().astype(int)
    assert summary.rows_read == len(frame)
    assert summary.rows_of("used") == len(good)
    assert summary.rows_of("rejected") == len(frame) - len(good)
    assert summary.customers == good["client"].nunique()
    assert summary.customers_assigned == summary.customers
    assert summary.bridge[-1].amount_e4 == cents.sum() * 100
    found = segments_by_customer(tmp_path / "out")
    by_client = good.assign(cents=cents).groupby("client")["cents"].sum()
    assert (found.set_index("customer_id")["revenue"].astype(float) * 100).round().astype(
        int
    ).to_dict() == by_client.to_dict()
    orders = good.groupby("client")["ticket"].nunique()
    assert found.set_index("customer_id")["frequency_orders"].astype(int).to_dict() == orders.to_dict()
    kpis = published(tmp_path / "out", "segment_kpis")
    assert kpis["customers"].sum() == summary.customers
    assert round(float(kpis["revenue"].sum()) * 100) == cents.sum()


@pytest.fixture(scope="module")
def plain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lines in the order they were made in, in one file, and `out` of a run over them."""
    folder = tmp_path_factory.mktemp("plain")
    shops.write_parquet(shops.lines(customers=150), folder / "lines")
    runs.run(shops.write_config(folder), spark=spark)
    return folder


@pytest.mark.parametrize("files", [1, 4, 16])
def test_shuffled_rows_in_any_number_of_files_give_the_same_segments(
    spark: SparkSession, plain: Path, tmp_path: Path, files: int
) -> None:
    mixed = shops.lines(customers=150).sample(frac=1.0, random_state=files)
    shops.write_parquet(mixed, tmp_path / "lines", files=files)
    runs.run(shops.write_config(tmp_path), spark=spark)
    found, expected = (segments_by_customer(folder / "out") for folder in (tmp_path, plain))
    pd.testing.assert_series_equal(found["segment_key"], expected["segment_key"])
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(centres(tmp_path / "out"), centres(plain / "out"), rtol=0, atol=1e-9)


def test_the_time_zone_of_the_machine_does_not_matter(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=80), tmp_path / "lines")
    runs.run(shops.write_config(tmp_path, output="here", timezone="Europe/Paris"), spark=spark)
    found = {"here": segments_by_customer(tmp_path / "here")}
    for zone in ("America/New_York", "Asia/Kolkata"):
        config = shops.write_config(tmp_path, output=zone.replace("/", "-"), timezone="Europe/Paris")
        done = subprocess.run(
            [sys.executable, "-m", "segengine.cli", "run", str(config), "--quiet"],
            env={**os.environ, "TZ": zone, "SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[zone] = segments_by_customer(tmp_path / zone.replace("/", "-"))
    pd.testing.assert_frame_equal(found["here"], found["America/New_York"], rtol=0, atol=1e-9)
    pd.testing.assert_frame_equal(found["here"], found["Asia/Kolkata"], rtol=0, atol=1e-9)


def test_a_shop_with_known_segments_is_recovered(spark: SparkSession, tmp_path: Path) -> None:
    from sklearn.metrics import adjusted_rand_score

    from segengine.demo.shop import Shop

    tables = Shop(customers=1500, seed=3).tables()
    config = tables.write(tmp_path)
    runs.run(config, spark=spark)
    found = segments_by_customer(tmp_path / "out").set_index("customer_id")["segment_key"].dropna()
    truth = tables.truth.astype({"customer_id": str}).set_index("customer_id")["true_segment"]
    both = pd.concat([found, truth], axis=1, join="inner")
    assert len(both) >= 0.99 * len(truth)
    assert adjusted_rand_score(both["true_segment"], both["segment_key"]) >= 0.95


def test_running_twice_publishes_equal_rows(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=100), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    first = runs.run(config, spark=spark)
    before = segments_by_customer(tmp_path / "out")
    second = runs.run(config, spark=spark)
    assert first.trained and not second.trained
    assert first.publication_id != second.publication_id
    pd.testing.assert_frame_equal(before, segments_by_customer(tmp_path / "out"))
    assert len(published(tmp_path / "out", "segment_kpis")) == len(published(tmp_path / "out", "segments"))


def test_delta_holds_the_same_rows_as_parquet(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=100), tmp_path / "lines")
    runs.run(shops.write_config(tmp_path, output="p"), spark=spark)
    runs.run(shops.write_config(tmp_path, output="d", output_format="delta"), spark=spark)
    delta = spark.read.format("delta").load(str(tmp_path / "d" / "gold" / "assignments")).drop("as_of").toPandas()
    parquet = published(tmp_path / "p", "assignments")
    drop = ["publication_id", "model_version"]
    pd.testing.assert_frame_equal(
        delta.drop(columns=drop).sort_values("customer_key").reset_index(drop=True),
        parquet.drop(columns=[*drop, "as_of"]).sort_values("customer_key").reset_index(drop=True),
        check_dtype=False,
    )


def test_a_backfill_looks_back_from_the_date_it_is_given(spark: SparkSession, tmp_path: Path) -> None:
    frame = shops.lines(customers=120)
    shops.write_parquet(frame, tmp_path / "lines")
    config = shops.write_config(tmp_path)
    runs.run(config, spark=spark)
    summary = runs.score(config, spark=spark, as_of="2023-10-01")
    before = frame[frame["sold at"] < "2023-10-01"]
    assert summary.customers == before["client"].nunique()
    assert summary.rows_of("used") == len(before)
    assert {(line.rule, line.rows) for line in summary.rows if line.outcome == "ignored"} == {
        ("after_as_of", len(frame) - len(before))
    }
    assert published(tmp_path / "out", "segment_kpis")["as_of"].nunique() == 2


def test_customers_only_tables_are_segmented(spark: SparkSession, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    ages = np.concatenate([random.normal(m, 2, 80) for m in (25, 45, 70)])
    frame = pd.DataFrame(
        {"id": range(240), "age": ages, "income": ages * 100 + random.normal(0, 50, 240), "plan": "basic"}
    )
    frame.to_parquet(tmp_path / "people.parquet")
    config = tmp_path / "people.yaml"
    config.write_text(
        "name: people\nkind: customers\nas_of: 2024-01-01\n"
        "tables: {customers: {path: people.parquet, columns: {customer_id: id}, attributes: [age, income, plan]}}\n"
        "features: {include: [attributes]}\nsegments: {k: [2, 5]}\noutput: {path: out}\n"
    )
    summary = runs.run(config, spark=spark)
    assert summary.k == 3
    assert summary.customers == summary.customers_assigned == 240
    assert sorted(segment.customers for segment in summary.segments) == [80, 80, 80]


def test_unicode_names_and_ids_with_leading_zeros_stay_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    frame = shops.lines(customers=60)
    names = {
        f"C{n:05d}": name for n, name in enumerate(["00042", "42", "Zoë", "客户", "O'Brien", '"q"', "a\tb", "=1+1"])
    }
    frame["client"] = frame["client"].replace(names)
    shops.write_parquet(frame, tmp_path / "lines")
    runs.run(shops.write_config(tmp_path), spark=spark)
    assert set(names.values()) <= set(published(tmp_path / "out", "customers")["customer_id"])


def test_one_order_in_all_is_refused_with_the_reason_and_publishes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=1).head(1), tmp_path / "lines")
    with pytest.raises(ModelError, match="customer"):
        runs.run(shops.write_config(tmp_path), spark=spark)
    assert not (tmp_path / "out" / "gold" / "current.json").exists()


def test_lanes_take_those_who_have_no_segment(spark: SparkSession, tmp_path: Path) -> None:
    frame = shops.lines(customers=100)
    only_returns = frame.head(2).assign(client="R1", ticket="r-1", price=-5.0)
    house = frame.head(30).assign(client="GUEST", ticket="g-1")
    shops.write_parquet(pd.concat([frame, only_returns, house]), tmp_path / "lines")
    people = pd.DataFrame({"no": [f"C{n:05d}" for n in range(99)] + ["X1"], "consent": [True] * 98 + [False, True]})
    people.to_parquet(tmp_path / "people.parquet")
    config = shops.write_config(tmp_path)
    text = config.read_text().replace(
        "      category: aisle\n",
        "      category: aisle\n    returns: price < 0\n    ignore_customers: [GUEST]\n"
        "  customers: {path: people.parquet, columns: {customer_id: 'no'}, opted_out: not consent}\n",
    )
    config.write_text(text + "quality: {returns: drop}\n")
    summary = runs.run(config, spark=spark)
    assert {lane: n for lane, n in summary.lanes if n} == {
        "ignored": 1,
        "opted_out": 1,
        "only_returns": 1,
        "no_purchases": 1,
    }
    assert summary.customers == 103
    assert summary.customers_assigned == 99
    lanes = segments_by_customer(tmp_path / "out").set_index("customer_id")["lane"].dropna().to_dict()
    assert lanes == {"GUEST": "ignored", "C00098": "opted_out", "R1": "only_returns", "X1": "no_purchases"}


def test_lifetime_values_are_published_without_deciding_who_is_where(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    runs.run(shops.write_config(tmp_path, output="plain"), spark=spark)
    config = shops.write_config(tmp_path, output="clv", extra="prepare: {weights: {rfm: 1, others: 0.5, clv: 0}}\n")
    config.write_text(config.read_text().replace("category_mix]", "category_mix, clv]"))
    summary = runs.run(config, spark=spark)
    plain, found = segments_by_customer(tmp_path / "plain"), segments_by_customer(tmp_path / "clv")
    pd.testing.assert_series_equal(plain["segment_key"], found["segment_key"])
    kpis = published(tmp_path / "clv", "segment_kpis").set_index("segment_key")
    by_segment = found.groupby("segment_key")["lifetime_value_365d"]
    assert kpis["lifetime_value_365d"].astype(float).to_dict() == pytest.approx(by_segment.sum().to_dict(), abs=0.0051)
    means = by_segment.mean().to_dict()
    assert kpis["lifetime_value_365d_per_customer"].astype(float).to_dict() == pytest.approx(means, abs=0.0051)
    days = found.groupby("segment_key")["expected_order_days_90d"].sum().to_dict()
    assert kpis["expected_order_days_90d"].to_dict() == pytest.approx(days)
    assert published(tmp_path / "plain", "segment_kpis")["lifetime_value_365d"].isna().all()
    console = Console(width=160, file=io.StringIO())
    show(summary, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "expected: money of the next 365 days, EUR" in shown
    for value in kpis["lifetime_value_365d"]:
        assert f" {value.quantize(Decimal(1), ROUND_HALF_UP):,} " in shown


def test_forty_features_are_handled(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    custom = ", ".join(f"over_{n}: 'avg(cast(amount > {n} as int))'" for n in range(5, 35))
    config.write_text(config.read_text().replace("category_mix]}", f"category_mix], custom: {{{custom}}}}}"))
    summary = runs.run(config, spark=spark)
    assert len(summary.features) >= 40
    assert summary.customers_assigned == 120


def test_a_failed_run_leaves_the_previous_publication_and_tells_in_its_record(
    spark: SparkSession, tmp_path: Path
) -> None:
    frame = shops.lines(customers=100)
    shops.write_parquet(frame, tmp_path / "lines")
    config = shops.write_config(tmp_path)
    runs.run(config, spark=spark)
    before = (tmp_path / "out" / "gold" / "current.json").read_bytes()
    shops.write_parquet(frame.assign(client=None), tmp_path / "lines")
    with pytest.raises(QualityError):
        runs.run(config, spark=spark)
    assert (tmp_path / "out" / "gold" / "current.json").read_bytes() == before
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "runs").glob("*.json"))]
    assert [record["state"] for record in records] == ["done", "failed"]


def test_a_column_that_is_not_there_names_those_that_are(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=20).rename(columns={"price": "preis"}), tmp_path / "lines")
    with pytest.raises(InputError, match=r"(?s)price.*preis"):
        runs.check(shops.write_config(tmp_path), spark=spark)
