"""How a protected attribute spreads over the segments: Cramer's V, and cells too small to publish. No Spark here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEDIUM", "MISSING", "OTHER", "SMALLEST_CELL", "band_names", "bands", "cramers_v", "hidden"]

SMALLEST_CELL = 10
"""Fewer customers than this are not told: the rule of the UK's Office for National Statistics for linked data."""
MEDIUM = 0.3
"""From here on a V is told to those who read the summary; Cohen (1988) calls it a medium effect for two segments."""
MOST_BANDS = 5
OTHER, MISSING = "(other)", "(missing)"

Counts = NDArray[np.int64]


def cramers_v(counts: Counts) -> float | None:
    """Cramer's V of a table of counts (segments, values), 0 to 1: sqrt(chi2 / (n * (min(rows, columns) - 1))).

    Rows and columns without anybody do not count; None where fewer than two of either are left. Cramer (1946), 21.
    """
    kept = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    if min(kept.shape) < 2:
        return None
    total = kept.sum()
    expected = kept.sum(axis=1, keepdims=True) * kept.sum(axis=0, keepdims=True) / total
    chi2 = float(((kept - expected) ** 2 / expected).sum())
    return min(1.0, math.sqrt(chi2 / (total * (min(kept.shape) - 1))))


def hidden(counts: Counts, smallest: int = SMALLEST_CELL) -> NDArray[np.bool_]:
    """Which cells of a table (segments, values) are not told: those from 1 to `smallest` - 1, and enough others.

    Sizes of segments are published, and shares over all customers, so that a single hidden cell of a row or a column
    could be reckoned from the others: each row and column with one hidden cell hides its smallest other one too, and
    the hidden ones of a row or a column add up to `smallest` at least. A cell without anybody is not hidden first.
    """
    dark: NDArray[np.bool_] = (counts > 0) & (counts < smallest)
    changed = True
    while changed:
        changed = False
        for part, shown in ((counts, dark), (counts.T, dark.T)):
            for values, own in zip(part, shown, strict=True):
                if not own.any() or own.all():
                    continue
                if own.sum() >= 2 and values[own].sum() >= smallest:
                    continue
                rest = np.flatnonzero(~own)
                order = sorted(rest, key=lambda i: (values[i] == 0, values[i], i))
                own[order[0]] = True
                changed = True
    return dark


def bands(values: Sequence[float]) -> list[float]:
    """Readable upper bounds of up to five spans of about equal size, the last one without a bound.

    Quantiles of the values that are there, rounded to as few digits as keep them apart.
    """
    known = np.array([value for value in values if math.isfinite(value)])
    if not len(known):
        return []
    cuts = np.unique(np.quantile(known, np.arange(1, MOST_BANDS) / MOST_BANDS, method="inverted_cdf"))
    cuts = cuts[cuts < known.max()]
    for digits in range(1, 16):
        rounded = [float(f"{cut:.{digits}g}") for cut in cuts]
        apart = all(abs(r - c) <= 0.05 * abs(c) for r, c in zip(rounded, cuts, strict=True))
        if apart and len(set(rounded)) == len(cuts):
            return rounded
    return [float(cut) for cut in cuts]


def band_names(cuts: Sequence[float]) -> list[str]:
    """What the spans are called: `to 20`, `over 20 to 35`, `over 35`."""
    if not cuts:
        return ["any"]
    told = [f"{cut:.15g}" for cut in cuts]
    between = [f"over {low} to {high}" for low, high in itertools.pairwise(told)]
    return [f"to {told[0]}", *between, f"over {told[-1]}"]
