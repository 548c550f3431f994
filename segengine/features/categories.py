"""What a customer spends in which category, and which categories get a share feature of their own."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segengine.features.catalog import Feature, share_feature
from segengine.features.names import share_names

__all__ = ["share_features", "top_categories"]


def top_categories(customers: DataFrame, n: int) -> tuple[str, ...]:
    """The n categories with most spend in `categories` (array of category, amount_e4); ties by name. One action."""
    ranked = (
        customers.select(F.explode("categories").alias("spend"))
        .groupBy(F.col("spend.category").alias("category"))
        .agg(F.sum("spend.amount_e4").alias("amount_e4"))
        .orderBy(F.desc("amount_e4"), F.asc("category"))
        .limit(n)
    )
    return tuple(row["category"] for row in ranked.collect())


def share_features(categories: Collection[str], exclude: Collection[str]) -> tuple[Feature, ...]:
    """A share feature for each category but those whose feature is excluded."""
    names = share_names(tuple(categories))
    return tuple(share_feature(name, category) for category, name in names.items() if name not in exclude)
