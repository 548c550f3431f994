"""From a customer's features to the point that k-means sees, as the saved pipeline calculates it; numpy only.

Every operation is one of the pipeline's own, in its order, so that every number is Spark's to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segengine.scoring.log1p import log1p

__all__ = ["LARGEST", "MISSING", "OTHER", "Points"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LARGEST = 1e150
"""Numbers farther from zero count as missing, as segengine.features.prepare_numbers has it."""

OTHER, MISSING = -1, -2
"""Codes of a text that is no level of its own, and of none."""


class Points:
    """The preparation of a model: raw numbers and codes of texts to points.

    `numbers` and `texts` are the names of the inputs of either kind, in order; `levels[i]` those of the i-th text.
    """

    def __init__(self, inputs: Sequence[Mapping[str, Any]], vector: Sequence[Mapping[str, Any]]) -> None:
        numeric = [item for item in inputs if item["kind"] == "numeric"]
        categorical = [item for item in inputs if item["kind"] == "categorical"]
        self.numbers = tuple(str(item["name"]) for item in numeric)
        self.texts = tuple(str(item["name"]) for item in categorical)
        self.levels = tuple(tuple(item["levels"]) for item in categorical)
        caps = [item["cap"] or (-np.inf, np.inf) for item in numeric]
        self.impute = _column(item["impute"] for item in numeric)
        self.low, self.high = _column(low for low, _ in caps), _column(high for _, high in caps)
        logged = [i for i, item in enumerate(numeric) if item["log_scale"] is not None]
        self._logged = np.array(logged, dtype=np.intp)
        self._log_scale = _column(numeric[i]["log_scale"] for i in logged)
        self.log_scales = tuple(item["log_scale"] for item in numeric)
        self.mean = _column(part["mean"] for part in vector)
        self.factor = _column(part["weight"] / part["std"] for part in vector)
        self.weight = _column(part["weight"] for part in vector)
        self.vector = tuple((str(p["input"]), str(p["part"]), p["level"]) for p in vector)
        row, text = ({name: i for i, name in enumerate(names)} for names in (self.numbers, self.texts))
        self._values = [(j, row[name]) for j, (name, part, _) in enumerate(self.vector) if part == "value"]
        self._flags = [(j, row[n]) for j, (n, part, _) in enumerate(self.vector) if part == "missing" and n in row]
        self._codes = [
            (j, text[name], self._code(text[name], part, level))
            for j, (name, part, level) in enumerate(self.vector)
            if name in text
        ]

    @property
    def size(self) -> int:
        """Components of a point."""
        return len(self.vector)

    def _code(self, text: int, part: str, level: str | None) -> int:
        return self.levels[text].index(str(level)) if part == "level" else MISSING if part == "missing" else OTHER

    def logged(self, numbers: Floats) -> Floats:
        """Imputed, capped and logged numbers; `numbers` (inputs, n) may hold NaN (missing) and infinities."""
        with np.errstate(invalid="ignore"):
            values: Floats = np.where(np.abs(numbers) <= LARGEST, numbers, self.impute)
        np.maximum(values, self.low, out=values)
        np.minimum(values, self.high, out=values)
        if len(self._logged):
            part = values[self._logged]
            values[self._logged] = np.sign(part) * log1p(np.abs(part) / self._log_scale)
        return values

    def prepare(self, numbers: Floats, codes: Codes) -> Floats:
        """(d, n): one column is a customer's point. `numbers` is (numeric inputs, n), `codes` (texts, n)."""
        values = self.logged(numbers)
        points: Floats = np.empty((self.size, numbers.shape[1]))
        if self._values:
            at, rows = zip(*self._values, strict=True)
            points[list(at)] = values[list(rows)]
        for j, row in self._flags:
            with np.errstate(invalid="ignore"):
                points[j] = ~(np.abs(numbers[row]) <= LARGEST)
        for j, row, code in self._codes:
            points[j] = codes[row] == code
        points -= self.mean
        points *= self.factor
        return points


def _column(values: Any) -> Floats:
    """(n, 1) numbers."""
    return np.array(list(values), dtype=np.float64).reshape(-1, 1)
