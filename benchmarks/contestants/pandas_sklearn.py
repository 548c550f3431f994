"""pandas and scikit-learn: texts become codes on reading, every grouping is one over integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from benchmarks.contestants.sweep import segment
from benchmarks.contestants.task import AS_OF, COLUMNS, FEATURES, LAST_FROM, PREVIOUS_FROM, Task, task_from_arguments

TEXTS = ["customer_id", "order_id", "product"]


def read(folder: Path) -> pd.DataFrame:
    """One row a line; the texts are categories, which take a quarter of the memory and group by their codes."""
    files = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=TEXTS))
    table = ds.dataset(folder, format=files).to_table(columns=list(COLUMNS)).unify_dictionaries()
    lines: pd.DataFrame = table.to_pandas(self_destruct=True, split_blocks=True)
    return lines


def features(lines: pd.DataFrame) -> pd.DataFrame:
    """One row a customer: customer_id and FEATURES. Takes `lines` apart."""
    customer = lines["customer_id"].cat.codes.to_numpy(np.int64)
    order, orders = _orders(customer, lines)
    new = _first_of_each_pair(order, lines["product"].cat.codes.to_numpy(np.int64))
    count = len(orders)
    at = lines["ordered_at"].to_numpy().astype("datetime64[us]").view(np.int64)
    amount, quantity = lines["amount"].to_numpy(), lines["quantity"].to_numpy()
    last, previous = _microseconds(LAST_FROM), _microseconds(PREVIOUS_FROM)
    times = pd.Series(at).groupby(order).agg(["min", "max"])
    orders = orders.assign(
        first_at=times["min"].to_numpy(),
        last_at=times["max"].to_numpy(),
        amount=np.bincount(order, amount, count),
        quantity=np.bincount(order, quantity, count),
        products=np.bincount(order, new, count),
        last_amount=np.bincount(order, np.where(at >= last, amount, 0.0), count),
        previous_amount=np.bincount(order, np.where((at >= previous) & (at < last), amount, 0.0), count),
    )
    ids = lines["customer_id"].cat.categories
    return _customers(orders, ids)


def _orders(customer: np.ndarray, lines: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """The number of each line's order, and the customer of each order. An order id belongs to its customer."""
    width = len(lines["order_id"].cat.categories) + 1
    key = customer * width + lines["order_id"].cat.codes.to_numpy(np.int64)
    order, keys = pd.factorize(key)
    return order, pd.DataFrame({"customer": keys // width})


def _first_of_each_pair(order: np.ndarray, product: np.ndarray) -> np.ndarray:
    """1.0 where a line is the first one of its product in its order, else 0.0; lines without a product are never."""
    pair = pd.Series(order * np.int64(product.max() + 2) + product + 1)
    return ((~pair.duplicated().to_numpy()) & (product >= 0)).astype(np.float64)


def _customers(orders: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    day = orders["first_at"].to_numpy() // 86_400_000_000
    last, previous = _microseconds(LAST_FROM), _microseconds(PREVIOUS_FROM)
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    orders = orders.assign(
        day=day,
        last_order=(orders["first_at"] >= last).astype(np.int64),
        previous_order=orders["first_at"].between(previous, last, inclusive="left").astype(np.int64),
    )
    by = orders.groupby("customer", sort=True)
    sums = by[
        ["amount", "quantity", "products", "last_amount", "previous_amount", "last_order", "previous_order"]
    ].sum()
    count = by.size().astype(np.float64)
    first, newest = by["first_at"].min() // 86_400_000_000, by["last_at"].max() // 86_400_000_000
    as_of = _microseconds(AS_OF) // 86_400_000_000
    months = pd.DataFrame({"customer": orders["customer"], "month": month}).drop_duplicates().groupby("customer").size()
    days = orders[["customer", "day"]].drop_duplicates().sort_values(["customer", "day"])
    gap = days["day"].diff().where(days["customer"].eq(days["customer"].shift()))
    gaps = gap.groupby(days["customer"]).agg(["mean", "std"])
    table = {
        "recency_days": as_of - newest,
        "frequency_orders": count,
        "monetary_total": sums["amount"],
        "average_order_value": sums["amount"] / count,
        "items_per_order": sums["quantity"] / count,
        "products_per_order": sums["products"] / count,
        "tenure_days": as_of - first,
        "active_months": months,
        "days_between_orders_mean": gaps["mean"],
        "days_between_orders_cv": gaps["std"] / gaps["mean"],
        "monetary_trend_90d": _trend(sums["last_amount"], sums["previous_amount"]),
        "orders_trend_90d": _trend(sums["last_order"], sums["previous_order"]),
    }
    found = pd.DataFrame(table).astype(np.float64)
    found.insert(0, "customer_id", ids.take(found.index.to_numpy()).to_numpy())
    return found.reset_index(drop=True)


def _trend(last: pd.Series, previous: pd.Series) -> pd.Series:
    last, previous = last.clip(lower=0), previous.clip(lower=0)
    return ((last - previous) / (last + previous)).fillna(0.0)


def _microseconds(day: object) -> int:
    return int(np.datetime64(str(day), "us").astype(np.int64))


def main(task: Task) -> None:
    with task.stage("features"):
        customers = features(read(task.lines))
    if not task.features_only:
        found = segment(customers[list(FEATURES)].to_numpy(), task)
        customers["segment"] = found.segments
    with task.stage("write"):
        customers.to_parquet(task.customers_file, index=False)
    if not task.features_only:
        found.finish(task)


if __name__ == "__main__":
    main(task_from_arguments(__doc__))
