"""The map: customers of a bounded sample on the plane that shows the segments best, as density in hexagons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import Preparation, prepare
from segengine.report.bundle import ModelFacts

__all__ = ["ACROSS", "Hexagon", "Plane", "axes", "plane"]

Floats = NDArray[np.float64]

ACROSS = 46
"""Hexagons from left to right; the map has at most a few thousand, whatever the number of customers."""
EDGE = 0.005
"""Share of the sample beyond each side of the map; such customers are drawn on its edge."""
LOADED = 3
"""Features named at the end of an axis."""


@dataclass(frozen=True)
class Hexagon:
    """A cell of the map: its column and row, the segment most of its customers are in, and how many there are."""

    column: int
    row: int
    segment_key: int
    customers: int


@dataclass(frozen=True)
class Plane:
    """The map. Centres are (segment key, x, y) with x and y from 0 to 1, y upwards."""

    hexagons: tuple[Hexagon, ...]
    centres: tuple[tuple[int, float, float], ...]
    rows: int
    shown_share: float
    """Share of the sample's variance that lies in this plane."""
    x_features: tuple[tuple[str, bool], ...]
    """What grows to the right, strongest first; False for what falls."""
    y_features: tuple[tuple[str, bool], ...]
    sampled: int


def axes(points: Floats, centres: Floats, weights: Floats) -> Floats:
    """Two orthonormal directions, shape (2, d): those in which the centres differ most, then the customers.

    Singular vectors of the weighted, centred centres (the between part of a discriminant analysis, unscaled); where
    they span less than two, the remaining directions of most variance of the points. The largest component is positive.
    """
    d = points.shape[1]
    middle = np.average(centres, axis=0, weights=weights)
    found: list[Floats] = []
    _, sizes, rows = np.linalg.svd((centres - middle) * np.sqrt(weights / weights.sum())[:, None], full_matrices=False)
    found += [row for size, row in zip(sizes, rows, strict=True) if size > 1e-9][:2]
    if len(found) < 2:
        rest = points - points.mean(axis=0)
        for row in found:
            rest = rest - np.outer(rest @ row, row)
        values, vectors = np.linalg.eigh(rest.T @ rest)
        found += [vectors[:, place] for place in np.argsort(values)[::-1][: 2 - len(found)]]
    if len(found) < 2:
        found += [np.zeros(d)] * (2 - len(found))
    return np.stack([row if row[np.argmax(np.abs(row))] >= 0 else -row for row in found])


def plane(model: ModelFacts, columns: Mapping[str, NDArray[Any]], segment_keys: NDArray[np.int64]) -> Plane | None:
    """The map of a sample: raw feature columns of n customers each, and their segments. None without customers."""
    if len(segment_keys) == 0:
        return None
    points = prepare(model.preparation, columns)
    keys = np.array(model.segment_keys)
    weights = np.array([max(int((segment_keys == key).sum()), 1) for key in keys], dtype=np.float64)
    directions = axes(points, model.centres, weights)
    placed = points @ directions.T
    low, high = np.quantile(placed, [EDGE, 1 - EDGE], axis=0)
    ends = model.centres @ directions.T
    low, high = np.minimum(low, ends.min(axis=0)), np.maximum(high, ends.max(axis=0))
    span = np.where(high > low, high - low, 1.0)
    scaled = np.clip((placed - low) / span, 0.0, 1.0)
    variance = float(((points - points.mean(axis=0)) ** 2).sum())
    inside = float(((placed - placed.mean(axis=0)) ** 2).sum())
    hexagons, rows = _hexagons(scaled, segment_keys)
    centres = [(int(k), *map(float, np.clip((e - low) / span, 0, 1))) for k, e in zip(keys, ends, strict=True)]
    return Plane(
        hexagons,
        tuple(centres),  # type: ignore[arg-type]  # a starred float pair is a tuple of three
        rows,
        min(inside / variance, 1.0) if variance else 1.0,
        _loaded(model.preparation, directions[0]),
        _loaded(model.preparation, directions[1]),
        len(segment_keys),
    )


def _hexagons(scaled: Floats, segment_keys: NDArray[np.int64]) -> tuple[tuple[Hexagon, ...], int]:
    """Counts in a grid of hexagons, `ACROSS` wide; odd rows are half a hexagon to the right."""
    rows = max(2, math.ceil(ACROSS * 0.6 / (math.sqrt(3) / 2)))
    row = np.clip(np.rint(scaled[:, 1] * (rows - 1)), 0, rows - 1).astype(int)
    column = np.clip(np.rint(scaled[:, 0] * (ACROSS - 1) - 0.5 * (row % 2)), 0, ACROSS - 1).astype(int)
    order = np.unique(np.column_stack([row, column, segment_keys]), axis=0, return_counts=True)
    cells: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (r, c, key), n in zip(order[0].tolist(), order[1].tolist(), strict=True):
        cells.setdefault((r, c), []).append((int(n), -int(key)))
    return tuple(Hexagon(c, r, -max(own)[1], sum(n for n, _ in own)) for (r, c), own in sorted(cells.items())), rows


def _loaded(preparation: Preparation, direction: Floats) -> tuple[tuple[str, bool], ...]:
    """The features that a direction is made of most, by their squared share in it."""
    shares: dict[str, float] = {}
    signed: dict[str, float] = {}
    for column, weight in zip(preparation.vector, direction, strict=True):
        shares[column.input] = shares.get(column.input, 0.0) + float(weight) ** 2
        signed[column.input] = signed.get(column.input, 0.0) + float(weight)
    ranked = sorted(shares, key=lambda name: (-shares[name], name))
    return tuple((name, signed[name] > 0) for name in ranked[:LOADED] if shares[name] > 0.05)
