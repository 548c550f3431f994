"""Order lines to exact measures of customers, with numpy and pyarrow. Runs on workers, and travels to them by value.

    lines of a partition, all lines of a customer together
        --sorted by customer, order, product--> marks: copies, first sights of a product
        --summed--> orders --summed--> customers; different days with an order --> gaps between them

All sums are integers, so no order of rows can change a bit of them. A partition that is too large for memory is cut up
on disk by order, and the parts are merged: what is kept of a customer then grows with days and categories, not lines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from segengine.features.kernel.arrays import numbers
from segengine.features.kernel.finish import finished, merged
from segengine.features.kernel.measure import measured
from segengine.features.kernel.plan import Plan

__all__ = ["measuring"]

BUCKETS = 64
ROWS_PER_BATCH = 50_000


def measuring(plan: Plan) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: lines (see `line_columns` in measures) to one row a customer."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with tempfile.TemporaryDirectory() as folder:
            parts = [measured(lines, plan) for lines in _in_memory(batches, plan.lines_in_memory, Path(folder))]
        if parts:
            table = finished(merged(parts), plan)
            yield from table.to_batches(max_chunksize=ROWS_PER_BATCH)

    return run


def _in_memory(batches: Iterable[pa.RecordBatch], limit: int, folder: Path) -> Iterator[pa.Table]:
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
