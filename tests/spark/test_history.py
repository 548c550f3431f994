"""Stays of customers: whatever order moments are written in, each one says what was written of it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from pyspark.sql import types as t

from segengine.publish.history import Moment, Past, elsewhere, first_moves, first_stays, membership, moves, transitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

State = tuple[int | None, str | None]
ABSENT: State = (None, None)
NOW = t.StructType(
    [
        t.StructField("customer_key", t.LongType()),
        t.StructField("segment_key", t.IntegerType()),
        t.StructField("lane", t.StringType()),
        t.StructField("revenue_e4", t.LongType()),
        t.StructField("champion_key", t.IntegerType()),
    ]
)


def month(number: int) -> dt.datetime:
    return dt.datetime(2024, number, 1, tzinfo=dt.UTC)


class Ledger:
    """Writes moments as a run does, and remembers them."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.stays: DataFrame | None = None
        self.written: dict[dt.datetime, dict[int, State]] = {}
        self.models: dict[dt.datetime, str] = {}
        self.moves: dict[dt.datetime, list[dict[str, Any]]] = {}

    def write(
        self,
        at: dt.datetime,
        states: Mapping[int, State],
        model: str = "v0001",
        champion: dict[int, int] | None = None,
    ) -> None:
        past = Past(self.stays, tuple(sorted(self.models.items())))
        columns = NOW if champion is not None else t.StructType(NOW.fields[:-1])
        rows = [
            (key, segment, lane, 10_000 * key, *([champion.get(key)] if champion is not None else []))
            for key, (segment, lane) in states.items()
        ]
        moment = Moment(at, model, f"p{at:%m}", past.before(at), past.after(at))
        now = self.spark.createDataFrame(rows, columns).persist()
        if self.stays is None:
            places = {state: [key for key in states if states[key] == state] for state in states.values()}
            found = first_moves([(*state, len(keys), 10_000 * sum(keys)) for state, keys in places.items()], moment)
            stays = first_stays(now, moment)
        else:
            joined = transitions(now, self.stays, moment)
            found = moves(joined, moment)
            stays = membership(joined, self.stays, moment)
        for changed in {at, *(cast("dt.datetime", row["as_of"]) for row in found)}:
            self.moves[changed] = [row for row in found if row["as_of"] == changed]
        self.stays = self.spark.createDataFrame(stays.collect(), stays.schema)
        now.unpersist()
        self.written[at], self.models[at] = dict(states), model

    def rows(self) -> list[dict[str, Any]]:
        assert self.stays is not None
        rows = [row.asDict() for row in self.stays.collect()]
        for row in rows:
            for name in ("valid_from", "valid_to"):
                row[name] = row[name].replace(tzinfo=dt.UTC) if row[name] is not None else None
        return sorted(rows, key=lambda row: (row["customer_key"], row["valid_from"]))

    def check(self) -> None:
        rows = self.rows()
        for at, states in self.written.items():
            there = {
                row["customer_key"]: (row["segment_key"], row["lane"])
                for row in rows
                if row["valid_from"] <= at and (row["valid_to"] is None or row["valid_to"] > at)
            }
            assert {key: state for key, state in there.items() if state != ABSENT} == states, at
        for one, other in itertools.pairwise(rows):
            if one["customer_key"] == other["customer_key"]:
                assert one["valid_to"] == other["valid_from"]
                assert (one["segment_key"], one["lane"]) != (other["segment_key"], other["lane"])
            else:
                assert one["valid_to"] is None
        assert all(row["valid_from"] in self.written for row in rows)
        assert not [row for row in rows if (row["cause"] == "left") != (row["segment_key"] is row["lane"] is None)]


def causes(ledger: Ledger, at: dt.datetime) -> dict[tuple[State, State, str], int]:
    return {
        ((m["from_segment_key"], m["from_lane"]), (m["to_segment_key"], m["to_lane"]), m["cause"]): m["customers"]
        for m in ledger.moves[at]
    }


