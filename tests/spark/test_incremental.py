"""Runs that read new files only publish what a run over all files publishes, row for row."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.errors import QualityError
from segengine.state import Night, night
from tests import shops
from tests.spark.test_end_to_end import published, segments_by_customer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = dt.datetime(2024, 3, 1, 3, tzinfo=dt.UTC)
EXTRA = """\
incremental: {incremental}
quality: {{returns: {returns}}}
"""


def lines() -> pd.DataFrame:
    """A shop with all that can go wrong: returns, orders over midnight, lines without a customer, bad amounts."""
    frame = shops.lines(customers=120, days=300)
    random = np.random.default_rng(3)
    frame["sold at"] += pd.to_timedelta(random.integers(0, 86_400, len(frame)), unit="s")
    late = random.random(len(frame)) < 0.05
    frame.loc[late, "sold at"] += pd.to_timedelta(1, unit="D")  # a line of an order on the day after
    back = random.random(len(frame)) < 0.04
    frame.loc[back, "price"] *= -1
    frame.loc[random.random(len(frame)) < 0.01, "client"] = None
    frame.loc[random.random(len(frame)) < 0.01, "price"] = np.nan
    copies = frame.sample(30, random_state=4)
    return pd.concat([frame, copies], ignore_index=True)


class Lake:
    """A folder that gets a file a night, and two outputs over it: one counts new files only, one reads all."""

    def __init__(self, folder: Path, spark: SparkSession, models: Path | None = None, **options: str) -> None:
        self.folder, self.spark = folder, spark
        self.options = {"returns": "net", "history": "all", "timezone": "Europe/Berlin", "table": "", **options}
        (folder / "lines").mkdir()
        for output in ("out", "full") if models else ():
            shutil.copytree(models, folder / output / "models")

    def add(self, frame: pd.DataFrame, name: str) -> None:
        frame.to_parquet(self.folder / "lines" / f"{name}.parquet", index=False, coerce_timestamps="us")

    def config(self, as_of: str, *, incremental: bool, output: str) -> Path:
        extra = EXTRA.format(incremental=str(incremental).lower(), returns=self.options["returns"])
        file = shops.write_config(
            self.folder, as_of=as_of, output=output, timezone=self.options["timezone"], extra=extra
        )
        text = file.read_text().replace("history: all", f"history: {self.options['history']}")
        text = text.replace("    columns:\n", f"    returns: price < 0\n{self.options['table']}    columns:\n")
        text = text.replace("      category: aisle\n", "      category: aisle\n      product: aisle\n")
        text = text.replace("trend, category_mix]", "trend, returns, timing, category_mix]")
        target = self.folder / f"{output}.yaml"
        target.write_text(text)
        return target

    def night(self, as_of: str, *, now: dt.datetime = NOW) -> dict[str, Any]:
        """Run both; the model of the first night is used by all. What the incremental run said of itself."""
        told = self.run(as_of, now=now)
        full = self.folder / "full"
        if not (full / "models").exists():
            full.mkdir()
            shutil.copytree(self.folder / "out" / "models", full / "models")
        runs.score(self.config(as_of, incremental=False, output="full"), spark=self.spark, now=now)
        self.compare()
        return told

    def run(self, as_of: str, *, now: dt.datetime = NOW) -> dict[str, Any]:
        """The incremental run alone, where there is nothing to compare as yet."""
        config = self.config(as_of, incremental=True, output="out")
        summary = runs.run(config, spark=self.spark, now=now)
        told: dict[str, Any] = json.loads((self.folder / "out" / "runs" / f"{summary.run_id}.json").read_text())
        return dict(told["incremental"])

    def compare(self) -> None:
        out, full = self.folder / "out", self.folder / "full"
        pd.testing.assert_frame_equal(segments_by_customer(out), segments_by_customer(full))
        for table, dropped in (
            ("quality", ["publication_id", "run_id"]),
            ("segment_kpis", ["publication_id"]),
            ("segment_profiles", ["publication_id"]),
            ("customers", ["publication_id"]),
        ):
            mine, theirs = (published(folder, table).drop(columns=dropped) for folder in (out, full))
            if table == "quality":
                mine, theirs = self.newest(mine, out), self.newest(theirs, full)
            if table == "segment_kpis":  # one of them may have nights that the other was not run for
                both = set(mine["as_of"]) & set(theirs["as_of"])
                assert both
                mine, theirs = (rows[rows["as_of"].isin(both)] for rows in (mine, theirs))
            keys = list(mine.columns[:3])
            mine, theirs = (rows.sort_values(keys).reset_index(drop=True) for rows in (mine, theirs))
            pd.testing.assert_frame_equal(mine, theirs)

    def newest(self, rows: pd.DataFrame, output: Path) -> pd.DataFrame:
        """Quality rows of the run that published last."""
        run_id = json.loads((output / "gold" / "current.json").read_text())["publication_id"]
        kept = published(output, "quality")["run_id"] == run_id
        return pd.DataFrame(rows[kept.to_numpy()])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "out" / "state" / "current.json").read_text())
        return found


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion that the lakes score with: not how segments are found is compared, but what customers' rows hold."""
    lake = Lake(tmp_path_factory.mktemp("model"), spark)
    lake.add(until(lines(), "2023-11-01"), "start")
    runs.train(lake.config("2023-11-01", incremental=False, output="out"), spark=spark, now=NOW)
    return lake.folder / "out" / "models"


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path, models: Path) -> Lake:
    return Lake(tmp_path, spark, models)


