"""The task of every contestant: its arguments, the features by name, the dates they look back from, and its account."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AS_OF = dt.date(2024, 1, 1)
TIMEZONE = "Europe/Berlin"
"""Where days are counted. The lines hold wall clock of that zone, so a contestant need not convert anything."""
LAST_FROM = AS_OF - dt.timedelta(days=90)
PREVIOUS_FROM = AS_OF - dt.timedelta(days=180)

FEATURES = (
    "recency_days",
    "frequency_orders",
    "monetary_total",
    "average_order_value",
    "items_per_order",
    "products_per_order",
    "tenure_days",
    "active_months",
    "days_between_orders_mean",
    "days_between_orders_cv",
    "monetary_trend_90d",
    "orders_trend_90d",
)
"""segengine's default features (families rfm, basket, tenure, rhythm, trend); docs/features.md defines each."""
LOGGED = (
    "recency_days",
    "frequency_orders",
    "monetary_total",
    "average_order_value",
    "items_per_order",
    "products_per_order",
    "days_between_orders_mean",
)
"""Sizes and spans with a long tail, which anyone would take the logarithm of."""

COLUMNS = ("customer_id", "order_id", "ordered_at", "product", "quantity", "amount")
"""The columns of the lines that the features need."""

CUSTOMERS_FILE = "customers.parquet"
"""A file, or a folder of files as Spark writes them: customer_id, FEATURES, segment (from 0)."""
RESULT_FILE = "result.json"

RESTARTS = 10
SAMPLE = 200_000
SILHOUETTE_SAMPLE = 10_000
SEED = 7


@dataclass
class Task:
    """What was asked, and the account of how it went. `ks`: the numbers of segments to try, ascending."""

    lines: Path
    out: Path
    ks: tuple[int, ...]
    features_only: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def customers_file(self) -> Path:
        return self.out / CUSTOMERS_FILE

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 3)

    def finish(
        self,
        *,
        customers: int,
        k: int,
        inertia: Mapping[int, float],
        silhouette: Mapping[int, float],
        sizes: Mapping[int, int],
        note: str = "",
    ) -> None:
        """Write result.json: costs on the contestant's own prepared points, customers by segment, seconds by stage."""
        result: dict[str, Any] = {
            "customers": customers,
            "k": k,
            "inertia": {str(key): float(value) for key, value in inertia.items()},
            "silhouette": {str(key): float(value) for key, value in silhouette.items()},
            "shares": {str(key): round(sizes[key] / customers, 6) for key in sorted(sizes)},
            "seconds": self.seconds,
            "note": note,
        }
        (self.out / RESULT_FILE).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def task_from_arguments(text: str | None) -> Task:
    """The task that the command line asks for; makes the output folder."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--lines", type=Path, required=True, help="folder of Parquet files of order lines")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--k", type=int, nargs=2, default=(2, 10), metavar=("LEAST", "MOST"))
    parser.add_argument("--features-only", action="store_true", help="write features and stop")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    return Task(asked.lines, asked.out, tuple(range(asked.k[0], asked.k[1] + 1)), asked.features_only)
