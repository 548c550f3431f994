"""How a protected attribute spreads over the segments: Cramer's V, and cells too small to publish. No Spark here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MEDIUM",
    "MISSING",
    "OTHER",
    "SMALLEST_CELL",
    "band_names",
    "bands",
    "cramers_v",
    "hidden",
    "hidden_with_totals",
    "told_v",
]

SMALLEST_CELL = 10
"""Fewer customers than this are not told: the rule of the UK's Office for National Statistics for linked data."""
MEDIUM = 0.3
"""From here on a V is told to those who read the summary; Cohen (1988) calls it a medium effect for two segments."""
MOST_BANDS = 5
OTHER, MISSING = "(other)", "(missing)"

FITTING_ROUNDS, TINY = 200, 1e-300

Counts = NDArray[np.int64]


def cramers_v(counts: Counts | NDArray[np.float64]) -> float | None:
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
    the hidden ones of a row or a column add up to `smallest` at least. Hidden cells are the edges of a graph of rows
    and columns, and what all sums together determine are its bridges (Gusfield 1988): small ones get a way around
    them. A cell without anybody is not hidden first.
    """
    dark: NDArray[np.bool_] = (counts > 0) & (counts < smallest)
    while _hide_beside(counts, dark, smallest) or _hide_around(counts, dark, smallest):
        pass
    return dark


def hidden_with_totals(counts: Counts, smallest: int = SMALLEST_CELL) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells are not told, and which values' sums over all segments: those sums are one more row.

    A column adds up to its sum as a row adds up to its segment's size: one more equation between cells, which may be
    hidden too.
    """
    dark = hidden(np.vstack([counts, counts.sum(axis=0, keepdims=True)]), smallest)
    return dark[:-1], dark[-1]


def _hide_beside(counts: Counts, dark: NDArray[np.bool_], smallest: int) -> bool:
    """Hide one more cell of each row and column with too few hidden ones; whether there was any."""
    changed = False
    for part, shown in ((counts, dark), (counts.T, dark.T)):
        for values, own in zip(part, shown, strict=True):
            if not own.any() or own.all():
                continue
            if own.sum() >= 2 and values[own].sum() >= smallest:
                continue
            rest = np.flatnonzero(~own)
            own[min(rest, key=lambda i: (values[i] == 0, values[i], i))] = True
            changed = True
    return changed


def _hide_around(counts: Counts, dark: NDArray[np.bool_], smallest: int) -> bool:
    """Hide one more cell where a small one could be reckoned from all sums together; whether there was any."""
    for row, column in np.argwhere(dark & (counts > 0) & (counts < smallest)):
        others = dark.copy()
        others[row, column] = False
        rows, columns = _reached(others, row)
        if columns[column]:
            continue
        across = (rows[:, None] != columns[None, :]) & ~dark
        if across.any():
            free = np.argwhere(across)
            dark[tuple(min(free, key=lambda at: (counts[tuple(at)] == 0, counts[tuple(at)], *at)))] = True
            return True
    return False


def _reached(dark: NDArray[np.bool_], row: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows and columns that hidden cells lead to from a row."""
    rows, columns = np.zeros(dark.shape[0], dtype=bool), np.zeros(dark.shape[1], dtype=bool)
    rows[row], before = True, -1
    while before != rows.sum() + columns.sum():
        before = rows.sum() + columns.sum()
        columns |= dark[rows].any(axis=0)
        rows |= dark[:, columns].any(axis=1)
    return rows, columns


def told_v(counts: Counts, dark: NDArray[np.bool_], dark_totals: NDArray[np.bool_]) -> float | None:
    """Cramer's V from nothing but what is published: of the whole table it would tell what a hidden cell holds.

    `counts` (segments, values), the last value MISSING and not counted; `dark`: cells that are not told; `dark_totals`:
    values whose share of all customers is not told, which count as one. Hidden cells are filled so that rows and
    columns add up as they are known to (iterative proportional fitting, Deming and Stephan 1940).
    """
    parts = [counts[:, ~dark_totals], counts[:, dark_totals].sum(axis=1, keepdims=True)]
    masks = [dark[:, ~dark_totals], dark[:, dark_totals].any(axis=1, keepdims=True)]
    table, unknown = np.hstack(parts).astype(np.float64), np.hstack(masks)
    rows, columns = ((table * unknown).sum(axis=axis, keepdims=True) for axis in (1, 0))
    filled = unknown.astype(np.float64)
    for _ in range(FITTING_ROUNDS):
        filled *= rows / np.maximum(filled.sum(axis=1, keepdims=True), TINY)
        filled *= columns / np.maximum(filled.sum(axis=0, keepdims=True), TINY)
    known = np.where(unknown, filled, table)
    return cramers_v(known if dark_totals[-1] else np.delete(known, (~dark_totals).sum() - 1, axis=1))


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
