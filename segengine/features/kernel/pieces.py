"""Entries as bytes, a row for each bucket of customers, and measures from the rows of many runs.

    lines of a run --folded by day--> pieces, stored          pieces of all runs --joined, windows cut--> customers

A piece keeps its lines beside its entries. They are looked at for the few orders that no sum can answer for, torn ones:
those with lines in several pieces, and those that the beginning of the history cuts apart. `tearing` says from small
columns which buckets have any, so that no other bucket's lines need be read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segengine.features.kernel.arrays import Integers, Marks, by_pair, changes
from segengine.features.kernel.finish import finished
from segengine.features.kernel.fold import ENTRY_SUMS, Entries, Spend, folded
from segengine.features.kernel.measure import summed
from segengine.features.kernel.plan import BEFORE_HISTORY, RETURN, Plan
from segengine.features.kernel.spill import in_memory

__all__ = ["SCHEMA", "compacting", "folding", "standing", "tearing"]

SCHEMA = pa.schema(
    [("bucket", pa.int32()), ("lines", pa.int64()), ("orders", pa.binary()), ("entries", pa.binary()),
     ("spend", pa.binary()), ("rows", pa.binary())]
)  # fmt: skip
"""One row is a piece: some orders of the customers of a bucket. `orders` has order and moment of each entry, `entries`
the rest of it, `spend` what it spent on which value; `rows` are the lines themselves."""

CODEC = "zstd"
SINCE = ("first_us", "last_us")
"""Moments that are stored as what they are after `at_us`, which is mostly nothing. The difference may wrap around; so
does the sum."""
CUTS = (("bucket", 1), ("bucket", 64), ("order_hash", 1))
"""How lines that are too many for memory are cut up: a bucket stays whole where it fits."""
Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class _Piece:
    """Entries, and the bytes of their lines, which are read when an order asks for them; None: nobody was to ask."""

    entries: Entries
    rows: bytes | None


def folding(plan: Plan) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: lines with their `bucket` to pieces, cut by day."""
    plan = replace(plan, by_day=True)

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        with tempfile.TemporaryDirectory() as folder:
            for lines in in_memory(batches, plan.lines_in_memory, Path(folder), by=CUTS):
                bucket = lines["bucket"].to_numpy()
                by = np.argsort(bucket, kind="stable")
                for rows in np.split(by, np.flatnonzero(np.diff(bucket[by])) + 1):
                    part = lines.take(pa.array(rows)).drop_columns(["bucket"])
                    yield _stored(int(bucket[rows[0]]), folded(part, plan), part)

    return run


def standing(plan: Plan) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: all pieces of the partition's buckets to one row a customer, as `measuring` gives."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for _bucket, pieces in _by_bucket(batches, plan):
            entries = _joined(pieces, plan)
            yield from finished(summed(entries, plan), plan).to_batches()

    return run


def compacting(plan: Plan) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: all pieces of the partition's buckets to one piece a bucket."""
    plan = replace(plan, by_day=True, window_start_us=None)

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for bucket, pieces in _by_bucket(batches, plan):
            yield _stored(bucket, _joined(pieces, plan), _lines(pieces))

    return run


