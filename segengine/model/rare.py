"""Segments that are too small: dissolved into the nearest others. No Spark here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segengine.model.sweep import Trial, carry, measure

__all__ = ["dissolve", "merged"]

Floats = NDArray[np.float64]


def dissolve(points: Floats, centres: Floats, *, min_share: float, fewest: int, seed: int) -> Floats:
    """Centres (k', d) without those that hold less than `min_share` of the points (n, d), but `fewest` at least.

    The smallest one goes first: its customers go to the nearest that are left, and those come to rest again.
    """
    while len(centres) > fewest:
        sizes = np.bincount(_nearest(points, centres), minlength=len(centres))
        if sizes.min() >= min_share * len(points):
            break
        centres = carry(points, np.delete(centres, int(sizes.argmin()), axis=0), seed=seed)
    return centres


def merged(trials: Sequence[Trial], points: Floats, *, min_share: float, fewest: int, seed: int) -> tuple[Trial, ...]:
    """The trials of a sweep in which no k passes, each k replaced by what larger ones leave when dissolved.

    Of several that leave as many segments the one with the lowest inertia counts; a k that nothing leaves stays as it
    was, with the reason why it does not pass.
    """
    found = {trial.k: trial for trial in trials}
    made: dict[int, Trial] = {}
    for trial in trials:
        if trial.centres is None or trial.shares.min() >= min_share:
            continue
        centres = dissolve(points, trial.centres, min_share=min_share, fewest=fewest, seed=seed)
        labels = _nearest(points, centres)
        inertia = float(((points - centres[labels]) ** 2).sum())
        k = len(centres)
        if k < trial.k and (k not in made or inertia < (made[k].inertia or 0.0)):
            made[k] = Trial(k, None, centres, labels, inertia, measure(points, labels, seed=seed))
    return tuple(made.get(k) or found[k] for k in sorted({*found, *made}))


def _nearest(points: Floats, centres: Floats) -> NDArray[np.int64]:
    distances = np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest
