"""Everything the small tables need to know about the scored customers, measured in three passes over them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.config.times import EPOCH, microseconds
from segengine.errors import PublicationError
from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_sample import SAMPLE_LIMIT, hash_sample
from segengine.publish.exact_sums import PARTIAL_SCHEMA, add_up, partial_sums
from segengine.publish.facts import FeatureFact
from segengine.publish.shape import quoted
from segengine.scoring.labelled import Labelled

__all__ = ["Counts", "Measures", "Moments", "Quantiles", "measure"]

ACTIVE_DAYS = 90
SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Counts:
    """Whole numbers of a group of customers; money in 1/10,000 of the unit; None where the data has none."""

    customers: int = 0
    revenue_e4: int | None = None
    orders: int | None = None
    outliers: int = 0
    active_90_days: int | None = None
    missing: tuple[tuple[str, int], ...] = ()
    """(categorical feature, customers without a value)."""


@dataclass(frozen=True)
class Moments:
    """Exact sums of a column over a group: how many values, their sum, the squares of their distance to `pivot`."""

    count: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)
    pivot: float = 0.0

    def plus(self, other: Moments) -> Moments:
        """Both groups together; the pivot is the same for all groups of a column."""
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares, other.pivot)

    @property
    def mean(self) -> float | None:
        return float(self.total / self.count) if self.count else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the population."""
        if not self.count:
            return None
        distance = self.total / self.count - Fraction(self.pivot)
        return math.sqrt(max(Fraction(0), self.squares / self.count - distance**2))


@dataclass(frozen=True)
class Quantiles:
    """10th percentile, median and 90th percentile of a column over the sampled customers of a group."""

    p10: float | None = None
    median: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class Measures:
    """What was measured; `int` keys are the model's segment indices."""

    segments: dict[int, Counts]
    lanes: dict[str, Counts]
    first_year: int | None
    """Year of the first order, counted in the configured zone."""
    distances: dict[int, Moments] = field(default_factory=dict)
    features: dict[tuple[str, int], Moments] = field(default_factory=dict)
    quantiles: dict[tuple[str, int], Quantiles] = field(default_factory=dict)

    @property
    def customers(self) -> int:
        return sum(c.customers for c in (*self.segments.values(), *self.lanes.values()))


def measure(
    scored: DataFrame,
    features: Sequence[FeatureFact],
    *,
    as_of: dt.datetime,
    timezone: str,
    sample_limit: int = SAMPLE_LIMIT,
    sampled: Labelled | None = None,
) -> Measures:
    """Measure the scored customers (one row each; worth persisting before).

    Sums are exact and quantiles come from a sample chosen by hash, so no partitioning changes a bit of them. `sampled`:
    that sample, where somebody took it already. Raises PublicationError when a customer has both a segment and a lane,
    or neither.
    """
    numeric = [f.name for f in features if f.kind == "numeric"]
    categorical = [f.name for f in features if f.kind == "categorical"]
    counted = _counts(scored, categorical, as_of, timezone)
    assigned = scored.where(F.col("segment_index").isNotNull())
    customers = sum(c.customers for c in counted.segments.values())
    quantiles, pivots = _quantiles(_numbers(assigned, numeric, customers, sample_limit, sampled), numeric)
    sums = _exact(assigned, ["distance", *numeric], [0.0, *pivots])
    distances = {group: m for (name, group), m in sums.items() if name == 0}
    moments = {(numeric[j - 1], group): m for (j, group), m in sums.items() if j > 0}
    return Measures(counted.segments, counted.lanes, counted.first_year, distances, moments, quantiles)


