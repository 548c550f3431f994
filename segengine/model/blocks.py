"""Prepared customers in blocks: a row of bytes for thousands of them, which passes over everybody read as numpy arrays.

A pass over rows of arrays spends most of its time on carrying each number from Spark's rows to Python's. A block is
carried there as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["POINTS", "SCHEMA", "packing", "unpacking"]

SCHEMA = "customers int, x binary, revenue binary, draw binary, group binary"
"""Of a block: (customers, d) doubles, row after row; (customers,) doubles; (customers,) ints each; group may be
null."""

POINTS = "x array<double>"


def packing() -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow: batches of (x: list of d doubles, revenue: double, draw: int, perhaps group: int) to a
    block each, rows in their order."""

    def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as numpy_
        import pyarrow as arrow

        types = ("float64", "float64", "int32", "int32")
        names = ["customers", "x", "revenue", "draw", "group"]
        for batch in batches:
            if not batch.num_rows:
                continue
            columns = [batch.column(0).flatten(), *batch.columns[1:]]
            stored: list[bytes | None] = [
                numpy_.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype=kind).tobytes()
                for column, kind in zip(columns, types, strict=False)
            ]
            stored += [None] * (4 - len(stored))
            arrays = [arrow.array([batch.num_rows], arrow.int32())]
            arrays += [arrow.array([value], arrow.binary()) for value in stored]
            yield arrow.RecordBatch.from_arrays(arrays, names=names)

    return pack


def unpacking(draw: int) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow: blocks to the points (x: list of doubles) of the customers with this draw."""

    def unpack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as numpy_
        import pyarrow as arrow

        for batch in batches:
            for block in batch.to_pylist():
                x = numpy_.frombuffer(block["x"]).reshape(block["customers"], -1)
                x = x[numpy_.frombuffer(block["draw"], dtype="int32") == draw]
                starts = numpy_.arange(len(x) + 1, dtype="int32") * x.shape[1]
                points = arrow.ListArray.from_arrays(arrow.array(starts), arrow.array(x.ravel()))
                yield arrow.RecordBatch.from_arrays([points], names=["x"])

    return unpack
