"""JSON lines as text columns: one object a line, numbers as the text that was written, other lines told as malformed.

The schema is the union over all files (a full pass over them): a key that a line does not have is null. Values keep the
text they were written in and are cast strictly later, so a column has one type however the files differ. A number with
a fraction goes through a double on the way (15 significant digits; 1.50 becomes 1.5): write longer ones as strings.
Objects and arrays inside a row stay structures; name their parts in the configuration as `address.city`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from segengine.errors import InputError
from segengine.io import source
from segengine.io.csv import TextTable
from segengine.io.inputs import FileSet, InputFile, Inputs, for_each, spark_paths
from segengine.io.lines import LINE, head_text, raw_lines
from segengine.io.source import quoted, refuse_clashes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROW = "_segengine_row"
_BAD = "_segengine_overflow"
_OPTIONS = {"primitivesAsString": "true", "mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BAD, "multiLine": "false"}


def read_json(spark: SparkSession, inputs: Inputs, found: FileSet, name: str) -> TextTable:
    """Read files of JSON lines. InputError when a file holds an array, is empty, or no line is an object."""
    files = [
        file
        for file, blank in zip(found.files, for_each(lambda f: _is_blank(inputs, f, name), found.files), strict=True)
        if not blank
    ]
    if not files:
        raise InputError(
            f"{name}: 0 rows: no line in any file.", where=found.location, todo="Check the export that wrote it."
        )
    schema = _schema(spark, found, files, name)
    refuse_clashes((*schema.names, *found.partitions), name, found.location)
    with_bad = StructType(list(schema.fields)).add(_BAD, "string")
    lines = raw_lines(spark, found, files, header=False)
    ours = [F.col(quoted(column)) for column in (*found.partitions, source.SOURCE_FILE)]
    line = F.col(LINE)
    parsed = lines.select(line, *ours, F.from_json(line, with_bad, _OPTIONS).alias(_ROW))
    row = F.col(_ROW)
    bad = row.isNull() | row[_BAD].isNotNull() | ~F.ltrim(line).startswith("{")
    columns = (*schema.names, *found.partitions)
    rows = parsed.select(
        *(F.when(~bad, row.getField(column)).alias(column) for column in schema.names),
        *ours,
        F.when(bad, F.lit(source.MALFORMED_ROW)).alias(source.DEFECT),
        F.when(bad, line).alias(source.DEFECT_TEXT),
    )
    return TextTable(rows, columns, ())


def _is_blank(inputs: Inputs, file: InputFile, name: str) -> bool:
    text, whole = head_text(inputs, file, "utf-8", name)
    if text.lstrip().startswith("["):
        raise InputError(
            f"{name}: the file holds one JSON array.",
            where=file.uri,
            todo="Write one object a line (JSON lines), for instance with: jq -c '.[]'.",
        )
    return whole and not text.strip()


def _schema(spark: SparkSession, found: FileSet, files: list[InputFile], name: str) -> StructType:
    reader = spark.read.format("json").options(**_OPTIONS)
    inferred = reader.load(spark_paths(files)).schema
    fields = [f for f in inferred.fields if f.name != _BAD and f.name not in found.partitions]
    if not fields:
        raise InputError(
            f"{name}: no line is a JSON object.",
            where=found.location,
            todo="Write one object a line (JSON lines); an object over several lines is not read.",
        )
    return StructType(fields)
