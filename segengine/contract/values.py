"""What a value becomes before it is used: ids, money, moments. Nothing here can raise on a row."""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.contract.mapping import INVISIBLE, Mapped, is_blank
from segengine.errors import InputError
from segengine.io.casts import amount_from_text, timestamp_from_text
from segengine.io.wall_clock import wall_clock

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = [
    "Amount",
    "canonical_id",
    "canonical_text",
    "is_finite",
    "moment",
    "money",
    "number",
    "numeric_value",
    "row_hash",
    "was_rounded",
]

E4 = 10_000
_ENDS = re.compile(f"^{INVISIBLE}|{INVISIBLE}$")
_VISIBLE_FIRST = (("!", "\x7f"), ("\u00c0", "\u1000"), ("\u4000", "\uf000"))
"""From and to before: ranges of characters without an INVISIBLE one."""
_VISIBLE_LAST = ((0x21, 0x7F), (0xA1, 0xA8), (0xB0, 0xBF))
"""From and to before: ranges of bytes that no INVISIBLE character ends with in UTF-8."""
TOO_MUCH = 1e12
"""Currency units; 9,000 lines of this size still fit the 64 bits of a sum in 1/10,000."""


def canonical_id(column: Column, dtype: T.DataType) -> Column:
    """string: the one spelling of an id, null when it is missing.

    Text loses blanks and invisible characters (zero-width, NUL, byte order mark) at both ends, and is otherwise kept
    byte by byte: '00042', '42' and '12345.0' are three customers. Whole numbers of any type are written without a
    point: the double 12345.0 and the integer 12345 are one customer. NaN and infinity are missing.
    InputError for types that are no ids (arrays, maps, structs).
    """
    if isinstance(dtype, (T.ArrayType, T.MapType, T.StructType)):
        raise InputError(
            "An id, product or category cannot be a nested column.",
            found=dtype.simpleString(),
            todo="Name a field inside it, such as address.city, or write an expression.",
        )
    if isinstance(dtype, (T.DoubleType, T.FloatType)):
        value = column.cast("double")
        whole = (value == F.floor(value).cast("double")) & (F.abs(value) < 9e18)
        fits = F.when(F.abs(value) < 9e18, value)  # inside the cast: nothing for ANSI mode to raise about
        return F.when(whole, fits.cast("bigint").cast("string")).when(is_finite(value), value.cast("string"))
    if isinstance(dtype, T.DecimalType):
        text = column.cast("string")
        return F.when(F.instr(text, ".") > 0, F.regexp_replace(text, r"\.?0+$", "")).otherwise(text)
    if isinstance(dtype, (T.IntegralType, T.BooleanType)):
        return column.cast("string")
    if isinstance(dtype, T.BinaryType):
        return F.when(F.length(column) > 0, F.lower(F.hex(column)))
    plain = column.cast("string")
    text = F.regexp_replace(plain, f"^{INVISIBLE}|{INVISIBLE}$", "")
    return F.when(_is_trimmed(plain), plain).when(text != "", text)


def _is_trimmed(plain: Column) -> Column:
    """Whether text surely has nothing to lose at its ends; nearly every text has not, and the expression is dear.

    Told by the first characters and the last byte: one character at the end would be looked for from the beginning.
    """
    first = [((plain >= F.lit(low)) & (plain < F.lit(high))) for low, high in _VISIBLE_FIRST]
    last = F.substring(plain.cast("binary"), -1, 1)
    end = [((last >= F.lit(bytes([low]))) & (last < F.lit(bytes([high])))) for low, high in _VISIBLE_LAST]
    return functools.reduce(operator.or_, first) & functools.reduce(operator.or_, end)


def canonical_text(text: str) -> str:
    """What `canonical_id` makes of text, in Python; empty when it is missing."""
    return _ENDS.sub("", text)


def is_finite(value: Column) -> Column:
    """Whether a double is a number, and neither NaN nor infinite; null for null."""
    return ~F.isnan(value) & (F.abs(value) != float("inf"))


@dataclass(frozen=True)
class Amount:
    """`value`: decimal or double; `missing` and `broken`: conditions, never null."""

    value: Column
    dtype: T.DataType
    missing: Column
    broken: Column


