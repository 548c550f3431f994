"""A fitted preparation as plain data, its arithmetic in numpy, and the way back to original units. No Spark here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LARGEST",
    "CategoricalInput",
    "Dropped",
    "NumericInput",
    "Preparation",
    "VectorColumn",
    "inverse",
    "numeric_values",
    "prepare",
    "signed_log",
]

Floats = NDArray[np.float64]
Part = Literal["value", "missing", "level", "other"]

LARGEST = 1e150
"""Numbers farther from zero count as missing, like NaN and infinity: their squares would overflow a distance."""

FORMAT = 1


@dataclass(frozen=True)
class NumericInput:
    """A number: what replaces it when missing, where it is capped, and by what it is divided before a signed log."""

    name: str
    family: str
    impute: float
    cap: tuple[float, float] | None
    log_scale: float | None
    missing: int
    """Customers of the sample without a usable number."""
    skewness: float
    """Skewness g1 of the capped values, before any log."""

    kind: Literal["numeric"] = "numeric"


@dataclass(frozen=True)
class CategoricalInput:
    """A text: its levels by falling frequency. Levels beyond them are `other`, if the sample had any."""

    name: str
    family: str
    levels: tuple[str, ...]
    missing: int
    kind: Literal["categorical"] = "categorical"


@dataclass(frozen=True)
class VectorColumn:
    """One component of the vector: (part of the input - mean) / std * weight."""

    input: str
    part: Part
    level: str | None
    mean: float
    std: float
    weight: float

    @property
    def factor(self) -> float:
        return self.weight / self.std


@dataclass(frozen=True)
class Dropped:
    """A component that was left out of the vector, and why."""

    input: str
    part: Part
    level: str | None
    reason: str


@dataclass(frozen=True)
class Preparation:
    """Everything learnt about the way from features to a vector; `to_dict` is its JSON form."""

    inputs: tuple[NumericInput | CategoricalInput, ...]
    vector: tuple[VectorColumn, ...]
    dropped: tuple[Dropped, ...]

    def to_dict(self) -> dict[str, Any]:
        plain = {"format": FORMAT, **asdict(self)}
        for item in plain["inputs"]:
            for key in ("cap", "levels"):
                if item.get(key) is not None:
                    item[key] = list(item[key])
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preparation:
        inputs: list[NumericInput | CategoricalInput] = []
        for item in data["inputs"]:
            if item["kind"] == "numeric":
                cap = None if item["cap"] is None else (float(item["cap"][0]), float(item["cap"][1]))
                inputs.append(NumericInput(**{**item, "cap": cap}))
            else:
                inputs.append(CategoricalInput(**{**item, "levels": tuple(item["levels"])}))
        return cls(
            tuple(inputs),
            tuple(VectorColumn(**item) for item in data["vector"]),
            tuple(Dropped(**item) for item in data["dropped"]),
        )


def signed_log(values: Floats, scale: float) -> Floats:
    """sign(x) * log(1 + |x| / scale): a log that keeps zero at zero and takes negative numbers."""
    logged: Floats = np.sign(values) * np.log1p(np.abs(values) / scale)
    return logged


def usable(raw: Floats) -> NDArray[np.bool_]:
    """Which numbers are there and finite enough to calculate with."""
    with np.errstate(invalid="ignore"):
        there: NDArray[np.bool_] = np.abs(raw) <= LARGEST
    return there


def numeric_values(item: NumericInput, raw: Floats) -> Floats:
    """Imputed, capped and logged values of one numeric input; `raw` may hold NaN (missing) and infinities."""
    values = np.where(usable(raw), raw, item.impute)
    if item.cap is not None:
        values = np.clip(values, item.cap[0], item.cap[1])
    return values if item.log_scale is None else signed_log(values, item.log_scale)


def part_values(item: NumericInput | CategoricalInput, raw: NDArray[Any], part: Part, level: str | None) -> Floats:
    """One part of an input before it is centred and scaled, shape (n,)."""
    if isinstance(item, NumericInput):
        numbers = raw.astype(np.float64)
        flags: Floats = (~usable(numbers)).astype(np.float64)
        return flags if part == "missing" else numeric_values(item, numbers)
    absent = np.array([value is None or value != value for value in raw], dtype=bool)
    if part == "missing":
        return absent.astype(np.float64)
    if part == "level":
        return np.array([value == level for value in raw], dtype=np.float64)
    known = np.array([value in item.levels for value in raw], dtype=bool)
    other: Floats = (~known & ~absent).astype(np.float64)
    return other


def prepare(preparation: Preparation, columns: Mapping[str, NDArray[Any]]) -> Floats:
    """The prepared matrix, shape (n, d), of raw columns of n values each: what the saved pipeline calculates, in numpy.

    Numeric columns hold floats (NaN is missing), categorical ones objects (None is missing).
    """
    by_name = {item.name: item for item in preparation.inputs}
    made = [
        (part_values(by_name[c.input], columns[c.input], c.part, c.level) - c.mean) * c.factor
        for c in preparation.vector
    ]
    return np.ascontiguousarray(np.stack(made, axis=1))


def inverse(preparation: Preparation, centres: Floats) -> list[dict[str, float | str]]:
    """Centres (k, d) in the features' own units: one dict a centre, feature -> number or level.

    A number goes back through weight, scale and log: for a logged feature this is a generalised mean, close to the
    geometric one, not the arithmetic mean. A categorical feature becomes its level with the highest share in the centre
    (`other` and `missing` included). A feature that was constant is that constant.
    """
    return [_inverse_one(preparation, centre) for centre in centres]


def _inverse_one(preparation: Preparation, centre: Floats) -> dict[str, float | str]:
    parts: dict[str, list[tuple[VectorColumn, float]]] = {}
    for column, value in zip(preparation.vector, centre, strict=True):
        parts.setdefault(column.input, []).append((column, float(value) / column.factor + column.mean))
    original: dict[str, float | str] = {}
    for item in preparation.inputs:
        mine = parts.get(item.name, [])
        if isinstance(item, NumericInput):
            original[item.name] = _number(item, mine)
        else:
            original[item.name] = _level(item, mine)
    return original


def _number(item: NumericInput, parts: Sequence[tuple[VectorColumn, float]]) -> float:
    for column, value in parts:
        if column.part == "value":
            if item.log_scale is None:
                return value
            return float(np.sign(value) * np.expm1(abs(value)) * item.log_scale)
    return item.impute


def _level(item: CategoricalInput, parts: Sequence[tuple[VectorColumn, float]]) -> str:
    best, best_share = item.levels[0] if item.levels else "missing", -np.inf
    for column, share in parts:
        if share > best_share:
            best, best_share = column.level if column.level is not None else column.part, share
    return best
