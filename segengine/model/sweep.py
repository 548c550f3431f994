"""Every number of segments tried on the sample with scikit-learn, many starts each, and how good each one is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from segengine.model.silhouette import macro_micro, pick_rows, silhouettes, squared_silhouette
from segengine.model.swap import improve
from segengine.model.threads import one_core, pool_of_single_threads

__all__ = ["Quality", "Trial", "carry", "measure", "sweep"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

START_ROWS = 10_000
"""Customers that the starts compete on, when there are more than SWAP_ROWS."""

SWAP_ROWS = 20_000
"""Customers that the best starts come to rest on and that swaps are judged by; the best centres are then carried to
rest on the whole sample."""

BEST_STARTS = 3
SAME = 1e-4
"""Two starts that differ by less than this part of the cost ended in the same centres."""

TOLERANCE = 1e-6
MOST_PASSES = 300
GLANCE_PASSES = 5


@dataclass(frozen=True)
class Quality:
    """How well a partition separates the sample; the silhouettes are Euclidean, on at most 10,000 rows."""

    macro_silhouette: float
    micro_silhouette: float
    calinski_harabasz: float | None
    davies_bouldin: float | None
    squared_silhouette: float | None = None
    """Of all customers, with squared distances: what Spark's ClusteringEvaluator calls silhouette. Not comparable."""


@dataclass(frozen=True)
class Trial:
    """A k that was tried: its best start of all. `skipped` says why it was not tried, and then the rest is empty."""

    k: int
    skipped: str | None = None
    centres: Floats | None = None
    """(k, d), in the prepared space."""
    labels: Labels | None = None
    inertia: float | None = None
    """Sum of squared distances to the nearest centre over the sample."""
    quality: Quality | None = None

    @property
    def shares(self) -> Floats:
        """Share of the sample in each segment that was found, 0 to 1."""
        if self.labels is None:
            return np.zeros(0)
        counts = np.unique(self.labels, return_counts=True)[1]
        shares: Floats = counts / len(self.labels)
        return shares


def sweep(points: Floats, k_values: Iterable[int], *, restarts: int, seed: int) -> tuple[Trial, ...]:
    """K-means of the prepared sample (n, d) for every k: the best of `restarts` k-means++ starts, bettered by swaps.

    The result is the same for any number of cores: one thread works on one k. A k that needs more different customers
    than there are is skipped, with the reason.
    """
    distinct = len(np.unique(points, axis=0)) if len(points) else 0
    with pool_of_single_threads() as pool:
        wanted = sorted(set(k_values), reverse=True)  # the dear ones first
        trials = list(pool.map(lambda k: _try(points, k, distinct, restarts, seed), wanted))
        return _with_quality(points, sorted(trials, key=lambda trial: trial.k), seed)


def carry(points: Floats, centres: Floats, *, seed: int) -> Floats:
    """Centres (k, d) carried by Lloyd passes over the points (n, d) until they rest; on as many centres as came in."""
    with one_core():
        fitted = _from(centres, points, seed)
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)


def measure(points: Floats, labels: Labels, *, seed: int) -> Quality | None:
    """The quality of one partition of the points; None with a single cluster."""
    with one_core():
        (trial,) = _with_quality(points, [Trial(k=int(labels.max()) + 1, labels=labels)], seed)
    return trial.quality


def _try(points: Floats, k: int, distinct: int, restarts: int, seed: int) -> Trial:
    customers = len(points)
    if customers < 2 * k:
        return Trial(k, skipped=f"it needs at least {2 * k:,} customers and there are {customers:,}")
    if distinct < k:
        return Trial(k, skipped=f"only {distinct:,} customers differ from each other in the prepared features")
    if customers <= SWAP_ROWS:
        fitted = _kmeans(k, seed, init="k-means++", n_init=restarts).fit(points)
        fitted = improve(points, fitted, lambda centres: _from(centres, points, seed))
    else:
        drawn = np.random.default_rng(seed).permutation(customers)
        some = points[np.sort(drawn[:SWAP_ROWS])]
        starts = _best_starts(points[np.sort(drawn[:START_ROWS])], k, restarts, seed)
        fitted = min((_from(start, some, seed) for start in starts), key=lambda start: float(start.inertia_))
        fitted = improve(
            some,
            fitted,
            fit=lambda centres: _from(centres, some, seed),
            glance=lambda centres: _from(centres, some, seed, passes=GLANCE_PASSES),
        )
        fitted = _from(fitted.cluster_centers_, points, seed)
    centres = np.asarray(fitted.cluster_centers_, dtype=np.float64)
    return Trial(k, None, centres, np.asarray(fitted.labels_, dtype=np.int64), float(fitted.inertia_))


def _best_starts(points: Floats, k: int, restarts: int, seed: int) -> list[Floats]:
    """The centres of the cheapest k-means++ starts that differ, cheapest first."""
    seeds = np.random.default_rng([seed, k]).integers(0, 2**31 - 1, restarts)
    fits = [_kmeans(k, int(number), init="k-means++", n_init=1).fit(points) for number in seeds]
    best: list[KMeans] = []
    for fitted in sorted(fits, key=lambda start: float(start.inertia_)):
        if len(best) < BEST_STARTS and all(fitted.inertia_ > other.inertia_ * (1 + SAME) for other in best):
            best.append(fitted)
    return [np.asarray(fitted.cluster_centers_, dtype=np.float64) for fitted in best]


def _from(centres: Floats, points: Floats, seed: int, passes: int = MOST_PASSES) -> KMeans:
    return _kmeans(len(centres), seed, init=centres, n_init=1, passes=passes).fit(points)


def _kmeans(k: int, seed: int, *, init: str | Floats, n_init: int, passes: int = MOST_PASSES) -> KMeans:
    return KMeans(k, init=init, n_init=n_init, max_iter=passes, tol=TOLERANCE, random_state=seed, algorithm="lloyd")


def _with_quality(points: Floats, trials: Sequence[Trial], seed: int) -> tuple[Trial, ...]:
    measurable = [t.labels for t in trials if t.labels is not None and len(np.unique(t.labels)) > 1]
    if not measurable:
        return tuple(trials)
    rows = pick_rows(measurable, seed)
    values = iter(silhouettes(points[rows], [labels[rows] for labels in measurable]))
    measured = []
    for trial in trials:
        if trial.labels is None or len(np.unique(trial.labels)) < 2:
            measured.append(trial)
            continue
        macro, micro = macro_micro(next(values), trial.labels[rows])
        spread = len(np.unique(trial.labels)) < len(points)
        quality = Quality(
            macro,
            micro,
            _finite(calinski_harabasz_score(points, trial.labels)) if spread else None,
            _finite(davies_bouldin_score(points, trial.labels)) if spread else None,
            squared_silhouette(points[rows], trial.labels[rows]),
        )
        measured.append(Trial(trial.k, None, trial.centres, trial.labels, trial.inertia, quality))
    return tuple(measured)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
