"""Customers of several groups, each with kinds of its own: what tests of segments by group start from."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from segengine.config import Config, CustomersTable, Output, Prepare, Segments, Tables
from tests.spark.model_customers import _transactions, chosen, shop

FEATURES = chosen(recency_days="rfm", frequency_orders="rfm", monetary_total="rfm", days_between_orders="rhythm")
BY_SIZE = {"FR": 300, "DE": 240, None: 150, 'O\'Brien \\ "客户" `x`': 130}


def grouped(sizes: Mapping[str | None, int] = BY_SIZE, seed: int = 0) -> pd.DataFrame:
    """Customers of each country, of 2 to 4 kinds; ids tell nothing of it."""
    frames = []
    for number, (country, customers) in enumerate(sizes.items()):
        frame = shop(customers, seed=seed + number, kinds=2 + number % 3)
        frames.append(frame.assign(country=pd.Series([country] * customers, dtype=object)))
    rows = pd.concat(frames, ignore_index=True).sample(frac=1, random_state=seed, ignore_index=True)
    return rows.assign(customer_id=[f"c{number:06d}" for number in range(len(rows))])


def by_country(kind: str = "transactions", prepare: Prepare | None = None, **segments: object) -> Config:
    """A configuration with segments by country."""
    table = CustomersTable(
        path="customers.parquet", columns={"customer_id": "id"}, attributes=("country", "recency_days")
    )
    lines = {} if kind == "customers" else {"transactions": _transactions()}
    given = {"by": "country", "k": (2, 4), "restarts": 3, **segments}
    return Config(
        name="test",
        kind=kind,
        tables=Tables(customers=table, **lines),
        prepare=prepare or Prepare(),
        segments=Segments(**given),
        output=Output(path="out"),
    )
