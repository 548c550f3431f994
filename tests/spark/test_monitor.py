"""Monitoring on Spark: counts as numpy counts them, alarms within a run, what is written, and the exit code."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.cli import _exit_code
from segengine.errors import BundleError, PublicationError
from segengine.monitoring.count import count_customers, count_recent
from segengine.monitoring.profile import DISTANCE, Bins, counted, cut
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_customers_are_counted_as_numpy_counts_them_whatever_the_partitions(spark: SparkSession) -> None:
    random = np.random.default_rng(1)
    numbers = np.round(random.normal(50.0, 30.0, 600), 1)
    numbers[:30], numbers[30:35] = np.nan, np.inf
    texts = random.choice(["nord", "sud", "a`b", "x.y"], 600).astype(object)
    texts[:9] = None
    bins = {
        "a.b": cut(numbers, "numeric", "rfm"),
        "region": cut(texts, "categorical", "attributes"),
        DISTANCE: Bins("numeric", (0, 0, 0), 0, "distance", (1.0, 2.0), 0.0, 9.0),
        "gone": Bins("numeric", (0, 0), 0, "rfm", (1.0,), 0.0, 2.0),
    }
    frame = pd.DataFrame({"a.b": numbers, "region": texts, "distance": random.uniform(0.0, 3.0, 600)})
    frame["segment"], frame["lane"], frame["is_outlier"] = [3, 7] * 300, None, [True] + [False] * 599
    frame.loc[590:, "lane"], frame.loc[590:, "segment"] = "too_new", None
    names = {"a.b": "a.b", "region": "region", "gone": "gone"}
    plain = frame.astype({"segment": "Int64"}).astype(object).where(frame.notna(), None)
    schema = "`a.b` double, region string, distance double, segment int, lane string, is_outlier boolean"
    rows = spark.createDataFrame(plain.to_numpy().tolist(), schema)
    assigned = frame[frame["lane"].isna()]
    usable = assigned["a.b"].replace(np.inf, np.nan)
    for partitions in (1, 5):
        one, two = count_customers(
            rows.repartition(partitions), names, cuts=[bins, {"a.b": bins["a.b"]}],
            as_of=AS_OF, version="v1", segments=(7, 3, 9),
        )  # fmt: skip
        assert one.columns["a.b"].counts == counted(usable.dropna().to_numpy(), bins["a.b"].edges)
        assert one.columns["a.b"].missing == int(usable.isna().sum()) == 35
        levels = assigned["region"].value_counts()
        assert dict(zip(one.columns["region"].levels, one.columns["region"].counts, strict=False)) == levels.to_dict()
        assert one.columns["region"].missing == 9
        assert one.columns[DISTANCE].counts == counted(assigned["distance"].to_numpy(), (1.0, 2.0))
        assert "gone" not in one.columns
        assert (one.segments, one.customers, one.lanes, one.far) == ((295, 295, 0), 590, {"too_new": 10}, 1)
        assert two.columns == {"a.b": one.columns["a.b"]}


def test_recent_customers_are_counted_once_a_value_and_period(spark: SparkSession) -> None:
    def line(customer: str, days: float, channel: str | None, status: str = "used", back: bool = False) -> Any:
        return customer, AS_OF - dt.timedelta(days=days), channel, status, back

    lines = spark.createDataFrame(
        [
            line("a", 1, "web"), line("a", 2, "web"), line("a", 2, "store"), line("b", 29.9, "web"),
            line("b", 31, "web"), line("c", 3, None), line("d", 3, "web", "rejected"), line("e", 3, "web", back=True),
            line("f", 370, "app"), line("g", 400, "app"), line("h", 0, "late"),
        ],
        "customer_id string, ordered_at timestamp, channel string, status string, is_return boolean",
    )  # fmt: skip
    found = count_recent(lines, ["channel"], as_of=AS_OF)
    assert found == {
        "": [{"": 3}, {"": 1}, {"": 1}],
        "channel": [{"web": 2, "store": 1}, {"web": 1}, {"app": 1}],
    }


def with_channel(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(channel=np.where(frame["ticket"].str.len() % 2 == 0, "web", "store"))


def config_of(folder: Path, **more: str) -> Path:
    file = shops.write_config(folder, **more)
    file.write_text(file.read_text().replace("      category: aisle", "      category: aisle\n      channel: channel"))
    return file


def drift(folder: Path) -> pd.DataFrame:
    current = json.loads((folder / "out/gold/current.json").read_text())["folder"]
    return pd.read_parquet(folder / "out/gold" / current / "drift")


def test_a_quiet_night_a_doubled_feature_and_a_vanished_channel(spark: SparkSession, tmp_path: Path) -> None:
    frame = with_channel(shops.lines(customers=250, days=360))
    shops.write_parquet(frame, tmp_path / "lines")
    config = config_of(tmp_path)
    with pytest.raises(PublicationError, match="Nothing is published"):
        runs.monitor(config, spark=spark)
    first = runs.run(config, spark=spark)
    assert not [w for w in first.warnings if w.startswith("Monitoring")]
    quiet = runs.monitor(config, spark=spark)
    assert quiet.reasons == ()
    assert {r.verdict for r in quiet.readings} == {"ok"}
    told = json.loads((tmp_path / "out/retrain.json").read_text())
    assert told["call"] is False
    assert told["as_of"] == AS_OF.isoformat()
    table = drift(tmp_path)
    assert set(table["compared_with"]) == {"training"}
    assert (table["verdict"] == "ok").all()
    assert _exit_code(["monitor", str(config), "--quiet"]) == 0

    last_month = frame["sold at"] >= pd.Timestamp("2023-12-02")
    changed = frame[~((frame["channel"] == "web") & last_month)].assign(price=lambda f: f["price"] * 2.2)
    shops.write_parquet(changed, tmp_path / "lines")
    second = runs.score(config, spark=spark)
    assert any(w.startswith("Monitoring: ") and "A retrain is called for" in w for w in second.warnings)
    moved = runs.monitor(config, spark=spark)
    alarms = {(r.measure, r.subject) for r in moved.readings if r.verdict == "alarm"}
    assert ("median_ratio", "monetary_total") in alarms
    assert ("vanished", "channel: web") in alarms
    assert ("psi", "frequency_orders") not in alarms
    told = json.loads((tmp_path / "out/retrain.json").read_text())
    assert told["call"] is True
    assert any("channel: web" in reason for reason in told["reasons"])
    assert "segengine_retrain_called 1" in (tmp_path / "out/monitoring/metrics.prom").read_text()
    assert _exit_code(["monitor", str(config), "--quiet"]) == 7
    assert _exit_code(["monitor", str(config), "--quiet", "--exit-zero"]) == 0

    config.write_text(config.read_text() + "retrain: {on_alarm: true}\n")
    third = runs.run(config, spark=spark)
    assert third.why_trained.startswith("monitoring calls for it: ")
    assert json.loads((tmp_path / "out/retrain.json").read_text())["call"] is False
    assert runs.run(config, spark=spark).why_trained == ""


def test_a_year_later_the_same_month_is_compared_and_kept_in_the_table(spark: SparkSession, tmp_path: Path) -> None:
    frame = with_channel(shops.lines(customers=200, days=360))
    later = frame.assign(**{"sold at": frame["sold at"] + pd.Timedelta(days=366)}, ticket="y" + frame["ticket"])
    shops.write_parquet(pd.concat([frame, later]), tmp_path / "lines")
    config = config_of(tmp_path)
    config.write_text(config.read_text().replace("history: all", "history: 12 months"))
    runs.run(config, spark=spark)
    runs.run(config, spark=spark, as_of="2025-01-01")
    table = drift(tmp_path)
    assert set(table["as_of"].dt.year) == {2024, 2025}
    second = table[table["as_of"].dt.year == 2025]
    assert set(second["compared_with"]) == {"training", "year_ago"}
    assert set(second[second["compared_with"] == "year_ago"]["compared_as_of"].dt.year) == {2024}
    assert (second["verdict"] == "ok").all(), second[second["verdict"] != "ok"]
    found = runs.monitor(config, spark=spark)
    assert {r.compared_with for r in found.readings if r.measure == "psi"} == {"training", "year_ago"}
    # The history holds no lines of the same month a year ago.
    assert {r.compared_with for r in found.readings if r.measure == "vanished"} == {"month_before"}


def test_drift_of_a_moment_looked_at_again_stays_in_the_table_however_old(spark: SparkSession, tmp_path: Path) -> None:
    shops.write_parquet(with_channel(shops.lines(customers=200, days=360)), tmp_path / "lines")
    config = config_of(tmp_path)
    days = ["2023-10-01", "2023-10-15", "2023-11-01", "2023-11-15", "2023-12-01"]
    for day in days[:1] + days[2:]:
        runs.run(config, spark=spark, as_of=day)
    runs.run(config, spark=spark, as_of=days[0], rebuild=True)
    runs.score(config, spark=spark, as_of=days[1])
    assert sorted({f"{moment:%Y-%m-%d}" for moment in drift(tmp_path)["as_of"]}) == days
    assert json.loads((tmp_path / "out/retrain.json").read_text())["as_of"].startswith(days[-1])


def test_a_model_from_before_there_was_monitoring_scores_and_says_train_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("segengine.runs.recipes.REFERENCE", "something-else.json")
        runs.run(config, spark=spark)
    assert len(drift(tmp_path)) == 0
    with pytest.raises(BundleError, match="trained before there was monitoring"):
        runs.monitor(config, spark=spark)
