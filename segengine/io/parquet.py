"""Parquet files, checked against their own footers before Spark reads them.

Spark alone reads a column that one file lacks as null, some damaged files as no rows, and refuses nanoseconds. So
every footer is read first (a few kilobytes a file, in parallel): the files must have the same columns of the same
types, their row counts are added up to be compared with the rows read, and nanosecond columns are found.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

from segengine.errors import InputError
from segengine.io.casts import timestamp_from_nanoseconds
from segengine.io.footers import Footer, load, rows_expected
from segengine.io.inputs import FileSet, InputFile, Inputs, for_each
from segengine.io.source import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TAIL_BYTES = 64 * 1024
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"


def read_parquet(
    spark: SparkSession, inputs: Inputs, found: FileSet, name: str, timezone: str
) -> tuple[DataFrame, int]:
    """The rows, nanosecond columns as timestamps, and how many rows the footers promise.

    InputError naming the file for one that is no Parquet file, and naming both files and the column when they differ.
    """
    _refuse_delta(inputs, found, name)
    footers = for_each(lambda file: read_footer(inputs, file, name), found.files)
    expected = rows_expected(footers, found, name)
    rows = load(spark, "parquet", found)
    types = {field.name: field.dataType for field in rows.schema.fields}
    nanoseconds = {c: zoned for c, zoned in footers[0].nanoseconds.items() if isinstance(types.get(c), LongType)}
    return rows.withColumns(
        {
            column: timestamp_from_nanoseconds(F.col(quoted(column)), None if is_instant else timezone)
            for column, is_instant in nanoseconds.items()
        }
    ) if nanoseconds else rows, expected


def read_footer(inputs: Inputs, file: InputFile, name: str) -> Footer:
    """Read and check the footer of one file."""
    if file.size_bytes == 0:
        raise _unreadable(file, name, "it is empty (0 bytes)")
    tail = inputs.read(file, max(0, file.size_bytes - TAIL_BYTES), min(file.size_bytes, TAIL_BYTES))
    if tail[-4:] == _ENCRYPTED:
        raise _unreadable(file, name, "its footer is encrypted")
    if len(tail) < 12 or tail[-4:] != _MAGIC:
        raise _unreadable(file, name, "it does not end like a Parquet file: truncated, or of another format")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > file.size_bytes:
        raise _unreadable(file, name, "its footer is larger than the file")
    if length > len(tail):
        tail = inputs.read(file, file.size_bytes - length, length)
    try:
        metadata = pq.read_metadata(pa.BufferReader(tail))
        return _footer(file, metadata)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(file, name, str(error).splitlines()[0][:200]) from error


def _footer(file: InputFile, metadata: Any) -> Footer:
    types, names, nanoseconds = {}, [], {}
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index)
        logical = json.loads(column.logical_type.to_json())
        types[column.path] = _type_name(column, logical)
        top = column.name if column.path == column.name else column.path.split(".", 1)[0]
        if top not in names:
            names.append(top)
        if column.path == column.name and logical.get("timeUnit") == "nanoseconds" and logical["Type"] == "Timestamp":
            nanoseconds[column.name] = bool(logical["isAdjustedToUTC"])
    return Footer(file, metadata.num_rows, types, tuple(names), nanoseconds)


def _type_name(column: Any, logical: dict[str, Any]) -> str:
    """Such as `INT64 timestamp(nanoseconds, zone-less)`; what Spark reads alike is spelled alike."""
    kind = logical["Type"]
    if kind == "Timestamp":
        zone = "UTC" if logical["isAdjustedToUTC"] else "zone-less"
        return f"{column.physical_type} timestamp({logical['timeUnit']}, {zone})"
    if kind == "Decimal":
        return f"decimal({logical['precision']},{logical['scale']})"
    if kind == "Int":
        if logical["isSigned"] and column.physical_type == f"INT{logical['bitWidth']}":
            return str(column.physical_type)  # some writers say so, some leave it out
        return f"{column.physical_type} int({logical['bitWidth']}, {'signed' if logical['isSigned'] else 'unsigned'})"
    return str(column.physical_type) if kind == "None" else f"{column.physical_type} {kind.lower()}"


def _refuse_delta(inputs: Inputs, found: FileSet, name: str) -> None:
    if inputs.exists(f"{found.base.rstrip('/')}/_delta_log"):
        raise InputError(
            f"{name}: this is a Delta table; its Parquet files hold deleted and replaced rows too.",
            where=found.location,
            todo=f"Set tables.{name}.format: delta.",
        )


def _unreadable(file: InputFile, name: str, reason: str) -> InputError:
    return InputError(
        f"{name}: a file cannot be read as Parquet.",
        where=file.uri,
        found=reason,
        todo="Write or copy the file again, or remove it.",
    )
