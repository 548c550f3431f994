"""The dear measures of a number of segments, on a bounded sample: gap, prediction strength, bootstrap stability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from segengine.model.stability import jaccards, some_rows
from segengine.model.threads import one_core

__all__ = ["Deep", "deepen", "gap_statistic", "prediction_strength"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

ROWS = 2_000
"""Customers that these measures look at; all of them are means over many draws."""

REFERENCES = 10
"""Reference samples of the gap statistic, as SAS takes for its ABC; R's clusGap takes 100."""

SPLITS = 10
"""Halvings for prediction strength; R's fpc takes 50."""

DRAWS = 20
STARTS = 2
TOLERANCE = 1e-4
MOST_PASSES = 100


@dataclass(frozen=True)
class Deep:
    """What the dear measures say of a number of segments; None: it could not be measured."""

    gap: float | None
    gap_error: float | None
    """Standard deviation over the references, times sqrt(1 + 1 / references)."""
    prediction_strength: float | None
    jaccard_min: float | None
    """Of the least stable segment."""
    jaccard_mean: float | None
    """Weighted by customers."""


def deepen(points: Floats, partitions: Mapping[int, Labels], *, seed: int) -> dict[int, Deep]:
    """Measure each k of `partitions` (k -> the segment, 0 to k - 1, of each of the points (n, d)).

    In one thread: threads in hundreds of fits of milliseconds each wait for Python's lock more than they calculate.
    """
    rows = some_rows(len(points), seed, ROWS)
    some = np.ascontiguousarray(points[rows])

    def one(k: int) -> Deep:
        labels = partitions[k][rows]
        gap, error = gap_statistic(some, k, seed=seed)
        stable = jaccards(some, labels, k, seed=seed, draws=DRAWS)
        return Deep(gap, error, prediction_strength(some, k, seed=seed), *_summed(stable, labels, k))

    with one_core():
        return {k: one(k) for k in sorted(partitions)}


def gap_statistic(
    points: Floats, k: int, *, seed: int, references: int = REFERENCES
) -> tuple[float | None, float | None]:
    """Gap(k) and its error: how far log W_k, the log of the cost, is below what it is for customers without segments.

    Gap(k) = mean of log W*_k - log W_k over references drawn evenly from a box along the principal components;
    error = sd(log W*_k) sqrt(1 + 1/B) (Tibshirani, Walther and Hastie, JRSS B 63, 2001; reference (b), d.power = 2).
    """
    if len(points) <= k:
        return None, None
    own = _cost(points, k, seed)
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    turned = (points - middle) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    logs = []
    for number in range(references):
        random = np.random.default_rng([seed, number])  # the same references for every k
        drawn = random.uniform(low, high, size=turned.shape) @ axes + middle
        logs.append(_cost(drawn, k, seed))
    if own <= 0 or min(logs) <= 0:
        return None, None
    expected = np.log(logs)
    error = float(np.std(expected)) * math.sqrt(1 + 1 / references)
    return float(np.mean(expected)) - math.log(own), error


def prediction_strength(points: Floats, k: int, *, seed: int, splits: int = SPLITS) -> float | None:
    """How well segments of one half of the customers predict who is together in the other half, 0 to 1.

    For each segment of the other half the share of its pairs that the first half's centres put together as well; the
    worst segment counts; the mean over halvings, both ways (Tibshirani and Walther, JCGS 14, 2005; fpc's definition).
    """
    half = len(points) // 2
    if half < 2 * k:
        return None
    values = []
    for split in range(splits):
        order = np.random.default_rng([seed, split]).permutation(len(points))
        halves = (points[order[:half]], points[order[half:]])
        fits = [_fit(part, k, seed + split) for part in halves]
        for mine, other in ((0, 1), (1, 0)):
            together = np.asarray(fits[other].predict(halves[mine]), dtype=np.int64)
            values.append(_weakest(np.asarray(fits[mine].labels_, dtype=np.int64), together, k))
    return float(np.mean(values))


def _weakest(own: Labels, predicted: Labels, k: int) -> float:
    both = np.bincount(own * k + predicted, minlength=k * k).reshape(k, k).astype(np.float64)
    sizes = both.sum(axis=1)
    pairs = sizes * (sizes - 1)
    kept = (both * (both - 1)).sum(axis=1)
    return float(np.where(pairs > 0, kept / np.maximum(pairs, 1.0), 1.0).min())  # one alone keeps its company


def _summed(stable: Floats, labels: Labels, k: int) -> tuple[float | None, float | None]:
    known = ~np.isnan(stable)
    weights = np.bincount(labels, minlength=k)[known]
    if not weights.sum():
        return None, None
    return float(stable[known].min()), float(np.average(stable[known], weights=weights))


def _cost(points: Floats, k: int, seed: int) -> float:
    return float(_fit(points, k, seed).inertia_)


def _fit(points: Floats, k: int, seed: int) -> KMeans:
    return KMeans(k, n_init=STARTS, tol=TOLERANCE, max_iter=MOST_PASSES, random_state=seed).fit(points)
