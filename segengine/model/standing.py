"""How each segment stands against all customers: ranked standardised differences, medians, shares. No Spark here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import CategoricalInput, NumericInput, Part, Preparation, part_values, usable

__all__ = ["Difference", "Standing", "standings"]

Labels = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
DIGITS = 9
"""Differences are rounded to so many: sums in another order must not change a rank."""


@dataclass(frozen=True)
class Difference:
    """A feature, or its being missing, or one of its levels, and how far a segment is from all: `z` is
    (mean of the segment - mean of all) / standard deviation of all, over capped and logged values.
    """

    feature: str
    part: Part
    level: str | None
    z: float

    @property
    def key(self) -> tuple[str, Part, str | None]:
        return self.feature, self.part, self.level


@dataclass(frozen=True)
class Standing:
    """A segment against all customers (of its group): differences, the largest first, and what is typical.

    `medians`: numeric feature -> median of the segment and of all; `shares`: (feature, level) -> shares of both.
    """

    differences: tuple[Difference, ...] = ()
    medians: Mapping[str, tuple[float, float]] | None = None
    shares: Mapping[tuple[str, str], tuple[float, float]] | None = None

    def z(self, key: tuple[str, Part, str | None]) -> float | None:
        """The difference of one feature, or part of it; None where it is not known."""
        return next((one.z for one in self.differences if one.key == key), None)

    def ranked_features(self) -> list[Difference]:
        """The largest difference of every feature, largest first."""
        first: dict[str, Difference] = {}
        for one in self.differences:
            first.setdefault(one.feature, one)
        return list(first.values())


def standings(
    preparation: Preparation, columns: Columns, labels: Labels, ranges: Sequence[tuple[int, int]]
) -> tuple[Standing, ...]:
    """The standing of every segment.

    `columns`: raw features of n sampled customers, `labels` (n,) the index of their segment, `ranges` the segments of
    each group, first and one past the last: everybody is who is in one of them.
    """
    found: list[Standing] = []
    for first, stop in ranges:
        inside = (labels >= first) & (labels < stop)
        part = {name: values[inside] for name, values in columns.items()}
        found += _group(preparation, part, labels[inside] - first, stop - first)
    return tuple(found)


def _group(preparation: Preparation, columns: Columns, labels: Labels, k: int) -> list[Standing]:
    differences: list[list[Difference]] = [[] for _ in range(k)]
    shares: list[dict[tuple[str, str], tuple[float, float]]] = [{} for _ in range(k)]
    medians: list[dict[str, tuple[float, float]]] = [{} for _ in range(k)]
    members = [labels == i for i in range(k)]
    by_name = {item.name: item for item in preparation.inputs}
    for column in preparation.vector:
        item = by_name[column.input]
        if column.part == "other" or not len(labels):
            continue
        values = part_values(item, columns[item.name], column.part, column.level)
        mean, deviation = float(values.mean()), float(values.std())
        for i, own in enumerate(members):
            if not own.any():
                continue
            here = float(values[own].mean())
            z = (here - mean) / deviation if deviation > 1e-12 * max(1.0, abs(mean)) else 0.0
            differences[i].append(Difference(item.name, column.part, column.level, round(z, DIGITS) + 0.0))
            if isinstance(item, CategoricalInput) and column.level is not None:
                shares[i][item.name, column.level] = (here, mean)
    for item in preparation.inputs:
        if isinstance(item, NumericInput):
            _medians(item.name, columns[item.name].astype(np.float64), members, medians)
    # A stable sort: equal differences stay in the order of the features.
    return [
        Standing(tuple(sorted(own, key=lambda one: -abs(one.z))), middle, share)
        for own, middle, share in zip(differences, medians, shares, strict=True)
    ]


def _medians(
    name: str, raw: NDArray[np.float64], members: Sequence[NDArray[np.bool_]], into: Sequence[dict[str, Any]]
) -> None:
    known = usable(raw)
    if not known.any():
        return
    overall = float(np.median(raw[known]))
    for own, medians in zip(members, into, strict=True):
        if (own & known).any():
            medians[name] = (float(np.median(raw[own & known])), overall)
