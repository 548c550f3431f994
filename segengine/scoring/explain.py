"""Why a customer is in its segment, and the smallest change of one feature that would move it; numpy only.

The squared distance to the runner-up minus that to the own centre is a sum over the features: each has its share of the
margin, exactly. Along one feature a segment is an interval, so the nearest border is a closed formula; it is then
taken to the very next number that the scorer puts elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.errors import InputError
from segengine.scoring.online import Scorer
from segengine.scoring.online_points import LARGEST
from segengine.scoring.online_rows import as_columns

__all__ = ["Change", "Explanation", "Share", "explain"]

Floats = NDArray[np.float64]
Value = float | str | None


@dataclass(frozen=True)
class Share:
    """A feature's part in the choice between two segments, values in its own unit.

    `share` of the margin, all of a customer's adding up to 1: above 0 it speaks for the own segment, below 0 for the
    runner-up. None where the customer is exactly on the border. `own` and `runner_up` are the segments' centres; for a
    feature that is logged these are not the arithmetic means.
    """

    feature: str
    unit: str
    value: Value
    own: Value
    runner_up: Value
    share: float | None


@dataclass(frozen=True)
class Change:
    """The smallest change of one feature, all others as they are, that puts the customer into another segment.

    `size` is the length of the change in standard deviations of the prepared feature, before weights: changes of
    different features are compared by it. `segment_index` and `segment_key` say where the customer would be.
    """

    feature: str
    unit: str
    value: Value
    to: float | str
    segment_index: int
    segment_key: int
    segment_name: str
    size: float


@dataclass(frozen=True)
class Explanation:
    """A customer's place. `shares` by falling share; `changes` by size, one a feature, for those that can move it."""

    model_version: str
    segment_key: int
    segment_id: str
    segment_name: str
    runner_up_key: int | None
    runner_up_id: str | None
    runner_up_name: str | None
    distance: float
    runner_up_distance: float | None
    margin: float
    is_outlier: bool
    shares: tuple[Share, ...]
    changes: tuple[Change, ...]

    @property
    def smallest_change(self) -> Change | None:
        """None: no change of a single feature moves the customer."""
        return self.changes[0] if self.changes else None


def explain(scorer: Scorer, customer: Mapping[str, Any]) -> Explanation:
    """Explain one customer, a dict of values as `Scorer.score` takes it. Raises InputError as that does."""
    columns, single = as_columns(customer, scorer.columns)
    if not single:
        raise InputError("One customer is explained at a time.", todo="Hand over a dict of values.")
    return _Place(scorer, columns).explanation()


