"""Where customers were when: the stays of each one, brought up to a moment by one join, and the moves between moments.

Every published moment (`as_of`) says where each customer is. A new one is written behind the others, or between two of
them, or in the place of one; what the others say stays as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.config.times import microseconds

__all__ = ["Moment", "Past", "elsewhere", "first_moves", "first_stays", "membership", "moves", "transitions"]

Row = dict[str, object]

STAY = ("valid_from", "valid_to", "segment_key", "lane", "cause", "model_version", "publication_id")


@dataclass(frozen=True)
class Past:
    """What is published so far: the stays, and the moments with the model of each, in order."""

    membership: DataFrame | None = None
    moments: tuple[tuple[dt.datetime, str], ...] = ()

    def before(self, as_of: dt.datetime) -> tuple[dt.datetime, str] | None:
        """The last moment before, with its model."""
        return next((moment for moment in reversed(self.moments) if moment[0] < as_of), None)

    def after(self, as_of: dt.datetime) -> dt.datetime | None:
        """The first moment after."""
        return next((moment[0] for moment in self.moments if moment[0] > as_of), None)

    def has(self, as_of: dt.datetime) -> bool:
        """Whether that moment is published."""
        return any(moment[0] == as_of for moment in self.moments)


@dataclass(frozen=True)
class Moment:
    """A moment to write: with which model, and which came before and after it."""

    as_of: dt.datetime
    model_version: str
    publication_id: str
    previous: tuple[dt.datetime, str] | None = None
    next_as_of: dt.datetime | None = None


def first_stays(now: DataFrame, moment: Moment) -> DataFrame:
    """The stays that begin with the first moment there is. `now`: customer_key, segment_key, lane."""
    here, never = F.timestamp_micros(micros(moment.as_of)), F.lit(None).cast("timestamp")
    told = (F.lit("new"), F.lit(moment.model_version), F.lit(moment.publication_id))
    values = (here, never, F.col("segment_key"), F.col("lane"), *told)
    return now.select(_KEY, *(value.alias(name) for value, name in zip(values, STAY, strict=True)))


def first_moves(places: Sequence[tuple[int | None, str | None, int, int | None]], moment: Moment) -> list[Row]:
    """The table `moves` of the first moment. `places`: segment_key, lane, customers, revenue_e4 of each."""
    nowhere: dict[str, Any] = {"from_segment_key": None, "from_lane": None}
    rows = [
        {
            **nowhere,
            "to_segment_key": key,
            "to_lane": lane,
            "cause": "new",
            "customers": count,
            "revenue_e4": revenue_e4,
        }
        for key, lane, count, revenue_e4 in places
    ]
    return _numbered(rows, moment.as_of, None)


def transitions(now: DataFrame, past: DataFrame, moment: Moment) -> DataFrame:
    """One row is a customer: where it was (`before`), is (`now`), and is at the next moment (`after`), with the cause.

    `now`: customer_key, segment_key, lane, revenue_e4, and where another model scored the moment before also
    `champion_key`, the segment that model finds now. `past`: the stays. One full join, two where a moment comes after.
    """
    at = micros(moment.as_of)
    covers = (F.unix_micros("valid_from") < at) & (F.col("valid_to").isNull() | (F.unix_micros("valid_to") >= at))
    joined = _as_struct(now, "now").join(_as_struct(past.where(covers).select(_KEY, *STAY), "before"), _KEY, "full")
    if moment.next_as_of is not None:
        joined = joined.join(_after(past, micros(moment.next_as_of)), _KEY, "full")
    return joined.withColumn("cause", _cause(joined, moment)).withColumn("moved", ~_same("before", "now"))


def membership(joined: DataFrame, past: DataFrame, moment: Moment) -> DataFrame:
    """The stays of all customers after the moment: those it does not touch, and those that follow from `joined`."""
    rows = joined.select(_KEY, F.explode(_stays(joined, moment)).alias("stay")).select(_KEY, "stay.*")
    untouched = F.unix_micros("valid_to") < micros(moment.as_of)
    if moment.next_as_of is not None:
        untouched = F.coalesce(untouched, F.lit(False)) | (F.unix_micros("valid_from") > micros(moment.next_as_of))
    return past.where(untouched).select(_KEY, *STAY).unionByName(rows)


def moves(joined: DataFrame, moment: Moment) -> list[Row]:
    """The rows of the table `moves` for the moment, and for the one after it, which is told from this one now."""
    rows = _moves(joined.where("moved"), "before", "now", F.col("cause"), F.sum("now.revenue_e4"))
    previous = moment.previous[0] if moment.previous else None
    made = _numbered(rows, moment.as_of, previous)
    if moment.next_as_of is not None:
        went = joined.where(~_same("now", "after"))
        rows = _moves(went, "now", "after", _next_cause(moment), F.lit(None).cast("bigint"))
        made += _numbered(rows, moment.next_as_of, moment.as_of)
    return made


def elsewhere(now: DataFrame, past: DataFrame, as_of: dt.datetime) -> int:
    """How many customers are somewhere else at a moment than is published of it."""
    at, ends = micros(as_of), F.unix_micros("valid_to")
    there = past.where((F.unix_micros("valid_from") <= at) & (ends.isNull() | (ends > at)))
    joined = _as_struct(now, "now").join(_as_struct(there.select(_KEY, *STAY), "before"), _KEY, "full")
    return joined.where(~_same("before", "now")).count()


def micros(moment: dt.datetime) -> Column:
    """A moment as microseconds since 1970, which no session time zone can shift."""
    return F.lit(microseconds(moment)).cast("bigint")


_KEY = "customer_key"


def _as_struct(rows: DataFrame, name: str) -> DataFrame:
    return rows.select(_KEY, F.struct(*(column for column in rows.columns if column != _KEY)).alias(name))


def _after(stays: DataFrame, at: Column) -> DataFrame:
    """The stay of each customer at the next moment, and for one who is not there yet, when it comes."""
    starts, ends = F.unix_micros("valid_from"), F.unix_micros("valid_to")
    there = (starts <= at) & (F.col("valid_to").isNull() | (ends > at))
    later = F.when(starts > at, F.col("valid_from"))
    stay = F.when(there, F.struct(*STAY))
    return stays.where(there | (starts > at)).groupBy(_KEY).agg(F.max(stay).alias("after"), F.min(later).alias("comes"))


def _state(side: str) -> list[Column]:
    return [F.col(f"{side}.segment_key"), F.col(f"{side}.lane")]


def _same(one: str, other: str) -> Column:
    """Whether a customer is in the same place on both sides; absent is a place."""
    pairs = list(zip(_state(one), _state(other), strict=True))
    return pairs[0][0].eqNullSafe(pairs[0][1]) & pairs[1][0].eqNullSafe(pairs[1][1])


def _absent(side: str) -> Column:
    segment, lane = _state(side)
    return segment.isNull() & lane.isNull()


def _cause(joined: DataFrame, moment: Moment) -> Column:
    """Why a customer moved. The model did it when the one before would have left the customer where it was."""
    same_model = moment.previous is not None and moment.previous[1] == moment.model_version
    both = F.col("before.segment_key").isNotNull() & F.col("now.segment_key").isNotNull()
    by_model = F.lit(False)
    if not same_model:
        asked = "champion_key" in joined.select("now.*").columns
        by_model = F.col("now.champion_key").eqNullSafe(F.col("before.segment_key")) if asked else F.lit(True)
    return (
        F.when(_absent("before"), "new")
        .when(_absent("now"), "left")
        .when(both & by_model, "model_changed")
        .otherwise("customer_changed")
    )


def _next_cause(moment: Moment) -> Column:
    """Why a customer is somewhere else at the next moment, where this one now stands before it."""
    began = F.unix_micros("after.valid_from") == micros(moment.next_as_of or moment.as_of)
    other_model = F.col("after.model_version") != F.lit(moment.model_version)
    return (
        F.when(_absent("now"), "new")
        .when(_absent("after"), "left")
        .when(began & F.col("after.cause").isin("customer_changed", "model_changed"), F.col("after.cause"))
        .when(other_model, "model_changed")
        .otherwise("customer_changed")
    )


def _stays(joined: DataFrame, moment: Moment) -> Column:
    """The stays of a customer around the moment: the one before, what begins now, what begins at the next moment."""
    here, never = F.timestamp_micros(micros(moment.as_of)), F.lit(None).cast("timestamp")
    known = F.col("before").isNotNull()
    follows = moment.next_as_of is not None
    goes_on = F.lit(True) if not follows else _same("now", "after")
    until = F.col("after.valid_to") if follows else never
    then = F.timestamp_micros(micros(moment.next_as_of)) if moment.next_as_of is not None else never
    end = F.when(goes_on, until).otherwise(then)
    first = _stay(F.col("before.valid_from"), F.when(~F.col("moved"), end).otherwise(here), "before")
    ours = (F.col("cause"), F.lit(moment.model_version), F.lit(moment.publication_id))
    second = _stay(here, end, "now", ours)
    made = [F.when(known, first), F.when(F.col("moved"), second)]
    if follows:
        gone = F.col("after").isNull()
        until = F.when(gone, F.col("comes")).otherwise(F.col("after.valid_to"))
        theirs = (
            _next_cause(moment),
            F.coalesce("after.model_version", F.lit(moment.model_version)),
            F.coalesce("after.publication_id", F.lit(moment.publication_id)),
        )
        made.append(F.when(~goes_on, _stay(then, until, "after", theirs)))
    return F.filter(F.array(*made), lambda stay: stay.isNotNull())


def _stay(start: Column, end: Column, side: str, told: Sequence[Column] | None = None) -> Column:
    cause, model, publication = told or [F.col(f"{side}.{name}") for name in STAY[-3:]]
    values = (start, end, F.col(f"{side}.segment_key"), F.col(f"{side}.lane"), cause, model, publication)
    return F.struct(*(value.alias(name) for value, name in zip(values, STAY, strict=True)))


def _moves(joined: DataFrame, one: str, other: str, cause: Column, revenue: Column) -> list[Any]:
    """At most a few rows for each pair of places come back."""
    keys = (
        F.col(f"{one}.segment_key").alias("from_segment_key"),
        F.col(f"{one}.lane").alias("from_lane"),
        F.col(f"{other}.segment_key").alias("to_segment_key"),
        F.col(f"{other}.lane").alias("to_lane"),
        cause.alias("cause"),
    )
    counted = joined.groupBy(*keys).agg(F.count(F.lit(1)).alias("customers"), revenue.alias("revenue_e4"))
    return [row.asDict() for row in counted.collect()]


def _numbered(rows: Sequence[dict[str, Any]], as_of: dt.datetime, previous: dt.datetime | None) -> list[Row]:
    def place(row: dict[str, Any]) -> tuple[object, ...]:
        names = ("from_segment_key", "from_lane", "to_segment_key", "to_lane", "cause")
        return (-row["customers"], *(("" if row[name] is None else f"{row[name]:>9}") for name in names))

    return [
        {"as_of": as_of, "move": number, "previous_as_of": previous, **row}
        for number, row in enumerate(sorted(rows, key=place), start=1)
    ]
