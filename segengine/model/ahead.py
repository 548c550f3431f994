"""Segments of customers as they were, against an RFM grid and plain k-means; and weights that separate best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segengine.errors import ModelError
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.model.prediction import (
    GRID,
    RAW,
    SEGMENTS,
    Behaviour,
    Prediction,
    compare,
    panel_mean,
    raw_rfm,
    rfm_grid,
)
from segengine.model.sample import prepared_sample
from segengine.model.sweep import sweep

if TYPE_CHECKING:
    from segengine.features.prepare_sample import Sample

__all__ = ["Weighed", "judge_recipe", "segments_of", "weigh"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Weighed:
    """The weights of families that were picked, and every trial: weights, mean eta squared of the panel."""

    weights: Mapping[str, float]
    trials: tuple[tuple[Mapping[str, float], float], ...]


def segments_of(
    sample: Sample, inputs: Sequence[InputColumn], options: Options, k: int, *, restarts: int, seed: int
) -> Labels:
    """(n,) the segment of each sampled customer, in the order of the sample. ModelError when there are not k."""
    preparation = learn(inputs, sample.columns, options)
    prepared = prepared_sample(sample, preparation)
    (trial,) = sweep(prepared.points, [k], restarts=restarts, seed=seed)
    if trial.labels is None:
        raise ModelError(f"{k} segments cannot be found: {trial.skipped}.")
    labels = np.empty(len(prepared.rows), dtype=np.int64)
    labels[prepared.rows] = trial.labels
    return labels


def judge_recipe(
    sample: Sample,
    behaviours: Sequence[Behaviour],
    inputs: Sequence[InputColumn],
    options: Options,
    k: int,
    *,
    restarts: int,
    seed: int,
) -> Prediction:
    """How far k segments of the sample separate the behaviours, beside an RFM grid and k-means on raw RFM."""
    columns = sample.columns
    recency, frequency, money = (
        columns[name].astype(np.float64) for name in ("recency_days", "frequency_orders", "monetary_total")
    )
    methods = {
        SEGMENTS: segments_of(sample, inputs, options, k, restarts=restarts, seed=seed),
        GRID: rfm_grid(recency, frequency, money, k),
        RAW: raw_rfm(recency, frequency, money, k, seed=seed),
    }
    return compare(behaviours, methods, seed=seed, spent_before=money)


OTHERS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
"""Weights that all families but rfm may share, tried first."""

FACTORS = (0.0, 0.5, 2.0)
"""What a family's own weight is then multiplied by, one family after the other."""

WORTH = 0.002
"""A change has to win at least this much of eta squared: what is less is noise of the starts."""

WEIGH_RESTARTS = 4


def weigh(
    sample: Sample,
    behaviours: Sequence[Behaviour],
    inputs: Sequence[InputColumn],
    options: Options,
    k: int,
    *,
    seed: int,
) -> Weighed:
    """The weights of families whose k segments separate the behaviours best on the mean.

    rfm weighs 1. First the weight that the others share, then each family by itself, keeping what is better by WORTH.
    `options.weights` are where it starts, and what stays when nothing is better.
    """
    families = sorted({column.family for column in inputs} - {"rfm"})
    share = max(len(families), 1)
    trials: list[tuple[Mapping[str, float], float]] = []

    def consider(weights: dict[str, float], least: float) -> bool:
        """Whether these weights are worth more than `least`; every trial is kept."""
        if any(tried == weights for tried, _ in trials):
            return False
        try:
            tried = replace(options, weights=weights)
            labels = segments_of(sample, inputs, tried, k, restarts=WEIGH_RESTARTS, seed=seed)
            score = panel_mean(behaviours, labels)
        except ModelError:
            score = -1.0  # there are no such segments
        trials.append((weights, score))
        return score > least

    best = {"rfm": 1.0, **dict.fromkeys(families, options.weights.get("others", 0.5) / share)}
    consider(best, 0.0)
    value = trials[0][1]
    for shared in OTHERS:
        tried = {**best, **dict.fromkeys(families, shared / share)}
        if consider(tried, value + WORTH):
            best, value = tried, trials[-1][1]
    for family in families:
        before = best[family]
        for factor in FACTORS:
            tried = {**best, family: before * factor}
            if consider(tried, value + WORTH):
                best, value = tried, trials[-1][1]
    return Weighed(best, tuple(trials))
