"""Months in a row: history of customers, causes of moves, late rows, and why a run trains, on a small shop."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from segengine import runs
from tests import shops
from tests.spark.test_end_to_end import published

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.report.facts import Summary

MONTHS = ("2023-09-01", "2023-10-01", "2023-11-01")
LATER = "2023-12-01"
TIMELESS = ("publication_id", "created_at", "run_id")


def at(month: str) -> pd.Timestamp:
    return pd.Timestamp(month, tz="UTC")


def rows(output: Path, table: str) -> pd.DataFrame:
    """A published table without what differs from run to run, in order."""
    frame = published(output, table)
    frame = frame.drop(columns=[name for name in TIMELESS if name in frame])
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


def there(output: Path, month: str) -> pd.Series:
    """customer_key -> segment or lane at a moment, by the stays."""
    stays = published(output, "membership")
    now = (stays["valid_from"] <= at(month)) & (stays["valid_to"].isna() | (stays["valid_to"] > at(month)))
    return places(stays[now & (stays["cause"] != "left")])


def places(customers: pd.DataFrame) -> pd.Series:
    """customer_key -> segment or lane."""
    customers = customers.set_index("customer_key")
    segments = customers["segment_key"].astype("Int64").astype(str)
    return customers["lane"].where(customers["segment_key"].isna(), segments).sort_index()


def arrive(frame: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(file, index=False, coerce_timestamps="us")


def write_config(folder: Path, path: str, output: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    extra = "retrain: {every: 2 months, on_alarm: true}\n"
    file = shops.write_config(folder, path=path, output=output, extra=extra)
    text = file.read_text().replace("history: all", "history: 4 months")
    file.write_text(text.replace("k: [3, 6], restarts: 5", "k: [3, 4], restarts: 3"))
    return file


@pytest.fixture(scope="module")
def year(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Summary], pd.DataFrame]:
    """A shop that was run month by month, when later orders had not happened yet."""
    folder = tmp_path_factory.mktemp("year")
    frame = shops.lines(customers=110)
    config = write_config(folder, "live", "out-live")
    summaries, before = [], pd.Timestamp("2020-01-01")
    for number, month in enumerate(MONTHS):
        new = frame[(frame["sold at"] >= before) & (frame["sold at"] < pd.Timestamp(month))]
        arrive(new, folder / "live" / f"m{number}.parquet")
        before = pd.Timestamp(month)
        summaries.append(runs.run(config, spark=spark, as_of=month))
    return folder, summaries, frame


def test_a_backfill_in_date_order_is_the_year_as_it_was_run(
    spark: SparkSession, year: tuple[Path, list[Summary], pd.DataFrame]
) -> None:
    folder, summaries, frame = year
    shops.write_parquet(frame, folder / "all")
    config = write_config(folder / "back", str(folder / "all"), str(folder / "out-back"))
    for month in MONTHS:
        runs.run(config, spark=spark, as_of=month)
    for table in ("membership", "moves", "segment_events", "segment_kpis", "assignments", "segments"):
        live, back = rows(folder / "out-live", table), rows(folder / "out-back", table)
        pd.testing.assert_frame_equal(live, back, obj=table)
    assert [summary.trained for summary in summaries] == [True, False, True]
    assert "next one is due as of 2023-11-01" in summaries[1].why_not_trained
    assert "monitoring raised no alarm" in summaries[1].why_not_trained


def test_stays_and_moves_add_up_to_what_was_published_each_month(
    year: tuple[Path, list[Summary], pd.DataFrame],
) -> None:
    output = year[0] / "out-live"
    stays, moves, kpis = (published(output, table) for table in ("membership", "moves", "segment_kpis"))
    assert not stays.duplicated(["customer_key", "valid_from"]).any()
    for month in MONTHS:
        counted = there(output, month).value_counts()
        expected = kpis[kpis["as_of"] == at(month)].set_index("segment_key")["customers"]
        assert {str(key): n for key, n in expected.items() if n} == {
            key: n for key, n in counted.items() if str(key).isdigit()
        }
    for before, now in itertools.pairwise(MONTHS):
        was, ist = there(output, before), there(output, now)
        both = was.index.intersection(ist.index)
        moved = int((was[both] != ist[both]).sum())
        mine = moves[moves["as_of"] == at(now)]
        assert set(mine["previous_as_of"]) == {at(before)}
        told = mine[mine["cause"].isin(["customer_changed", "model_changed"])]["customers"].sum()
        assert told == moved > 0
        assert mine.loc[mine["cause"] == "left", "customers"].sum() == len(was.index.difference(ist.index))
    assert set(moves.loc[moves["as_of"] == at(MONTHS[1]), "cause"]) <= {"customer_changed", "new", "left"}
    assert set(moves.loc[moves["as_of"] == at(MONTHS[0]), "cause"]) == {"new"}
    events = published(output, "segment_events")
    assert set(events["model_version"]) == {"v0001", "v0002"}
    assert set(events.loc[events["model_version"] == "v0001", "event"]) == {"new"}


def test_late_rows_are_counted_and_rewrite_history_only_when_asked(
    spark: SparkSession, year: tuple[Path, list[Summary], pd.DataFrame]
) -> None:
    folder, _, frame = year
    output, config = folder / "out-live", folder / "shop.yaml"
    was = {month: there(output, month) for month in MONTHS}
    kpis = rows(output, "segment_kpis")
    late = frame[frame["sold at"] < pd.Timestamp(MONTHS[1])].copy()
    late = late.groupby("client").tail(2).assign(price=900.0, ticket=lambda rows: "late-" + rows["ticket"])
    new = frame[(frame["sold at"] >= pd.Timestamp(MONTHS[-1])) & (frame["sold at"] < pd.Timestamp(LATER))]
    arrive(pd.concat([late, new]), folder / "live" / "m9.parquet")
    alarm = {"call": True, "reasons": ["shares moved"], "as_of": f"{LATER}T00:00:00+00:00"}
    (output / "retrain.json").write_text(json.dumps(alarm))
    summary = runs.run(config, spark=spark, as_of=LATER)
    assert summary.trained and "shares moved" in summary.why_trained
    assert json.loads((output / "retrain.json").read_text())["call"] is False
    told = published(output, "runs").set_index("as_of")["rows_late"]
    assert told[at(LATER)] == len(late)
    assert told[at(MONTHS[1])] == 0
    assert any("arrived late" in warning for warning in summary.warnings)
    for month in MONTHS:
        pd.testing.assert_series_equal(there(output, month), was[month])

    again = runs.score(config, spark=spark, as_of=MONTHS[1])
    assert any("its history stays as it is" in warning for warning in again.warnings)
    for month in MONTHS:
        pd.testing.assert_series_equal(there(output, month), was[month])
    now = rows(output, "segment_kpis")
    kept = now[now["as_of"].isin(kpis["as_of"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, kpis)

    after = there(output, LATER)
    runs.score(config, spark=spark, as_of=MONTHS[1], rebuild=True)
    assert not there(output, MONTHS[1]).equals(was[MONTHS[1]])
    pd.testing.assert_series_equal(there(output, MONTHS[0]), was[MONTHS[0]])
    pd.testing.assert_series_equal(there(output, MONTHS[2]), was[MONTHS[2]])
    pd.testing.assert_series_equal(there(output, LATER), after)
    assigned = published(output, "assignments")
    assert there(output, MONTHS[1]).to_dict() == places(assigned).to_dict()


def test_a_retrain_after_a_whole_history_still_compares_customers_and_days_are_local(
    spark: SparkSession, tmp_path: Path
) -> None:
    shops.write_parquet(shops.lines(customers=250, days=360), tmp_path / "lines")
    config = shops.write_config(tmp_path, timezone="Europe/Berlin")
    config.write_text(config.read_text().replace("history: all", "history: 2 months"))
    runs.run(config, spark=spark, as_of="2023-09-01")
    runs.run(config, spark=spark, as_of="2023-12-01", retrain=True)
    identity = json.loads((tmp_path / "out/models/v0002/identity.json").read_text())
    assert identity["method"] == "overlap"
    gates = json.loads((tmp_path / "out/models/v0002/gates.json").read_text())["gates"]
    assert next(gate for gate in gates if gate["gate"] == "moved_by_model")["verdict"] != "not_judged"
    somebody = shops.lines(customers=250, days=360)["client"].iloc[-1]
    assert runs.explain(config, str(somebody), spark=spark).as_of == "2023-12-01"
