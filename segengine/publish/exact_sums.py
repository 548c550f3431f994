"""Sums of doubles by group that are exact, so they are the same to the bit for any partitioning. Runs on executors.

A double is a whole number of 53 bits times a power of two. Whole numbers are summed apart for every power, cut in a
high and a low half so that no sum can overflow, and put together with fractions on the driver: no rounding, hence no
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

__all__ = ["PARTIAL_SCHEMA", "add_up", "partial_sums"]

PARTIAL_SCHEMA = "term int, bin bigint, high bigint, low bigint, values bigint"
ARROW_SCHEMA = pa.schema(
    [("term", pa.int32()), ("bin", pa.int64()), ("high", pa.int64()), ("low", pa.int64()), ("values", pa.int64())]
)
BITS = 53
HALF = 27
POWERS = 4096  # more than the powers of two that a double knows
LOWEST = -1100


def partial_sums(
    columns: Sequence[str], pivots: Sequence[float]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` over rows (group int, *columns double); sum its rows by (term, bin) for `add_up`.

    Term 2j sums column j, term 2j + 1 the squares of its distance to `pivots[j]`. Null, NaN and infinite values are
    left out.
    """
    columns, pivots = list(columns), [float(p) for p in pivots]

    def batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            groups = batch.column(0).to_numpy(zero_copy_only=False).astype(np.int64)
            found = []
            for j, pivot in enumerate(pivots):
                values = batch.column(1 + j).to_numpy(zero_copy_only=False).astype(np.float64)
                with np.errstate(over="ignore", invalid="ignore"):
                    squares = np.square(values - pivot)
                known = np.isfinite(values) & np.isfinite(squares)
                found.append((2 * j, *_bins(groups[known], values[known])))
                found.append((2 * j + 1, *_bins(groups[known], squares[known])))
            terms = np.concatenate([np.full(len(bins), term, np.int32) for term, bins, *_ in found])
            columns = [np.concatenate(parts) for parts in list(zip(*found, strict=True))[1:]]
            yield pa.RecordBatch.from_arrays([pa.array(a) for a in (terms, *columns)], schema=ARROW_SCHEMA)

    return batches


def _bins(groups: Integers, values: Floats) -> tuple[Integers, Integers, Integers, Integers]:
    """(bin, high, low, count): sums of the halves of `values` by group and power of two, which a bin stands for.

    A batch has too few rows to overflow 53 bits.
    """
    if not len(values):
        return (np.zeros(0, np.int64),) * 4
    mantissas, powers = np.frexp(values)
    whole = np.ldexp(mantissas, BITS)
    high = np.floor(np.ldexp(whole, -HALF))
    low = whole - np.ldexp(high, HALF)
    least, first = int(powers.min()), int(groups.min())
    width = int(powers.max()) - least + 1
    places = (groups - first) * width + (powers - least)
    counts = np.bincount(places)
    used = np.flatnonzero(counts)
    sums = [np.bincount(places, weights=half)[used].astype(np.int64) for half in (high, low)]
    bins = (used // width + first) * POWERS + (used % width + least - LOWEST)
    return bins, sums[0], sums[1], counts[used]


def add_up(rows: Iterator[Sequence[int]]) -> dict[tuple[int, int], tuple[int, Fraction]]:
    """(term, group) -> (how many values, their exact sum), from rows (term, bin, high, low, values)."""
    sums: dict[tuple[int, int], tuple[int, Fraction]] = {}
    for term, bin_, high, low, values in rows:
        group, power = divmod(bin_, POWERS)
        exact = Fraction(high * 2**HALF + low) * Fraction(2) ** (power + LOWEST - BITS)
        count, total = sums.get((term, group), (0, Fraction(0)))
        sums[term, group] = (count + values, total + exact)
    return sums
