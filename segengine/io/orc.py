"""ORC files, checked against their own footers before Spark reads them, as Parquet files are.

A footer says how many rows a file has and of which columns and types; files must agree. ORC's plain `timestamp` is
wall clock: Spark shifts it by the zone of the Java it runs in, which is taken back here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import orc
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from segengine.errors import InputError
from segengine.io.footers import Footer, load, rows_expected
from segengine.io.inputs import FileSet, InputFile, Inputs, for_each
from segengine.io.source import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class _OrcFooter:
    footer: Footer
    wall_clocks: tuple[str, ...]
    """Top-level columns of times without a zone."""
    instants: tuple[str, ...]


def read_orc(spark: SparkSession, inputs: Inputs, found: FileSet, name: str, timezone: str) -> tuple[DataFrame, int]:
    """The rows, times without a zone as wall clock in `timezone`, and how many rows the footers promise.

    InputError naming the file for one that is no ORC file, and naming both files and the column when they differ.
    """
    footers = for_each(lambda file: _read_footer(inputs, file, name), found.files)
    expected, first = rows_expected([one.footer for one in footers], found, name), footers[0]
    try:
        rows = load(spark, "orc", found)
    except PySparkException as error:
        if "local time zone" not in str(error):
            raise
        raise InputError(
            f"{name}: this Spark does not read ORC's type 'timestamp with local time zone'.",
            where=first.footer.file.uri,
            found=f"columns: {', '.join(first.instants)}; Spark {spark.version}",
            todo="Use Spark 4.2, or write the column as plain timestamp.",
        ) from error
    if not first.wall_clocks:
        return rows, expected
    java = _zone_of_java(spark)
    shown = {c: F.from_utc_timestamp(F.col(quoted(c)), java) for c in first.wall_clocks}
    return rows.withColumns({c: F.to_utc_timestamp(wall, timezone) for c, wall in shown.items()}), expected


def _zone_of_java(spark: SparkSession) -> str:
    zone = spark.sql("SELECT java_method('java.time.ZoneId', 'systemDefault')").collect()[0][0]
    return str(zone)


def _read_footer(inputs: Inputs, file: InputFile, name: str) -> _OrcFooter:
    if file.size_bytes == 0:
        raise _unreadable(file, name, "it is empty (0 bytes)")
    try:
        with pa.PythonFile(io.BufferedReader(_Reader(inputs, file), 64 * 1024), mode="r") as stream:
            opened = orc.ORCFile(stream)
            schema, rows = opened.schema, opened.nrows
    except (pa.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the store; ORC's own have no number
            raise
        raise _unreadable(file, name, str(error).splitlines()[0][:200]) from error
    types = {field.name: str(field.type) for field in schema}
    clocks = tuple(f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.tz is None)
    instants = tuple(f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.tz is not None)
    return _OrcFooter(Footer(file, rows, types, tuple(schema.names), {}), clocks, instants)


class _Reader(io.RawIOBase):
    """A file of any store as a stream, of which pyarrow reads the end."""

    def __init__(self, inputs: Inputs, file: InputFile) -> None:
        super().__init__()
        self._inputs, self._file, self._at = inputs, file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._file.size_bytes - self._at))
        if length:
            buffer[:length] = self._inputs.read(self._file, self._at, length)
        self._at += length
        return length


def _unreadable(file: InputFile, name: str, reason: str) -> InputError:
    return InputError(
        f"{name}: a file cannot be read as ORC.",
        where=file.uri,
        found=reason,
        todo="Write or copy the file again, or remove it.",
    )