def test_each_stay_has_its_cause_and_the_same_month_twice_is_once(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.write(month(1), {1: (1, None), 2: (1, None), 3: (None, "too_new"), 4: (2, None)})
    assert causes(ledger, month(1)) == {
        (ABSENT, (1, None), "new"): 2,
        (ABSENT, (2, None), "new"): 1,
        (ABSENT, (None, "too_new"), "new"): 1,
    }
    second = {1: (1, None), 2: (2, None), 3: (1, None), 5: (2, None)}
    for _ in range(2):
        ledger.write(month(2), second)
        assert causes(ledger, month(2)) == {
            ((1, None), (2, None), "customer_changed"): 1,
            ((None, "too_new"), (1, None), "customer_changed"): 1,
            ((2, None), ABSENT, "left"): 1,
            (ABSENT, (2, None), "new"): 1,
        }
        ledger.check()
        assert len(ledger.rows()) == 8
    assert [row["revenue_e4"] for row in ledger.moves[month(2)] if row["cause"] == "customer_changed"] == [
        30_000,
        20_000,
    ]
    third = {1: (2, None), 2: (1, None), 3: (3, None), 4: (1, None), 5: (2, None)}
    ledger.write(month(3), third, model="v0002", champion={1: 1, 2: 1, 3: 1, 4: 1, 5: 2})
    assert causes(ledger, month(3)) == {
        ((1, None), (2, None), "model_changed"): 1,  # the old model would have left customer 1 where it was
        ((2, None), (1, None), "customer_changed"): 1,  # both models say 1 now
        ((1, None), (3, None), "model_changed"): 1,
        (ABSENT, (1, None), "new"): 1,
    }
    ledger.check()


def test_a_model_that_cannot_be_asked_is_taken_for_the_cause(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.write(month(1), {1: (1, None), 2: (1, None)})
    ledger.write(month(2), {1: (2, None), 2: (None, "opted_out")}, model="v0002")
    assert causes(ledger, month(2)) == {
        ((1, None), (2, None), "model_changed"): 1,
        ((1, None), (None, "opted_out"), "customer_changed"): 1,
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_moments_written_in_any_order_and_anew_stay_true(spark: SparkSession, seed: int) -> None:
    random = np.random.default_rng(seed)
    places: list[State] = [(1, None), (2, None), (3, None), (None, "too_new"), ABSENT, ABSENT]

    def states() -> dict[int, State]:
        drawn = {key: places[int(place)] for key, place in enumerate(random.integers(0, len(places), 25))}
        return {key: state for key, state in drawn.items() if state != ABSENT}

    ledger = Ledger(spark)
    order = [int(number) + 1 for number in random.permutation(6)]
    for number in [*order, *random.choice(order, 4, replace=False)]:
        ledger.write(month(int(number)), states())
        ledger.check()
    in_order = Ledger(spark)
    for at in sorted(ledger.written):
        in_order.write(at, ledger.written[at])
    told = ("customer_key", "valid_from", "valid_to", "segment_key", "lane", "cause")
    assert [[row[name] for name in told] for row in ledger.rows()] == [
        [row[name] for name in told] for row in in_order.rows()
    ]


def test_a_rebuilt_moment_moves_the_next_one_and_differences_are_counted(spark: SparkSession) -> None:
    ledger = Ledger(spark)
    ledger.write(month(1), {1: (1, None), 2: (1, None)})
    ledger.write(month(2), {1: (1, None), 2: (1, None)})
    ledger.write(month(3), {1: (1, None), 2: (2, None)})
    assert ledger.stays is not None
    rows = [(1, 2, None, 10_000), (2, 1, None, 10_000), (3, 1, None, 10_000)]
    now = spark.createDataFrame(rows, t.StructType(NOW.fields[:-1]))
    assert elsewhere(now, ledger.stays, month(2)) == 2
    ledger.write(month(2), {1: (2, None), 2: (1, None), 3: (1, None)})
    ledger.check()
    assert causes(ledger, month(2)) == {
        ((1, None), (2, None), "customer_changed"): 1,
        (ABSENT, (1, None), "new"): 1,
    }
    assert causes(ledger, month(3)) == {
        ((2, None), (1, None), "customer_changed"): 1,
        ((1, None), (2, None), "customer_changed"): 1,
        ((1, None), ABSENT, "left"): 1,
    }
