"""Lines of orders to one row of exact measures per customer, with a single Exchange of the lines.

    lines --narrowed to numbers--> Exchange by customer_id --in Arrow batches--> kernel on workers --> customers

What the kernel holds of a partition is bounded; it goes through disk beyond that, so that a customer with millions of
lines costs disk and not memory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, cast
from zoneinfo import ZoneInfo

from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from segengine.config import History
from segengine.config.times import microseconds
from segengine.features import kernel
from segengine.features.catalog import MIXES, TREND_DAYS, Feature, Mix
from segengine.features.kernel.plan import (
    BEFORE_HISTORY,
    DROPPED_RETURN,
    HOUSE,
    IGNORED,
    REJECTED,
    RETURN,
    RHYTHM,
    SALE,
    SUMS,
    Plan,
)
from segengine.io.zones import clock_changes

__all__ = [
    "HOUSE_STATUS",
    "PIECES",
    "Scope",
    "bucket_of",
    "compact",
    "fold",
    "kept_lines",
    "measure",
    "narrow_lines",
    "stand",
    "torn_buckets",
]

HOUSE_STATUS = "house"
"""Status of the stand-in line of an ignored customer, whose own lines are not in the table."""

PIECES = "bucket int, lines bigint, orders binary, entries binary, spend binary, rows binary"
"""kernel.SCHEMA as Spark says it."""

ENTRIES_PER_PARTITION, LINES_PER_PARTITION = 32, 4
"""Buckets of a partition, about: a worker holds their bytes at once. One of 250,000 lines has some 3 MB of entries, and
5 of lines; it may have eight times as much."""

SPEND = "array<struct<value:string,amount_e4:bigint>>"


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
    discount: bool
    mixes: tuple[Mix, ...]

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
            rhythm="active_months" in names or any(feature.family in ("rhythm", "clv") for feature in features),
            discount=any(feature.family == "discount" for feature in features) and "discount_e4" in columns,
            mixes=tuple(
                mix
                for mix in MIXES
                if any(feature.family == mix.family for feature in features) and mix.column in columns
            ),
        )

    @classmethod
    def everything(cls, columns: Collection[str], *, as_of: dt.datetime, timezone: str, drop_duplicates: bool) -> Scope:
        """What lines with these columns can be asked, with no window."""
        return cls(
            as_of=as_of,
            window_start=None,
            timezone=timezone,
            drop_duplicates=drop_duplicates,
            quantity="quantity" in columns,
            products="product" in columns,
            rhythm=True,
            discount="discount_e4" in columns,
            mixes=tuple(mix for mix in MIXES if mix.column in columns),
        )

    @property
    def as_of_day(self) -> dt.date:
        return self.as_of.astimezone(ZoneInfo(self.timezone)).date()

    def days_before(self, days: int) -> dt.datetime:
        """The same wall clock in the configured zone, `days` earlier: a day of 23 or 25 hours is a day."""
        return cast(dt.datetime, History(days=days, timezone=self.timezone).start(self.as_of))


def narrow_lines(lines: DataFrame, scope: Scope) -> DataFrame:
    """What the kernel reads of a line: customer_id, order_hash, at_us, amount_e4, row_hash, kind (tinyint), and where
    the scope has them product_hash, quantity, discount_e4, category and channel.

    Two orders of a customer are told apart by 64 bits.
    """
    status, came_back = F.col("status"), F.coalesce(F.col("is_return"), F.lit(False))
    kind = (
        F.when(status == "used", F.when(came_back, F.lit(RETURN)).otherwise(F.lit(SALE)))
        .when(status == "rejected", F.lit(REJECTED))
        .when(status == HOUSE_STATUS, F.lit(HOUSE))
        .when(F.col("rule") == "before_history", F.lit(BEFORE_HISTORY))
        .when(came_back & (F.col("rule") == "returned"), F.lit(DROPPED_RETURN))
        .otherwise(F.lit(IGNORED))
    )
    optional = {
        "product_hash": (scope.products, F.when(F.col("product").isNotNull(), F.xxhash64("product"))),
        "quantity": (scope.quantity, F.col("quantity")),
        "discount_e4": (scope.discount, F.col("discount_e4")),
        **{mix.column: (True, F.col(mix.column)) for mix in scope.mixes},
    }
    return lines.select(
        "customer_id",
        F.xxhash64("order_id").alias("order_hash"),
        F.unix_micros("ordered_at").alias("at_us"),
        "amount_e4",
        "row_hash",
        kind.cast("tinyint").alias("kind"),
        *(column.alias(name) for name, (wanted, column) in optional.items() if wanted),
    )


def measure(narrow: DataFrame, scope: Scope) -> DataFrame:
    """One row per customer with MEASURES, and counts of lines by what became of them.

    `narrow`: as `narrow_lines` gives them, partitioned by customer_id already.
    """
    return _measures(narrow, kernel.measuring(_plan(scope)), scope)


def fold(narrow: DataFrame, scope: Scope, buckets: int) -> DataFrame:
    """Pieces (see kernel.SCHEMA) of lines as `narrow_lines` gives them, cut by day, for windows of any run.

    An order's hash has the customer in it there, so that orders of different customers are different ones.
    """
    _travel_by_value()
    bucketed = narrow.withColumns(
        {
            "bucket": bucket_of(F.col("customer_id"), buckets),
            "order_hash": F.xxhash64("customer_id", "order_hash"),
        }
    )
    return bucketed.repartition("bucket").mapInArrow(kernel.folding(_plan(scope)), PIECES)


def bucket_of(customer_id: Column, buckets: int) -> Column:
    """int: which bucket of pieces a customer is in."""
    return F.pmod(F.xxhash64(customer_id), F.lit(buckets)).cast("int")


def stand(pieces: DataFrame, scope: Scope, buckets: int) -> DataFrame:
    """The rows that `measure` gives for all lines that the pieces were made of.

    `as_of` and `window_start` have to be midnights of the zone, and the pieces must know what the scope asks for.
    Their `rows` are null but in the buckets that `torn_buckets` tells of.
    """
    return _measures(_together(pieces, buckets, ENTRIES_PER_PARTITION), kernel.standing(_plan(scope)), scope)


def torn_buckets(pieces: DataFrame, scope: Scope, buckets: int) -> list[int]:
    """The buckets with orders that sums cannot answer for, so that `stand` needs their lines. One action.

    Reads two small columns of the pieces; at most a number a bucket comes back.
    """
    _travel_by_value()
    orders = _together(pieces.select("bucket", "orders"), buckets, ENTRIES_PER_PARTITION)
    return sorted(row[0] for row in orders.mapInArrow(kernel.tearing(_plan(scope)), "bucket int").collect())


def _together(pieces: DataFrame, buckets: int, most: int) -> DataFrame:
    """Pieces of a bucket in one partition, which has about `most` buckets or fewer."""
    session = pieces.sparkSession
    least = -(-buckets // most)
    if int(session.conf.get("spark.sql.shuffle.partitions", "200") or 200) >= least:
        return pieces.repartition("bucket")
    return pieces.repartition(least, "bucket")


def compact(pieces: DataFrame, scope: Scope, buckets: int) -> DataFrame:
    """The same pieces as one a bucket; the scope is the one they were made with."""
    _travel_by_value()
    return _together(pieces, buckets, LINES_PER_PARTITION).mapInArrow(kernel.compacting(_plan(scope)), PIECES)


def _travel_by_value() -> None:
    """Workers need numpy and pyarrow, not this package."""
    cloudpickle.register_pickle_by_value(kernel)  # type: ignore[no-untyped-call]  # pyspark's copy has no types


def _measures(rows: DataFrame, worker: Callable[..., Iterator[Any]], scope: Scope) -> DataFrame:
    _travel_by_value()
    types = [("customer_id", "string"), *((name, "bigint") for name in (*SUMS, "first_us", "last_us"))]
    types += [(name, "bigint") for name in RHYTHM] if scope.rhythm else []
    types += [(mix.spend, SPEND) for mix in scope.mixes]
    schema = ", ".join(f"{name} {kind}" for name, kind in types)
    return (
        rows.mapInArrow(worker, schema)
        .withColumns(
            {
                "first_ordered_at": F.timestamp_micros("first_us"),
                "last_ordered_at": F.timestamp_micros("last_us"),
                "quantity_millionths": F.when(F.col("quantities") > 0, F.col("quantity_millionths")),
            }
        )
        .drop("first_us", "last_us", "quantities")
    )


def _plan(scope: Scope) -> Plan:
    changes_us, offsets_us = clock_changes(scope.timezone, scope.as_of)
    return Plan(
        last_us=microseconds(scope.days_before(TREND_DAYS)),
        previous_us=microseconds(scope.days_before(2 * TREND_DAYS)),
        window_start_us=None if scope.window_start is None else microseconds(scope.window_start),
        drop_duplicates=scope.drop_duplicates,
        quantity=scope.quantity,
        products=scope.products,
        rhythm=scope.rhythm,
        discount=scope.discount,
        mixes=tuple((mix.column, mix.spend) for mix in scope.mixes),
        changes_us=changes_us,
        offsets_us=offsets_us,
    )


def kept_lines(lines: DataFrame, *, drop_duplicates: bool) -> DataFrame:
    """The used lines, without copies when duplicates are dropped: same customer and order, same row_hash.

    Lines must be partitioned by customer_id already.
    """
    used = lines.where(F.col("status") == "used")
    if not drop_duplicates:
        return used
    same = Window.partitionBy("customer_id", "order_id").orderBy("row_hash")
    is_copy = F.coalesce(F.lag("row_hash").over(same) == F.col("row_hash"), F.lit(False))
    return used.withColumn("is_copy", is_copy).where(~F.col("is_copy")).drop("is_copy")
