"""Key figures of the team's own: SQL over a customer's published row, as further columns of `assignments`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, NumericType

from segengine.contract.expressions import rewrite
from segengine.errors import ConfigError
from segengine.publish.shape import published_names, spark_type
from segengine.tables import ASSIGNMENTS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from segengine.publish.facts import FeatureFact

__all__ = ["KPI", "check_kpis", "with_kpis"]

KPI = "_kpi"
"""Behind the name of a key figure in its column, so that `margin` is not taken for the margin of a segment."""


def with_kpis(assignments: DataFrame, kpis: Mapping[str, str]) -> DataFrame:
    """The rows with a double column NAME_kpi for each key figure, in order of the configuration.

    Nothing stops at a value: what is divided by zero, or cannot be cast, is null.
    """
    return assignments.select("*", *(_figure(sql).cast("double").alias(name + KPI) for name, sql in kpis.items()))


def _figure(sql: str) -> Column:
    return F.expr(rewrite(sql, {}))


def check_kpis(spark: SparkSession, kpis: Mapping[str, str], features: Iterable[FeatureFact], minor_unit: int) -> None:
    """ConfigError naming kpis.<name> unless each is a number over a published row, with a name that is free."""
    if not kpis:
        return
    listed = list(features)
    names = published_names((feature.name for feature in listed), ASSIGNMENTS, "_feature")
    kinds = {column.name: spark_type(column.kind, minor_unit) for column in ASSIGNMENTS.columns}
    kinds |= {names[f.name]: "double" if f.kind == "numeric" else "string" for f in listed}
    row = spark.range(0).select(*(F.lit(None).cast(kind).alias(name) for name, kind in kinds.items()))
    for name, sql in kpis.items():
        where = f"kpis.{name}"
        todo = f"Write a number over a customer's row, such as revenue / orders. Columns: {', '.join(kinds)}."
        if name + KPI in kinds:
            raise ConfigError("A key figure has the name of a column.", where=where, todo="Give it another name.")
        try:
            # Beside a plain column and inside a struct: aggregates, windows and explode() are refused here.
            figure = F.struct(_figure(sql).alias("it")).alias("figure")
            kind = row.select("customer_key", figure).select("figure.it").schema["it"].dataType
        except (AnalysisException, ParseException) as error:
            found = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ConfigError("The key figure cannot be computed.", where=where, found=found, todo=todo) from error
        if not isinstance(kind, (NumericType, BooleanType)):
            found = f"{sql} is {kind.simpleString()}"
            raise ConfigError("A key figure has to be a number.", where=where, found=found, todo=todo)
