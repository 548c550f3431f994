"""Zone-less timestamps as instants. Spark asks Java for the offset of every row, half of what reading it costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

__all__ = ["in_session_zone", "offsets", "wall_clock"]

YEARS_BACK, YEARS_AHEAD = 15, 2
SECOND = 1_000_000
HOUR = 3_600 * SECOND
WEEK = dt.timedelta(days=7)


def wall_clock(column: Column, timezone: str) -> Column:
    """timestamp of a TIMESTAMP_NTZ column, read as wall clock in `timezone`; the session's plays no part."""
    parts = (F.year(column), F.month(column), F.dayofmonth(column), F.hour(column), F.minute(column))
    return F.make_timestamp(*parts, F.extract(F.lit("SECOND"), column), F.lit(timezone))


@lru_cache(maxsize=4)
def in_session_zone(spark: SparkSession, timezone: str) -> Callable[[Column], Column]:
    """What makes timestamps of TIMESTAMP_NTZ columns: wall clock in `timezone`, which is the session's.

    A comparison with the few moments of late at which the zone's offset changed; Spark's own cast, which is six times
    as dear, for older and later times. The cast for all where a test shows any difference between the two: another
    version of Spark, or Python's and Java's ideas of the zone.
    """
    today = dt.datetime.now(dt.UTC).year
    known = offsets(timezone, today - YEARS_BACK, today + YEARS_AHEAD)

    def quick(column: Column) -> Column:
        return _by_comparison(column, known)

    walls = pd.DataFrame({"wall": _probes(known)})
    wall = F.col("wall")
    probes = spark.createDataFrame(walls, "wall string").select(wall.cast("timestamp_ntz").alias("wall"))
    return quick if probes.where(~quick(wall).eqNullSafe(_cast(wall))).isEmpty() else _cast


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


def _cast(column: Column) -> Column:
    return column.cast("timestamp")


def _by_comparison(column: Column, known: list[tuple[int, int]]) -> Column:
    wall = F.unix_micros(F.to_timestamp(column, "yyyy"))  # with any pattern, a zone-less time as if it were in UTC
    (end, _), *changes = reversed(known)
    at = F.when(wall >= end, _cast(column))
    for start, offset in changes:  # the latest first, as most rows are of late
        at = at.when(wall >= start, F.timestamp_micros(wall - offset))
    return at.otherwise(_cast(column))


def _probes(known: list[tuple[int, int]]) -> list[str]:
    """Wall clocks to compare at, as text: one a week, and around each change and both ends."""
    first, last = known[0][0], known[-1][0]
    micros = set(range(first, last, WEEK // dt.timedelta(microseconds=1)))
    micros |= {start + away for start, _ in known for away in (-2 * HOUR, -HOUR, -1, 0, 1, HOUR // 2, HOUR, 2 * HOUR)}
    epoch = dt.datetime(1970, 1, 1)  # noqa: DTZ001  a wall clock
    return [str(epoch + dt.timedelta(microseconds=at)) for at in sorted(micros)]
