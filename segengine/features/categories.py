"""What a customer spends in which category, and which categories get a share feature of their own."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segengine.features.catalog import Feature, share_feature
from segengine.features.names import share_names

__all__ = ["category_rows", "share_features", "top_categories"]


def category_rows(purchases: DataFrame) -> DataFrame:
    """customer_id and `categories`, an array of (category, amount_e4 of at least 0) sorted by category.

    Lines without a category are not in it. Memory: a customer's array is as long as it has categories.
    """
    spent = (
        purchases.where(F.col("category").isNotNull())
        .groupBy("customer_id", "category")
        .agg(F.greatest(F.sum("amount_e4"), F.lit(0)).alias("amount_e4"))
    )
    entry = F.struct("category", "amount_e4")
    return spent.groupBy("customer_id").agg(F.array_sort(F.collect_list(entry)).alias("categories"))


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
