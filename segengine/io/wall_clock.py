"""Zone-less timestamps as instants. Spark asks Java for the offset of every row, half of what reading it costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd
from pyspark.sql import functions as F

from segengine.io.source import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["by_cast", "in_session_zone", "offsets", "wall_clock"]

YEARS_BACK, YEARS_AHEAD = 15, 2
SECOND = 1_000_000
HOUR = 3_600 * SECOND
WEEK = dt.timedelta(days=7)


def wall_clock(column: Column, timezone: str) -> Column:
    """timestamp of a TIMESTAMP_NTZ column, read as wall clock in `timezone`; the session's plays no part."""
    parts = (F.year(column), F.month(column), F.dayofmonth(column), F.hour(column), F.minute(column))
    return F.make_timestamp(*parts, F.extract(F.lit("SECOND"), column), F.lit(timezone))


@lru_cache(maxsize=4)
def in_session_zone(spark: SparkSession, timezone: str) -> Callable[[DataFrame, Sequence[str]], DataFrame]:
    """What makes timestamps of TIMESTAMP_NTZ columns of some rows: wall clock in `timezone`, which is the session's.

    A comparison with the few moments of late at which the zone's offset changed; Spark's own cast, which is six times
    as dear, for older and later times. The cast for all where a test shows any difference between the two: another
    version of Spark, or Python's and Java's ideas of the zone.
    """
    today = dt.datetime.now(dt.UTC).year
    known = offsets(timezone, today - YEARS_BACK, today + YEARS_AHEAD)

    def quick(rows: DataFrame, names: Sequence[str]) -> DataFrame:
        return _by_comparison(rows, names, known)

    texts = pd.DataFrame({"text": _probes(known)})
    wall = F.col("text").cast("timestamp_ntz")
    probes = spark.createDataFrame(texts, "text string").select(wall.alias("at"), _cast(wall).alias("cast"))
    return quick if quick(probes, ["at"]).where("NOT at <=> cast").isEmpty() else by_cast


def offsets(timezone: str, first_year: int, last_year: int) -> list[tuple[int, int]]:
    """(wall clock, offset of the zone from there on until the next), as microseconds; of the last the offset is 0.

    Ascending, from the first new year to that after the last year. An hour that is there twice is the first of the
    two; an hour that is left out is counted on from before it. So Java does it, and Spark.
    """
    zone = ZoneInfo(timezone)
    at, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (first_year, last_year + 1))
    offset = _offset(zone, at)
    found = [(_micros(at) + offset, offset)]
    while at < end:
        then = min(at + WEEK, end)
        if (later := _offset(zone, then)) != offset:
            change = _change(zone, at, then)
            found.append((_micros(change) + max(offset, later), later))
        at, offset = then, later
    return [*found, (_micros(end) + offset, 0)]


def _change(zone: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first second with the offset of `after`."""
    offset = _offset(zone, before)
    while after - before > dt.timedelta(seconds=1):
        middle = before + dt.timedelta(seconds=(after - before) // dt.timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def _offset(zone: ZoneInfo, at: dt.datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // dt.timedelta(microseconds=1)


def _micros(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def by_cast(rows: DataFrame, names: Sequence[str]) -> DataFrame:
    """The same by Spark's own cast."""
    return rows.withColumns({name: _cast(F.col(quoted(name))) for name in names})


def _cast(wall: Column) -> Column:
    return wall.cast("timestamp")


def _by_comparison(rows: DataFrame, names: Sequence[str], known: Sequence[tuple[int, int]]) -> DataFrame:
    # With any pattern, Spark takes a zone-less time as if it were in UTC. In a column of its own it is computed once.
    walls = {name: f"_segengine_wall_{place}" for place, name in enumerate(names)}
    counted = rows.withColumns({w: F.unix_micros(F.to_timestamp(quoted(name), "yyyy")) for name, w in walls.items()})
    found = {name: F.timestamp_micros(F.col(w) - _offset_at(F.col(w), known)) for name, w in walls.items()}
    old = {name: _cast(F.col(quoted(name))) for name in names}
    return counted.withColumns({name: F.coalesce(found[name], old[name]) for name in names}).drop(*walls.values())


def _offset_at(wall: Column, known: Sequence[tuple[int, int]]) -> Column:
    """The offset at a wall clock, both microseconds; null before and after what is known."""
    (end, _), *changes = reversed(known)
    offset = F.when(wall >= end, F.lit(None).cast("bigint"))
    for start, value in changes:  # the latest first, as most rows are of late
        offset = offset.when(wall >= start, F.lit(value).cast("bigint"))
    return offset


def _probes(known: list[tuple[int, int]]) -> list[str]:
    """Wall clocks to compare at, as text: one a week, and around each change and both ends."""
    first, last = known[0][0], known[-1][0]
    micros = set(range(first, last, WEEK // dt.timedelta(microseconds=1)))
    micros |= {start + away for start, _ in known for away in (-2 * HOUR, -HOUR, -1, 0, 1, HOUR // 2, HOUR, 2 * HOUR)}
    epoch = dt.datetime(1970, 1, 1)  # noqa: DTZ001  a wall clock
    return [str(epoch + dt.timedelta(microseconds=at)) for at in sorted(micros)]
