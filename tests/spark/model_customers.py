"""Customers with features, ready for a model: what tests of preparing, training and scoring start from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from segengine.config import Config, CustomersTable, Output, Prepare, Segments, Tables
from segengine.features.catalog import Chosen, Feature

FAMILIES = {
    "recency_days": "rfm",
    "frequency_orders": "rfm",
    "monetary_total": "rfm",
    "days_between_orders": "rhythm",
    "plan": "attributes",
}
TEXTS = ("customer_id", "plan", "lane", "country")


def feature(name: str, family: str = "rfm") -> Feature:
    kind: Literal["categorical", "numeric"] = "categorical" if name in TEXTS else "numeric"
    return Feature(name=name, family=family, unit="", text="", needs=frozenset(), kind=kind, expression="")


def chosen(**families: str) -> Chosen:
    return Chosen(features=tuple(feature(name, family) for name, family in (families or FAMILIES).items()), left_out=())


def shop(customers: int = 600, seed: int = 0, kinds: int = 4) -> pd.DataFrame:
    """Customers of `kinds` different kinds, skewed, some gaps missing; revenue_e4 is monetary_total in 1/10,000."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, kinds, customers)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number:05d}" for number in range(customers)],
            "recency_days": np.round(random.gamma(6, 2 + 9 * kind)),
            "frequency_orders": 1.0 + random.poisson(3 * (kinds - kind) ** 1.5),
            "monetary_total": np.round(random.lognormal(7 - kind, 0.35), 2),
            "days_between_orders": np.where(random.random(customers) < 0.15, np.nan, random.gamma(5, 4 + kind)),
            "plan": random.choice(["basic", "pro", None], customers, p=[0.6, 0.3, 0.1]),
        }
    )
    frame["revenue_e4"] = (frame["monetary_total"] * 10_000).round().astype("int64")
    return frame


def as_rows(spark: SparkSession, frame: pd.DataFrame, partitions: int = 2) -> DataFrame:
    """A DataFrame of doubles, texts and bigint `*_e4` columns; NaN becomes null."""
    fields = [t.StructField(name, _type(name), True) for name in frame.columns]
    plain = frame.astype(object).where(frame.notna(), None)
    return spark.createDataFrame(plain.to_numpy().tolist(), t.StructType(fields)).repartition(partitions)


def _type(name: str) -> t.DataType:
    if name in TEXTS:
        return t.StringType()
    return t.LongType() if name.endswith("_e4") else t.DoubleType()


def config(kind: str = "transactions", prepare: Prepare | None = None, **segments: object) -> Config:
    """A configuration of which only the kind, prepare and segments matter."""
    table = CustomersTable(path="customers.parquet", columns={"customer_id": "id"}, attributes=("recency_days",))
    lines = {} if kind == "customers" else {"transactions": _transactions()}
    return Config(
        name="test",
        kind=kind,
        tables=Tables(customers=table, **lines),
        prepare=prepare or Prepare(),
        segments=Segments(**{"restarts": 4, **segments}),
        output=Output(path="out"),
    )


def _transactions():
    from segengine.config import TransactionsTable

    columns = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}
    return TransactionsTable(path="lines.parquet", columns=columns)