def tearing(plan: Plan) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: `bucket` and `orders` of pieces to the buckets, once each, that may have torn orders.

    Customers are not told apart: an order of two of them looks torn, and costs a look at its bucket's lines.
    """

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        found = _stored_by_bucket(batches)
        for bucket in sorted(found):
            orders = [_read(row["orders"]) for row in found.pop(bucket)]
            piece = np.repeat(np.arange(len(orders)), [len(each) for each in orders])
            order, at_us = (
                np.concatenate([_numbers(each, name) for each in orders]) for name in ("order_hash", "at_us")
            )
            by = np.argsort(order, kind="stable")
            if _torn(changes(order[by]), piece[by], at_us[by], plan).any():
                yield pa.RecordBatch.from_arrays([pa.array([bucket], pa.int32())], ["bucket"])

    return run


def _by_bucket(batches: Batches, plan: Plan) -> Iterator[tuple[int, list[_Piece]]]:
    found = _stored_by_bucket(batches)
    for bucket in sorted(found):
        rows = found.pop(bucket)
        yield bucket, [_Piece(_entries(row, plan), row["rows"]) for row in rows]


def _stored_by_bucket(batches: Batches) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for batch in batches:
        for row in batch.to_pylist():
            found.setdefault(row["bucket"], []).append(row)
    return found


def _stored(bucket: int, entries: Entries, rows: pa.Table) -> pa.RecordBatch:
    """A piece as a row of SCHEMA; `rows` are its lines."""
    columns = {
        "customer_id": pa.DictionaryArray.from_arrays(pa.array(entries.customer.astype(np.int32)), entries.ids),
        **{name: getattr(entries, name) - entries.at_us for name in SINCE},
        **{name: values for name, values in entries.sums.items() if values.any()},
    }
    mixes = [
        pa.table({"mix": pa.array([name] * len(money), pa.string()), "entry": entry, "value": values, "money": money})
        for name, (entry, values, money) in entries.spend.items()
    ]
    texts = [name for name in rows.column_names if pa.types.is_string(rows.schema.field(name).type)]
    for name in texts:
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].combine_chunks().dictionary_encode())
    values = {
        "bucket": bucket,
        "lines": len(rows),
        "orders": _bytes(pa.table({"order_hash": entries.order, "at_us": entries.at_us})),
        "entries": _bytes(pa.table(columns)),
        "spend": _bytes(pa.concat_tables(mixes) if mixes else _NO_SPEND),
        "rows": _bytes(rows),
    }
    return pa.RecordBatch.from_arrays([pa.array([values[f.name]], f.type) for f in SCHEMA], schema=SCHEMA)


_NO_SPEND = pa.table({"mix": pa.array([], pa.string()), "entry": pa.array([], pa.int64()),
                      "value": pa.array([], pa.string()), "money": pa.array([], pa.int64())})  # fmt: skip


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    table = table.combine_chunks()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=CODEC)) as stream:
        stream.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _read(stored: bytes) -> pa.Table:
    with pa.ipc.open_stream(stored) as stream:
        return stream.read_all()


def _entries(row: Mapping[str, bytes], plan: Plan) -> Entries:
    orders, table, spent = (_read(row[name]) for name in ("orders", "entries", "spend"))
    ids, at_us = table["customer_id"].combine_chunks(), _numbers(orders, "at_us")
    mix = np.array(spent["mix"].to_pylist(), dtype=object)
    spend: dict[str, Spend] = {}
    for _column, name in plan.mixes:
        own = spent.filter(pa.array(mix == name, pa.bool_()))
        spend[name] = own["entry"].to_numpy().copy(), own["value"].combine_chunks(), own["money"].to_numpy().copy()
    return Entries(
        ids=ids.dictionary,
        customer=ids.indices.to_numpy().astype(np.int64),
        order=_numbers(orders, "order_hash"),
        at_us=at_us,
        first_us=_numbers(table, "first_us") + at_us,
        last_us=_numbers(table, "last_us") + at_us,
        sums={
            name: _numbers(table, name) if name in table.column_names else np.zeros_like(at_us) for name in ENTRY_SUMS
        },
        spend=spend,
    )


def _numbers(table: pa.Table, name: str) -> Integers:
    values: Integers = table[name].to_numpy()
    return values


def _joined(pieces: Sequence[_Piece], plan: Plan) -> Entries:
    """The entries of all pieces; orders that their sums cannot answer for are folded again from their lines."""
    entries, piece = _together([each.entries for each in pieces])
    again = _torn(changes(entries.customer) | changes(entries.order), piece, entries.at_us, plan)
    if not again.any():
        return entries
    rows = _lines_of(entries, again, _lines(pieces), plan)
    return _together([_without(entries, again), folded(rows, plan)])[0]


def _torn(new_order: Marks, piece: Integers, at_us: Integers, plan: Plan) -> Marks:
    """Entries of orders that are in several pieces, or on both sides of the beginning of the history.

    `new_order` marks the first entry of each order; entries of one order follow each other.
    """
    starts = np.flatnonzero(new_order)
    if len(starts) == len(new_order):
        return np.zeros(len(new_order), dtype=np.bool_)
    unlike = np.minimum.reduceat(piece, starts) != np.maximum.reduceat(piece, starts)
    if plan.window_start_us is not None:
        before = (at_us < plan.window_start_us).astype(np.int8)
        unlike |= np.minimum.reduceat(before, starts) != np.maximum.reduceat(before, starts)
    marks: Marks = unlike[np.cumsum(new_order) - 1]
    return marks


def _lines_of(entries: Entries, marked: Marks, rows: pa.Table, plan: Plan) -> pa.Table:
    """The lines of the marked entries' orders, with what is before the history named so."""
    rows = rows.filter(pa.array(np.isin(rows["order_hash"].to_numpy(), entries.order[marked])))
    customer = pc.index_in(rows["customer_id"].cast(pa.string()), value_set=entries.ids).to_numpy().astype(np.int64)
    group = _groups(
        np.concatenate([entries.customer[marked], customer]),
        np.concatenate([entries.order[marked], rows["order_hash"].to_numpy()]),
    )
    asked = int(marked.sum())
    kept = rows.filter(pa.array(np.isin(group[asked:], group[:asked])))
    kind = kept["kind"].to_numpy()
    if plan.window_start_us is not None:
        at_us = kept["at_us"].fill_null(plan.window_start_us).to_numpy()
        kind = np.where((kind <= RETURN) & (at_us < plan.window_start_us), np.int8(BEFORE_HISTORY), kind)
    kept = kept.set_column(kept.column_names.index("kind"), "kind", pa.array(kind.astype(np.int8)))
    return _plain(kept)


