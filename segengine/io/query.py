"""A query over tables of Spark's catalog, validated with the configuration, analysed before any row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from segengine.errors import InputError, SegengineError
from segengine.io.failures import explain_read_failure
from segengine.io.inputs import first_line

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read_query(spark: SparkSession, query: str, name: str) -> DataFrame:
    """The rows, not read yet. InputError, with Spark's own words, for a query that it does not accept."""
    try:
        rows = spark.sql(query)
        rows.schema  # noqa: B018  (Spark Connect analyses only when asked)
    except PySparkException as error:
        raise InputError(
            f"{name}: Spark does not accept the query.",
            where=f"tables.{name}.query",
            found=first_line(error),
            todo="Check names of tables and columns; try it in spark-sql.",
        ) from error
    return rows


def explained_query(error: Exception, name: str) -> SegengineError:
    """The error of ours for what Spark raised while the query ran."""
    return explain_read_failure(error, name) or InputError(
        f"{name}: the query fails.", where=f"tables.{name}.query", found=first_line(error)
    )