def until(frame: pd.DataFrame, day: str, since: str | None = None) -> pd.DataFrame:
    """The lines before a day of Berlin; lines without a time go with the first part."""
    kept = frame["sold at"] < pd.Timestamp(day)
    return frame[kept & (frame["sold at"] >= pd.Timestamp(since))] if since else frame[kept]


@pytest.mark.parametrize(
    "options",
    [{}, {"history": "120 days", "returns": "drop"}, {"table": "    duplicates: drop\n", "history": "5 months"}],
    ids=["all", "window", "drop"],
)
def test_nights_give_what_all_files_give(spark: SparkSession, tmp_path: Path, options: dict[str, str]) -> None:
    lake, frame = Lake(tmp_path, spark, None, **options), lines()
    lake.add(until(frame, "2023-11-01"), "start")
    assert lake.night("2023-11-01")["why_all"] == "nothing is kept of earlier runs"
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "day-1")
    assert lake.night("2023-11-02") == {"files": 2, "new_files": 1, "why_all": ""}
    # A night is skipped; late lines and corrections of old orders come with the new ones.
    old = until(frame, "2023-10-01").sample(40, random_state=1).assign(price=lambda rows: -rows["price"].abs() / 2)
    lake.add(pd.concat([until(frame, "2023-11-05", "2023-11-02"), old]), "days-2-to-4")
    assert lake.night("2023-11-05") == {"files": 3, "new_files": 1, "why_all": ""}
    # The same night again: nothing is new, nothing counts twice.
    before = lake.state()
    assert lake.run("2023-11-05") == {"files": 3, "new_files": 0, "why_all": ""}
    lake.compare()
    assert {**lake.state(), "run_id": ""} == {**before, "run_id": ""}