def _groups(customer: Integers, order: Integers) -> Integers:
    """A number for each different pair."""
    by = np.lexsort((order, customer))
    group = np.empty(len(by), dtype=np.int64)
    group[by] = np.cumsum(changes(customer[by]) | changes(order[by]))
    return group


def _lines(pieces: Sequence[_Piece]) -> pa.Table:
    stored = [piece.rows for piece in pieces]
    if None in stored:
        raise RuntimeError("an order is torn in a bucket whose lines nobody asked for")
    return pa.concat_tables([_plain(_read(rows)) for rows in stored if rows is not None])


def _plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries written out."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table


def _without(entries: Entries, marked: Marks) -> Entries:
    kept = np.flatnonzero(~marked)
    place = np.cumsum(~marked) - 1
    spend = {}
    for name, (entry, values, money) in entries.spend.items():
        own = np.flatnonzero(~marked[entry])
        spend[name] = place[entry[own]], values.take(pa.array(own)), money[own]
    return _taken(entries, kept, spend)


def _taken(entries: Entries, rows: Integers, spend: dict[str, Spend]) -> Entries:
    return Entries(
        ids=entries.ids,
        customer=entries.customer[rows],
        order=entries.order[rows],
        at_us=entries.at_us[rows],
        first_us=entries.first_us[rows],
        last_us=entries.last_us[rows],
        sums={name: values[rows] for name, values in entries.sums.items()},
        spend=spend,
    )


def _together(parts: Sequence[Entries]) -> tuple[Entries, Integers]:
    """Entries of all parts, sorted by customer and order, and the number of the part each comes from."""
    lengths = [len(part.customer) for part in parts]
    piece = np.repeat(np.arange(len(parts)), lengths)
    if len(parts) == 1:
        return parts[0], piece
    ids = pa.concat_arrays([part.ids for part in parts]).dictionary_encode()
    codes = np.split(ids.indices.to_numpy().astype(np.int64), np.cumsum([len(part.ids) for part in parts])[:-1])
    whole = Entries(
        ids=ids.dictionary,
        customer=np.concatenate([code[part.customer] for part, code in zip(parts, codes, strict=True)]),
        order=np.concatenate([part.order for part in parts]),
        at_us=np.concatenate([part.at_us for part in parts]),
        first_us=np.concatenate([part.first_us for part in parts]),
        last_us=np.concatenate([part.last_us for part in parts]),
        sums={name: np.concatenate([part.sums[name] for part in parts]) for name in ENTRY_SUMS},
        spend={},
    )
    by = by_pair(whole.customer, len(ids.dictionary), whole.order)
    place = np.empty(len(by), dtype=np.int64)
    place[by] = np.arange(len(by))
    offsets = np.cumsum([0, *lengths[:-1]])
    spend = {}
    for name in parts[0].spend:
        entry = np.concatenate([part.spend[name][0] + offset for part, offset in zip(parts, offsets, strict=True)])
        values = pa.concat_arrays([part.spend[name][1] for part in parts])
        spend[name] = place[entry], values, np.concatenate([part.spend[name][2] for part in parts])
    return _taken(whole, by, spend), piece[by]
