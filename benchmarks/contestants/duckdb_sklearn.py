"""DuckDB and scikit-learn: one SQL query that may spill to disk."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contestants.sweep import segment
from benchmarks.contestants.task import AS_OF, FEATURES, LAST_FROM, PREVIOUS_FROM, Task, task_from_arguments

TREND = "coalesce((greatest({0}, 0) - greatest({1}, 0)) / nullif(greatest({0}, 0) + greatest({1}, 0), 0), 0)"

QUERY = f"""
WITH of_products AS (
    SELECT customer_id, order_id, product, min(ordered_at) AS first_at, max(ordered_at) AS last_at,
        sum(amount) AS amount, sum(quantity) AS quantity,
        sum(CASE WHEN ordered_at >= DATE '{LAST_FROM}' THEN amount ELSE 0 END) AS last_amount,
        sum(CASE WHEN ordered_at >= DATE '{PREVIOUS_FROM}' AND ordered_at < DATE '{LAST_FROM}'
            THEN amount ELSE 0 END) AS previous_amount
    FROM lines GROUP BY customer_id, order_id, product
), orders AS (
    SELECT customer_id, min(first_at) AS first_at, max(last_at) AS last_at, sum(amount) AS amount,
        sum(quantity) AS quantity, count(product) AS products,
        sum(last_amount) AS last_amount, sum(previous_amount) AS previous_amount
    FROM of_products GROUP BY customer_id, order_id
), days AS (
    SELECT customer_id, first_at::DATE AS day, count(*) AS orders, max(last_at) AS last_at,
        sum(amount) AS amount, sum(quantity) AS quantity, sum(products) AS products,
        sum(last_amount) AS last_amount, sum(previous_amount) AS previous_amount,
        day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap
    FROM orders GROUP BY customer_id, day
), customers AS (
    SELECT customer_id, sum(orders)::DOUBLE AS orders, min(day) AS first_day, max(last_at)::DATE AS last_day,
        sum(amount) AS amount, sum(quantity) AS quantity, sum(products) AS products,
        sum(last_amount) AS last_amount, sum(previous_amount) AS previous_amount,
        sum(CASE WHEN day >= DATE '{LAST_FROM}' THEN orders ELSE 0 END) AS last_orders,
        sum(CASE WHEN day >= DATE '{PREVIOUS_FROM}' AND day < DATE '{LAST_FROM}' THEN orders ELSE 0 END)
            AS previous_orders,
        count(DISTINCT year(day) * 12 + month(day)) AS months,
        avg(gap) AS gap_mean, stddev_samp(gap) AS gap_deviation
    FROM days GROUP BY customer_id
)
SELECT customer_id, (DATE '{AS_OF}' - last_day)::DOUBLE AS recency_days, orders AS frequency_orders,
    amount AS monetary_total, amount / orders AS average_order_value, (quantity / orders)::DOUBLE AS items_per_order,
    (products / orders)::DOUBLE AS products_per_order, (DATE '{AS_OF}' - first_day)::DOUBLE AS tenure_days,
    months::DOUBLE AS active_months, gap_mean AS days_between_orders_mean,
    gap_deviation / gap_mean AS days_between_orders_cv,
    ({TREND.format("last_amount", "previous_amount")})::DOUBLE AS monetary_trend_90d,
    ({TREND.format("last_orders", "previous_orders")})::DOUBLE AS orders_trend_90d
FROM customers
"""
"""The spans of the trends begin at midnight, so an order is in one exactly if its day is."""


def features(task: Task) -> pa.Table:
    """One row a customer: customer_id and FEATURES."""
    spill = str(task.out / "spill")
    with duckdb.connect(config={"temp_directory": spill, "preserve_insertion_order": False}) as database:
        database.execute(f"CREATE VIEW lines AS SELECT * FROM read_parquet('{task.lines}/*.parquet')")
        return database.sql(QUERY).to_arrow_table()


def main(task: Task) -> None:
    with task.stage("features"):
        customers = features(task)
    if not task.features_only:
        points = np.column_stack([customers[name].to_numpy() for name in FEATURES])
        found = segment(points, task)
        customers = customers.append_column("segment", pa.array(found.segments))
    with task.stage("write"):
        pq.write_table(customers, task.customers_file)
    if not task.features_only:
        found.finish(task)


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
