"""Customer rows from a table that has one row per customer already, without transactions."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from segengine.config import Config
from segengine.contract.moments import configured_window
from segengine.features.aggregate import COUNTS, CustomerRows, attribute_results, attribute_values
from segengine.features.catalog import Chosen

if TYPE_CHECKING:
    from segengine.contract import CheckedCustomers

__all__ = ["customers_only_rows", "moment"]

_MONEY_OR_ORDERS = ("revenue_e4", "orders")


def moment(config: Config, now: dt.datetime) -> dt.datetime:
    """The as-of moment of a table without times, in UTC: as configured, or the midnight today began with (`latest`)."""
    window = configured_window(config)
    if window is not None:
        return window.as_of
    today = now.astimezone(ZoneInfo(config.timezone)).date()
    return dt.datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(config.timezone)).astimezone(dt.UTC)


def customers_only_rows(customers: CheckedCustomers, chosen: Chosen, config: Config) -> CustomerRows:
    """The columns of `customer_rows`; no orders and no revenue (null), no lines (0). Lanes: ignored, opted_out."""
    known = customers.customers.select(
        "customer_id", F.coalesce("opted_out", F.lit(False)).alias("opted_out"), *attribute_values(customers, config)
    ).withColumn("is_house", F.lit(False))
    house = sorted(set(customers.ignored_customers))
    if house:
        names = F.explode(F.array(*(F.lit(name) for name in house)))
        given = {"customer_id": F.col("customer_id"), "opted_out": F.lit(False), "is_house": F.lit(True)}
        types = dict(known.dtypes)
        rows = known.sparkSession.range(1).select(names.alias("customer_id"))
        known = known.unionByName(
            rows.select(*(given.get(name, F.lit(None)).cast(types[name]).alias(name) for name in known.columns))
        )
    no_time = F.lit(None).cast("timestamp")
    rows = known.select(
        "customer_id",
        *attribute_results(known),
        F.when(F.col("is_house"), "ignored").when(F.col("opted_out"), "opted_out").alias("lane"),
        *(F.lit(None if name in _MONEY_OR_ORDERS else 0).cast("bigint").alias(name) for name in COUNTS),
        no_time.alias("first_ordered_at"),
        no_time.alias("last_ordered_at"),
        F.lit(True).alias("is_known"),
    )
    return CustomerRows(rows, chosen.features)
