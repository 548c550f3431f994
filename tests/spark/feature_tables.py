"""Lines, customers and configurations of the tests of features, built in a line each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
from pyspark.sql import functions as F

from segengine.config import Config, parse
from segengine.contract import CheckedCustomers, CheckedLines
from segengine.features import (
    Attributes,
    CustomerRows,
    choose,
    customer_rows,
)
from tests.spark.features_oracle import COLUMNS, microseconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EVERYTHING = "include: [rfm, basket, tenure, rhythm, trend, returns, category_mix, channel_mix, timing, discount]"
MAPPED = frozenset(
    {"customer_id", "order_id", "ordered_at", "amount", "quantity", "product", "category", "channel", "discount"}
)
AS_OF = dt.datetime(2011, 12, 10, tzinfo=ZoneInfo("Europe/London"))


@contextmanager
def session_zone(spark: SparkSession, zone: str) -> Iterator[None]:
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        yield
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def config(
    features: str = EVERYTHING, *, zone: str = "UTC", table: str = "", people: str = "", more: str = ""
) -> Config:
    columns = "customer_id: c, order_id: o, ordered_at: t, amount: a, quantity: q, product: p, category: k"
    columns += ", channel: h, discount: d"
    customers = f", customers: {{path: people, columns: {{customer_id: c}}, {people}}}" if people else ""
    lines = f"transactions: {{path: lines, columns: {{{columns}}}, returns: r, {table}}}"
    text = f"name: shop\ntimezone: {zone}\nhistory: all\ntables: {{{lines}{customers}}}\nfeatures: {{{features}}}\n"
    return parse(f"{text}output: {{path: out}}\n{more}", folder=Path("somewhere"), environ={})


def lines_of(spark: SparkSession, frame: pd.DataFrame) -> DataFrame:
    """Lines as the contract hands them on, with times built from microseconds."""
    rows = [
        tuple(None if pd.isna(value) else getattr(value, "item", lambda v=value: v)() for value in row)
        for row in frame[list(COLUMNS)].itertuples(index=False)
    ]
    schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    lines = spark.createDataFrame(rows, schema)
    return lines.withColumn("at_us", F.timestamp_micros("at_us")).withColumnRenamed("at_us", "ordered_at")


def checked(
    lines: DataFrame, *, as_of: dt.datetime = AS_OF, start: dt.datetime | None = None, **more: Any
) -> CheckedLines:
    facts = {"ignored_customers": (), "quality": (), "rows_read": 0, "amount_read_e4": 0, "warnings": (), **more}
    return CheckedLines(lines=lines, as_of=as_of.astimezone(dt.UTC), window_start=start, mapped=MAPPED, **facts)


def people_of(spark: SparkSession, rows: list[tuple[Any, ...]], schema: str, **more: Any) -> CheckedCustomers:
    frame = spark.createDataFrame(rows, schema)
    numeric = tuple(name for name, kind in frame.dtypes if kind == "double")
    categorical = tuple(name for name, kind in frame.dtypes if kind == "string" and name != "customer_id")
    return CheckedCustomers(frame, (), len(rows), numeric, categorical, (), **more)


def line(
    customer: str = "A", order: str = "1", day: str = "2011-12-01", amount: float = 10, **more: Any
) -> dict[str, Any]:
    at = microseconds(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC))
    usual = {"quantity": 1.0, "product": "p", "category": "c", "is_return": False, "status": "used", "rule": None}
    usual |= {"channel": "web", "discount_e4": None}
    return {
        "customer_id": customer,
        "order_id": order,
        "at_us": at,
        "amount_e4": int(amount * 10_000),
        "row_hash": hash((customer, order, day, amount, str(more))),
        **usual,
        **more,
    }


def build(
    spark: SparkSession,
    *rows: dict[str, Any],
    settings: Config | None = None,
    people: CheckedCustomers | None = None,
    **more: Any,
) -> CustomerRows:
    settings = settings or config()
    attributes = Attributes(people.numeric, people.categorical) if people else None
    found = checked(lines_of(spark, pd.DataFrame(rows)), **more)
    return customer_rows(found, people, choose(settings, MAPPED, attributes), settings)


def by_customer(built: CustomerRows) -> dict[str, dict[str, Any]]:
    rows = built.rows.drop("first_ordered_at", "last_ordered_at").collect()
    assert len({row["customer_id"] for row in rows}) == len(rows)
    return {row["customer_id"]: row.asDict() for row in rows}


def build_from(spark: SparkSession, frame: pd.DataFrame, settings: Config) -> CustomerRows:
    return customer_rows(checked(lines_of(spark, frame)), None, choose(settings, MAPPED, None), settings)
