"""What is kept of lines between runs gives the rows that all lines together give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from segengine.features.kernel import SCHEMA, compacting, folding, standing, tearing
from segengine.features.kernel.plan import BEFORE_HISTORY, RETURN, Plan
from tests.pure.test_kernel import DAY_US, PLAN, answer, lines

BUCKETS = 7


def bucketed(table: pa.Table) -> pa.Table:
    numbers = np.array([int(name.as_py()[1:]) % BUCKETS for name in table["customer_id"]], dtype=np.int32)
    return table.append_column("bucket", pa.array(numbers))


def folded(table: pa.Table, plan: Plan = PLAN) -> list[pa.RecordBatch]:
    return list(folding(plan)(iter(bucketed(table).to_batches(max_chunksize=997))))


def nights(table: pa.Table, count: int, *, whole_orders: bool) -> list[pa.Table]:
    """The lines in parts; unless orders stay whole, an order has lines in several of them."""
    order = table["order_hash"].to_numpy()
    night = (
        order // 2_654_435_761_000 % count if whole_orders else np.random.default_rng(5).integers(0, count, len(table))
    )
    return [table.filter(pa.array(night == number)) for number in range(count)]


def torn(pieces: list[pa.RecordBatch], plan: Plan) -> list[int]:
    """The buckets whose lines are to be asked for."""
    small = [piece.select(["bucket", "orders"]) for piece in pieces]
    return [bucket.as_py() for batch in tearing(plan)(iter(small)) for bucket in batch["bucket"]]


def without_lines(piece: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pa.nulls(1, pa.binary()) if name == "rows" else piece[name] for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def stood(pieces: list[pa.RecordBatch], plan: Plan) -> list[dict[str, object]]:
    asked = torn(pieces, plan)
    given = [piece if piece["bucket"][0].as_py() in asked else without_lines(piece) for piece in pieces]
    shuffled = [given[i] for i in np.random.default_rng(3).permutation(len(given))]
    rows = pa.Table.from_batches(list(standing(plan)(iter(shuffled))))
    return sorted(rows.to_pylist(), key=lambda row: str(row["customer_id"]))


def at_once(table: pa.Table, plan: Plan) -> list[dict[str, object]]:
    """The rows that the ordinary run gives, which is told by rules what lies before the history."""
    kind, at_us = table["kind"].to_numpy(), table["at_us"].to_numpy()
    if plan.window_start_us is not None:
        kind = np.where((kind <= RETURN) & (at_us < plan.window_start_us), BEFORE_HISTORY, kind).astype(np.int8)
    return answer(table.set_column(table.column_names.index("kind"), "kind", pa.array(kind)), plan)


@pytest.mark.parametrize("whole_orders", [True, False])
@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("start", [None, 100])
def test_pieces_of_several_nights_give_the_rows_of_all_lines(whole_orders, drop, start):
    window = None if start is None else start * DAY_US
    plan = replace(PLAN, drop_duplicates=drop, window_start_us=window)
    table = lines(8_000, customers=40)
    pieces = [row for night in nights(table, 4, whole_orders=whole_orders) for row in folded(night, plan)]
    assert len(pieces) == 4 * BUCKETS
    assert stood(pieces, plan) == at_once(table, plan)


@pytest.mark.parametrize("start", [None, 150])
def test_orders_that_last_over_midnight_and_over_the_beginning_of_the_history_count_once(start):
    table = lines(6_000, customers=30)
    moved = table["at_us"].to_numpy() + np.random.default_rng(4).integers(-2, 3, len(table)) * DAY_US * 30
    table = table.set_column(table.column_names.index("at_us"), "at_us", pa.array(moved))
    plan = replace(PLAN, window_start_us=None if start is None else start * DAY_US)
    assert stood(folded(table, plan), plan) == at_once(table, plan)


@pytest.mark.parametrize("drop", [True, False])
def test_pieces_made_one_give_the_same_rows(drop):
    plan = replace(PLAN, drop_duplicates=drop, window_start_us=120 * DAY_US)
    table = lines(8_000, customers=40)
    pieces = [row for night in nights(table, 3, whole_orders=False) for row in folded(night, plan)]
    one = list(compacting(plan)(iter(pieces)))
    assert len(one) == BUCKETS
    assert sum(batch["lines"][0].as_py() for batch in one) == len(table)
    assert stood(one, plan) == stood(pieces, plan) == at_once(table, plan)


def test_pieces_answer_for_any_window_that_begins_at_a_midnight():
    table = lines(4_000, customers=20)
    pieces = folded(table)
    for start in (50, 90, 251):
        plan = replace(PLAN, window_start_us=start * DAY_US, previous_us=(start + 10) * DAY_US, last_us=300 * DAY_US)
        assert stood(pieces, plan) == at_once(table, plan)


def test_a_run_may_ask_for_less_than_is_kept():
    table = lines(2_000, customers=20)
    plan = replace(PLAN, rhythm=False, mixes=(("channel", "channels"),))
    rows = stood(folded(table), plan)
    assert rows == answer(table, plan)
    assert "categories" not in rows[0]


def test_lines_beyond_memory_become_several_pieces_of_a_bucket():
    table = lines(5_000, customers=20)
    small = replace(PLAN, lines_in_memory=600)
    pieces = folded(table, small)
    assert len(pieces) > BUCKETS
    assert all(batch.schema == SCHEMA for batch in pieces)
    assert stood(pieces, PLAN) == answer(table)


def test_a_bucket_that_fits_into_memory_is_one_piece():
    table = lines(5_000, customers=20)
    pieces = folded(table, replace(PLAN, lines_in_memory=1_500))
    assert sorted(piece["bucket"][0].as_py() for piece in pieces) == list(range(BUCKETS))
    assert stood(pieces, PLAN) == answer(table)


def test_small_buckets_that_share_a_file_beyond_memory_stay_whole():
    table = lines(5_000, customers=20)
    far = pa.array(bucketed(table)["bucket"].to_numpy() * np.int32(64))
    small = replace(PLAN, lines_in_memory=1_500)
    pieces = list(folding(small)(iter(table.append_column("bucket", far).to_batches(max_chunksize=997))))
    assert sorted(piece["bucket"][0].as_py() for piece in pieces) == [64 * number for number in range(BUCKETS)]
    assert stood(pieces, PLAN) == answer(table)


def test_lines_are_asked_for_where_an_order_is_torn_and_nowhere_else():
    table = lines(5_000, customers=20)
    day = table["at_us"].to_numpy() // DAY_US
    whole = table.filter(pa.array(day < 200))
    apart = whole.filter(pa.array(np.isin(whole["customer_id"].to_pylist(), whole["customer_id"].to_pylist()[:1])))
    pieces = folded(whole)
    assert torn(pieces, PLAN) == []
    pieces += folded(apart.slice(0, 1))
    (bucket,) = torn(pieces, PLAN)
    assert bucket == pieces[-1]["bucket"][0].as_py()
    with pytest.raises(RuntimeError, match="lines nobody asked for"):
        list(standing(PLAN)(without_lines(piece) for piece in pieces))


def test_a_night_without_lines_has_no_pieces():
    assert list(folding(PLAN)(iter([]))) == []
    assert list(standing(PLAN)(iter([]))) == []
