"""Random numbers that are hashes of what they are for, so that they do not depend on what else is generated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["exponential", "normal", "poisson", "uniform"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_GOLDEN = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)
_FIRST = np.array([0xBF58476D1CE4E5B9], dtype=np.uint64)
_SECOND = np.array([0x94D049BB133111EB], dtype=np.uint64)


def uniform(seed: int, purpose: str, *keys: Integers | int) -> Floats:
    """Numbers strictly between 0 and 1, one for each broadcast combination of keys (whole numbers, 0 or more).

    The same seed, purpose and keys always give the same number. Keys are mixed in one after the other by the finaliser
    of SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014).
    """
    text = int.from_bytes(purpose.encode("ascii"), "little")
    state = np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    while True:
        state = _mix(state, np.array([text & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64))
        text >>= 64
        if not text:
            break
    for key in keys:
        state = _mix(state, np.atleast_1d(np.asarray(key, dtype=np.int64)).astype(np.uint64))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, purpose: str, *keys: Integers | int) -> Floats:
    """Standard normal numbers (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(seed, purpose + ".r", *keys)))
    numbers: Floats = radius * np.cos(2.0 * np.pi * uniform(seed, purpose + ".a", *keys))
    return numbers


def exponential(seed: int, purpose: str, *keys: Integers | int) -> Floats:
    """Exponential numbers of mean 1."""
    numbers: Floats = -np.log(uniform(seed, purpose, *keys))
    return numbers


def poisson(mean: float, seed: int, purpose: str, *keys: Integers | int) -> Integers:
    """Poisson numbers, by inversion; meant for small means."""
    counts = np.arange(int(mean + 12.0 * np.sqrt(mean) + 12.0))
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    chances = np.exp(counts * np.log(mean) - mean - log_factorials) if mean > 0 else (counts == 0).astype(np.float64)
    return np.searchsorted(np.cumsum(chances)[:-1], uniform(seed, purpose, *keys), side="right").astype(np.int64)


def _mix(state: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (state ^ (key * _GOLDEN)) + _GOLDEN  # arrays of unsigned integers wrap around, as they should here
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))
