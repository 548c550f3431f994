"""Look at a table with Spark: what its columns hold, from all rows of a small table and a part of a large one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.config import Config
from segengine.io.casts import amount_from_text, timestamp_from_text
from segengine.io.read import read_table
from segengine.io.source import DEFECT, OURS, SOURCE_FILE, Source, quoted
from segengine.propose.facts import Column, Place, Table
from segengine.propose.shapes import Shape, counted_time, decimal_separator, shape_of
from segengine.propose.sql import config_text
from segengine.propose.words import name_score

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Looked", "look", "number", "time"]

SAMPLE_ROWS = 4_000
"""Rows whose values the driver looks at: those with the smallest hash, so that their order plays no part."""
WHOLE_BYTES = 256 * 1024 * 1024
"""Tables up to this size are counted whole; of larger ones some files, or PART_ROWS rows."""
PART_ROWS = 500_000
MOST_COLUMNS = 300
ZONE = "UTC"


@dataclass(frozen=True)
class Looked:
    """A table that was looked at, and `rows` to measure more on: their columns, of sound rows only."""

    table: Table
    rows: DataFrame
    paths: dict[str, str]
    types: dict[str, T.DataType]

    def column(self, name: str) -> SparkColumn:
        """The column of that name as it is stored."""
        return F.col(self.paths[name])

    def number(self, name: str) -> SparkColumn:
        """double of the column of that name; null where it holds no number."""
        found = self.table.column(name)
        return number(self.column(name), self.types[name], self.table.place.decimal, found.strip)


@dataclass(frozen=True)
class _Field:
    name: str
    path: str
    dtype: T.DataType


def look(spark: SparkSession, place: Place, name: str) -> Looked:
    """Profile the table at a place. InputError as `segengine.io.read.read_table` says; two passes over the rows."""
    source = read_table(spark, *_table_and_config(place, name))
    rows, whole = _bounded(source)
    rows = rows.where(F.col(DEFECT).isNull())
    every = list(_fields(source.rows.schema))
    fields = every[:MOST_COLUMNS]
    left = (
        (f"{name}: only the first {MOST_COLUMNS} of {len(every)} columns were looked at",)
        if every[MOST_COLUMNS:]
        else ()
    )
    if source.text_casts:
        rows = rows.select(*(F.col(quoted(c)) for c in source.columns))
    rows = rows.persist()  # bounded, and read a dozen times
    values = _sample(rows, fields)
    texts = [i for i, field in enumerate(fields) if isinstance(field.dtype, T.StringType)]
    decimal = decimal_separator([_filled(values[i]) for i in texts]) if place.format == "csv" and place.path else "."
    shapes = [_shape(field, values[i], decimal) for i, field in enumerate(fields)]
    pairs = list(zip(fields, shapes, strict=True))
    counted = _counted(rows, pairs, decimal)
    columns = tuple(_column(pair, values[i], counted, i) for i, pair in enumerate(pairs))
    table = Table(
        place=replace(place, decimal=decimal),
        rows=int(counted["rows"]),
        whole=whole,
        columns=columns,
        warnings=(*source.facts.warnings, *left),
    )
    paths = {field.name: field.path for field in fields}
    return Looked(table, rows, paths, {field.name: field.dtype for field in fields})


def number(column: SparkColumn, dtype: T.DataType, decimal: str, strip: str = "") -> SparkColumn:
    """double of a column of numbers or of text that holds them; null where there is none."""
    if isinstance(dtype, T.StringType):
        text = F.translate(column, strip, "") if strip else column
        return amount_from_text(text, decimal).cast("double")
    value = column.cast("double")
    return F.when(~F.isnan(value), value)


def time(column: SparkColumn, dtype: T.DataType, time_format: str | None) -> SparkColumn:
    """timestamp of a column of times, of text or of whole numbers that hold them; null where there is none."""
    if isinstance(dtype, T.TimestampType):
        return column
    if time_format in ("seconds", "milliseconds"):
        count = amount_from_text(column.cast("string")).cast("bigint")
        return F.timestamp_seconds(count) if time_format == "seconds" else F.timestamp_millis(count)
    return timestamp_from_text(column.cast("string"), time_format, ZONE)


def _table_and_config(place: Place, name: str) -> tuple[Any, str, Config]:
    """The table as a configuration would have it, mapped to nothing yet."""
    nothing = {"customer_id": "true", "ordered_at": "true", "amount": "true"}
    where = {"table": place.table} if place.table else {"path": place.path, "format": place.format}
    table: dict[str, Any] = {**where, "columns": nothing}
    if place.format == "csv" and place.path:
        table["csv"] = {"delimiter": place.delimiter, "quote": place.quote, "encoding": place.encoding}
    values = {
        "name": "init",
        "timezone": ZONE,
        "tables": {"transactions": table},
        "output": {"path": "/nowhere/at/all"},
    }
    config = Config.model_validate(values)
    return config.tables.transactions, name, config


def _bounded(source: Source) -> tuple[DataFrame, bool]:
    """The rows to look at, and whether they are all there are."""
    size = source.facts.size_bytes
    if 0 < size <= WHOLE_BYTES:
        return source.rows, True
    step = -(-size // WHOLE_BYTES) if size else 1
    if len(source.files) >= 2 * step:
        uris = [uri for file in source.files[::step] for uri in _spellings(file.uri)]
        part = source.rows.where(F.col(SOURCE_FILE).isin(*uris))
        if part.take(1):
            return part, False
    return source.rows.limit(PART_ROWS), False


def _spellings(uri: str) -> tuple[str, ...]:
    """How Spark may name the file: percent-encoded or not, a local one with one slash or three."""
    scheme, _, rest = uri.partition(":")
    starts = (rest, rest[2:]) if rest.startswith("///") else (rest,)
    return tuple(f"{scheme}:{each}" for start in starts for each in dict.fromkeys((start, quote(start))))


def _fields(schema: T.StructType) -> Iterator[_Field]:
    """The columns, and the fields of structs as `address.city`."""
    for field in schema.fields:
        if field.name not in OURS:
            yield from _leaves(field.name, quoted(field.name), field.dataType)


def _leaves(name: str, path: str, dtype: T.DataType) -> Iterator[_Field]:
    if isinstance(dtype, T.StructType):
        for inner in dtype.fields:
            yield from _leaves(f"{name}.{inner.name}", f"{path}.{quoted(inner.name)}", inner.dataType)
    else:
        yield _Field(name, path, dtype)


def _sample(rows: DataFrame, fields: list[_Field]) -> list[tuple[str | None, ...]]:
    """Values as text, a tuple a column; the same rows for every column, whatever order they are stored in."""
    hashed = [F.col(f.path) for f in fields if not isinstance(f.dtype, (T.ArrayType, T.MapType))]
    least = rows.orderBy(F.xxhash64(*hashed)).limit(SAMPLE_ROWS)
    taken = least.select(*(_as_text(field).alias(f"c{i}") for i, field in enumerate(fields))).collect()
    return [tuple(row[i] for row in taken) for i in range(len(fields))]


def _as_text(field: _Field) -> SparkColumn:
    column = F.col(field.path)
    if isinstance(field.dtype, (T.ArrayType, T.MapType, T.BinaryType)):
        return F.lit(None).cast("string")
    return F.substring(column.cast("string"), 1, 200)


def _filled(values: tuple[str | None, ...]) -> list[str]:
    return [value for value in values if value is not None and value.strip()]


def _shape(field: _Field, values: tuple[str | None, ...], decimal: str) -> Shape:
    dtype = field.dtype
    filled = _filled(values)
    if isinstance(dtype, T.StringType):
        shape = shape_of(filled, decimal)
        return _as_time(field, shape, shape.time_format) if shape.kind == "whole" and not shape.code else shape
    if isinstance(dtype, T.BooleanType):
        return Shape("boolean")
    if isinstance(dtype, T.DateType):
        return Shape("date")
    if isinstance(dtype, (T.TimestampType, T.TimestampNTZType)):
        return Shape("time")
    if isinstance(dtype, T.IntegralType):
        return _as_time(field, Shape("whole"), counted_time(filled) if filled else None)
    if isinstance(dtype, T.NumericType):
        return Shape("whole" if filled and all(_is_whole(value) for value in filled) else "fraction")
    return Shape("nested")


def _as_time(field: _Field, shape: Shape, time_format: str | None) -> Shape:
    """Whole numbers are times only where the name says so too: 20110304 may be anything."""
    if time_format is None or name_score("ordered_at", field.name) == 0:
        return replace(shape, time_format=None)
    return Shape("date" if time_format == "yyyyMMdd" else "time", time_format)


def _is_whole(value: str) -> bool:
    try:
        return float(value).is_integer()
    except (OverflowError, ValueError):
        return False


def _counted(rows: DataFrame, pairs: list[tuple[_Field, Shape]], decimal: str) -> dict[str, Any]:
    staged, metrics = [], {"rows": F.count(F.lit(1))}
    for i, (field, shape) in enumerate(pairs):
        column = F.col(field.path)
        blank = F.trim(column) == "" if isinstance(field.dtype, T.StringType) else F.lit(False)
        # Staged, so that Spark computes each cast once a row and not once a metric.
        staged.append(F.when(~blank, column).alias(f"c{i}"))
        given, value = F.col(f"c{i}"), F.col(f"v{i}")
        metrics[f"filled{i}"] = F.count(given)
        if shape.kind == "nested":
            continue
        metrics[f"distinct{i}"] = F.approx_count_distinct(given)
        if shape.kind in ("time", "date"):
            staged.append(time(column, field.dtype, shape.time_format).alias(f"v{i}"))
        elif shape.kind in ("whole", "fraction") and not shape.code:
            staged.append(number(column, field.dtype, decimal, shape.strip).alias(f"v{i}"))
            metrics |= {f"negative{i}": F.count_if(value < 0), f"zero{i}": F.count_if(value == 0)}
        else:
            continue
        metrics |= {f"low{i}": F.min(value).cast("string"), f"high{i}": F.max(value).cast("string")}
        metrics[f"valued{i}"] = F.count(value)
    aggregates = [metric.alias(name) for name, metric in metrics.items()]
    (row,) = rows.select(*staged).agg(*aggregates).collect()
    return dict(row.asDict())


def _column(pair: tuple[_Field, Shape], values: tuple[str | None, ...], counted: dict[str, Any], i: int) -> Column:
    field, shape = pair
    nested = field.path != quoted(field.name)
    return Column(
        name=field.name,
        text=config_text(field.name, nested=nested),
        nested=nested,
        kind=shape.kind if counted[f"filled{i}"] else "empty",
        rows=int(counted["rows"]),
        filled=int(counted[f"filled{i}"]),
        distinct=min(int(counted.get(f"distinct{i}") or 0), int(counted[f"filled{i}"])),
        values=values,
        low=str(counted.get(f"low{i}") or ""),
        high=str(counted.get(f"high{i}") or ""),
        negative=int(counted.get(f"negative{i}") or 0),
        zero=int(counted.get(f"zero{i}") or 0),
        is_text=isinstance(field.dtype, T.StringType),
        unreadable=int(counted[f"filled{i}"] - counted[f"valued{i}"]) if f"valued{i}" in counted else 0,
        time_format=shape.time_format,
        day_or_month=shape.day_or_month,
        strip=shape.strip,
        code=shape.code,
    )
