"""Campaigns end to end on one published shop: the list, the hold-out, the result, and what forget takes away."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from segengine import privacy, runs
from segengine.campaigns.holdout import unit
from segengine.config import load
from segengine.contract.contacts import read_contacts
from segengine.errors import ConfigError, InputError, SegengineError, TamperedError
from segengine.io import read_table
from segengine.io.files import LocalStore
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = "0123456789abcdef0123456789abcdef"
NOW = dt.datetime(2024, 1, 2, 9, tzinfo=dt.UTC)
LATER = dt.datetime(2024, 1, 20, tzinfo=dt.UTC)
MORE = """\
privacy: {pseudonymise: true, salt_env: SHOP_SALT}
campaigns: {contact: [email, {phone: tel}], consent: "newsletter = 'yes'", days: 14}
"""
FORMULA = "=cmd|' /C calc'!A0"
EXPECTED = {
    "C00000": "no_consent", "C00001": "no_consent", "C00002": "no_longer_in_source", "C00003": "no_consent",
    "C00004": "rejected", "C00005": "no_contact", "C00006": "suppressed",
}  # fmt: skip


def people(customers: int) -> pd.DataFrame:
    ids = [f"C{number:05d}" for number in range(customers)]
    return pd.DataFrame(
        {"id": ids, "email": [f"{one.lower()}@example.org" for one in ids], "tel": [f"+4930{one[1:]}" for one in ids],
         "newsletter": "yes", "objects": False}
    )  # fmt: skip


def changed(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as it is on the day of the campaign: people withdrew, left, are there twice, have no address."""
    frame = frame.set_index("id")
    frame.loc["C00000", "newsletter"] = "no"
    frame.loc["C00001", "newsletter"] = None
    frame.loc["C00003", "objects"] = True
    frame.loc["C00005", "email"] = " "
    frame.loc["C00007", "email"] = FORMULA
    frame = frame.drop(index="C00002").reset_index()
    twice = frame[frame["id"].isin(["C00004", "C00008"])].copy()
    twice.loc[twice["id"] == "C00004", "email"] = "another@example.org"
    return pd.concat([frame, twice], ignore_index=True).sample(frac=1, random_state=3)


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration whose output is published, and whose customers have changed since."""
    folder, salt = tmp_path_factory.mktemp("shop"), pytest.MonkeyPatch()
    salt.setenv("SHOP_SALT", SALT)
    shops.write_parquet(shops.lines(customers=300), folder / "lines")
    shops.write_parquet(people(300), folder / "people", files=2)
    config = shops.write_config(folder, extra=MORE)
    text = config.read_text().replace("k: [3, 6], restarts: 5", "k: 3, restarts: 1")
    table = "  customers: {path: people, columns: {customer_id: id}, opted_out: objects}\nfeatures:"
    config.write_text(text.replace("features:", table, 1).replace("tenure, rhythm, trend, category_mix", "tenure"))
    runs.run(config, spark=spark)
    shutil.rmtree(folder / "people")
    shops.write_parquet(changed(people(300)), folder / "people", files=3)
    privacy.forget(LocalStore(str(folder / "out")), privacy.key_of(load(config)), "C00006")
    yield config
    salt.undo()


def segment_ids(config: Path) -> list[str]:
    folder = json.loads((config.parent / "out/gold/current.json").read_text())["folder"]
    return sorted(pd.read_parquet(config.parent / "out/gold" / folder / "segments")["segment_id"])


def export(config: Path, spark: SparkSession, **options: Any) -> Any:
    options = {"segments": segment_ids(config), "now": NOW, **options}
    return runs.export(config, spark=spark, **options)[0]


def keys_of(config: Path, spark: SparkSession) -> dict[str, int]:
    """Real id -> the key that is published for it."""
    key = privacy.key_of(load(config))
    ids = [f"C{number:05d}" for number in range(300)]
    rows = spark.createDataFrame([(one, privacy.pseudonym(key, one)) for one in ids], "id string, pseudonym string")
    return {str(r[0]): int(r[1]) for r in rows.selectExpr("id", "xxhash64(pseudonym)").collect()}


@pytest.fixture(scope="module")
def spring(shop: Path, spark: SparkSession) -> Any:
    return export(shop, spark, campaign="spring", holdout_share=0.3)


def cohort(config: Path, campaign_id: str) -> pd.DataFrame:
    rows: pd.DataFrame = pq.read_table(config.parent / f"out/campaigns/{campaign_id}/cohort").to_pandas()
    return rows


def test_every_customer_has_one_outcome_and_the_hash_says_who_is_held_out(
    shop: Path, spring: Any, spark: SparkSession
) -> None:
    keys = keys_of(shop, spark)
    expected = {
        one: EXPECTED.get(one) or ("holdout" if unit("spring", key) < 0.3 else "treated") for one, key in keys.items()
    }
    assert spring.counts == {name: list(expected.values()).count(name) for name in spring.counts}
    assert spring.customers == 300
    assert sum(spring.counts.values()) == 300
    with open(shop.parent / "out/campaigns/spring/export.csv", newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == ["customer_id", "email", "phone", "segment_id", "segment"]
    assert {row[0] for row in rows} == {one for one, outcome in expected.items() if outcome == "treated"}
    assert len({row[0] for row in rows}) == len(rows)
    assert all(row[1] == f"{row[0].lower()}@example.org" for row in rows if row[0] != "C00007")
    assert all(row[1] == "'" + FORMULA for row in rows if row[0] == "C00007")
    assert all(row[2] == f"+4930{row[0][1:]}" for row in rows)
    kept = cohort(shop, "spring")
    assert dict(zip(kept["customer_key"], kept["group"], strict=True)) == {
        keys[one]: outcome for one, outcome in expected.items() if outcome in ("treated", "holdout")
    }
    assert list(kept) == ["customer_key", "segment_key", "segment_id", "group", "baseline_revenue", "baseline_orders"]
    revenue = shops.lines(customers=300).groupby("client")["price"].sum()
    mine = kept["customer_key"].map({keys[str(one)]: value for one, value in revenue.items()})
    assert kept["baseline_revenue"].astype(float).to_numpy() == pytest.approx(mine.to_numpy())


def test_neither_id_nor_contact_is_anywhere_but_in_the_list(shop: Path, spring: Any) -> None:
    out = shop.parent / "out"
    hits = [
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and any(text in path.read_bytes() for text in (b"C00010", b"c00010@example.org", b"C00011"))
    ]
    assert hits == ["campaigns/spring/export.csv"]
    assert not (out / "work").exists()
    assert spring.consent == "newsletter = 'yes'"
    records = [entry.content for entry in runs.history(shop) if entry.content and "campaign" in entry.content]
    assert records[0]["campaign"]["counts"] == dict(spring.counts)
    assert "campaigns/spring/manifest.json" in records[0]["outputs"]
    assert not runs.verify(shop).tampered


def test_what_cannot_be_done_leaves_nothing(shop: Path, spring: Any, spark: SparkSession, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    for words, options in (
        ("campaign of that name", {"campaign": "spring"}),
        ("no such segment", {"segments": ["S-099"]}),
        ("something is there already", {"to": str(there)}),
        ("that runs write and clean", {"to": str(shop.parent / "out/gold/x.csv")}),
    ):
        with pytest.raises(ConfigError, match=words):
            export(shop, spark, **{"campaign": "other", **options})
    frame = pd.read_parquet(shop.parent / "people").assign(newsletter="no")
    shops.write_parquet(frame, tmp_path / "people")
    text = (
        shop.read_text()
        .replace("path: people", f"path: {tmp_path / 'people'}")
        .replace("path: out", f"path: {shop.parent / 'out'}")
    )
    nobody = tmp_path / "shop.yaml"
    nobody.write_text(text.replace("path: lines", f"path: {shop.parent / 'lines'}"))
    with pytest.raises(InputError, match="Nobody is left to write to"):
        runs.export(nobody, segments=segment_ids(shop), campaign="other", spark=spark, now=NOW)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("segengine.runs.exporting.save_campaign", lambda *_: 1 / 0)
        with pytest.raises((SegengineError, ZeroDivisionError)):
            export(shop, spark, campaign="other", to=str(tmp_path / "list.csv"))
    assert there.read_text() == "mine"
    assert not (tmp_path / "list.csv").exists()
    assert sorted(path.name for path in (shop.parent / "out/campaigns").iterdir()) == ["spring"]
    assert [one.campaign_id for one in runs.list_campaigns(shop)] == ["spring"]


@pytest.fixture(scope="module")
def after(shop: Path, spring: Any, spark: SparkSession) -> pd.DataFrame:
    """Lines of the days after the export: those written to buy more, some are returns, some too late to count."""
    keys, rng = keys_of(shop, spark), np.random.default_rng(5)
    groups = cohort(shop, "spring").set_index("customer_key")["group"]
    rows = []
    for one, key in keys.items():
        treated = groups.get(key) == "treated"
        for order in range(int(rng.integers(0, 3)) + (2 if treated else 0)):
            at = pd.Timestamp("2024-01-03") + pd.Timedelta(days=int(rng.integers(0, 16)), hours=3)
            price = round(float(rng.lognormal(3, 0.4)), 2) * (-1 if rng.random() < 0.1 else 1)
            rows.append((one, f"n-{one}-{order}", at, price, 1, "bread"))
    rows.append(("C00010", "before", pd.Timestamp("2024-01-02 08:59"), 9999.0, 1, "bread"))
    frame = pd.DataFrame(rows, columns=["client", "ticket", "sold at", "price", "pieces", "aisle"])
    frame.to_parquet(shop.parent / "lines/after.parquet", index=False, coerce_timestamps="us")
    return frame.assign(key=frame["client"].map(keys))


def test_the_result_is_what_pandas_and_scipy_find(shop: Path, after: pd.DataFrame, spark: SparkSession) -> None:
    found = runs.campaign_result(shop, "spring", spark=spark, now=LATER)
    in_time = after[(after["sold at"] >= "2024-01-02 09:00") & (after["sold at"] < "2024-01-16 09:00")]
    kept = cohort(shop, "spring").set_index("customer_key")
    spent = in_time.groupby("key")["price"].sum().reindex(kept.index).fillna(0.0)
    orders = in_time.groupby("key")["ticket"].nunique().reindex(kept.index).fillna(0).astype(int)
    for name, facts in (("treated", found.treated), ("holdout", found.holdout)):
        mine = kept["group"] == name
        assert facts["customers"] == int(mine.sum())
        assert facts["orders"] == int(orders[mine].sum())
        assert facts["buyers"] == int((orders[mine] > 0).sum())
        assert facts["revenue"] == pytest.approx(spent[mine].sum())
    money = {one.measure: one for one in found.overall}["revenue_per_customer"]
    split = [spent[kept["group"] == name] for name in ("treated", "holdout")]
    theirs = stats.ttest_ind(*split, equal_var=False).confidence_interval(0.95)
    assert (money.difference.low, money.difference.high) == pytest.approx((theirs.low, theirs.high))
    assert money.verdict == "more"
    assert found.is_complete
    assert (found.start, found.until) == ("2024-01-02T09:00:00+00:00", "2024-01-16T09:00:00+00:00")
    assert len(found.by_segment) == 3
    written = json.loads((shop.parent / "out/campaigns/spring/result.json").read_text())
    assert written["treated"] == dict(found.treated)
    partial = runs.campaign_result(shop, "spring", days=60, start="2024-01-03", spark=spark, now=LATER)
    assert not partial.is_complete
    assert any("Interim" in note for note in partial.notes)


def test_results_that_would_mislead_are_refused(shop: Path, spring: Any, spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="there are: spring"):
        runs.campaign_result(shop, "summer", spark=spark)
    with pytest.raises(ConfigError, match="before its customers were looked at"):
        runs.campaign_result(shop, "spring", start="2023-12-01", spark=spark)
    with pytest.raises(InputError, match="no order lines since"):
        runs.campaign_result(shop, "spring", start="2024-03-01", spark=spark)
    (file,) = (shop.parent / "out/campaigns/spring/cohort").glob("part-*.parquet")
    before = file.read_bytes()
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(TamperedError, match="as it was frozen"):
        runs.campaign_result(shop, "spring", spark=spark)
    file.write_bytes(before)


def test_who_is_forgotten_leaves_cohorts_and_lists(
    shop: Path, after: pd.DataFrame, spark: SparkSession, tmp_path: Path
) -> None:
    out, keys = shop.parent / "out", keys_of(shop, spark)
    sheet, elsewhere = tmp_path / "list.xlsx", tmp_path / "moved.parquet"
    export(shop, spark, campaign="sheet", form="xlsx", to=str(sheet), holdout_share=0.0)
    export(shop, spark, campaign="moved", form="parquet", to=str(elsewhere), holdout_share=0.0, columns=["email"])
    before = pq.read_table(elsewhere).to_pandas()
    assert list(before) == ["customer_id", "email", "segment_id", "segment"]
    elsewhere.rename(tmp_path / "somewhere.parquet")
    groups = cohort(shop, "spring").set_index("customer_key")["group"]
    victim = next(one for one, key in keys.items() if groups.get(key) == "treated" and one not in ("C00007", "C00008"))
    done = runs.forget(shop, victim, spark=spark)
    assert done.elsewhere == (str(elsewhere),)
    for name in ("spring", "sheet", "moved"):
        left = cohort(shop, name)
        assert keys[victim] not in set(left["customer_key"])
        assert (
            len(left) == {one.campaign_id: one for one in runs.list_campaigns(shop)}[name].customers - (300 - 293) - 1
        )
    text = (out / "campaigns/spring/export.csv").read_text()
    assert victim not in text
    assert text.count("\n") == int((groups == "treated").sum())  # the header, and one less
    import zipfile

    with zipfile.ZipFile(sheet) as archive:
        inside = archive.read("xl/worksheets/sheet1.xml").decode()
    assert victim not in inside
    assert "C00010" in inside or victim == "C00010"
    assert not runs.verify(shop).tampered
    found = runs.campaign_result(shop, "spring", spark=spark, now=LATER)
    assert found.erased == 1
    assert any("1 customers of the cohort were erased" in note for note in found.notes)


def test_contacts_without_pseudonyms_of_an_id_that_is_an_expression(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("no;mail;ok\n007;a@x.org;yes\n8;b@x.org;no\n007;a@x.org;yes\n9;;\n10;c\n")
    config = shops.write_config(tmp_path)
    table = "  customers: {path: people.csv, format: csv, csv: {delimiter: ';'},"
    table += " columns: {customer_id: \"concat('K', no)\"}}\n"
    config.write_text(config.read_text().replace("features:", f"{table}features:", 1))
    loaded = load(config)
    source = read_table(spark, loaded.tables.customers, "customers", loaded)
    found = read_contacts(source, loaded, {"email": "lower(mail)"}, "ok")
    rows = {row["published_id"]: row.asDict() for row in found.customers.collect()}
    assert (found.rows_read, found.unreadable) == (5, 1)
    assert {name: (row["real_id"], row["agrees"], row["is_sound"], row["contact_0"]) for name, row in rows.items()} == {
        "K007": ("K007", True, True, "a@x.org"), "K8": ("K8", False, True, "b@x.org"), "K9": ("K9", False, True, None),
    }  # fmt: skip
    with pytest.raises(InputError) as caught:
        read_contacts(source, loaded, {"email": "mial"}, "ok")
    assert caught.value.where == "campaigns.contact.email: mial"
    assert "did you mean" in str(caught.value).lower()
