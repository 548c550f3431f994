"""Delta tables and catalog tables, pinned to one version so that every scan of a run sees the same rows."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from segengine.errors import ConfigError, InfrastructureError, InputError
from segengine.io.inputs import first_line, inputs_for, is_local, local_path
from segengine.io.source import AnyTable, quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.\s]+)")


@dataclass(frozen=True)
class PinnedTable:
    """Rows of one version. `version` is null when the table keeps none."""

    rows: DataFrame
    version: int | None
    format: str
    files: int
    size_bytes: int
    fingerprint: str
    warnings: tuple[str, ...] = ()

    @property
    def is_delta(self) -> bool:
        return self.format == "delta"


def read_delta(spark: SparkSession, table: AnyTable, name: str) -> PinnedTable:
    """The Delta table at a path, at the configured version or the newest there is now.

    InputError when there is no Delta table, or not that version of it.
    """
    location = table.path or ""
    if not inputs_for(spark, location).exists(location):
        raise InputError(
            f"{name}: there is nothing at this path.",
            where=location,
            todo=f"Correct tables.{name}.path; a relative path starts at the folder of the configuration file.",
        )
    uri = f"file://{local_path(location)}" if is_local(location) else location
    if not inputs_for(spark, location).exists(f"{location.rstrip('/')}/_delta_log"):
        raise InputError(
            f"{name}: this is not a Delta table: it has no _delta_log.",
            where=location,
            todo=f"Correct tables.{name}.path, or set tables.{name}.format to parquet, csv or json.",
        )
    target = f"delta.{quoted(uri)}"
    try:
        newest = _newest_version(spark, target)
        version = newest if table.version is None else table.version
        rows = spark.read.format("delta").option("versionAsOf", str(version)).load(uri)
        return _pinned(spark, rows, target, version, newest)
    except PySparkException as error:
        raise _cannot_read(error, name, location, table.version) from error


def read_catalog(spark: SparkSession, table: AnyTable, name: str) -> PinnedTable:
    """A table or view of the catalog; a Delta table is pinned as `read_delta` does, an Iceberg table to a snapshot.

    InputError when there is no such table, or a version is asked for and the table keeps none.
    """
    target = catalog_name(table.table or "", name)
    try:
        rows = spark.read.table(target)
        rows.schema  # noqa: B018 (Spark Connect looks the table up only when asked for something)
    except PySparkException as error:
        raise InputError(
            f"{name}: the catalog has no such table, or it cannot be read.",
            where=f"tables.{name}.table: {table.table}",
            found=first_line(error),
            todo="Check the name (catalog.schema.table), the session's catalogs and your rights.",
        ) from error
    try:
        newest = _newest_version(spark, target)
    except PySparkException:  # not a Delta table: a view, Parquet, Hive, Iceberg
        iceberg = _pinned_iceberg(spark, target, table.version, name, str(table.table))
        if iceberg is not None:
            return iceberg
        if table.version is not None:
            raise InputError(
                f"{name}: the table keeps no versions.",
                where=f"tables.{name}.version: {table.version}",
                todo="Leave the version out; only Delta and Iceberg tables have one.",
            ) from None
        warning = f"{name}: {table.table} keeps no versions; it must not change while a run reads it."
        return PinnedTable(rows, None, "table", 0, 0, "", (warning,))
    version = newest if table.version is None else table.version
    try:
        rows = spark.read.option("versionAsOf", str(version)).table(target)
        return _pinned(spark, rows, target, version, newest)
    except PySparkException as error:
        raise _cannot_read(error, name, str(table.table), table.version) from error


def _newest_version(spark: SparkSession, target: str) -> int:
    newest = spark.sql(f"DESCRIBE HISTORY {target} LIMIT 1").select("version").collect()
    return int(newest[0][0])


def _pinned(spark: SparkSession, rows: DataFrame, target: str, version: int, newest: int) -> PinnedTable:
    detail = spark.sql(f"DESCRIBE DETAIL {target}").select("id", "numFiles", "sizeInBytes").collect()[0]
    rows.schema  # noqa: B018 (fails here, not later, when the version is gone)
    is_newest = version == newest
    files = int(detail[1]) if is_newest else len(rows.inputFiles())
    size = int(detail[2]) if is_newest else 0
    fingerprint = hashlib.sha256(f"{detail[0]}@{version}".encode()).hexdigest()
    return PinnedTable(rows, version, "delta", files, size, fingerprint)


def _pinned_iceberg(spark: SparkSession, target: str, wanted: int | None, name: str, told: str) -> PinnedTable | None:
    """The table at a snapshot, the newest of its main branch when none is wanted; null when it is not Iceberg's."""
    try:
        refs = spark.sql(f"SELECT snapshot_id FROM {target}.`refs` WHERE name = 'main'").collect()
    except PySparkException:
        return None
    if not refs:
        return PinnedTable(spark.read.table(target), None, "iceberg", 0, 0, "")  # nothing was ever written
    snapshot = int(refs[0][0]) if wanted is None else wanted
    listed = spark.sql(f"SELECT snapshot_id, summary FROM {target}.`snapshots`").where(f"snapshot_id = {snapshot}")
    found = listed.collect()
    if not found:
        raise InputError(
            f"{name}: the Iceberg table has no snapshot {snapshot}.",
            where=f"tables.{name}.version",
            todo=f"Take one of SELECT snapshot_id, committed_at FROM {told}.snapshots; expired ones are gone.",
        )
    summary = found[0][1] or {}
    rows = spark.sql(f"SELECT * FROM {target} VERSION AS OF {snapshot}")
    fingerprint = hashlib.sha256(f"{target}@{snapshot}".encode()).hexdigest()
    files, size = int(summary.get("total-data-files", 0)), int(summary.get("total-files-size", 0))
    return PinnedTable(rows, snapshot, "iceberg", files, size, fingerprint)


def _cannot_read(error: Exception, name: str, where: str, version: int | None) -> InputError | InfrastructureError:
    text = str(error)
    if "DATA_SOURCE_NOT_FOUND" in text or "DELTA_CONFIGURE_SPARK_SESSION" in text or "PARSE_SYNTAX_ERROR" in text:
        return InfrastructureError(
            f"{name}: this Spark session does not know Delta.",
            where=where,
            todo="Start it with the delta-spark package and its spark.sql.extensions.",
        )
    return InputError(
        f"{name}: the Delta table cannot be read" + ("." if version is None else f" at version {version}."),
        where=where,
        found=first_line(error),
        todo="Check the version: old ones disappear with VACUUM and log retention."
        if version is not None
        else "Check that the table is whole (its _delta_log and its files).",
    )


def catalog_name(text: str, name: str) -> str:
    """The name with every part in backticks, so that nothing in it is read as SQL."""
    parts, at = [], 0
    while True:
        found = _PART.match(text, at)
        if found is None:
            break
        parts.append(quoted(found[1].replace("``", "`") if found[1] else found[2]))
        at = found.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    if not parts or at != len(text) or text.endswith("."):
        raise ConfigError(
            f"'{text}' is not a name of a table.",
            where=f"tables.{name}.table",
            todo="Write catalog.schema.table; parts with dots or spaces go in backticks.",
        )
    return ".".join(parts)
