"""Features of the family clv: fitted on a bounded sample of customers, then Columns over the measures of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.features import clv
from segengine.features.catalog import EXPECTED_DAYS, VALUE_DAYS, Feature

__all__ = ["fitted_features", "lifetime_value"]

SAMPLE_CUSTOMERS = 50_000
"""Customers that the models are fitted on at most: those with the smallest hash of their id."""


def fitted_features(features: Sequence[Feature], facts: DataFrame) -> tuple[Feature, ...]:
    """The features, those of the family clv with fitted parameters as argument; one action unless all have some.

    `facts`: a row a customer with orders, gaps, gap_days, first_day, as_of_day, purchased_e4 and first_day_e4.
    FeatureError when too few customers came back.
    """
    if all(feature.argument for feature in features if feature.family == "clv"):
        return tuple(features)
    names = ("repeats", "recency", "age", "money")
    inputs = (column.alias(name) for name, column in zip(names, _inputs(), strict=True))
    buyers = facts.where(F.col("orders") > 0).select("customer_id", *inputs)
    sample = buyers.orderBy(F.xxhash64("customer_id"), "customer_id").limit(SAMPLE_CUSTOMERS).toPandas()
    x, t_x, t, spent = (sample[name].to_numpy(dtype=float) for name in names)
    argument = clv.fit(x, t_x, t, spent / x.clip(min=1)).to_json()
    return tuple(replace(feature, argument=argument) if feature.family == "clv" else feature for feature in features)


def lifetime_value(feature: Feature) -> Column:
    """A feature of the family clv of a customer with a purchase; null without one."""
    fitted = clv.Fitted.from_json(feature.argument)
    x, recency, age, money = _inputs()
    if feature.name == "probability_active":
        value = clv.probability_active(fitted.purchases, x, recency, age)
    elif feature.name == f"expected_order_days_{EXPECTED_DAYS}d":
        value = clv.expected_transactions(fitted.purchases, x, recency, age, EXPECTED_DAYS)
    else:
        value = clv.expected_transactions(fitted.purchases, x, recency, age, VALUE_DAYS)
        value = value * clv.expected_value(fitted.value, x, money)
    return F.when(F.col("orders") > 0, value)


def _inputs() -> list[Column]:
    """Repeat days with an order, days from the first to the last, days from the first to the as-of day, and the money
    of the repeat days."""
    money = F.greatest(F.col("purchased_e4") - F.col("first_day_e4"), F.lit(0)) / 10_000
    age = F.datediff("as_of_day", "first_day")
    return [column.cast("double") for column in (F.col("gaps"), F.col("gap_days"), age, money)]
