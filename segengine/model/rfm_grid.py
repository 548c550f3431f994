"""An RFM grid: cut points learnt on the sample, and the scores that they give. No Spark here.

A score is a function of the value alone, so that customers with equal values never get different scores. Cut points are
kept with the model: a score means next month what it means today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "FILE", "RFM_FEATURES", "cuts_of", "learn", "score", "share_outside"]

FILE = "rfm_grid.json"
"""The file of a model version with the cut points."""
RFM_FEATURES = ("recency_days", "frequency_orders", "monetary_total")
BINS = range(2, 11)
"""Cut points are learnt for each of these numbers of bins: another number in the configuration needs no new model."""

Floats = NDArray[np.float64]
Cuts = dict[str, tuple[float, ...]]


def learn(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any] | None:
    """Cut points of the sampled customers, JSON-able; None where one of RFM_FEATURES is not among the columns.

    The j-th of b - 1 cut points is the smallest value that a share j / b of the customers does not exceed (quantile of
    type 1, Hyndman and Fan 1996): a value of the data.
    """
    if any(name not in columns for name in RFM_FEATURES):
        return None
    learnt: dict[str, dict[str, list[float]]] = {}
    customers = 0
    for name in RFM_FEATURES:
        values = np.asarray(columns[name], dtype=np.float64)
        values = values[np.isfinite(values)]
        customers = max(customers, len(values))
        if not len(values):
            return None
        learnt[name] = {
            str(bins): [float(cut) for cut in np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")]
            for bins in BINS
        }
    return {"customers": customers, "cuts": learnt}


def cuts_of(learnt: Mapping[str, Any], bins: int) -> Cuts:
    """The cut points of each of RFM_FEATURES for so many bins."""
    return {name: tuple(learnt["cuts"][name][str(bins)]) for name in RFM_FEATURES}


def score(name: str, values: Floats, cuts: Sequence[float]) -> NDArray[np.int64]:
    """Scores from 1 to len(cuts) + 1, best last: 1 + how many cut points a value exceeds; for recency reversed.

    Where many customers share a value some scores are given to nobody.
    """
    exceeded = np.searchsorted(np.asarray(cuts), values, side="left").astype(np.int64)
    return len(cuts) + 1 - exceeded if name == "recency_days" else 1 + exceeded


def share_outside(cuts: Sequence[float]) -> int:
    """How many of the scores nobody can have, as cut points coincide."""
    return len(cuts) - len(set(cuts))
