"""Custom features: SQL aggregates of the configuration over the used lines of one customer."""

from __future__ import annotations

import re
from collections.abc import Collection

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from segengine.errors import ConfigError
from segengine.features.catalog import Feature

__all__ = ["LINE_TYPES", "check_custom", "custom_rows"]

CUSTOM = "__custom_"
"""Set before the names of custom features until the measures, whose names they may have, are gone."""

LINE_TYPES: dict[str, str] = {
    "ordered_at": "timestamp",
    "order_id": "string",
    "amount": "decimal(20,4)",
    "is_return": "boolean",
    "quantity": "decimal(24,6)",
    "product": "string",
    "category": "string",
    "channel": "string",
    "discount": "decimal(20,4)",
}
"""Columns that a custom feature can use, the last five when they are mapped. Decimals, so that sums are exact."""

_UNREPEATABLE = re.compile(
    r"\b(rand|randn|random|uniform|randstr|uuid|shuffle|now|current_date|current_timestamp|localtimestamp|curdate|"
    r"unix_timestamp\s*\(\s*\)|monotonically_increasing_id|spark_partition_id|input_file_name)\b",
    re.IGNORECASE,
)


def check_custom(lines: DataFrame, features: Collection[Feature]) -> None:
    """ConfigError naming features.custom.<name> unless each is a repeatable aggregate of our columns with a number."""
    for feature in features:
        _check(lines, feature)


def custom_rows(lines: DataFrame, features: Collection[Feature]) -> DataFrame:
    """customer_id and a double column CUSTOM + name for each feature, of lines that are all used.

    Lines are put in a total order first; Spark leaves that sort out when no aggregate depends on the order of rows.
    """
    columns = _usable(lines.columns)
    ordered = lines.select("customer_id", "row_hash", *_line_columns(columns)).sortWithinPartitions(
        "customer_id", "ordered_at", "order_id", "row_hash"
    )
    return ordered.groupBy("customer_id").agg(
        *(F.expr(f.argument).cast("double").alias(CUSTOM + f.name) for f in features)
    )


MONEY = {"amount": "amount_e4", "discount": "discount_e4"}
"""Columns that are exact integers in the lines, 1/10,000 of the currency unit."""


def _usable(columns: Collection[str]) -> list[str]:
    return [name for name in LINE_TYPES if MONEY.get(name, name) in columns]


def _line_columns(names: Collection[str]) -> list[Column]:
    exact = {"quantity": F.expr("try_cast(quantity AS decimal(24,6))")}
    exact |= {name: (F.col(e4) * F.expr("0.0001BD")).cast(LINE_TYPES[name]) for name, e4 in MONEY.items()}
    return [exact.get(name, F.col(name)).alias(name) for name in names]


def _check(lines: DataFrame, feature: Feature) -> None:
    where = f"features.custom.{feature.name}"
    columns = _usable(lines.columns)
    todo = f"Write an aggregate over a customer's lines, such as avg(amount). Columns: {', '.join(columns)}."
    unrepeatable = _UNREPEATABLE.search(feature.argument)
    if unrepeatable or re.search(r"\bselect\b", feature.argument, re.IGNORECASE):
        word = unrepeatable.group(0) if unrepeatable else "select"
        raise ConfigError(
            f"'{word}' is not allowed in a feature: it would differ from run to run.", where=where, todo=todo
        )
    nothing = lines.sparkSession.range(0).select(*(F.lit(None).cast(LINE_TYPES[name]).alias(name) for name in columns))
    try:
        fields = nothing.groupBy(F.lit(1)).agg(F.expr(feature.argument).alias("value")).schema.fields[1:]
    except (AnalysisException, ParseException) as error:
        raise ConfigError(
            "The custom feature cannot be computed.", where=where, found=_first_line(error), todo=todo
        ) from error
    if len(fields) != 1 or not isinstance(fields[0].dataType, NumericType):
        found = f"{feature.argument} is {fields[0].dataType.simpleString()}" if fields else feature.argument
        raise ConfigError("A custom feature has to be a number.", where=where, found=found, todo=todo)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
