"""polars and scikit-learn: one lazy query, on the streaming engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.contestants.sweep import segment
from benchmarks.contestants.task import AS_OF, COLUMNS, FEATURES, LAST_FROM, PREVIOUS_FROM, Task, task_from_arguments


def features(folder: Path) -> pl.LazyFrame:
    """One row a customer: customer_id and FEATURES."""
    lines = pl.scan_parquet(folder / "*.parquet").select(COLUMNS)
    at, amount = pl.col("ordered_at"), pl.col("amount")
    last, previous = pl.lit(LAST_FROM).cast(pl.Datetime("us")), pl.lit(PREVIOUS_FROM).cast(pl.Datetime("us"))
    orders = lines.group_by("customer_id", "order_id").agg(
        at.min().alias("first_at"),
        at.max().alias("last_at"),
        amount.sum(),
        pl.col("quantity").sum(),
        pl.col("product").drop_nulls().n_unique().alias("products"),
        amount.filter(at >= last).sum().alias("last_amount"),
        amount.filter((at >= previous) & (at < last)).sum().alias("previous_amount"),
    )
    return _customers(orders)


def _customers(orders: pl.LazyFrame) -> pl.LazyFrame:
    first, day = pl.col("first_at"), pl.col("first_at").dt.date()
    last, previous = pl.lit(LAST_FROM).cast(pl.Datetime("us")), pl.lit(PREVIOUS_FROM).cast(pl.Datetime("us"))
    gaps = day.unique().sort().diff().dt.total_days().cast(pl.Float64)
    customers = orders.group_by("customer_id").agg(
        pl.len().cast(pl.Float64).alias("orders"),
        pl.col("amount", "quantity", "products", "last_amount", "previous_amount").sum(),
        first.min().dt.date().alias("first_day"),
        pl.col("last_at").max().dt.date().alias("last_day"),
        (first >= last).sum().cast(pl.Float64).alias("last_orders"),
        ((first >= previous) & (first < last)).sum().cast(pl.Float64).alias("previous_orders"),
        day.dt.truncate("1mo").n_unique().alias("active_months"),
        gaps.mean().alias("gap_mean"),
        gaps.std().alias("gap_deviation"),
    )
    as_of, orders_count = pl.lit(AS_OF), pl.col("orders")
    return customers.select(
        "customer_id",
        (as_of - pl.col("last_day")).dt.total_days().cast(pl.Float64).alias("recency_days"),
        orders_count.alias("frequency_orders"),
        pl.col("amount").alias("monetary_total"),
        (pl.col("amount") / orders_count).alias("average_order_value"),
        (pl.col("quantity") / orders_count).alias("items_per_order"),
        (pl.col("products") / orders_count).alias("products_per_order"),
        (as_of - pl.col("first_day")).dt.total_days().cast(pl.Float64).alias("tenure_days"),
        pl.col("active_months").cast(pl.Float64),
        pl.col("gap_mean").alias("days_between_orders_mean"),
        (pl.col("gap_deviation") / pl.col("gap_mean")).alias("days_between_orders_cv"),
        _trend("last_amount", "previous_amount").alias("monetary_trend_90d"),
        _trend("last_orders", "previous_orders").alias("orders_trend_90d"),
    )


def _trend(last: str, previous: str) -> pl.Expr:
    now, before = pl.max_horizontal(pl.col(last), 0.0), pl.max_horizontal(pl.col(previous), 0.0)
    return pl.when(now + before > 0).then((now - before) / (now + before)).otherwise(0.0)


def main(task: Task) -> None:
    with task.stage("features"):
        customers = features(task.lines).collect(engine="streaming")
    if not task.features_only:
        points = customers.select(pl.col(FEATURES).fill_null(np.nan)).to_numpy()
        found = segment(np.ascontiguousarray(points), task)
        customers = customers.with_columns(pl.Series("segment", found.segments))
    with task.stage("write"):
        customers.write_parquet(task.customers_file)
    if not task.features_only:
        found.finish(task)


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
