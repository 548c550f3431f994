"""Would the same segments be found among other customers? Bootstrap stability of each segment (Hennig 2007)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from segengine.model.threads import one_core

__all__ = ["DRAWS", "ROWS", "bootstrap_jaccard", "jaccards", "largest_jaccards", "some_rows"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ROWS = 3_000
"""Customers that are drawn from at most: what is measured is a mean, and the work grows with them."""

DRAWS = 40
"""Hennig's fpc::clusterboot takes 100 by default; the error of a mean of 40 is below 0.05 for any segment."""

STARTS = 3
TOLERANCE = 1e-4
MOST_PASSES = 100


def some_rows(n: int, seed: int, limit: int = ROWS) -> NDArray[np.int64]:
    """At most `limit` positions of n customers, in rising order: a seeded draw."""
    return np.arange(n) if n <= limit else np.sort(np.random.default_rng(seed).permutation(n)[:limit])


def bootstrap_jaccard(
    points: Floats, labels: Labels, k: int, *, seed: int, draws: int = DRAWS, rows: int = ROWS
) -> Floats:
    """(k,) mean over the draws of each segment's largest Jaccard similarity to a segment found anew; NaN: not known.

    `points` (n, d) prepared customers in segments `labels` (n,), 0 to k - 1. Each draw takes n of them with
    replacement, keeps those drawn once (as fpc::clusterboot does by default), finds k segments among them by k-means
    and compares on them. Of more than `rows` customers some are taken first. Above 0.85 a segment is highly stable,
    from 0.75 valid, below 0.5 dissolved (Hennig, Cluster-wise assessment of cluster stability, CSDA 52, 2007).
    """
    chosen = some_rows(len(points), seed, rows)
    some, own = np.ascontiguousarray(points[chosen]), labels[chosen]
    with one_core():
        return jaccards(some, own, k, seed=seed, draws=draws)


def jaccards(points: Floats, labels: Labels, k: int, *, seed: int, draws: int) -> Floats:
    """The same of all the points, on as many cores as the caller allows."""
    return _means([_drawn(points, labels, k, seed, draw) for draw in range(draws)])


def _drawn(points: Floats, labels: Labels, k: int, seed: int, draw: int) -> Floats:
    """(k,) the similarities of one draw."""
    random = np.random.default_rng([seed, k, draw])
    drawn = np.unique(random.integers(0, len(points), len(points)))
    if len(drawn) < k:
        return np.full(k, np.nan)
    start = int(random.integers(2**31 - 1))
    fitted = KMeans(k, n_init=STARTS, tol=TOLERANCE, max_iter=MOST_PASSES, random_state=start).fit(points[drawn])
    return largest_jaccards(labels[drawn], np.asarray(fitted.labels_, dtype=np.int64), k)


def _means(drawn: Sequence[Floats]) -> Floats:
    values = np.array(drawn)
    known = ~np.isnan(values)
    counted = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    means: Floats = np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
    return means


def largest_jaccards(before: Labels, after: Labels, k: int) -> Floats:
    """(k,) for each segment of `before` the largest |A and B| / |A or B| over the segments B of `after`; NaN: empty."""
    both = np.bincount(before * k + after, minlength=k * k).reshape(k, k).astype(np.float64)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    similar = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    best: Floats = np.where(both.sum(axis=1) > 0, similar.max(axis=1), np.nan)
    return best