def _counts(scored: DataFrame, categorical: Sequence[str], as_of: dt.datetime, timezone: str) -> Measures:
    ordered_at = F.unix_micros("last_ordered_at")
    missing = [F.sum(F.col(quoted(name)).isNull().cast("bigint")) for name in categorical]
    rows = scored.groupBy("segment_index", "lane").agg(
        F.count(F.lit(1)).alias("customers"),
        F.sum("revenue_e4").alias("revenue_e4"),
        F.sum("orders").alias("orders"),
        _how_many(F.col("is_outlier")).alias("outliers"),
        F.when(F.count("last_ordered_at") > 0, _how_many(ordered_at >= _active_since(as_of, timezone))).alias("active"),
        F.min(F.unix_micros("first_ordered_at")).alias("first"),
        *(column.alias(f"missing_{j}") for j, column in enumerate(missing)),
    )
    segments: dict[int, Counts] = {}
    lanes: dict[str, Counts] = {}
    first: list[int] = []
    for row in rows.collect():
        counts = Counts(
            row["customers"], row["revenue_e4"], row["orders"], row["outliers"], row["active"],
            tuple((name, row[f"missing_{j}"]) for j, name in enumerate(categorical)),
        )  # fmt: skip
        if (row["segment_index"] is None) == (row["lane"] is None):
            both = "neither a segment nor a lane" if row["lane"] is None else "both a segment and a lane"
            raise PublicationError(
                f"Customers have {both}.",
                where="assignments",
                found=f"{row['customers']} customers",
                todo="Report this: it is a bug.",
            )
        if row["lane"] is None:
            segments[row["segment_index"]] = counts
        else:
            lanes[row["lane"]] = counts
        first += [row["first"]] if row["first"] is not None else []
    return Measures(segments, lanes, _year(min(first), timezone) if first else None)


def _how_many(condition: Column) -> Column:
    return F.sum(F.coalesce(condition, F.lit(False)).cast("bigint"))


def _active_since(as_of: dt.datetime, timezone: str) -> int:
    """Epoch microseconds of the same wall clock 90 days before."""
    wall = as_of.astimezone(ZoneInfo(timezone)) - dt.timedelta(days=ACTIVE_DAYS)
    return microseconds(wall)


def _year(epoch_micros: int, timezone: str) -> int:
    moment = EPOCH + dt.timedelta(microseconds=epoch_micros)
    return moment.astimezone(ZoneInfo(timezone)).year


def _exact(assigned: DataFrame, columns: Sequence[str], pivots: Sequence[float]) -> dict[tuple[int, int], Moments]:
    """(column's place, segment index) -> moments."""
    numbers = [F.col(quoted(name)).cast("double").alias(f"c{j}") for j, name in enumerate(columns)]
    parts = assigned.select(F.col("segment_index").cast("int").alias("group"), *numbers).mapInArrow(
        partial_sums([f"c{j}" for j in range(len(columns))], pivots), PARTIAL_SCHEMA
    )
    summed = parts.groupBy("term", "bin").agg(F.sum("high"), F.sum("low"), F.sum("values"))
    sums = add_up(tuple(row) for row in summed.collect())
    return {
        (term // 2, group): Moments(count, total, sums[term + 1, group][1], pivots[term // 2])
        for (term, group), (count, total) in sums.items()
        if term % 2 == 0
    }


def _numbers(
    assigned: DataFrame, numeric: Sequence[str], customers: int, limit: int, sampled: Labelled | None
) -> pd.DataFrame:
    """Segment index and features of everybody, or of at most `limit` customers chosen by hash; missing is NaN."""
    names = ["segment_index", *numeric]
    if sampled is not None and len(sampled.labels) == min(customers, limit) and sampled.columns.keys() >= set(numeric):
        return pd.DataFrame({"segment_index": sampled.labels, **{name: sampled.columns[name] for name in numeric}})
    if customers > limit:
        columns = [InputColumn(name, "", "numeric") for name in names]
        return hash_sample(assigned, columns, limit, customers=customers).frame
    rows = assigned.select(*(F.col(quoted(name)).cast("double").alias(f"c{j}") for j, name in enumerate(names)))
    return rows.toPandas().set_axis(names, axis="columns").astype(np.float64)


def _quantiles(frame: pd.DataFrame, numeric: Sequence[str]) -> tuple[dict[tuple[str, int], Quantiles], list[float]]:
    """Quantiles by (feature, segment index), and the median of each feature over all, to take squares around."""
    groups = frame["segment_index"].to_numpy()
    found: dict[tuple[str, int], Quantiles] = {}
    pivots: list[float] = []
    for name in numeric:
        values: NDArray[Any] = frame[name].to_numpy()
        known = np.isfinite(values)
        pivots.append(float(np.median(values[known])) if known.any() else 0.0)
        for group in np.unique(groups):
            own = values[known & (groups == group)]
            if len(own):
                found[name, int(group)] = Quantiles(*(float(q) for q in np.quantile(own, SHARES)))
    return found, pivots