def numeric_value(mapped: Mapped, decimal: str, where: str) -> Amount:
    """A mapped column as a number. InputError when its type is none."""
    if isinstance(mapped.dtype, T.StringType):
        value: Column = amount_from_text(mapped.column, decimal)
        return Amount(value, T.DecimalType(38, 10), is_blank(mapped.column), ~is_blank(mapped.column) & value.isNull())
    broken = F.lit(False) if mapped.broken is None else mapped.broken
    if isinstance(mapped.dtype, (T.DoubleType, T.FloatType)):
        value = mapped.column.cast("double")
        unusable = F.coalesce(~is_finite(value), F.lit(False))
        return Amount(value, mapped.dtype, value.isNull() & ~broken, broken | unusable)
    if isinstance(mapped.dtype, T.NumericType):
        return Amount(mapped.column, mapped.dtype, mapped.column.isNull() & ~broken, broken)
    raise InputError(
        "An amount or quantity must be a number.",
        where=f"{where}: {mapped.text}",
        found=f"it gives {mapped.dtype.simpleString()}",
        todo="Name a column of numbers, or write a SQL expression that gives one, such as cast(x as double).",
    )


def money(name: str, dtype: T.DataType) -> Column:
    """bigint 1/10,000 of the column `name`, rounded half up; null when it is null, not finite or too much."""
    # try_cast has no function in Spark 3.5; the guard stands inside it, the cast outside the guard.
    rounded = F.expr(f"try_cast(if(abs({name}) < {TOO_MUCH!r}D, {name}, null) as decimal(20,4))")
    exact = F.when(F.abs(F.col(name)) < TOO_MUCH, (rounded * F.lit(E4)).cast("bigint"))
    if not isinstance(dtype, (T.DoubleType, T.FloatType)):
        return exact
    # Far from a half, doubles round as decimals do; a product below 2^53 is off by less than 0.1.
    scaled = F.col(name) * F.lit(float(E4))
    nearest = F.rint(scaled)
    surely = (F.abs(scaled) < 1e15) & (F.abs(scaled - nearest) < 0.3)
    return F.when(surely, F.when(F.abs(scaled) < 1e15, nearest).cast("bigint")).otherwise(exact)


def was_rounded(name: str, e4: str, dtype: T.DataType) -> Column:
    """Whether the amount `name` had more than four decimals: differs from what became of it by more than doubles do."""
    if isinstance(dtype, T.IntegralType) or (isinstance(dtype, T.DecimalType) and dtype.scale <= 4):
        return F.lit(False)
    relative = 1e-6 if isinstance(dtype, T.FloatType) else 1e-12
    value = F.col(name).cast("double")
    difference = F.abs(value - F.col(e4).cast("double") / F.lit(float(E4)))
    return F.coalesce(difference > F.lit(1e-8) + F.abs(value) * F.lit(relative), F.lit(False))


def number(amount: Amount) -> Column:
    """double of a number; null when it is missing or broken."""
    return F.when(~amount.missing & ~amount.broken, amount.value.cast("double"))


def moment(mapped: Mapped, pattern: str | None, timezone: str, where: str) -> tuple[Column, Column, Column]:
    """(timestamp, missing, broken) of a mapped column; what has no zone is wall clock in `timezone`.

    InputError for a type that is no time.
    """
    column, dtype = mapped.column, mapped.dtype
    broken = F.lit(False) if mapped.broken is None else mapped.broken
    if isinstance(dtype, T.StringType):
        at = timestamp_from_text(column, pattern, timezone)
        return at, is_blank(column) & ~broken, broken | (~is_blank(column) & at.isNull())
    if isinstance(dtype, T.DateType):
        at = timestamp_from_text(column.cast("string"), None, timezone)
        return at, column.isNull() & ~broken, broken | (column.isNotNull() & at.isNull())
    if isinstance(dtype, T.TimestampNTZType):
        return wall_clock(column, timezone), column.isNull() & ~broken, broken
    if isinstance(dtype, T.TimestampType):
        return column, column.isNull() & ~broken, broken
    raise InputError(
        "The time of an order must be a timestamp, a date, or text.",
        where=f"{where}: {mapped.text}",
        found=f"it gives {dtype.simpleString()}",
        todo="Write an expression, such as timestamp_seconds(x), or to_timestamp(cast(x as string), 'yyyyMMdd').",
    )


def row_hash(fields: list[T.StructField], quoted_names: list[str]) -> Column:
    """bigint xxhash64 of whole rows. Equal rows have equal hashes; nulls have a place, so values cannot be shifted."""

    def hashable(field: T.StructField, name: str) -> Column:
        atomic = isinstance(field.dataType, (T.StringType, T.NumericType, T.BooleanType, T.DateType, T.TimestampType))
        return F.col(name) if atomic else F.col(name).cast("string")

    pairs = ((hashable(f, name), F.col(name).isNull()) for f, name in zip(fields, quoted_names, strict=True))
    return F.xxhash64(*(column for pair in pairs for column in pair))
