"""Lines of orders to one row of exact measures per customer, with a single Exchange of the lines.

    lines --Exchange by customer_id--> lines --sorted by order and product--> marks: copies, first sights of a product
        --grouped--> orders --sorted by time--> days since the order before --grouped--> customers

Everything after the Exchange works on streams, hash tables and sorts that spill, so that a customer with millions of
lines costs disk and not memory. All sums are integers: no order of rows can change a bit of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from segengine.config import History
from segengine.contract.moments import microseconds
from segengine.features.catalog import TREND_DAYS, Feature

__all__ = ["HOUSE", "Scope", "marked_lines", "measure"]

HOUSE = "house"
"""Status of the stand-in line of an ignored customer, whose own lines are not in the table."""

MILLION = 1_000_000
LARGEST_QUANTITY = 1e12
"""A quantity that is larger cannot be summed in millionths; it counts as not known."""


@dataclass(frozen=True)
class Scope:
    """What the measures look at, and which of them anybody asks for."""

    as_of: dt.datetime
    window_start: dt.datetime | None
    timezone: str
    drop_duplicates: bool
    quantity: bool
    products: bool
    rhythm: bool
    categories: bool

    @classmethod
    def of(
        cls,
        features: Collection[Feature],
        columns: Collection[str],
        *,
        as_of: dt.datetime,
        window_start: dt.datetime | None,
        timezone: str,
        drop_duplicates: bool,
    ) -> Scope:
        """The scope that these features need, of lines with these columns."""
        names = {feature.name for feature in features}
        return cls(
            as_of=as_of,
            window_start=window_start,
            timezone=timezone,
            drop_duplicates=drop_duplicates,
            quantity="items_per_order" in names and "quantity" in columns,
            products="products_per_order" in names and "product" in columns,
            rhythm="active_months" in names or any(feature.family == "rhythm" for feature in features),
            categories=any(feature.family == "category_mix" for feature in features) and "category" in columns,
        )

    @property
    def as_of_day(self) -> dt.date:
        return self.as_of.astimezone(ZoneInfo(self.timezone)).date()

    def days_before(self, days: int) -> dt.datetime:
        """The same wall clock in the configured zone, `days` earlier: a day of 23 or 25 hours is a day."""
        return cast(dt.datetime, History(days=days, timezone=self.timezone).start(self.as_of))

    def line_columns(self) -> list[str]:
        """The columns of the lines that are needed, in a fixed order."""
        optional = {"quantity": self.quantity, "product": self.products, "category": self.categories}
        always = ["customer_id", "order_id", "ordered_at", "amount_e4", "is_return", "row_hash", "status", "rule"]
        return [*always, *(name for name, needed in optional.items() if needed)]


def marked_lines(lines: DataFrame, scope: Scope) -> DataFrame:
    """Lines with marks: is_copy (of another used line), is_kept (used, and no dropped copy), is_purchase, is_returned,
    is_new_product (the first purchase line of its product in the order).

    Lines must be partitioned by customer_id already. A copy is of the same customer and order, with the same row_hash.
    """
    used = F.col("status") == "used"
    returned_goods = F.coalesce(F.col("is_return"), F.lit(False))
    marked = lines.withColumn("is_sale", used & ~returned_goods)
    marked = marked.withColumn("order_hash", F.xxhash64("customer_id", "order_id"))  # first: numbers sort faster
    by = ["product", "row_hash"] if scope.products else ["row_hash"]
    order = Window.partitionBy("order_hash", "customer_id", "order_id", "is_sale").orderBy(*by)
    repeats = F.coalesce(F.lag("row_hash").over(order) == F.col("row_hash"), F.lit(False))
    marked = marked.withColumn("repeats", repeats)
    if scope.products:
        known = F.col("product").isNotNull() & F.col("is_sale")
        marked = marked.withColumn("is_new_product", known & ~F.col("product").eqNullSafe(F.lag("product").over(order)))
    dropped = F.col("repeats") if scope.drop_duplicates else F.lit(False)
    in_window = F.col("ordered_at").isNotNull()
    if scope.window_start is not None:
        in_window = in_window & (F.col("ordered_at") >= instant(scope.window_start))
    came_back = returned_goods & (used | ((F.col("status") == "ignored") & (F.col("rule") == "returned"))) & in_window
    return (
        marked.withColumn("is_copy", used & F.col("repeats"))
        .withColumn("is_kept", used & ~dropped)
        .withColumn("is_purchase", F.col("is_sale") & ~dropped)
        .withColumn("is_returned", F.coalesce(came_back, F.lit(False)) & ~dropped)
    )


def measure(lines: DataFrame, scope: Scope) -> DataFrame:
    """One row per customer with MEASURES, and counts of lines by what became of them. Lines as for `marked_lines`."""
    orders = marked_lines(lines, scope).groupBy("customer_id", "order_id").agg(*_order_sums(scope))
    return _customers(_dated(orders, scope), scope)


def instant(moment: dt.datetime) -> Column:
    """A timestamp literal that no session zone can move."""
    return F.timestamp_micros(F.lit(microseconds(moment)))


def _order_sums(scope: Scope) -> list[Column]:
    amount, at = F.col("amount_e4"), F.col("ordered_at")
    kept, purchase, returned, copy = (F.col(name) for name in ("is_kept", "is_purchase", "is_returned", "is_copy"))
    status = F.col("status")
    before = (status == "ignored") & (F.col("rule") == "before_history")
    last, previous = instant(scope.days_before(TREND_DAYS)), instant(scope.days_before(2 * TREND_DAYS))
    quantity = F.col("quantity") if scope.quantity else F.lit(None).cast("double")
    countable = purchase & (F.abs(quantity) < LARGEST_QUANTITY)
    new_product = F.col("is_new_product") if scope.products else F.lit(False)
    return [
        _count(kept, "lines_used"),
        _count(status == "ignored", "lines_ignored"),
        _count(status == "rejected", "lines_rejected"),
        _count(before, "lines_before_history"),
        _sum(amount, before, "before_history_e4"),
        _count(copy, "duplicates"),
        _sum(amount, copy, "duplicates_e4"),
        _count(status == HOUSE, "house_lines"),
        _sum(amount, kept, "revenue_e4"),
        _sum(amount, purchase, "purchased_e4"),
        _count(purchase, "lines_purchased"),
        F.min(F.when(purchase, at)).alias("first_at"),
        F.max(F.when(purchase, at)).alias("last_at"),
        F.sum(F.when(countable, F.round(quantity * MILLION).cast("bigint"))).alias("quantity_millionths"),
        _count(new_product, "products"),
        _sum(amount, kept & (at >= last), "last_e4"),
        _sum(amount, kept & (at >= previous) & (at < last), "previous_e4"),
        _count(returned, "lines_returned"),
        _sum(F.abs(amount), returned, "returned_e4"),
    ]


def _dated(orders: DataFrame, scope: Scope) -> DataFrame:
    """Orders with gap_days since the customer's order before (null for the first one) and is_new_month.

    Orders without a purchase have no time and come before all others.
    """
    if not scope.rhythm:
        return orders
    before = Window.partitionBy("customer_id").orderBy("first_at", "order_id")
    day = F.to_date("first_at")
    dated = orders.withColumn("day", day).withColumn("month", F.trunc(day, "month"))
    changed = F.col("month").isNotNull() & ~F.col("month").eqNullSafe(F.lag("month").over(before))
    gap = F.datediff("day", F.lag("day").over(before)).cast("bigint")
    return dated.withColumn("gap_days", gap).withColumn("is_new_month", changed)


_ADDED_UP = [
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
    "house_lines",
    "revenue_e4",
    "purchased_e4",
    "lines_purchased",
    "quantity_millionths",
    "products",
    "last_e4",
    "previous_e4",
    "lines_returned",
    "returned_e4",
]
"""Measures of an order that add up to the customer's."""


