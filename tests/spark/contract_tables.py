"""One-line builders of sources and configurations for the tests of the contract."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from segengine.config import Config
from segengine.contract import CheckedLines, LineTotals, QualityRow, check_transactions
from segengine.io.source import Source, SourceFacts

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)


def source(rows: DataFrame, *, name: str = "transactions", text: bool = False, expected: int | None = None) -> Source:
    """A source of these rows; service columns are added where they are missing."""
    columns = tuple(c for c in rows.columns if c not in ("_source_file", "_defect", "_defect_text"))
    for service in ("_source_file", "_defect", "_defect_text"):
        if service not in rows.columns:
            value = F.lit("part-1.csv" if service == "_source_file" else None).cast("string")
            rows = rows.withColumn(service, value)
    facts = SourceFacts(name, "csv" if text else "parquet", "shop/lines", 1, 1, expected, None, "")
    return Source(name, rows, columns, text, facts)


def texts(spark: SparkSession, columns: str, *rows: Sequence[str | None]) -> Source:
    """A text table: every column a string."""
    schema = ", ".join(f"`{column}` string" for column in columns.split())
    return source(spark.createDataFrame([tuple(row) for row in rows], schema), text=True)


def config(
    *,
    columns: dict[str, str] | None = None,
    table: dict[str, Any] | None = None,
    customers: dict[str, Any] | None = None,
    csv: bool = False,
    **rest: Any,
) -> Config:
    """A configuration for a transactions table with columns id, order, at, amount."""
    transactions = {
        "path": "lines",
        "format": "csv" if csv else "parquet",
        "columns": columns or {"customer_id": "id", "order_id": "order", "ordered_at": "at", "amount": "amount"},
        **(table or {}),
    }
    tables = {"transactions": transactions} | ({"customers": customers} if customers else {})
    settings: dict[str, Any] = {
        "name": "shop",
        "as_of": "2024-01-01",
        "tables": tables,
        "output": {"path": "out"},
        "quality": {"max_rejected_share": 1.0, "returns": "drop"},
    }
    return Config.model_validate(settings | rest)


def check(found: Source, settings: Config, folder: Path, **rest: Any) -> CheckedLines:
    """Check with a fixed clock and run, quarantine below `folder`."""
    return check_transactions(found, settings, now=NOW, run_id="r1", quarantine=str(folder / "quarantine"), **rest)


def counts(quality: Sequence[QualityRow]) -> dict[str, int]:
    """rule -> rows."""
    return {row.rule: row.rows for row in quality}


def quarantined(spark: SparkSession, checked: Any) -> list[tuple[str, Any]]:
    """(rule, row) of the rows in quarantine, parsed where they are JSON, in order of their text."""
    if checked.quarantine is None:
        return []
    rows = sorted(
        spark.read.parquet(checked.quarantine).select("rule", "row").collect(),
        key=lambda row: (row["rule"], row["row"]),
    )
    return [(row["rule"], json.loads(row["row"]) if row["row"].startswith("{") else row["row"]) for row in rows]


__all__ = ["NOW", "LineTotals", "check", "config", "counts", "quarantined", "source", "texts"]
