"""Tables and queries of a database through JDBC: what to read, in which ranges, and what went wrong in plain words.

Spark's reader does the work. Here are its options, the bounds of a partition column (one query), and the rule that
times without a zone stay wall clock. The rows are lazy: `segengine.io.snapshot` reads them, once.
"""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.config import JdbcOptions
from segengine.errors import InfrastructureError, InputError, SegengineError
from segengine.io.failures import texts_of
from segengine.io.source import nearest, shown
from segengine.jars import how_to_get

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

_ALIAS = "segengine_source"
_QUOTES = {"mysql": "``", "mariadb": "``", "databricks": "``", "hive2": "``", "sqlserver": "[]"}
_DRIVERS = {
    "db2": "com.ibm.db2.jcc.DB2Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "oracle": "oracle.jdbc.OracleDriver",
    "postgresql": "org.postgresql.Driver",
    "snowflake": "net.snowflake.client.jdbc.SnowflakeDriver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
"""Java finds a driver by itself only in JARs that were there when it started, and Spark's come later."""
_NO_DRIVER = re.compile(r"ClassNotFoundException|No suitable driver")
_UNREACHABLE = re.compile(
    r"(?i)connection (to \S+ )?refused|UnknownHost|timed out|connection attempt failed|too many (clients|connections)"
    r"|is starting up|is shutting down|terminating connection|I/O error occurred while sending"
)
_SAID = re.compile(r"(?:\w*SQL\w*Exception|java\.[\w.]*Exception): ([^\n]+)")


def location_of(jdbc: JdbcOptions) -> str:
    """How the place is told to people and written into records: address and table, no login."""
    return f"{jdbc.url} {jdbc.table or 'query'}"


def read_jdbc(spark: SparkSession, jdbc: JdbcOptions, name: str) -> DataFrame:
    """The rows, not read yet: only the columns have been asked for, and the bounds of a partition column.

    InfrastructureError when the driver's JAR is missing or the database cannot be reached; InputError for a table, a
    query or a partition column that it does not accept.
    """
    try:
        rows = _reader(spark, jdbc).option("dbtable", _what(jdbc)).load()
        if jdbc.partition_column is None:
            return rows
        return _in_ranges(spark, jdbc, rows, _partition_field(rows, jdbc.partition_column, name))
    except SegengineError:
        raise
    except Exception as error:  # py4j and pyspark raise many types for what a driver throws
        raise explained(error, jdbc, name) from error


def _reader(spark: SparkSession, jdbc: JdbcOptions) -> DataFrameReader:
    return spark.read.format("jdbc").options(**_options(jdbc))


def _options(jdbc: JdbcOptions) -> dict[str, str]:
    options = {"url": jdbc.url, "fetchsize": str(jdbc.fetch_size), "preferTimestampNTZ": "true"}
    if jdbc.user is not None:
        options["user"] = jdbc.user
    if jdbc.password is not None:
        options["password"] = jdbc.password.get_secret_value()
    driver = jdbc.driver or _DRIVERS.get(_subprotocol(jdbc))
    if driver is not None:
        options["driver"] = driver
    return options


def _subprotocol(jdbc: JdbcOptions) -> str:
    return jdbc.url.split(":")[1].lower()


def _what(jdbc: JdbcOptions) -> str:
    return jdbc.table if jdbc.table is not None else f"({jdbc.query}) {_ALIAS}"


def _partition_field(rows: DataFrame, column: str, name: str) -> T.StructField:
    fields = {field.name.casefold(): field for field in rows.schema.fields}
    field = fields.get(column.casefold())
    where = f"tables.{name}.jdbc.partition_column"
    if field is None:
        raise InputError(
            f"{name}: column '{column}' not found.",
            where=where,
            found=f"columns: {shown(rows.columns)}",
            todo=f"Name a column of the table.{nearest(column, rows.columns)}",
        )
    if not isinstance(field.dataType, (T.NumericType, T.DateType, T.TimestampType, T.TimestampNTZType)):
        raise InputError(
            f"{name}: '{column}' cannot be cut into ranges.",
            where=where,
            found=field.dataType.simpleString(),
            todo="Take a number, a date or a time, best an indexed one whose values are spread evenly.",
        )
    return field


def _in_ranges(spark: SparkSession, jdbc: JdbcOptions, rows: DataFrame, field: T.StructField) -> DataFrame:
    """The rows in ranges of a column between its bounds, which one query finds; as they are when the table is empty."""
    quotes = _QUOTES.get(_subprotocol(jdbc), '""')
    column = f"{quotes[0]}{field.name}{quotes[1]}"
    query = f"SELECT MIN({column}) AS lo, MAX({column}) AS hi FROM {_what(jdbc)}"
    found = _reader(spark, jdbc).option("query", query).load().toDF("lo", "hi")
    whole = isinstance(field.dataType, T.NumericType)
    texts = [(F.floor(c).cast("decimal(38,0)") if whole else F.col(c)).cast("string") for c in ("lo", "hi")]
    lower, upper = found.select(*texts).collect()[0]
    if lower is None or upper is None:
        return rows
    if isinstance(field.dataType, T.TimestampNTZType):  # which Spark's own ranges do not take
        prefix = "TIMESTAMP " if _subprotocol(jdbc) == "oracle" else ""
        cuts = [f"{prefix}'{cut}'" for cut in _cuts(lower, upper, jdbc.partitions)]
        return spark.read.jdbc(jdbc.url, _what(jdbc), predicates=_predicates(column, cuts), properties=_options(jdbc))
    ranges = {"partitionColumn": field.name, "lowerBound": lower, "upperBound": upper}
    return _reader(spark, jdbc).options(dbtable=_what(jdbc), numPartitions=str(jdbc.partitions), **ranges).load()


def _cuts(lower: str, upper: str, partitions: int) -> list[str]:
    """Wall-clock times that cut a span into equal parts, to the second; fewer when the span is short."""
    start, end = dt.datetime.fromisoformat(lower), dt.datetime.fromisoformat(upper)
    cuts = [(start + (end - start) * n / partitions).replace(microsecond=0) for n in range(1, partitions)]
    return [cut.isoformat(sep=" ") for cut in sorted({cut for cut in cuts if start < cut <= end})]


def _predicates(column: str, cuts: list[str]) -> list[str]:
    """Conditions of which every row meets one: below the first cut or null, between two, from the last one on."""
    if not cuts:
        return ["1 = 1"]
    between = [f"{column} >= {one} AND {column} < {other}" for one, other in pairwise(cuts)]
    return [f"{column} < {cuts[0]} OR {column} IS NULL", *between, f"{column} >= {cuts[-1]}"]


def explained(error: Exception, jdbc: JdbcOptions, name: str) -> SegengineError:
    """The error of ours for what a driver or Spark raised while the database was read."""
    text = "\n".join(texts_of(error))
    said = _SAID.findall(text)
    found = (said[-1] if said else text.strip().splitlines()[0])[:300]
    if _NO_DRIVER.search(text):
        return InfrastructureError(
            f"{name}: there is no JDBC driver for this database.",
            where=f"tables.{name}.jdbc.url: {jdbc.url}",
            found=found,
            todo=how_to_get(jdbc.url) + (" Name its class as driver." if _subprotocol(jdbc) not in _DRIVERS else ""),
        )
    if _UNREACHABLE.search(text):
        return InfrastructureError(
            f"{name}: the database cannot be reached.", where=location_of(jdbc), found=found, todo="Check its address."
        )
    return InputError(
        f"{name}: the database does not give the table.",
        where=location_of(jdbc),
        found=found,
        todo=f"Check table or query, user and password below tables.{name}.jdbc.",
    )