def _customers(orders: DataFrame, scope: Scope) -> DataFrame:
    bought, gave_back = F.col("lines_purchased") > 0, F.col("lines_returned") > 0
    last, previous = instant(scope.days_before(TREND_DAYS)), instant(scope.days_before(2 * TREND_DAYS))
    aggregates = [
        *(F.sum(name).alias(name) for name in _ADDED_UP),
        _count(bought, "orders"),
        _count(gave_back, "orders_returned"),
        _count(bought | gave_back, "orders_touched"),
        F.min("first_at").alias("first_ordered_at"),
        F.max("last_at").alias("last_ordered_at"),
        _count(F.col("first_at") >= last, "last_orders"),
        _count((F.col("first_at") >= previous) & (F.col("first_at") < last), "previous_orders"),
    ]
    if scope.rhythm:
        gap = F.col("gap_days")
        aggregates += [
            _count(gap > 0, "gaps"),
            _sum(gap, gap > 0, "gap_days"),
            _sum(gap * gap, gap > 0, "gap_days_squared"),
            _count(F.col("is_new_month"), "order_months"),
        ]
    return orders.groupBy("customer_id").agg(*aggregates)


def _count(condition: Column, name: str) -> Column:
    return F.count(F.when(condition, F.lit(1))).alias(name)


def _sum(value: Column, condition: Column, name: str) -> Column:
    return F.coalesce(F.sum(F.when(condition, value)), F.lit(0)).alias(name)
