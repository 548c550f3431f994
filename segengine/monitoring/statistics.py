"""How far two distributions are apart, and how far chance alone takes them. Numbers only, no Spark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

__all__ = ["chance_psi", "chance_share", "entropy_bits", "jensen_shannon", "median_of", "psi", "share_above"]

Floats = NDArray[np.float64]
PSEUDO_COUNT = 0.5
"""Added to every bin, as Jeffreys' prior does: an empty bin is rare, not impossible."""


def _shares(counts: Sequence[int]) -> Floats:
    smoothed = np.asarray(counts, dtype=np.float64) + PSEUDO_COUNT
    shares: Floats = smoothed / smoothed.sum()
    return shares


def psi(before: Sequence[int], now: Sequence[int]) -> float:
    """Population stability index of two lists of counts over the same bins: sum of (q - p) ln(q / p).

    That is Jeffreys' divergence in nats (Siddiqi 2006): 0 when the shares are equal, 0.25 is usually called a shift.
    """
    p, q = _shares(before), _shares(now)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(before: Sequence[int], now: Sequence[int]) -> float:
    """Jensen-Shannon divergence of two lists of counts over the same bins, in bits, 0 to 1 (Lin 1991)."""
    p, q = _shares(before), _shares(now)
    return float(max(0.0, entropy_bits((p + q) / 2) - (entropy_bits(p) + entropy_bits(q)) / 2))


def entropy_bits(shares: Floats) -> float:
    """Shannon's entropy of shares above 0."""
    return float(-(shares * np.log2(shares)).sum())


def chance_psi(before: int, now: int, bins: int, alpha: float) -> float:
    """The PSI that samples of so many customers exceed with probability `alpha` when nothing has changed.

    PSI is then about (1/before + 1/now) times chi-squared with bins - 1 degrees of freedom (Yurdakul 2018). The
    Jensen-Shannon divergence is an eighth of it in nats.
    """
    if bins < 2 or min(before, now) < 1:
        return float("inf")
    return (1 / before + 1 / now) * _chi_squared(alpha, bins - 1)


@lru_cache(maxsize=1_000)
def _chi_squared(alpha: float, degrees: int) -> float:
    return float(chi2.isf(alpha, degrees))


@lru_cache(maxsize=1_000)
def _normal(alpha: float) -> float:
    return float(norm.isf(alpha))


def chance_share(before: int, of: int, now_of: int, alpha: float) -> float:
    """How far a share strays from `before` / `of` among `now_of` others with probability `alpha` by chance alone.

    Two-sided, normal, with the pooled share moved towards the middle (Agresti-Caffo: two more of each kind).
    """
    if min(of, now_of) < 1:
        return float("inf")
    share = (before + 2) / (of + 4)
    return _normal(alpha / 2) * math.sqrt(share * (1 - share) * (1 / of + 1 / now_of))


def median_of(edges: Sequence[float], counts: Sequence[int], low: float, high: float) -> float | None:
    """The median by bins (low, e1], (e1, e2], ..., (en, high], values spread evenly within; None without values."""
    total = sum(counts)
    if not total:
        return None
    bounds = [low, *edges, high]
    before = 0.0
    for position, count in enumerate(counts):
        if before + count >= total / 2:
            inside = (total / 2 - before) / count
            return float(bounds[position] + inside * (bounds[position + 1] - bounds[position]))
        before += count
    return float(high)


def share_above(counts: Sequence[int], first: int) -> tuple[int, int]:
    """How many of the values are in bins from `first` on, and how many there are."""
    return sum(counts[first:]), sum(counts)
