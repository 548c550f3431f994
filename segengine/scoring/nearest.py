"""The nearest centre of a point as Spark's KMeansModel finds it, with the distance and the runner-up; numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Centres"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CLOSE = 1e-5
"""Squared distances that differ by less than this part are compared as Spark compares them, short cuts and all. Its
short cuts are exact to 1e-6."""
EPSILON = 2.0**-52
PRECISION = 1e-6
"""MLUtils.fastSquaredDistance: the relative error that it accepts."""


LARGEST = np.finfo(np.float64).max
"""Stands for the squares, and for the distances, that are too large for a number."""


class Centres:
    """The centres of one group, or of everybody; `route` is where they are in the dimension that tells groups apart."""

    def __init__(self, centres: Floats, route: float | None = None, of_all: int | None = None) -> None:
        """`of_all`: how many centres all groups have together, where there are groups."""
        self.k = len(centres)
        self._by_component = np.ascontiguousarray(centres.T)[:, :, np.newaxis]  # (d, k, 1)
        self._route = route
        whole = centres if route is None else np.column_stack([centres, np.full(self.k, route)])
        self._whole = whole
        self._norms = np.sqrt(_in_order(whole.T * whole.T))
        k = self.k if of_all is None else of_all
        self._bounds = _bounds(whole) if k < 1000 and k * k * whole.shape[1] < 1_000_000 else _no_bounds(self.k)

    def distances(self, points: Floats) -> Floats:
        """(k, n) squared distances of points (d, n), summed in the order of the components, as Spark does."""
        squares = np.zeros((self.k, points.shape[1]))
        away = np.empty_like(squares)
        with np.errstate(all="ignore"):
            for component, centre in zip(points, self._by_component, strict=True):
                np.subtract(centre, component, out=away)
                np.multiply(away, away, out=away)
                squares += away
        return np.minimum(squares, LARGEST, out=squares)

    def find(self, points: Floats) -> tuple[Indices, Floats, Indices, Floats]:
        """For points (d, n): nearest centre, distance to it, runner-up, and distance to that; shapes (n,).

        With a single centre it is its own runner-up, infinitely far away.
        """
        squares = self.distances(points)
        columns = np.arange(points.shape[1])
        nearest = squares.argmin(axis=0)
        best = squares[nearest, columns]
        apart = _without(squares, nearest, columns)
        second = apart.argmin(axis=0)
        if self.k > 1:
            with np.errstate(all="ignore"):
                doubtful = ~(apart[second, columns] - best > CLOSE * best)
            if doubtful.any():
                where = np.flatnonzero(doubtful)
                nearest[where] = self._as_spark_does(points[:, where], squares[:, where])
                apart = _without(squares, nearest, columns)
                second = apart.argmin(axis=0)
                best = squares[nearest, columns]
        runner_up = apart[second, columns]
        with np.errstate(all="ignore"):
            return nearest, _rooted(best), second, _rooted(runner_up)

    def _as_spark_does(self, points: Floats, squares: Floats) -> Indices:
        """EuclideanDistanceMeasure.findClosest with its statistics, for points (d, n) at once."""
        whole = points if self._route is None else np.vstack([points, np.full(points.shape[1], self._route)])
        with np.errstate(all="ignore"):
            norms = np.sqrt(_in_order(whole * whole))
            distances = self._fast(whole, norms, squares)
            nearest = np.zeros(points.shape[1], dtype=np.intp)
            best = distances[0].copy()
            done = best < self._bounds[0, 0]
            for i in range(1, self.k):
                lower = self._norms[i] - norms
                looked_at = ~done & (lower * lower < best) & (self._bounds[i, nearest] < best)
                found = distances[i]
                settled = looked_at & (found < self._bounds[i, i])
                better = settled | (looked_at & (found < best))
                nearest[better], best[better] = i, found[better]
                done |= settled
        return nearest

    def _fast(self, whole: Floats, norms: Floats, squares: Floats) -> Floats:
        """Squared distances; of points that Spark keeps sparse by MLUtils.fastSquaredDistance, which is less exact."""
        size = len(whole)
        sparse = 12 * (whole != 0).sum(axis=0) + 28 < 8 * size + 12  # bytes, as Vectors.getSparseSize has them
        if not sparse.any():
            return squares
        squares = squares.copy()
        points, own = whole[:, sparse], norms[sparse]
        for i in range(self.k):
            sums = self._norms[i] * self._norms[i] + own * own
            apart = self._norms[i] - own
            product = _in_order(self._whole[i][:, np.newaxis] * points)
            plain = sums - 2.0 * product
            clipped = np.maximum(plain, 0.0)
            first = 2.0 * EPSILON * sums / (apart * apart + EPSILON) < PRECISION
            second = EPSILON * (sums + 2.0 * np.abs(product)) / (clipped + EPSILON) > PRECISION
            squares[i, sparse] = np.where(first, plain, np.where(second, squares[i, sparse], clipped))
        return squares


def _in_order(terms: Floats) -> Floats:
    """Sums over the first axis, term after term (numpy's own sum may pair them)."""
    total: Floats = np.zeros(terms.shape[1:])
    for term in terms:
        total = total + term
    return total


def _bounds(whole: Floats) -> Floats:
    """(k, k) a quarter of the squared distances between centres; on the diagonal the least of a centre's."""
    k = len(whole)
    away = whole.T[:, :, np.newaxis] - whole.T[:, np.newaxis, :]
    distances = np.sqrt(_in_order(away * away))
    bounds: Floats = 0.25 * distances * distances
    np.fill_diagonal(bounds, np.inf)
    np.fill_diagonal(bounds, bounds.min(axis=1) if k > 1 else np.nan)
    return bounds


def _no_bounds(k: int) -> Floats:
    """For so many centres Spark keeps no bounds."""
    return np.full((k, k), -np.inf)


def _without(squares: Floats, nearest: Indices, columns: Indices) -> Floats:
    apart = squares.copy()
    apart[nearest, columns] = np.inf
    return apart


def _rooted(squares: Floats) -> Floats:
    """Distances; infinity stays."""
    rooted: Floats = np.where(squares == LARGEST, LARGEST, np.sqrt(squares))
    return rooted
