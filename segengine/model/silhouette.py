"""Silhouettes of several partitions of the same points in one pass over their distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = ["MOST_ROWS", "macro_micro", "pick_rows", "silhouettes", "squared_silhouette"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

MOST_ROWS = 10_000
"""Rows to calculate silhouettes on at most: the work grows with their square."""

FEWEST_ROWS = 10
"""Rows of every cluster that are taken along, or all of a smaller cluster."""

CHUNK = 500


def pick_rows(labelings: Sequence[Labels], seed: int, limit: int = MOST_ROWS) -> NDArray[np.int64]:
    """At most `limit` positions of points, in rising order: a seeded draw that leaves no cluster of any partition
    out."""
    n = len(labelings[0])
    if n <= limit:
        return np.arange(n)
    shuffled = np.random.default_rng(seed).permutation(n)
    needed: dict[int, None] = {}
    for labels in labelings:
        in_order = labels[shuffled]
        for cluster in np.unique(labels):
            needed.update(dict.fromkeys(shuffled[np.flatnonzero(in_order == cluster)[:FEWEST_ROWS]].tolist()))
    wanted = dict.fromkeys([*list(needed)[:limit], *shuffled.tolist()])
    return np.sort(np.array(list(wanted)[:limit], dtype=np.int64))


def silhouettes(points: Floats, labelings: Sequence[Labels]) -> list[Floats]:
    """Silhouette of every point (n, d) under each partition (n,): (b - a) / max(a, b), Euclidean, from -1 to 1.

    a: mean distance to the others of the own cluster, b: smallest mean distance to another cluster; 0 for a point
    alone in its cluster (Rousseeuw, Silhouettes, 1987). Every partition needs two clusters.
    """
    coded = [np.unique(labels, return_inverse=True)[1].reshape(-1) for labels in labelings]
    widths = [int(labels.max()) + 1 for labels in coded]
    members = np.zeros((len(points), sum(widths)))
    for offset, labels in zip(np.cumsum([0, *widths[:-1]]), coded, strict=True):
        members[np.arange(len(points)), offset + labels] = 1.0
    sizes = members.sum(axis=0)
    results = [np.empty(len(points)) for _ in coded]
    for start in range(0, len(points), CHUNK):
        stop = min(start + CHUNK, len(points))
        sums = cdist(points[start:stop], points) @ members
        offset = 0
        for result, labels, width in zip(results, coded, widths, strict=True):
            part = slice(offset, offset + width)
            result[start:stop] = _of_sums(sums[:, part], labels[start:stop], sizes[part])
            offset += width
    return results


def squared_silhouette(points: Floats, labels: Labels) -> float:
    """Mean silhouette of all points (n, d) with squared Euclidean distances, as Spark's ClusteringEvaluator defines it.

    The mean squared distance of x to a cluster is |x|^2 + mean of |y|^2 - 2 x . mean of y, so nothing grows with n^2.
    """
    coded = np.unique(labels, return_inverse=True)[1].reshape(-1)
    centred = points - points.mean(axis=0)  # the same distances, with less to cancel
    k = int(coded.max()) + 1
    sizes = np.bincount(coded, minlength=k).astype(np.float64)
    norms = (centred**2).sum(axis=1)
    means = np.stack([np.bincount(coded, weights=column, minlength=k) for column in centred.T], axis=1) / sizes[:, None]
    mean_norms = np.bincount(coded, weights=norms, minlength=k) / sizes
    sums = (norms[:, None] + mean_norms - 2 * centred @ means.T) * sizes
    return float(np.mean(_of_sums(np.maximum(sums, 0.0), coded, sizes)))


def _of_sums(sums: Floats, labels: Labels, sizes: Floats) -> Floats:
    rows = np.arange(len(labels))
    own_size = sizes[labels]
    within = sums[rows, labels] / np.maximum(own_size - 1, 1)
    means = sums / sizes
    means[rows, labels] = np.inf
    nearest = means.min(axis=1)
    largest = np.maximum(within, nearest)
    alone = (own_size <= 1) | (largest == 0)
    value: Floats = np.where(alone, 0.0, (nearest - within) / np.where(largest == 0, 1.0, largest))
    return value


def macro_micro(values: Floats, labels: Labels) -> tuple[float, float]:
    """Macro: the mean of the clusters' means, so that a giant cluster cannot hide bad ones. Micro: the mean of all
    points."""
    means = [float(np.mean(values[labels == cluster])) for cluster in np.unique(labels)]
    return float(np.mean(means)), float(np.mean(values))
