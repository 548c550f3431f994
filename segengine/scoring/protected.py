"""The mix of protected attributes per segment, counted in Spark; small cells never leave this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_sample import hash_sample
from segengine.features.prepare_stages import quoted
from segengine.model.mix import MISSING, OTHER, SMALLEST_CELL, band_names, bands, hidden_with_totals, told_v

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Mix", "protected_mix"]

MOST_VALUES = 20
"""Values of an attribute that are told by name; the others are (other)."""
BAND_SAMPLE = 20_000
"""Customers whose numbers decide where the spans of a numeric attribute begin."""


@dataclass(frozen=True)
class Mix:
    """Rows of the table protected_mix but for keys, with the index of the segment; and V by attribute."""

    rows: tuple[Mapping[str, Any], ...]
    strength: Mapping[str, float | None]


def protected_mix(
    scored: DataFrame,
    columns: Mapping[str, str],
    numeric: Sequence[str],
    k: int,
    *,
    smallest: int = SMALLEST_CELL,
) -> Mix:
    """Count the segmented customers by segment and value of each protected attribute.

    `columns`: attribute -> its column in `scored`; those named in `numeric` are told as spans. Values beyond the
    MOST_VALUES most frequent ones, and those with fewer than `smallest` customers, are (other).
    """
    from pyspark.sql import functions as F

    rows: list[Mapping[str, Any]] = []
    strength: dict[str, float | None] = {}
    segmented = scored.where(F.col("segment_index").isNotNull())
    for attribute, column in columns.items():
        value = _spans(segmented, column) if attribute in numeric else F.col(quoted(column)).cast("string")
        named = segmented.select("segment_index", value.alias("value"))
        kept = _frequent(named, smallest)
        told = F.when(F.col("value").isNull(), F.lit(MISSING)).otherwise(
            F.when(F.col("value").isin(kept) if kept else F.lit(False), F.col("value")).otherwise(F.lit(OTHER))
        )
        counted = named.groupBy("segment_index", told.alias("told")).agg(F.count(F.lit(1)).alias("customers"))
        values = [*kept, OTHER, MISSING]
        counts = np.zeros((k, len(values)), dtype=np.int64)
        for segment, name, customers in counted.collect():
            counts[segment, values.index(name)] += customers
        dark, dark_totals = hidden_with_totals(counts, smallest)
        strength[attribute] = told_v(counts, dark, dark_totals)
        rows += _rows(attribute, values, counts, dark, dark_totals, strength[attribute])
    return Mix(tuple(rows), strength)


def _frequent(named: DataFrame, smallest: int) -> list[str]:
    """The most frequent values that are frequent enough, by falling frequency; equal ones by name."""
    from pyspark.sql import functions as F

    counted = named.where(F.col("value").isNotNull()).groupBy("value").agg(F.count(F.lit(1)).alias("customers"))
    most = counted.where(F.col("customers") >= smallest).orderBy(F.desc("customers"), "value").limit(MOST_VALUES)
    return [row["value"] for row in most.collect() if row["value"] not in (OTHER, MISSING)]


def _spans(segmented: DataFrame, column: str) -> Column:
    """The span that a number is in, as text; null where there is none."""
    from pyspark.sql import functions as F

    sample = hash_sample(segmented, [InputColumn(column, "", "numeric")], BAND_SAMPLE)
    cuts = bands(sample.frame[column].tolist())
    names = band_names(cuts)
    number = F.col(quoted(column)).cast("double")
    span = F.lit(names[-1])
    for cut, name in reversed(list(zip(cuts, names, strict=False))):
        span = F.when(number <= F.lit(cut), F.lit(name)).otherwise(span)
    return F.when(number.isNotNull() & ~F.isnan(number), span)


def _rows(
    attribute: str, values: Sequence[str], counts: Any, dark: Any, dark_totals: Any, strength: float | None
) -> list[Mapping[str, Any]]:
    total = int(counts.sum())
    rows: list[Mapping[str, Any]] = []
    for segment, own in enumerate(counts):
        size = int(own.sum())
        for j, value in enumerate(values):
            if not counts[:, j].sum():
                continue
            shown = not dark[segment, j]
            rows.append(
                {
                    "index": segment,
                    "attribute": attribute,
                    "value": value,
                    "customers": int(own[j]) if shown else None,
                    "share": int(own[j]) / size if shown and size else None,
                    "overall_share": int(counts[:, j].sum()) / total if not dark_totals[j] else None,
                    "cramers_v": strength,
                }
            )
    return rows
