"""Bring a table in: files, catalog tables, queries and databases, refused when they cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, TimestampNTZType

from segengine.config import Config
from segengine.errors import InputError, SegengineError
from segengine.io import source as ours
from segengine.io.csv import header_hint, read_csv
from segengine.io.delta import PinnedTable, read_catalog, read_delta
from segengine.io.expected import refuse_missing
from segengine.io.failures import explain_read_failure
from segengine.io.inputs import FileSet, InputFile, find_files, first_line, inputs_for
from segengine.io.jdbc import explained, location_of, read_jdbc
from segengine.io.json import read_json
from segengine.io.lines import charset, first_invalid_byte, not_decodable
from segengine.io.orc import read_orc
from segengine.io.parquet import read_parquet
from segengine.io.query import explained_query, read_query
from segengine.io.snapshot import take_snapshot
from segengine.io.source import AnyTable, Source, SourceFacts, quoted, refuse_clashes
from segengine.io.wall_clock import MANY_ROWS, by_cast, in_session_zone, wall_clock

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = [
    "Source",
    "SourceFacts",
    "check_encoding",
    "check_rows_read",
    "explain_read_failure",
    "frame_table",
    "plain_path",
    "plain_uri",
    "read_table",
]

_MAX_FILES_SEARCHED = 20


def read_table(
    spark: SparkSession,
    table: AnyTable,
    name: str,
    config: Config,
    *,
    work: str | None = None,
    files: FileSet | None = None,
) -> Source:
    """Read the table that the configuration calls `name` ("transactions" or "customers").

    Looks at headers, footers and schemas, and reads no rows yet (JSON: one pass for the schema; Delta and catalog
    tables: the first row). A database and a query are read here, once, into a snapshot in the folder `work`, a URI of
    the run's own; without one they are refused (ValueError). `files`: only these of the table's files. Raises
    InputError for files that are missing, empty,
    damaged or differ, and for columns that are not there; InfrastructureError for what does not answer.
    """
    try:
        if table.jdbc is not None or table.query is not None:
            return _from_snapshot(spark, table, name, config, work)
        if table.table:
            return _from_pinned(read_catalog(spark, table, name), table, name, config, has_files=False)
        if table.format == "delta":
            return _from_pinned(read_delta(spark, table, name), table, name, config, has_files=True)
        return _from_files(spark, table, name, config, files)
    except SegengineError:
        raise
    except Exception as error:
        known = explain_read_failure(error, name)
        if known is not None:
            raise known from error
        if isinstance(error, PySparkException):
            raise InputError(
                f"{name}: Spark cannot read the table.",
                where=table.path or table.table or f"tables.{name}",
                found=first_line(error),
            ) from error
        raise


def _from_files(spark: SparkSession, table: AnyTable, name: str, config: Config, files: FileSet | None) -> Source:
    location = table.path or ""
    inputs = inputs_for(spark, location)
    found = files or find_files(inputs, location, name)
    looks = hint = ""
    warnings: tuple[str, ...] = ()
    expected: int | None = None
    encoding = "utf-8"
    if table.format == "parquet":
        raw, expected = read_parquet(spark, inputs, found, name, _timezone(table, config))
        columns = tuple(raw.columns)
        rows = _with_ours(_instants(raw, table, config, expected), columns, F.col("_metadata.file_path"))
    elif table.format == "orc":
        raw, expected = read_orc(spark, inputs, found, name, _timezone(table, config))
        columns = tuple(raw.columns)
        rows = _with_ours(_instants(raw, table, config, expected), columns, F.col("_metadata.file_path"))
    elif table.format == "csv":
        text = read_csv(spark, inputs, found, table, name)
        rows, columns, warnings = text.rows, text.columns, text.warnings
        looks, hint = header_hint(inputs, found, table.csv, name)
        encoding = charset(table.csv.encoding, name)
    else:
        text = read_json(spark, inputs, found, name)
        rows, columns, warnings = text.rows, text.columns, text.warnings
    refuse_missing(rows, columns, table, name, looks=looks, hint=hint)
    facts = _file_facts(found, table, name, expected, warnings)
    return Source(name, rows, columns, table.format in ("csv", "json"), facts, found.files, inputs, encoding)


def _from_pinned(pinned: PinnedTable, table: AnyTable, name: str, config: Config, *, has_files: bool) -> Source:
    location = table.path if has_files and table.path else str(table.table)
    columns = tuple(pinned.rows.columns)
    refuse_clashes(columns, name, location)
    file_path = F.col("_metadata.file_path") if has_files else F.lit(None).cast(StringType())
    rows = _with_ours(_instants(pinned.rows, table, config), columns, file_path)
    refuse_missing(rows, columns, table, name)
    if not pinned.rows.take(1):
        raise InputError(f"{name}: 0 rows in the table.", where=location, todo="Check the job that writes it.")
    facts = SourceFacts(
        name=name,
        format=pinned.format,
        location=location,
        files=pinned.files,
        size_bytes=pinned.size_bytes,
        rows_expected=None,
        delta_version=pinned.version if pinned.is_delta else None,
        fingerprint=pinned.fingerprint,
        warnings=pinned.warnings,
        iceberg_snapshot=None if pinned.is_delta else pinned.version,
    )
    return Source(name, rows, columns, text_casts=False, facts=facts)


def _from_snapshot(spark: SparkSession, table: AnyTable, name: str, config: Config, work: str | None) -> Source:
    """A database or a query, read once. What the configuration names is looked for before any row is."""
    if work is None:
        raise ValueError(f"{name}: a database or a query needs a working folder for its snapshot")
    explain: Callable[[Exception], Exception]
    if table.jdbc is not None:
        jdbc = table.jdbc
        raw, location, explain = read_jdbc(spark, jdbc, name), location_of(jdbc), lambda e: explained(e, jdbc, name)
    else:
        raw, location = read_query(spark, table.query or "", name), f"tables.{name}.query"
        explain = lambda e: explained_query(e, name)  # noqa: E731  - beside its twin above
    columns = tuple(raw.columns)
    refuse_clashes(columns, name, location)
    refuse_missing(raw, columns, table, name)
    kept = take_snapshot(spark, raw, f"{work}/{name}", name, location, explain)
    rows = _with_ours(_instants(kept.rows, table, config), columns, F.lit(None).cast(StringType()))
    facts = SourceFacts(
        name=name,
        format="query" if table.jdbc is None else "jdbc",
        location=location,
        files=len(kept.files.files),
        size_bytes=kept.files.size_bytes,
        rows_expected=kept.rows_expected,
        delta_version=None,
        fingerprint="",
    )
    return Source(name, rows, columns, text_casts=False, facts=facts)


def frame_table(rows: DataFrame, table: AnyTable, name: str, config: Config) -> Source:
    """Rows that somebody else read, such as a batch of a stream, as a table. InputError as `read_table` says."""
    columns = tuple(rows.columns)
    refuse_clashes(columns, name, "the rows handed in")
    refuse_missing(rows, columns, table, name)
    known = SourceFacts(name, "rows", "the rows handed in", 0, 0, None, None, "")
    kept = _with_ours(_instants(rows, table, config, 0), columns, F.lit(None).cast(StringType()))
    return Source(name, kept, columns, text_casts=False, facts=known)


def _timezone(table: AnyTable, config: Config) -> str:
    return table.timezone or config.timezone


def _instants(rows: DataFrame, table: AnyTable, config: Config, expected: int | None = None) -> DataFrame:
    """Zone-less timestamps as instants: wall clock in the zone of the table. `expected`: how many rows, where known."""
    zoneless = [field.name for field in rows.schema.fields if isinstance(field.dataType, TimestampNTZType)]
    if not zoneless:
        return rows
    zone, session_zone = _timezone(table, config), rows.sparkSession.conf.get("spark.sql.session.timeZone")
    if zone == session_zone:
        few = expected is not None and expected < MANY_ROWS
        return by_cast(rows, zoneless) if few else in_session_zone(rows.sparkSession, zone)(rows, zoneless)
    return rows.withColumns({c: wall_clock(F.col(quoted(c)), zone) for c in zoneless})


def _with_ours(rows: DataFrame, columns: tuple[str, ...], file_path: Column) -> DataFrame:
    nothing = F.lit(None).cast(StringType())
    return rows.select(
        *(F.col(quoted(column)) for column in columns),
        file_path.alias(ours.SOURCE_FILE),
        nothing.alias(ours.DEFECT),
        nothing.alias(ours.DEFECT_TEXT),
    )


def _file_facts(
    found: FileSet, table: AnyTable, name: str, expected: int | None, warnings: tuple[str, ...]
) -> SourceFacts:
    return SourceFacts(
        name=name,
        format=table.format,
        location=found.location,
        files=len(found.files),
        size_bytes=found.size_bytes,
        rows_expected=expected,
        delta_version=None,
        fingerprint=found.fingerprint(),
        warnings=warnings,
    )


def check_rows_read(source: Source, rows_read: int) -> None:
    """InputError when fewer or more rows were read than the Parquet footers promise: a file is damaged."""
    expected = source.facts.rows_expected
    if expected is not None and rows_read != expected:
        raise InputError(
            f"{source.name}: {rows_read:,} rows were read, the files promise {expected:,}.",
            where=source.facts.location,
            found=f"{source.facts.files} Parquet files",
            todo="A file is damaged, or changed while it was being read. Write the files again.",
        )


def check_encoding(source: Source, replaced_rows: int) -> None:
    """InputError naming file and byte offset when rows with U+FFFD come from bytes that are not of the encoding.

    `replaced_rows` is how many rows hold U+FFFD. Returns when the files hold that character themselves, or are no text.
    """
    if replaced_rows == 0 or source.inputs is None or not source.text_casts:
        return
    for file in _files_with_replacements(source):
        invalid = first_invalid_byte(source.inputs, file, source.encoding)
        if invalid is not None:
            raise not_decodable(file, source.encoding, *invalid, source.name)


def _files_with_replacements(source: Source) -> list[InputFile]:
    replacement = F.lit("\ufffd")
    texts = [F.col(quoted(c)).cast("string") for c in (*source.columns, ours.DEFECT_TEXT)]
    has = F.contains(F.concat_ws("", *texts), replacement)
    found = (
        source.rows.where(has).select(ours.SOURCE_FILE).distinct().orderBy(ours.SOURCE_FILE).limit(_MAX_FILES_SEARCHED)
    )
    told = {plain_path(str(row[0])) for row in found.collect()}
    return [file for file in source.files if plain_uri(file.uri) in told]


def plain_path(uri: str) -> str:
    """A percent-encoded URI as Spark reports it, in one spelling."""
    parts = urlsplit(uri)
    return f"{parts.netloc}{unquote(parts.path)}"


def plain_uri(uri: str) -> str:
    """A URI as we hand it to Spark (not percent-encoded), in the same spelling."""
    rest = uri.split(":", 1)[1]
    return rest[2:] if rest.startswith("//") else rest
