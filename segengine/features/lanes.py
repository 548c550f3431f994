"""Lanes: why a customer is not put in a segment."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from segengine.config import Lanes

__all__ = ["lane"]


def lane(config: Lanes) -> Column:
    """The first lane of tables.LANES that fits, or null for the customers that segments are found among.

    Reads is_house and opted_out (boolean, not null), orders, lines_returned, first_day and as_of_day.
    """
    orders = F.col("orders")
    too_new = F.lit(False)
    if config.too_new_days is not None:
        too_new = too_new | (F.datediff("as_of_day", "first_day") < config.too_new_days)
    if config.too_new_orders is not None:
        too_new = too_new | (orders < config.too_new_orders)
    return (
        F.when(F.col("is_house"), "ignored")
        .when(F.col("opted_out"), "opted_out")
        .when((orders == 0) & (F.col("lines_returned") > 0), "only_returns")
        .when(orders == 0, "no_purchases")
        .when(too_new, "too_new")
    )
