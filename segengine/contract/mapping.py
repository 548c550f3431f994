"""Turn the names and expressions of the configuration into columns of a table, or say which key is none and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.config import CustomersTable, TransactionsTable
from segengine.contract import expressions
from segengine.errors import InputError
from segengine.io.casts import amount_from_text
from segengine.io.source import OURS, Source, nearest, quoted, shown

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Mapped", "Wanted", "decimal_separator", "is_blank", "map_columns", "strict_boolean"]

Role = Literal["number", "time", "condition", "other"]
_PREFIX = "_segengine_number_"
_SMALL_INTEGERS = (T.ByteType, T.ShortType, T.IntegerType)


@dataclass(frozen=True)
class Wanted:
    """A text of the configuration and what it is to give. `key` is its place below `tables.<name>`."""

    key: str
    text: str
    role: Role = "other"


@dataclass(frozen=True)
class Mapped:
    """A column of the staged rows. `broken`: where it is null because text that it is computed from cannot be read."""

    key: str
    text: str
    column: Column
    dtype: T.DataType
    broken: Column | None = None
    sql: str = ""
    """The expression as Spark is given it; empty for a column."""


@dataclass(frozen=True)
class _Cast:
    """A text column as a number or boolean, or a small integer widened so that a product of two cannot overflow."""

    name: str
    source: str
    column: Column


@dataclass(frozen=True)
class _Safe:
    """An expression that does not raise, the casts of text in it, and the text columns it uses (names for F.col)."""

    text: str
    casts: list[_Cast]
    texts: list[str]


def map_columns(
    source: Source, table: TransactionsTable | CustomersTable, wanted: list[Wanted]
) -> tuple[DataFrame, dict[str, Mapped]]:
    """The rows with the casts that the expressions need, and every wanted text as a column of them, by its key.

    An exact column name (in any case, as Spark compares names) wins over an expression.
    InputError when a text is neither, naming the key, the columns there are and the nearest one.
    """
    decimal = decimal_separator(table)
    types = {field.name.casefold(): field.dataType for field in source.rows.schema.fields if field.name not in OURS}
    casts: dict[tuple[str, str], _Cast] = {}
    texts: dict[str, _Safe] = {}
    for one in wanted:
        if exact_column(one.text, source) is None:
            texts[one.key] = _with_casts(one, source, types, casts, decimal)
    staged = source.rows.select("*", *(cast.column.alias(cast.name) for cast in casts.values()))
    return staged, {one.key: _mapped(one, source, staged, types, texts.get(one.key)) for one in wanted}


def decimal_separator(table: TransactionsTable | CustomersTable) -> str:
    """The decimal separator of numbers that are text."""
    return table.csv.decimal if table.format == "csv" and table.path else "."


def exact_column(text: str, source: Source) -> str | None:
    """The column that a text of the configuration names, in any case; None when it is an expression."""
    name = text.strip()
    if len(name) > 2 and name[0] == name[-1] == "`" and "`" not in name[1:-1]:
        name = name[1:-1]
    if name in source.columns:
        return name
    return next((column for column in source.columns if column.casefold() == name.casefold()), None)


def _with_casts(
    one: Wanted, source: Source, types: Mapping[str, T.DataType], casts: dict[tuple[str, str], _Cast], decimal: str
) -> _Safe:
    """An expression made safe; `casts` gains the casts that are new."""
    numeric = [name for name, dtype in types.items() if isinstance(dtype, T.NumericType)]
    reading = expressions.read(one.text, source.columns, numeric=numeric, wants_number=one.role == "number")
    replaced: dict[str, str] = {}
    used = []
    texts = {}
    for name, use in reading.uses.items():
        dtype = _type_of(name, types)
        path = quoted(name) if name in types else name
        if isinstance(dtype, T.StringType):
            texts[name] = path
        cast = _cast(F.col(path), dtype, use, decimal, one.role)
        if cast is None:
            continue
        key = (name, use)
        casts.setdefault(key, _Cast(f"{_PREFIX}{len(casts)}", path, cast))
        replaced[name] = casts[key].name
        if isinstance(dtype, T.StringType):
            used.append(casts[key])
    for left, right in reading.unclear:
        if left in texts and right in texts:
            raise InputError(
                f"{source.name}: '{left}' and '{right}' are text; which is greater depends on what they mean.",
                where=f"tables.{source.name}.{one.key}: {one.text}",
                todo=f"Say it, such as cast({left} as double) > cast({right} as double), or to_timestamp({left}) > ...",
            )
    return _Safe(expressions.rewrite(one.text, replaced), used, list(texts.values()))


def _cast(column: Column, dtype: T.DataType | None, use: expressions.Use, decimal: str, role: Role) -> Column | None:
    if isinstance(dtype, T.StringType) and use == "number":
        return amount_from_text(column, decimal).cast("double")
    if isinstance(dtype, T.StringType) and use == "boolean":
        return strict_boolean(column)
    if isinstance(dtype, _SMALL_INTEGERS) and use == "number" and role == "number":
        return column.cast("bigint")
    return None


def _type_of(name: str, types: Mapping[str, T.DataType]) -> T.DataType | None:
    """The type of a column or of a field inside a struct; null when there is no such thing."""
    if name in types:
        return types[name]
    first, *rest = (part.strip("`") for part in name.split("."))
    dtype = types.get(first)
    for part in rest:
        if not isinstance(dtype, T.StructType):
            return None
        dtype = next((field.dataType for field in dtype.fields if field.name.casefold() == part), None)
    return dtype


def _mapped(
    one: Wanted, source: Source, staged: DataFrame, types: Mapping[str, T.DataType], safe: _Safe | None
) -> Mapped:
    where = f"tables.{source.name}.{one.key}: {one.text}"
    name = exact_column(one.text, source)
    if name is not None or safe is None:
        found = name or one.text
        return _as_role(one, Mapped(one.key, one.text, F.col(quoted(found)), types[found.casefold()]), source, where)
    text = safe.text
    try:
        dtype = _result_type(staged, text)
    except AnalysisException:
        text = (
            one.text
        )  # what the rewriting broke, or what is broken anyway: Spark's message is about their own text then
        try:
            dtype = _result_type(staged, text)
        except AnalysisException as error:
            raise _unresolved(one, source, where, error) from error
    column = F.expr(text)
    return _as_role(one, Mapped(one.key, one.text, column, dtype, _broken(one.role, column, safe), text), source, where)


def _broken(role: Role, column: Column, safe: _Safe) -> Column | None:
    """Where a number or time is null although there is text to compute it from."""
    if role == "number":
        parts = [~is_blank(F.col(cast.source)) & F.col(cast.name).isNull() for cast in safe.casts]
    else:
        parts = [~is_blank(F.col(path)) & column.isNull() for path in safe.texts] if role == "time" else []
    return reduce(lambda a, b: a | b, parts) if parts else None


def _result_type(staged: DataFrame, text: str) -> T.DataType:
    # Beside a plain column and inside a struct: aggregates, window functions and explode() are refused here.
    row = staged.select(
        F.lit(1).alias("one"),
        *(F.col(quoted(c)) for c in staged.columns[:1]),
        F.struct(F.expr(text).alias("it")).alias("row"),
    )
    dtype = row.schema["row"].dataType
    assert isinstance(dtype, T.StructType)
    return dtype["it"].dataType


def _as_role(one: Wanted, mapped: Mapped, source: Source, where: str) -> Mapped:
    if one.role != "condition" or isinstance(mapped.dtype, T.BooleanType):
        return mapped
    if isinstance(mapped.dtype, T.StringType):
        return Mapped(mapped.key, mapped.text, strict_boolean(mapped.column), T.BooleanType(), None, mapped.sql)
    if isinstance(mapped.dtype, T.NumericType):
        return Mapped(mapped.key, mapped.text, mapped.column != 0, T.BooleanType(), None, mapped.sql)
    raise InputError(
        f"{source.name}: '{one.text}' is not a condition.",
        where=where,
        found=f"it gives {mapped.dtype.simpleString()}",
        todo="Write a condition that is true or false, such as \"InvoiceNo LIKE 'C%'\".",
    )


def _unresolved(one: Wanted, source: Source, where: str, error: AnalysisException) -> InputError:
    message = str(error)
    missing = re.search(
        r"\[UNRESOLVED_COLUMN[^\]]*\].*?with name (`(?:[^`]|``)+`(?:\.`(?:[^`]|``)+`)*)", message, re.DOTALL
    )
    columns = [column for column in source.columns if column not in OURS]
    has = f"{source.name} has: {shown(columns)}."
    if missing is not None:
        name = missing[1].strip("`").replace("`.`", ".")
        return InputError(
            f"{source.name}: column '{name}' not found.",
            where=where,
            found=has + nearest(name, columns),
            todo="Write the exact name of a column (inside an expression: in backticks when it has spaces or dots).",
        )
    first = message.strip().splitlines()[0][:300] if message.strip() else type(error).__name__
    return InputError(
        f"{source.name}: '{one.text}' is neither a column nor a SQL expression for one row.",
        where=where,
        found=f"{first} {has}{nearest(one.text, columns)}",
        todo="Write the exact name of a column or a Spark SQL expression over the columns of one row.",
    )


def is_blank(column: Column) -> Column:
    """Whether text is null, empty, or blanks and invisible characters only. Never null."""
    return F.coalesce(F.regexp_replace(column.cast("string"), INVISIBLE, "") == "", F.lit(True))


INVISIBLE = "[\\x00-\\x20\\x7F-\\xA0\\u1680\\u180E\\u2000-\\u200F\\u2028-\\u202F\\u205F\\u2060\\u3000\\uFEFF]+"
"""Java pattern: control characters, spaces of all widths, zero-width characters, direction marks, byte order mark."""


def strict_boolean(column: Column) -> Column:
    """boolean of text: true, t, yes, y, 1 and their opposites, in any case; anything else is null."""
    text = F.lower(F.trim(column.cast("string")))
    return F.when(text.isin("true", "t", "yes", "y", "1"), F.lit(True)).when(
        text.isin("false", "f", "no", "n", "0"), F.lit(False)
    )
