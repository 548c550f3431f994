"""What files of a table say of themselves, and what must agree before Spark reads them: Parquet and ORC alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segengine.errors import InputError
from segengine.io.inputs import FileSet, InputFile, spark_paths
from segengine.io.source import refuse_clashes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Footer:
    """What a file says of itself. `types` maps the path of every column to its type, spelled out."""

    file: InputFile
    rows: int
    types: dict[str, str]
    names: tuple[str, ...]
    """Top-level columns, in the order of the file."""
    nanoseconds: dict[str, bool]
    """Top-level nanosecond timestamps -> whether they are instants (adjusted to UTC)."""


def rows_expected(footers: Sequence[Footer], found: FileSet, name: str) -> int:
    """How many rows the footers promise. InputError for none, files that differ, and clashing names."""
    refuse_drift(footers, name)
    refuse_clashes(footers[0].names, name, footers[0].file.uri)
    rows = sum(footer.rows for footer in footers)
    if rows == 0:
        raise InputError(
            f"{name}: 0 rows in {len(footers)} file{'s' if len(footers) > 1 else ''}.",
            where=found.location,
            todo="Check the job that wrote them.",
        )
    return rows


def load(spark: SparkSession, file_format: str, found: FileSet) -> DataFrame:
    """The files as Spark reads them, with the columns that their folders name."""
    reader = spark.read.format(file_format).option("mergeSchema", "false")
    if found.partitions:
        reader = reader.option("basePath", found.base)
    return reader.load(spark_paths(found.files))


def refuse_drift(footers: Sequence[Footer], name: str) -> None:
    """InputError naming both files and the column when a file lacks a column, or has it with another type."""
    first = footers[0]
    for other in footers[1:]:
        if other.types == first.types:
            continue
        for one, two in ((first, other), (other, first)):
            for column in one.types:
                if column not in two.types:
                    raise InputError(
                        f"{name}: column '{column}' is missing in {two.file.name}.",
                        where=two.file.uri,
                        found=f"{one.file.name} has it as {one.types[column]}",
                        todo="Write the files with the same columns, or give a glob that leaves the others out; "
                        "a column that is not there is not taken as null.",
                    )
        column = next(column for column, kind in first.types.items() if other.types[column] != kind)
        raise InputError(
            f"{name}: column '{column}' has different types in {first.file.name} and {other.file.name}.",
            where=other.file.uri,
            found=f"{first.types[column]} in {first.file.name}, {other.types[column]} in {other.file.name}",
            todo="Write the files with the same types.",
        )
