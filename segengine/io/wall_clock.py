"""Zone-less timestamps as instants. Spark asks Java for the offset of every row, half of what reading it costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from segengine.config.times import EPOCH, microseconds
from segengine.io.source import quoted
from segengine.io.zones import clock_changes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["MANY_ROWS", "by_cast", "in_session_zone", "offsets", "wall_clock"]

YEARS_BACK, YEARS_AHEAD = 15, 2
MANY_ROWS = 1_000_000
"""Rows from which on the comparison is worth its test, which takes a quarter of a second."""
HOUR_US = 3_600_000_000
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

    texts = ", ".join(f"('{text}')" for text in _probes(known))
    wall = F.col("text").cast("timestamp_ntz")
    probes = spark.sql(f"SELECT text FROM VALUES {texts} AS probes(text)").select(wall.alias("at"))
    differ = quick(probes.select("at", _cast(F.col("at")).alias("cast")), ["at"]).where("NOT at <=> cast")
    return quick if differ.isEmpty() else by_cast


def offsets(timezone: str, first_year: int, last_year: int) -> list[tuple[int, int]]:
    """(wall clock, offset of the zone from there on until the next), as microseconds; of the last the offset is 0.

    Ascending, from the first new year to that after the last year. An hour that is there twice is the first of the
    two; an hour that is left out is counted on from before it. So Java does it, and Spark.
    """
    first, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (first_year, last_year + 1))
    moments, ahead = clock_changes(timezone, end)
    inside = (moments[1:] > microseconds(first)) & (moments[1:] < microseconds(end))
    starts = (moments[1:] + np.maximum(ahead[:-1], ahead[1:]))[inside].tolist()
    before, last = (int(ahead[np.searchsorted(moments, microseconds(at), "right") - 1]) for at in (first, end))
    changes = zip(starts, ahead[1:][inside].tolist(), strict=True)
    return [(microseconds(first) + before, before), *changes, (microseconds(end) + last, 0)]


def by_cast(rows: DataFrame, names: Sequence[str]) -> DataFrame:
    """The same by Spark's own cast."""
    return rows.withColumns({name: _cast(F.col(quoted(name))) for name in names})


def _cast(wall: Column) -> Column:
    return wall.cast("timestamp")


def _by_comparison(rows: DataFrame, names: Sequence[str], known: Sequence[tuple[int, int]]) -> DataFrame:
    # With any pattern, Spark takes a zone-less time as if it were in UTC. In a column of its own it is computed once.
    walls = {name: f"_segengine_wall_{place}" for place, name in enumerate(names)}
    counted = rows.withColumns({w: F.unix_micros(F.to_timestamp(quoted(name), "yyyy")) for name, w in walls.items()})
    found = {name: F.timestamp_micros(F.col(w) - F.expr(_offset_at(w, known))) for name, w in walls.items()}
    at = {name: F.coalesce(found[name], _cast(F.col(quoted(name)))).alias(name) for name in names}
    return counted.select(*(at.get(name, F.col(quoted(name))) for name in rows.columns))


def _offset_at(wall: str, known: Sequence[tuple[int, int]]) -> str:
    """SQL: the offset at a wall clock, both microseconds; null before and after what is known.

    As text, since each call of a function is several of Java.
    """
    (end, _), *changes = reversed(known)
    latest_first = " ".join(f"WHEN {wall} >= {start}L THEN {offset}L" for start, offset in changes)
    return f"CASE WHEN {wall} >= {end}L THEN NULL {latest_first} END"


def _probes(known: list[tuple[int, int]]) -> list[str]:
    """Wall clocks to compare at, as text: one a week, and around each change and both ends."""
    first, last = known[0][0], known[-1][0]
    micros = set(range(first, last, WEEK // dt.timedelta(microseconds=1)))
    micros |= {
        start + away
        for start, _ in known
        for away in (-2 * HOUR_US, -HOUR_US, -1, 0, 1, HOUR_US // 2, HOUR_US, 2 * HOUR_US)
    }
    epoch = EPOCH.replace(tzinfo=None)
    return [str(epoch + dt.timedelta(microseconds=at)) for at in sorted(micros)]
