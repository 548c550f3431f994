"""The scikit-learn half of three contestants: prepare, try every k on a sample, fit the best k on everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from benchmarks.contestants.task import FEATURES, LOGGED, RESTARTS, SAMPLE, SEED, SILHOUETTE_SAMPLE, Task

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

_LOGGED = [FEATURES.index(name) for name in LOGGED]


@dataclass(frozen=True)
class Segmented:
    """The outcome: `segments` (customers,) from 0, and the measures of every k that was tried."""

    segments: Integers
    k: int
    inertia: dict[int, float]
    silhouette: dict[int, float]

    def finish(self, task: Task) -> None:
        sizes = np.bincount(self.segments, minlength=self.k)
        task.finish(
            customers=len(self.segments),
            k=self.k,
            inertia=self.inertia,
            silhouette=self.silhouette,
            sizes={segment: int(size) for segment, size in enumerate(sizes)},
        )


def prepared(features: Floats) -> Floats:
    """Points (customers, 12) of features in the order of FEATURES; NaN is missing, and becomes the column's median.

    log(1 + x) of LOGGED, then minus the mean, by the standard deviation.
    """
    points = features.copy()
    for column in range(points.shape[1]):
        missing = np.isnan(points[:, column])
        if missing.any():
            points[missing, column] = np.median(points[~missing, column]) if not missing.all() else 0.0
    points[:, _LOGGED] = np.log1p(np.maximum(points[:, _LOGGED], 0.0))
    points -= points.mean(axis=0)
    deviation = points.std(axis=0)
    points /= np.where(deviation > 0, deviation, 1.0)
    return points


def segment(features: Floats, task: Task) -> Segmented:
    """Prepare, sweep, choose by silhouette, and fit on everybody from the best centres of the sample."""
    with task.stage("prepare"):
        points = prepared(features)
    chance = np.random.default_rng(SEED)
    few = points if len(points) <= SAMPLE else points[chance.choice(len(points), SAMPLE, replace=False)]
    shown = slice(None) if len(few) <= SILHOUETTE_SAMPLE else chance.choice(len(few), SILHOUETTE_SAMPLE, replace=False)
    models, inertia, silhouette = {}, {}, {}
    with task.stage("sweep"):
        for k in task.ks:
            models[k] = KMeans(n_clusters=k, n_init=RESTARTS, random_state=SEED).fit(few)
            inertia[k] = float(models[k].inertia_)
            silhouette[k] = float(silhouette_score(few[shown], models[k].labels_[shown]))
    best = max(task.ks, key=lambda k: silhouette[k])
    with task.stage("fit"):
        fitted = KMeans(n_clusters=best, init=models[best].cluster_centers_, n_init=1).fit(points)
    return Segmented(fitted.labels_.astype(np.int32), best, inertia, silhouette)
