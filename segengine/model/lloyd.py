"""Lloyd passes over all customers for several sets of centres at once, in numpy on the executors. With groups a
customer counts only for the sets of its own group.

Only sums come back: k x d numbers a partition, added in the order of the partitions. The function that runs on the
executors is made inside another one, so that it travels by value and workers need numpy and pyarrow only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["MOST_PASSES", "Converged", "PassResult", "one_pass", "pass_kernel", "run"]

Floats = NDArray[np.float64]

MOST_PASSES = 100
GAIN = 1e-7
"""Centres rest when moving them to the means of their customers gains less than this part of the cost. Waiting for the
last border customer to settle took 48 passes over 200,000 customers for 5e-7 of the cost."""

CHUNK = 4_096
"""Rows at a time: distances to all centres stay in the processor's cache."""

SCHEMA = "partition int, totals array<double>"


@dataclass(frozen=True)
class PassResult:
    """What one pass tells of one set of k centres."""

    cost: float
    """Sum of squared distances to the nearest centre."""
    sizes: NDArray[np.int64]
    revenue: Floats
    """Revenue of the customers of each centre, for ordering only: doubles."""
    means: Floats
    """(k, d): where the customers of each centre are on average; an empty one keeps its centre."""


@dataclass(frozen=True)
class Converged:
    """Centres (k, d) after their passes, with the result of the last pass over exactly these centres."""

    centres: Floats
    first_cost: float
    passes: int
    converged: bool
    last: PassResult


def pass_kernel(
    starts: Sequence[Floats], groups: Sequence[int] | None = None
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow: blocks of customers (see blocks) to one row of totals a partition.

    Totals of one set of centres: k sizes, k revenues, the cost, then k x d sums. Ties go to the centre with the
    lowest index. `groups`: for which group each set is; blocks then have the group of each customer.
    """
    centre_sets, chunk = [np.array(start, dtype=np.float64) for start in starts], CHUNK
    group_of_set = None if groups is None else [int(group) for group in groups]

    def kernel(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as numpy_
        import pyarrow as arrow
        from pyspark import TaskContext

        d = centre_sets[0].shape[1]
        totals = [numpy_.zeros(2 * len(c) + 1 + len(c) * d) for c in centre_sets]
        for block in (row for batch in batches for row in batch.to_pylist()):
            everybody = numpy_.frombuffer(block["x"]).reshape(-1, d)
            revenues = numpy_.frombuffer(block["revenue"])
            members = {}
            if group_of_set is not None:
                own = numpy_.frombuffer(block["group"], dtype="int32")
                members = {int(group): numpy_.flatnonzero(own == group) for group in numpy_.unique(own)}
            for number, (centres, total) in enumerate(zip(centre_sets, totals, strict=True)):
                points, amounts = everybody, revenues
                if group_of_set is not None:
                    if group_of_set[number] not in members:
                        continue
                    points, amounts = (each[members[group_of_set[number]]] for each in (everybody, revenues))
                k = len(centres)
                for first in range(0, len(points), chunk):
                    x, revenue = points[first : first + chunk], amounts[first : first + chunk]
                    squares = numpy_.empty((k, len(x)))
                    for i in range(k):
                        away = x - centres[i]
                        numpy_.einsum("ij,ij->i", away, away, out=squares[i])
                    nearest = squares.argmin(axis=0)
                    total[:k] += numpy_.bincount(nearest, minlength=k)
                    total[k : 2 * k] += numpy_.bincount(nearest, weights=revenue, minlength=k)
                    total[2 * k] += squares.min(axis=0).sum()
                    for j in range(d):
                        total[2 * k + 1 + j :: d] += numpy_.bincount(nearest, weights=x[:, j], minlength=k)
        context = TaskContext.get()
        number = arrow.array([context.partitionId() if context else 0], arrow.int32())
        values = arrow.array([numpy_.concatenate(totals).tolist()], arrow.list_(arrow.float64()))
        yield arrow.RecordBatch.from_arrays([number, values], names=["partition", "totals"])

    return kernel


def one_pass(points: DataFrame, starts: Sequence[Floats], groups: Sequence[int] | None = None) -> list[PassResult]:
    """One pass over `points` (in blocks) for each set of centres."""
    columns = ("x", "revenue") if groups is None else ("x", "revenue", "group")
    rows = points.select(*columns).mapInArrow(pass_kernel(starts, groups), SCHEMA).collect()
    total = np.zeros(sum(2 * len(c) + 1 + c.size for c in starts))
    for row in sorted(rows, key=lambda row: int(row["partition"])):
        total += np.array(row["totals"], dtype=np.float64)
    results, offset = [], 0
    for centres in starts:
        k, d = centres.shape
        sizes = total[offset : offset + k].astype(np.int64)
        revenue = total[offset + k : offset + 2 * k]
        sums = total[offset + 2 * k + 1 : offset + 2 * k + 1 + k * d].reshape(k, d)
        means = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        results.append(PassResult(float(total[offset + 2 * k]), sizes, revenue, means))
        offset += 2 * k + 1 + k * d
    return results


def run(
    points: DataFrame,
    starts: Sequence[Floats],
    most_passes: int = MOST_PASSES,
    *,
    groups: Sequence[int] | None = None,
    hopeless: float = math.inf,
) -> list[Converged]:
    """Move every set of centres until it rests; the sets share the passes. `groups`: for which group each set is.

    A set that is dearer than the cheapest by more than `hopeless`, a part of the cost, is moved no further: for sets of
    the same customers only.
    """
    centres = [np.array(start, dtype=np.float64) for start in starts]
    first_costs: list[float] = []
    done: dict[int, Converged] = {}
    for number in range(1, most_passes + 1):
        moving = [i for i in range(len(centres)) if i not in done]
        own = None if groups is None else [groups[i] for i in moving]
        results = one_pass(points, [centres[i] for i in moving], own)
        if number == 1:
            first_costs = [result.cost for result in results]
        for i, result in zip(moving, results, strict=True):
            gain = float((result.sizes * ((result.means - centres[i]) ** 2).sum(axis=1)).sum())
            rests = gain <= GAIN * result.cost
            cheapest = min([other.cost for other in results] + [other.last.cost for other in done.values()])
            if rests or number == most_passes or result.cost > (1 + hopeless) * cheapest:
                done[i] = Converged(centres[i], first_costs[i], number, rests, result)
            else:
                centres[i] = result.means
        if len(done) == len(centres):
            break
    return [done[i] for i in range(len(centres))]
