"""Small Arrow tables as DataFrames, for queries and for tables that Spark writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from segengine.publish.shape import types_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["frame_of"]


def frame_of(spark: SparkSession, rows: DataFrame | pa.Table) -> DataFrame:
    """The rows in Spark, with Spark's types for them; those that are there already as they are.

    From Spark 4.0 on Arrow tables are part of the plan. Before, each is a stage of its own, a fifth of a second long.
    """
    if not isinstance(rows, pa.Table):
        return rows
    schema = ", ".join(f"`{name}` {kind}" for name, kind in types_of(rows).items())
    if int(spark.version.split(".")[0]) >= 4:
        return spark.createDataFrame(rows, schema)
    return spark.createDataFrame([tuple(row.values()) for row in rows.to_pylist()], schema)
