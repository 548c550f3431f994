"""A make-believe shop with its Christmas, as monthly features of its customers, without Spark."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segengine.demo.shop import CustomerType, Shop

START = dt.date(2021, 1, 1)
TYPES = (
    CustomerType("devoted", 0.20, 6, 65.0, 3.0, 6),
    CustomerType("topping up", 0.25, 12, 12.0, 2.0, 3),
    CustomerType("stocking up", 0.25, 40, 180.0, 3.0, 8),
    CustomerType("occasional", 0.30, 75, 15.0, 2.0, 5),
)
"""Nobody joins or leaves: whatever changes from month to month is the season."""
MONTHS = tuple(dt.date(2022 + number // 12, number % 12 + 1, 1) for number in range(25))
"""The first days of the months that are looked at, each with a year of orders before it."""
FAMILIES = {
    "recency_days": "rfm",
    "frequency_orders": "rfm",
    "monetary_total": "rfm",
    "average_order_value": "basket",
    "tenure_days": "tenure",
    "mean_gap_days": "rhythm",
    "spend_trend": "trend",
}


@cache
def orders(customers: int = 2_500, seed: int = 3) -> pd.DataFrame:
    """One row is an order: customer, day (since START), amount, channel."""
    days = (MONTHS[-1] - START).days
    lines = Shop(customers=customers, days=days, seed=seed, segments=TYPES, start=START).tables().lines
    day = (lines["ordered_at"].to_numpy().astype("datetime64[D]") - np.datetime64(START)).astype(int)
    lines = lines.assign(day=day, customer=lines["customer_id"].astype("category").cat.codes)
    grouped = lines.groupby(["customer", "order_id"], sort=False)
    return grouped.agg(day=("day", "min"), amount=("amount", "sum"), channel=("channel", "first")).reset_index()


@cache
def features(month: int) -> dict[str, NDArray[np.float64]]:
    """Feature -> a value a customer, of those who bought in the year before the first day of MONTHS[month]."""
    day = (MONTHS[month] - START).days
    window = orders()[lambda o: (o["day"] < day) & (o["day"] >= day - 365)]
    own = window.groupby("customer")
    first, last, count = own["day"].min(), own["day"].max(), own.size()
    late = window[window["day"] >= day - 90].groupby("customer")["amount"].sum().reindex(count.index).fillna(0)
    early = window[(window["day"] < day - 90) & (window["day"] >= day - 180)].groupby("customer")["amount"].sum()
    early = early.reindex(count.index).fillna(0)
    trend = (late - early) / (late + early).where(late + early > 0)
    frame = {
        "recency_days": day - 1 - last,
        "frequency_orders": count,
        "monetary_total": own["amount"].sum(),
        "average_order_value": own["amount"].mean(),
        "tenure_days": day - 1 - first,
        "mean_gap_days": (last - first) / (count - 1).where(count > 1),
        "spend_trend": trend.fillna(0),
    }
    return {name: column.to_numpy(dtype=np.float64) for name, column in frame.items()}


def recent_channels(month: int, of: pd.DataFrame | None = None) -> dict[str, list[dict[str, int]]]:
    """What `count_recent` counts: customers by channel in the last 30 days, the 30 before, and 30 a year ago."""
    day = (MONTHS[month] - START).days
    found: dict[str, list[dict[str, int]]] = {"": [], "channel": []}
    for ago in (0, 30, 365):
        rows = (orders() if of is None else of)[
            lambda o, ago=ago: (o["day"] < day - ago) & (o["day"] >= day - ago - 30)
        ]
        found[""].append({"": int(rows["customer"].nunique())})
        by = rows.groupby("channel")["customer"].nunique()
        found["channel"].append({str(name): int(count) for name, count in by.items()})
    return found
