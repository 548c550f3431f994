"""Lines in tables that fit into memory, cut up on disk by order when there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from segengine.features.kernel.arrays import numbers

__all__ = ["in_memory"]

BUCKETS = 64


def in_memory(batches: Iterable[pa.RecordBatch], limit: int, folder: Path) -> Iterator[pa.Table]:
    """The lines as tables that fit into memory; all lines of an order are in the same one."""
    held: list[pa.RecordBatch] = []
    count, buckets = 0, None
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= limit:
            buckets = buckets or _Buckets(folder, batch.schema)
            buckets.add(pa.Table.from_batches(held))
            held, count = [], 0
    if buckets is not None:
        if count:
            buckets.add(pa.Table.from_batches(held))
        yield from buckets.tables()
    elif count:
        yield pa.Table.from_batches(held)


class _Buckets:
    """Lines on disk, in files by their order."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.paths = [folder / f"{number}.arrow" for number in range(BUCKETS)]
        self.writers = [pa.ipc.new_stream(str(path), schema) for path in self.paths]

    def add(self, lines: pa.Table) -> None:
        bucket = numbers(lines, "order_hash", 0).view(np.uint64) % np.uint64(BUCKETS)
        in_order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[in_order], np.arange(BUCKETS + 1))
        for number, writer in enumerate(self.writers):
            writer.write_table(lines.take(pa.array(in_order[ends[number] : ends[number + 1]])))

    def tables(self) -> Iterator[pa.Table]:
        for writer in self.writers:
            writer.close()
        for path in self.paths:
            with pa.ipc.open_stream(str(path)) as stream:
                lines = stream.read_all()
            if lines.num_rows:
                yield lines
