"""Lines in tables that fit into memory, cut up on disk by a number of theirs when there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from segengine.features.kernel.arrays import numbers

__all__ = ["in_memory"]

BUCKETS = 64
Digit = tuple[str, int]
"""A column of whole numbers, and what its numbers are divided by before they are taken modulo BUCKETS."""


def in_memory(
    batches: Iterable[pa.RecordBatch], limit: int, folder: Path, by: Sequence[Digit] = (("order_hash", 1),)
) -> Iterator[pa.Table]:
    """The lines as tables that fit into memory; those that agree in the columns of `by` are in the same one.

    They are cut by the first of these digits, and what is still more than `limit` by the next.
    """
    held: list[pa.RecordBatch] = []
    count, buckets = 0, None
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= limit:
            buckets = buckets or _Buckets(folder, batch.schema, by, limit)
            buckets.add(pa.Table.from_batches(held))
            held, count = [], 0
    if buckets is not None:
        if count:
            buckets.add(pa.Table.from_batches(held))
        yield from buckets.tables()
    elif count:
        yield pa.Table.from_batches(held)


class _Buckets:
    """Lines on disk, in files by a column."""

    def __init__(self, folder: Path, schema: pa.Schema, by: Sequence[Digit], limit: int) -> None:
        self.by, self.limit, self.lines = by, limit, np.zeros(BUCKETS, dtype=np.int64)
        self.paths = [folder / f"{number}.arrow" for number in range(BUCKETS)]
        self.writers = [pa.ipc.new_stream(str(path), schema) for path in self.paths]

    def add(self, lines: pa.Table) -> None:
        column, unit = self.by[0]
        bucket = numbers(lines, column, 0).view(np.uint64) // np.uint64(unit) % np.uint64(BUCKETS)
        self.lines += np.bincount(bucket.astype(np.int64), minlength=BUCKETS)
        in_order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[in_order], np.arange(BUCKETS + 1))
        for number, writer in enumerate(self.writers):
            writer.write_table(lines.take(pa.array(in_order[ends[number] : ends[number + 1]])))

    def tables(self) -> Iterator[pa.Table]:
        for writer in self.writers:
            writer.close()
        for path, lines in zip(self.paths, self.lines, strict=True):
            with pa.ipc.open_stream(str(path)) as stream:
                if lines > self.limit and len(self.by) > 1:
                    path.with_suffix("").mkdir()
                    yield from in_memory(stream, self.limit, path.with_suffix(""), self.by[1:])
                elif lines:
                    yield stream.read_all()
            path.unlink()
