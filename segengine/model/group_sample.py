"""Customers sampled for each group in one pass over them, and for everybody: those with the smallest hash of their
id."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from segengine.errors import ModelError
from segengine.features.prepare_fit import InputColumn
from segengine.features.prepare_sample import ID, Sample, input_values, typed
from segengine.features.prepare_stages import TEMPORARY, quoted
from segengine.model.groups import GROUP, Key, Routing, route_stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["MOST_GROUPS", "Sizes", "fair_limit", "group_samples", "group_sizes", "joined"]

MOST_GROUPS = 500
"""Groups with segments of their own. Their centres travel with every task, and their sums come back from it."""

HASH = TEMPORARY + "hash"


@dataclass(frozen=True)
class Sizes:
    """How many customers each value of an attribute has: `own` those that can be a group, the largest first.

    `rest_values` and `rest_customers` are of all others; no value at all counts as one when it is too rare.
    """

    own: tuple[tuple[Key, int], ...]
    rest_values: int
    rest_customers: int

    @property
    def customers(self) -> int:
        return sum(customers for _, customers in self.own) + self.rest_customers


def group_sizes(rows: DataFrame, column: str, by: str, least: int) -> Sizes:
    """Count the customers of each value; values with fewer than `least` are counted together.

    One action that brings back a row for each group. ModelError: more than MOST_GROUPS groups.
    """
    from pyspark.sql import functions as F

    counts = rows.groupBy(F.col(quoted(column)).cast("string").alias("value")).agg(F.count(F.lit(1)).alias("customers"))
    own = F.col("customers") >= least
    grouped = counts.groupBy(own.alias("own"), F.when(own, F.col("value")).alias("value")).agg(
        F.sum("customers").alias("customers"), F.count(F.lit(1)).alias("values")
    )
    found = grouped.limit(MOST_GROUPS + 2).collect()
    large = [
        (Key("missing") if row["value"] is None else Key("value", row["value"]), int(row["customers"]))
        for row in found
        if row["own"]
    ]
    if len(large) > MOST_GROUPS:
        raise ModelError(
            f"Too many values of '{by}' would get segments of their own.",
            where="segments.by",
            found=f"more than {MOST_GROUPS} values with {least:,} customers or more",
            todo="Raise segments.by_min_customers, or put values together in the attribute's SQL.",
        )
    rest = [(int(row["values"]), int(row["customers"])) for row in found if not row["own"]]
    values, customers = rest[0] if rest else (0, 0)
    large.sort(key=lambda item: (-item[1], item[0].kind, item[0].value or ""))
    return Sizes(tuple(large), values, customers)


def group_samples(
    rows: DataFrame, inputs: Sequence[InputColumn], column: str, sizes: Sizes, limit: int
) -> tuple[Sample, list[Sample]]:
    """A sample of everybody, and one of each group of `sizes.own` and of the rest, which comes last.

    At most `limit` customers of everybody, and as many of all groups together, no group being cut before it has more
    than its even share. One action. All are ordered by the hash of the id, then id.
    """
    from pyspark.sql import functions as F

    customers = [*(n for _, n in sizes.own), sizes.rest_customers]
    each = fair_limit(customers, limit)
    routing = Routing(column, tuple(key for key, _ in sizes.own), len(sizes.own))
    cuts = F.array(*(F.lit(_cut(each, n)) for n in customers))
    hashed = F.xxhash64(F.col(ID))
    below = (hashed <= F.element_at(cuts, F.col(GROUP).cast("int") + 1)) | (
        hashed <= F.lit(_cut(limit, sizes.customers))
    )
    # The hash is of the id as text, as that of `hash_sample`.
    texts = route_stage(routing).transform(rows.withColumn(ID, F.col(ID).cast("string")))
    wanted = texts.where(below).select(*input_values(inputs), hashed.alias(HASH), F.col(GROUP).cast("int").alias(GROUP))
    frame = typed(wanted.toPandas(), inputs).sort_values([HASH, ID], kind="stable", ignore_index=True)
    groups = frame.pop(GROUP)
    parts = [Sample(frame[groups == i].head(each).reset_index(drop=True), number) for i, number in enumerate(customers)]
    return Sample(frame.head(limit), sizes.customers), parts


def joined(samples: Sequence[Sample]) -> Sample:
    """A sample of several groups together: everybody, or the customers with the smallest hash of all of them."""
    together = pd.concat([sample.frame for sample in samples], ignore_index=True)
    ordered = together.sort_values([HASH, ID], kind="stable", ignore_index=True)
    # What was cut off of a group comes after what was kept of it: so many are the smallest of all groups, too.
    cut = min((len(sample.frame) for sample in samples if not sample.is_everybody), default=len(ordered))
    return Sample(ordered.head(cut), sum(sample.customers for sample in samples))


def fair_limit(customers: Sequence[int], total: int) -> int:
    """The largest number of customers that can be taken of every group without taking more than `total` in all."""
    left, groups = total, sorted(customers)
    for position, number in enumerate(groups):
        share = left // (len(groups) - position)
        if number > share:
            return max(share, 1)
        left -= number
    return max(*groups, 1)


def _cut(wanted: int, customers: int) -> int:
    """A signed 64-bit hash that at least `wanted` of so many customers are below, but for one chance in billions."""
    share = (wanted + 8 * math.sqrt(wanted) + 40) / max(customers, 1)
    return 2**63 - 1 if customers <= wanted or share >= 1 else int(share * 2**64) - 2**63
