"""Which categories and channels get a share feature of their own."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segengine.features.catalog import Feature, Mix, share_feature
from segengine.features.names import share_names

__all__ = ["share_features", "top_values"]


def top_values(customers: DataFrame, mix: Mix, n: int) -> tuple[str, ...]:
    """The n values with most spend in the array column of the mix (value, amount_e4); ties by name. One action."""
    ranked = (
        customers.select(F.explode(mix.spend).alias("spend"))
        .groupBy(F.col("spend.value").alias("value"))
        .agg(F.sum("spend.amount_e4").alias("amount_e4"))
        .orderBy(F.desc("amount_e4"), F.asc("value"))
        .limit(n)
    )
    return tuple(row["value"] for row in ranked.collect())


def share_features(mix: Mix, values: Collection[str], exclude: Collection[str]) -> tuple[Feature, ...]:
    """A share feature for each value but those whose feature is excluded."""
    names = share_names(tuple(values), mix.prefix)
    return tuple(share_feature(mix, name, value) for value, name in names.items() if name not in exclude)