class _Place:
    """One customer and where it is."""

    def __init__(self, scorer: Scorer, columns: Mapping[str, NDArray[Any]]) -> None:
        self.scorer, self.points = scorer, scorer.points
        self.numbers, self.codes, groups = scorer.raw(columns)
        self.group = int(groups[0])
        self.first, _ = scorer.spans[self.group]
        self.centres = scorer.centres[slice(*scorer.spans[self.group])]
        self.point = self.points.prepare(self.numbers, self.codes)
        nearest, distance, other, second = scorer.group_centres(self.group).find(self.point)
        self.own, self.other = int(nearest[0]), int(other[0])
        self.distance, self.second = float(distance[0]), float(second[0])
        self.values = {
            **{name: _plain(self.numbers[i, 0]) for i, name in enumerate(self.points.numbers)},
            **{name: _plain(columns[name][0]) for name in self.points.texts},
        }
        self.units = {item["name"]: item["unit"] for item in scorer.inputs}

    def explanation(self) -> Explanation:
        own, other = (self.scorer.segments[self.first + i] for i in (self.own, self.other))
        alone = len(self.centres) == 1
        return Explanation(
            self.scorer.model_version,
            own["segment_key"],
            own["segment_id"],
            own["segment_name"],
            None if alone else other["segment_key"],
            None if alone else other["segment_id"],
            None if alone else other["segment_name"],
            self.distance,
            None if alone else self.second,
            max(0.0, 1.0 - self.distance / self.second) if self.second > 0 else 0.0,
            bool(self.distance > self.scorer.limits[self.first + self.own]),
            () if alone else self.shares(),
            () if alone else self.changes(),
        )

    def shares(self) -> tuple[Share, ...]:
        """Each feature's share of (distance to the runner-up)^2 - (distance to the own centre)^2."""
        x = self.point[:, 0]
        parts = (x - self.centres[self.other]) ** 2 - (x - self.centres[self.own]) ** 2
        by_feature: dict[str, float] = {}
        for (name, _, _), part in zip(self.points.vector, parts.tolist(), strict=True):
            by_feature[name] = by_feature.get(name, 0.0) + part
        total = math.fsum(by_feature.values())
        own, other = (self.scorer.centres_original[self.first + i] for i in (self.own, self.other))
        shares = [
            Share(name, self.units[name], self.values[name], own[name], other[name], part / total if total else None)
            for name, part in by_feature.items()
        ]
        return tuple(sorted(shares, key=lambda one: -(one.share or 0.0)))

    def changes(self) -> tuple[Change, ...]:
        candidates = [*self._of_numbers(), *self._of_texts()]
        best: dict[str, Change] = {}
        for change in sorted(candidates, key=lambda one: one.size):
            best.setdefault(change.feature, change)
        return tuple(best.values())

    def _of_texts(self) -> list[Change]:
        """Every other level of every text that moves the customer."""
        found = []
        for i, name in enumerate(self.points.texts):
            for code, level in enumerate(self.points.levels[i]):
                if code != self.codes[i, 0]:
                    codes = self.codes.copy()
                    codes[i] = code
                    found += self._change(name, level, self.numbers, codes)
        return found

    def _of_numbers(self) -> list[Change]:
        """For every number the nearest one upwards and the nearest one downwards that moves the customer."""
        starts, ends, rows = [], [], []
        for j, (name, part, _) in enumerate(self.points.vector):
            if part == "value":
                i = self.points.numbers.index(name)
                for start, end in self._brackets(i, j):
                    starts.append(start)
                    ends.append(end)
                    rows.append(i)
        found = []
        for i, value in zip(rows, self._next_numbers(rows, starts, ends), strict=True):
            item = next(item for item in self.scorer.inputs if item["name"] == self.points.numbers[i])
            for to in self._whole(i, value) if item["whole"] else (value,):
                numbers = self.numbers.copy()
                numbers[i] = to
                found += self._change(self.points.numbers[i], to, numbers, self.codes)
        return found

    def _brackets(self, i: int, j: int) -> list[tuple[float, float]]:
        """(a number that stays, one beyond the border), upwards and downwards; where there is a border that counts."""
        there = abs(self.numbers[i, 0]) <= LARGEST
        start = float(self.numbers[i, 0]) if there else float(self.points.impute[i, 0])
        numbers = self.numbers.copy()
        numbers[i] = start
        point = self.points.prepare(numbers, self.codes)
        if self._label(numbers)[0] != self.own:
            return [(start, start)]  # that there is a number at all is enough
        low, high = self._reach(i)
        start = min(max(start, low), high)
        away = point[:, 0] - self.centres
        away[:, j] = 0.0
        rest, axis = (away**2).sum(axis=1), self.centres[:, j]
        gap = 2.0 * (axis - axis[self.own])
        with np.errstate(all="ignore"):
            borders = (rest - rest[self.own] + axis**2 - axis[self.own] ** 2) / gap
        found = []
        for side, limit in ((1, high), (-1, low)):
            crossed = borders[side * gap > 0]
            if len(crossed):
                border = self._original(i, j, float(crossed.min() if side > 0 else crossed.max()))
                border = min(border, limit) if side > 0 else max(border, limit)
                found += self._widened(i, start, border, side, limit)
        return found

    def _widened(self, i: int, start: float, border: float, side: int, limit: float) -> list[tuple[float, float]]:
        """The border with a little room on both sides, so that one end stays and the other moves; or nothing."""
        room = 1e-9 * max(abs(border), abs(start), 1e-3)
        while True:
            beyond = border + side * room
            beyond = min(beyond, limit) if side > 0 else max(beyond, limit)
            numbers = self.numbers.copy()
            numbers[i] = beyond
            if self._label(numbers)[0] != self.own:
                return [(start, beyond)]
            if beyond == limit or room > abs(border - start) + 1.0:
                return []
            room *= 8

    def _next_numbers(self, rows: list[int], starts: list[float], ends: list[float]) -> list[float]:
        """By halving, the number nearest to each start that moves the customer; all at once."""
        stays, moves = np.array(starts), np.array(ends)
        for _ in range(2100 if len(rows) else 0):
            middle = stays + (moves - stays) / 2
            if np.all((middle == stays) | (middle == moves)):
                break
            numbers = np.repeat(self.numbers, len(rows), axis=1)
            numbers[rows, np.arange(len(rows))] = middle
            moved = self._label(numbers) != self.own
            stays, moves = np.where(moved, stays, middle), np.where(moved, middle, moves)
        return [float(value) for value in moves]

    def _whole(self, i: int, value: float) -> tuple[float, ...]:
        """The next whole number from the border outwards; both where any number will do."""
        there = self.numbers[i, 0]
        start = float(there if abs(there) <= LARGEST else self.points.impute[i, 0])
        up, down = float(math.ceil(value)), float(math.floor(value))
        return (up, down) if value == start else (up,) if value > start else (down,)

    def _change(self, name: str, to: float | str, numbers: Floats, codes: NDArray[np.int64]) -> list[Change]:
        after = self.points.prepare(numbers, codes)
        label = int(self.scorer.group_centres(self.group).find(after)[0][0])
        if label == self.own:
            return []
        size = float(np.linalg.norm((after - self.point) / self.points.weight))
        segment = self.scorer.segments[self.first + label]
        key, shown = segment["segment_key"], segment["segment_name"]
        return [Change(name, self.units[name], self.values[name], to, self.first + label, key, shown, size)]

    def _label(self, numbers: Floats) -> NDArray[np.intp]:
        codes = np.repeat(self.codes, numbers.shape[1], axis=1)
        return self.scorer.group_centres(self.group).find(self.points.prepare(numbers, codes))[0]

    def _reach(self, i: int) -> tuple[float, float]:
        """The numbers that make a difference: between the caps, and what the feature's unit allows."""
        least, most = _natural(self.units[self.points.numbers[i]])
        return max(float(self.points.low[i, 0]), least), min(float(self.points.high[i, 0]), most)

    def _original(self, i: int, j: int, component: float) -> float:
        """The number whose prepared value is this."""
        value = component / float(self.points.factor[j, 0]) + float(self.points.mean[j, 0])
        scale = self.points.log_scales[i]
        if scale is None:
            return value
        return math.copysign(math.expm1(min(abs(value), 345.0)) * scale, value)


def _natural(unit: str) -> tuple[float, float]:
    """The numbers that a feature of this unit can have."""
    if unit == "share, 0 to 1":
        return 0.0, 1.0
    if unit == "ratio, -1 to 1":
        return -1.0, 1.0
    counted = ("days", "orders", "months", "items", "products", "nats", "categories", "channels")
    return (0.0, LARGEST) if unit.startswith(counted) else (-LARGEST, LARGEST)


def _plain(value: Any) -> Value:
    if isinstance(value, str) or value is None:
        return value
    return None if not abs(value) <= LARGEST else float(value)
