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

import pyarrow as pa

from segengine.features.kernel.finish import finished, merged
from segengine.features.kernel.measure import measured
from segengine.features.kernel.pieces import SCHEMA, compacting, folding, standing, tearing
from segengine.features.kernel.plan import Plan
from segengine.features.kernel.spill import in_memory

__all__ = ["SCHEMA", "compacting", "folding", "measuring", "standing", "tearing"]

ROWS_PER_BATCH = 50_000


def measuring(plan: Plan) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for mapInArrow: lines (see `line_columns` in measures) to one row a customer."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with tempfile.TemporaryDirectory() as folder:
            parts = [measured(lines, plan) for lines in in_memory(batches, plan.lines_in_memory, Path(folder))]
        if parts:
            table = finished(merged(parts), plan)
            yield from table.to_batches(max_chunksize=ROWS_PER_BATCH)

    return run
