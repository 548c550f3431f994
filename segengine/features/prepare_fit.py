"""What a preparation learns from a sample, in numpy: medians, caps, logs, levels, scales and weights.

Spark's own quantiles are approximate and change with the partitioning; numpy's on a hash sample do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segengine.errors import FeatureError, ModelError
from segengine.features.prepare_numbers import (
    CategoricalInput,
    Dropped,
    Floats,
    NumericInput,
    Part,
    Preparation,
    VectorColumn,
    numeric_values,
    part_values,
    usable,
)

__all__ = ["MOST_LEVELS", "SKEWED", "InputColumn", "Options", "learn"]

SKEWED = 1.0
"""Beyond this skewness a distribution counts as highly skewed (Bulmer, Principles of Statistics, 1979)."""

MOST_LEVELS = 20
"""Levels of a categorical feature with a column of their own; the rest share `other`."""

FLAG_STD = 0.5
"""Scale of 0/1 columns: the largest standard deviation one can have. A flag that is rarely set would outweigh every
number if divided by its own, tiny, standard deviation (Gelman, Scaling regression inputs, Statistics in Medicine
2008)."""

LEVEL_STD = math.sqrt(0.5)
"""Scale of one-hot columns: two even levels then have a variance of 1 between them, as much as one standardised
number."""

NEGLIGIBLE = 1e-12
"""A standard deviation below this part of the largest value is rounding noise: the column counts as constant."""


@dataclass(frozen=True)
class InputColumn:
    """A feature column to prepare."""

    name: str
    family: str
    kind: Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Options:
    """How to prepare: the `prepare` section of the configuration."""

    cap: tuple[float, float] | None
    log: Literal["auto", "always", "never"]
    scale: Literal["standard", "none"]
    weights: Mapping[str, float]


@dataclass(frozen=True)
class _Component:
    """A candidate for the vector, not weighted yet."""

    input: str
    family: str
    part: Part
    level: str | None
    mean: float
    std: float


def learn(inputs: Sequence[InputColumn], columns: Mapping[str, NDArray[Any]], options: Options) -> Preparation:
    """Fit a preparation to sampled columns of n values each (numbers: floats with NaN; texts: objects with None).

    Nothing depends on the order of the rows. Raises FeatureError for a column without any number, or with numbers too
    large to scale, and ModelError when no column tells customers apart.
    """
    fitted: list[NumericInput | CategoricalInput] = []
    kept: list[_Component] = []
    dropped: list[Dropped] = []
    flags: dict[tuple[str, bytes], str] = {}
    for column in inputs:
        raw = columns[column.name]
        item = _numeric(column, raw, options) if column.kind == "numeric" else _categorical(column, raw)
        fitted.append(item)
        for part, level in _parts(item, len(raw)):
            values = part_values(item, raw, part, level)
            reason = _useless(values)
            if reason is None and part == "missing":
                twin = flags.setdefault((item.family, values.tobytes()), item.name)
                reason = None if twin == item.name else f"missing for the same customers as {twin}"
            if reason is not None:
                dropped.append(Dropped(item.name, part, level, reason))
                continue
            mean, std = _centre_and_scale(item, part, values, options)
            kept.append(_Component(item.name, item.family, part, level, mean, std))
    vector, weightless = _weighted(kept, options.weights)
    if not vector:
        raise _nothing_varies([column.name for column in inputs], weightless)
    return Preparation(tuple(fitted), vector, (*dropped, *weightless))


def _numeric(column: InputColumn, raw: NDArray[Any], options: Options) -> NumericInput:
    numbers = raw.astype(np.float64)
    there = np.sort(numbers[usable(numbers)])
    if not len(there):
        raise FeatureError(
            f"Feature '{column.name}' has no number for any customer.",
            where=f"features, family {column.family}",
            found=f"{len(raw):,} customers, all of them missing, NaN or infinite",
            todo=f"Leave it out (features.exclude: [{column.name}]), or check the columns it is computed from.",
        )
    median = float(np.median(there))
    cap = None
    if options.cap is not None:
        low, high = np.quantile(there, options.cap)
        cap = (float(low), float(high))
    plain = NumericInput(column.name, column.family, median, cap, None, len(raw) - len(there), 0.0)
    values = np.sort(numeric_values(plain, numbers))
    skewness = _skewness(values)
    scale = _log_scale(values)
    logged = NumericInput(column.name, column.family, median, cap, scale, plain.missing, skewness)
    if options.log == "never" or scale is None:
        use_log = False
    elif options.log == "always":
        use_log = True
    else:
        after = _skewness(np.sort(numeric_values(logged, numbers)))
        use_log = abs(skewness) > SKEWED and abs(after) < abs(skewness)
    return logged if use_log else NumericInput(column.name, column.family, median, cap, None, plain.missing, skewness)


def _log_scale(values: Floats) -> float | None:
    """What a number is divided by before the log: the 10th percentile of the sizes that are not zero; None without any.

    Numbers above it are spread as by a log, numbers below it as by themselves, and another currency changes nothing.
    """
    sizes = np.sort(np.abs(values[values != 0]))
    if not len(sizes):
        return None
    return float(max(np.quantile(sizes, 0.10), sizes[-1] * 1e-6))


def _skewness(values: Floats) -> float:
    """g1 = m3 / m2^1.5 of sorted values; 0 for a constant."""
    largest = float(np.max(np.abs(values)))
    if largest == 0:
        return 0.0
    away = values / largest - float(np.mean(values / largest))
    spread = float(np.mean(away**2))
    return float(np.mean(away**3)) / spread**1.5 if spread > NEGLIGIBLE**2 else 0.0


def _categorical(column: InputColumn, raw: NDArray[Any]) -> CategoricalInput:
    counts = Counter(value for value in raw if value is not None and value == value)
    by_frequency = sorted(counts, key=lambda level: (-counts[level], level))
    levels = tuple(by_frequency[:MOST_LEVELS])
    return CategoricalInput(column.name, column.family, levels, len(raw) - sum(counts.values()))


def _parts(item: NumericInput | CategoricalInput, rows: int) -> list[tuple[Part, str | None]]:
    flag: list[tuple[Part, str | None]] = [("missing", None)] if item.missing else []
    if isinstance(item, NumericInput):
        return [("value", None), *flag]
    levels: list[tuple[Part, str | None]] = [("level", level) for level in item.levels]
    rest: list[tuple[Part, str | None]] = [("other", None)] if len(item.levels) == MOST_LEVELS else []
    return [*levels, *rest, *flag]


def _useless(values: Floats) -> str | None:
    low, high = float(np.min(values)), float(np.max(values))
    if low == high:
        return f"the same for every customer ({low:.6g}, after capping)"
    middle = (low + high) / 2
    if (high - low) <= NEGLIGIBLE * abs(middle):
        return f"the same for every customer but for rounding ({middle:.6g})"
    return None


def _centre_and_scale(
    item: NumericInput | CategoricalInput, part: Part, values: Floats, options: Options
) -> tuple[float, float]:
    if options.scale == "none":
        return 0.0, 1.0
    ordered = np.sort(values)  # the order of the rows must not reach the last digit of a sum
    mean = float(np.mean(ordered))
    if part != "value":
        return mean, FLAG_STD if isinstance(item, NumericInput) else LEVEL_STD
    largest = float(np.max(np.abs(ordered)))
    std = float(np.std(ordered / largest, ddof=1)) * largest
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise FeatureError(
            f"The numbers of feature '{item.name}' cannot be scaled.",
            where=f"features, family {item.family}",
            found=f"from {ordered[0]:.6g} to {ordered[-1]:.6g}",
            todo="Divide the feature by a constant, or leave it out with features.exclude.",
        )
    return mean, std


def _weighted(
    components: Sequence[_Component], weights: Mapping[str, float]
) -> tuple[tuple[VectorColumn, ...], tuple[Dropped, ...]]:
    """Multiply each column by sqrt(W_family / columns of the family); the levels of one categorical count as one
    column.

    Families without a weight of their own share `others` evenly.
    """
    units: dict[str, set[tuple[str, str]]] = {}
    for c in components:
        unit = (c.input, "value" if c.part in ("value", "level", "other") else c.part)
        units.setdefault(c.family, set()).add(unit)
    sharing = [family for family in units if family not in weights]
    vector, dropped = [], []
    for c in components:
        total = weights[c.family] if c.family in weights else weights.get("others", 0.5) / len(sharing)
        if total > 0:
            weight = math.sqrt(total / len(units[c.family]))
            vector.append(VectorColumn(c.input, c.part, c.level, c.mean, c.std, weight))
        else:
            dropped.append(Dropped(c.input, c.part, c.level, f"prepare.weights gives family {c.family} no weight"))
    return tuple(vector), tuple(dropped)


def _nothing_varies(names: Sequence[str], weightless: Sequence[Dropped]) -> ModelError:
    if weightless:
        return ModelError(
            "prepare.weights leaves no feature with a weight.",
            found=", ".join(sorted({item.input for item in weightless})),
            todo="Give at least one family a weight above 0.",
        )
    return ModelError(
        "Every feature is the same for all customers, so there is nothing to tell them apart by.",
        found="constant: " + ", ".join(names) if names else "no features at all",
        todo="Include other features (features.include), a longer history, or a wider prepare.cap.",
    )