def test_rows_after_as_of_count_when_their_day_has_come(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-03"), "start")
    assert lake.run("2023-11-01")["new_files"] == 1
    assert lake.state()["left_over"] == ["start.parquet"]
    assert lake.night("2023-11-02")["new_files"] == 0
    assert lake.night("2023-11-03")["new_files"] == 0
    assert lake.state()["left_over"] == []


def test_rows_of_the_future_are_looked_at_again(lake: Lake) -> None:
    frame = lines()
    ahead = (
        until(frame, "2023-11-01").sample(20, random_state=2).assign(**{"sold at": pd.Timestamp("2023-11-03 12:00")})
    )
    nobody = ahead.head(5).assign(client=None)
    lake.add(pd.concat([until(frame, "2023-11-01"), ahead, nobody]), "start")
    for day in range(1, 5):
        now = dt.datetime(2023, 11, day, 2, tzinfo=dt.UTC)
        (lake.run if day == 1 else lake.night)("latest", now=now)
    assert lake.state()["left_over"] == []


def test_a_file_that_changed_and_one_that_went_are_told_and_all_is_read(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-10-01"), "start")
    lake.add(until(frame, "2023-11-01", "2023-10-01"), "october")
    lake.run("2023-11-01")
    lake.add(until(frame, "2023-11-01", "2023-10-10"), "october")
    assert lake.night("2023-11-01")["why_all"] == "1 of the files that were counted have changed"
    (lake.folder / "lines" / "october.parquet").unlink()
    assert lake.night("2023-11-01")["why_all"] == "1 of the files that were counted are gone"


def test_a_day_before_what_is_counted_is_computed_from_all_files_and_leaves_the_state(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    before = lake.state()
    assert lake.night("2023-10-20") == {"why_not": "as_of is before orders that are counted already"}
    assert lake.state() == before
    assert lake.night("2023-11-01")["new_files"] == 0


def test_a_night_that_fails_leaves_no_trace_in_what_is_counted(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    before = lake.state()
    broken = until(frame, "2023-11-01").assign(price=np.nan)
    lake.add(pd.concat([broken] * 3), "broken")
    with pytest.raises(QualityError, match="rows are rejected"):
        lake.run("2023-11-02")
    assert lake.state() == before
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "broken")
    assert lake.night("2023-11-02")["new_files"] == 1


def test_a_run_that_dies_before_its_record_is_written_is_made_up_for(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segengine.state import manifest

    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    before = lake.state()
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "day-1")
    with monkeypatch.context() as dying:
        dying.setattr(manifest, "save", lambda store, state: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            lake.run("2023-11-02")
    parts = lake.folder / "out" / "state" / "parts"
    assert lake.state() == before and len(list(parts.iterdir())) == 2
    assert lake.night("2023-11-02")["new_files"] == 1
    for folder in parts.iterdir():
        for file in folder.iterdir():
            os.utime(file, (0, 0))
    lake.night("2023-11-02")
    counted = sorted(part["folder"] for part in lake.state()["parts"])
    assert sorted(folder.name for folder in parts.iterdir()) == counted


def test_check_writes_nothing_and_counts_like_a_run(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    before = sorted(str(path) for path in (lake.folder / "out" / "state").rglob("*"))
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "day-1")
    config = lake.config("2023-11-02", incremental=True, output="out")
    checked = runs.check(config, spark=lake.spark, now=NOW)
    assert sorted(str(path) for path in (lake.folder / "out" / "state").rglob("*")) == before
    full = runs.check(lake.config("2023-11-02", incremental=False, output="full"), spark=lake.spark, now=NOW)
    assert (checked.rows, checked.customers, checked.bridge) == (full.rows, full.customers, full.bridge)


def test_another_configuration_or_damage_makes_the_state_anew(lake: Lake) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    lake.options["table"] = "    rules: {not_free: price != 0}\n"
    assert lake.night("2023-11-01")["why_all"] == "the configuration reads or judges lines in another way than before"
    assert lake.run("2023-11-01")["why_all"] == ""
    (part,) = (lake.folder / "out" / "state" / "parts" / lake.state()["parts"][0]["folder"]).glob("*.parquet")
    os.truncate(part, part.stat().st_size - 7)
    assert lake.night("2023-11-01")["why_all"] == "files that earlier runs wrote are missing or changed"


def test_a_state_that_was_laid_out_for_far_fewer_lines_is_made_anew(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    before = lake.state()["buckets"]
    monkeypatch.setattr(night, "LINES_PER_BUCKET", len(frame) // 100)
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "day")
    assert lake.night("2023-11-02")["why_all"] == "what is kept was laid out for far fewer lines"
    assert lake.state()["buckets"] > before
    assert lake.run("2023-11-02")["why_all"] == ""


def test_lines_are_left_unread_where_no_order_is_torn(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    plans, pieces = [], Night._pieces

    def told(self: Night, *given: Any) -> Any:
        found = pieces(self, *given)
        plans.append(found._jdf.queryExecution().executedPlan().toString())
        return found

    monkeypatch.setattr(Night, "_pieces", told)
    frame = until(lines().drop_duplicates("ticket").dropna(), "2023-11-02")
    frame["sold at"] = frame["sold at"].dt.floor("D")
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    lake.add(until(frame, "2023-11-02", "2023-11-01"), "day")
    lake.night("2023-11-02")
    lake.add(until(frame, "2023-11-01").tail(1), "late")
    lake.night("2023-11-02")
    read = [re.findall(r"ReadSchema: struct<([^>]*)>", plan) for plan in plans]
    small = "bucket:int,lines:bigint,orders:binary,entries:binary,spend:binary"
    assert read[:2] == [[small], [small]]
    assert sorted(read[2]) == [small, f"{small},rows:binary"]
    (bucket,) = set(re.findall(r"GreaterThanOrEqual\(bucket,(\d+)\)", plans[2]))
    assert f"LessThanOrEqual(bucket,{bucket})" in plans[2]


def test_many_nights_become_one_part_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "MOST_PARTS", 2)
    frame = lines()
    lake.add(until(frame, "2023-11-01"), "start")
    lake.run("2023-11-01")
    for day in (1, 2, 3):
        lake.add(until(frame, f"2023-11-{day + 1:02}", f"2023-11-{day:02}"), f"day-{day}")
        lake.night(f"2023-11-{day + 1:02}")
    assert [part["folder"].endswith("-whole") for part in lake.state()["parts"]] in ([True], [True, False])
