"""Does it predict anything? How far segments of the past separate what the same customers did next. No Spark here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from segengine.model.threads import one_core

__all__ = [
    "BASELINES", "Against", "Behaviour", "Prediction", "Separation", "compare", "eta_squared", "etas_squared",
    "panel_mean", "raw_rfm", "rfm_grid",
]  # fmt: skip

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

SEGMENTS, GRID, RAW = "segments", "rfm_grid", "raw_rfm_kmeans"
BASELINES = (GRID, RAW)
DRAWS = 400
DRAWS_AT_A_TIME = 40
"""That many times 20,000 customers are 6 MB."""
SCORES = 5
"""Levels of an RFM score (Hughes 1994)."""


@dataclass(frozen=True)
class Behaviour:
    """What customers did in the next period, (n,); NaN for a customer that it says nothing of.

    `is_judged`: raw revenue is shown and not judged, because a handful of customers decide it.
    """

    name: str
    values: Floats
    is_judged: bool = True


@dataclass(frozen=True)
class Separation:
    """Eta squared of a behaviour between the groups of a method, 0 to 1, with a 95 % bootstrap interval."""

    behaviour: str
    method: str
    eta_squared: float
    low: float
    high: float
    customers: int
    is_judged: bool


@dataclass(frozen=True)
class Against:
    """Eta squared of the segments less that of a baseline, of one behaviour or the mean of the panel.

    The interval is of the difference, drawn in pairs. `outcome`: won or lost when all of it is on one side of 0.
    """

    behaviour: str
    baseline: str
    difference: float
    low: float
    high: float

    @property
    def outcome(self) -> str:
        return "won" if self.low > 0 else "lost" if self.high < 0 else "tied"


@dataclass(frozen=True)
class Prediction:
    """The whole table. `panel` holds the mean over the judged behaviours against each baseline."""

    k: int
    customers: int
    separations: tuple[Separation, ...]
    against: tuple[Against, ...]
    panel: tuple[Against, ...]
    lift: float | None
    """Revenue per customer of the segment that spent most before, over that of everybody, in the next period."""
    lift_share: float | None
    """Share of the customers in that segment."""

    @property
    def hardest(self) -> Against:
        """The panel against the better of the baselines."""
        return min(self.panel, key=lambda one: one.difference)

    def to_dict(self) -> dict[str, Any]:
        told = [{**asdict(one), "outcome": one.outcome} for one in self.against]
        panel = [{**asdict(one), "outcome": one.outcome} for one in self.panel]
        return {
            **asdict(self),
            "separations": [asdict(one) for one in self.separations],
            "against": told,
            "panel": panel,
        }


def eta_squared(values: Floats, labels: Labels) -> float:
    """Share of the variance of the values that lies between the groups, 0 to 1; 0 when nothing varies. nan: unknown.

    Sum over groups of n_g (mean_g - mean)^2 over the sum of (value - mean)^2.
    """
    return float(etas_squared(values, [labels], np.ones((1, len(values))))[0, 0])


def etas_squared(values: Floats, groupings: Sequence[Labels], weights: Floats) -> Floats:
    """(draws, groupings) eta squared of the values (n,) for each grouping (n,), each value counted as often as a row of
    `weights` (draws, n) says, and not at all where it is nan."""
    known = ~np.isnan(values)
    own, w = values[known], weights[:, known]
    total = w.sum(axis=1)
    found = np.zeros((len(weights), len(groupings)))
    with one_core():
        away = own - (w @ own / np.where(total > 0, total, 1.0))[:, None]
        weighted = w * away
        spread = np.einsum("dn,dn->d", weighted, away)
        varies = (total > 0) & (spread > 1e-12 * (w @ own**2))
        for m, labels in enumerate(groupings):
            groups = np.eye(int(labels.max(initial=0)) + 1)[labels[known]]
            counts, sums = w @ groups, weighted @ groups
            between = (sums**2 / np.where(counts > 0, counts, 1.0)).sum(axis=1)
            found[:, m] = np.where(varies, between / np.where(varies, spread, 1.0), 0.0)
    return np.minimum(found, 1.0)


def compare(
    behaviours: Sequence[Behaviour],
    methods: Mapping[str, Labels],
    *,
    seed: int,
    spent_before: Floats | None = None,
    draws: int = DRAWS,
) -> Prediction:
    """Eta squared of every behaviour for every method, and the segments against each baseline.

    `methods`: name -> group of each customer, (n,), 0 to k - 1; one of them is `segments`. The intervals are
    percentiles over `draws` bootstrap samples of customers, the same for all, with the groups as they are.
    `spent_before`: money of the time before, which decides whose lift is told.
    """
    n = len(methods[SEGMENTS])
    names = list(methods)
    values = np.empty((draws + 1, len(behaviours), len(names)))
    for some in np.array_split(np.arange(draws + 1), math.ceil((draws + 1) / DRAWS_AT_A_TIME)):
        weights = np.stack([_times_drawn(n, seed, int(draw)) for draw in some])
        for b, behaviour in enumerate(behaviours):
            values[some, b] = etas_squared(behaviour.values, list(methods.values()), weights)
    separations = tuple(
        Separation(
            one.name, name, float(values[0, b, m]), *_interval(values[1:, b, m]),
            int((~np.isnan(one.values)).sum()), one.is_judged,
        )
        for b, one in enumerate(behaviours)
        for m, name in enumerate(names)
    )  # fmt: skip
    judged = [b for b, one in enumerate(behaviours) if one.is_judged]
    own = names.index(SEGMENTS)
    against, panel = [], []
    for m, name in enumerate(names):
        if m != own:
            apart = values[:, :, own] - values[:, :, m]
            for b, one in enumerate(behaviours):
                against.append(Against(one.name, name, float(apart[0, b]), *_interval(apart[1:, b])))
            mean = apart[:, judged].mean(axis=1)
            panel.append(Against("panel", name, float(mean[0]), *_interval(mean[1:])))
    k = int(methods[SEGMENTS].max()) + 1
    lift = _lift(behaviours, methods[SEGMENTS], spent_before)
    return Prediction(k, n, separations, tuple(against), tuple(panel), *lift)


def _times_drawn(n: int, seed: int, draw: int) -> Floats:
    """(n,) how often a bootstrap sample holds each of n customers; draw 0 is the customers themselves."""
    if draw == 0:
        return np.ones(n)
    return np.bincount(np.random.default_rng([seed, draw]).integers(0, n, n), minlength=n).astype(np.float64)


def panel_mean(behaviours: Sequence[Behaviour], labels: Labels) -> float:
    """Mean eta squared over the judged behaviours."""
    values = []
    for one in behaviours:
        if one.is_judged:
            values.append(eta_squared(one.values, labels))
    return float(np.mean(values)) if values else 0.0


def rfm_grid(recency: Floats, frequency: Floats, money: Floats, k: int) -> Labels:
    """(n,) groups of the classic RFM score: quintile scores of each added up, cut into k groups of like size.

    Equal values get equal scores, and equal sums are not parted, so there may be fewer groups than k.
    """
    levels = SCORES if k <= 3 * (SCORES - 1) + 1 else k
    total = _scores(-recency, levels) + _scores(frequency, levels) + _scores(money, levels)
    return _tiers(total.astype(np.float64), k)


def _scores(values: Floats, levels: int) -> Labels:
    """0 to levels - 1 by the share of customers that are below, ties in the middle of their places."""
    places = np.unique(values, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(places)
    middle = (np.cumsum(counts) - counts / 2) / len(values)
    scores: Labels = np.minimum((middle[places] * levels).astype(np.int64), levels - 1)
    return scores


def _tiers(values: Floats, k: int) -> Labels:
    tiers = _scores(values, k)
    found: Labels = np.unique(tiers, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return found


def raw_rfm(recency: Floats, frequency: Floats, money: Floats, k: int, *, seed: int) -> Labels:
    """(n,) groups of k-means on recency, frequency and money as they are: what a first tutorial does."""
    points = np.stack([recency, frequency, money], axis=1)
    with one_core():
        fitted = KMeans(k, n_init=10, random_state=seed).fit(points)
    return np.asarray(fitted.labels_, dtype=np.int64)


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _lift(
    behaviours: Sequence[Behaviour], labels: Labels, spent_before: Floats | None
) -> tuple[float | None, float | None]:
    revenue = next((one.values for one in behaviours if one.name == "revenue"), None)
    if revenue is None or spent_before is None or not revenue.mean() > 0:
        return None, None
    counts = np.bincount(labels)
    means = np.bincount(labels, weights=spent_before) / np.where(counts > 0, counts, 1)
    top = labels == int(means.argmax())
    return float(revenue[top].mean() / revenue.mean()), float(top.mean())
