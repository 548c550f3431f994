"""Bring rows into the exact columns, order and types that segengine/tables declares, or refuse them by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.errors import PublicationError
from segengine.tables import Kind, Table, by_name

__all__ = [
    "Later",
    "Rows",
    "check",
    "checked",
    "conform",
    "conform_rows",
    "made",
    "money",
    "money_of",
    "money_ratio",
    "published_names",
    "quoted",
    "types_of",
]

Later = Callable[[], pa.Table]
Rows = DataFrame | pa.Table | Later
"""Rows of a table to publish: long ones, small ones, or small ones that are made when they are asked for."""

ARROW: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
SPARK: dict[Kind, str] = {
    "string": "string",
    "int": "int",
    "long": "bigint",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
NOT_IN_NAMES = re.compile(r"[ .,;{}()\n\t=`]")
"""Delta without column mapping refuses most of these in a column's name; dots and backticks make SQL hard to write."""


def spark_type(kind: Kind, minor_unit: int) -> str:
    """The Spark type of a kind of column, as SQL writes it."""
    return f"decimal(20,{minor_unit})" if kind == "money" else SPARK[kind]


def arrow_schema(table: Table, minor_unit: int) -> pa.Schema:
    """The Arrow schema of a table without the columns of an open end."""
    return pa.schema(
        pa.field(
            column.name,
            pa.decimal128(20, minor_unit) if column.kind == "money" else ARROW[column.kind],
            nullable=column.nullable,
        )
        for column in table.columns
    )


def quoted(name: str) -> str:
    """A column's name that Spark takes literally, dots and all."""
    return "`" + name.replace("`", "``") + "`"


def money(amount_e4: Column, minor_unit: int) -> Column:
    """A bigint in 1/10,000 of the unit as decimal(20, minor unit), rounded half away from zero."""
    exact = amount_e4.cast("decimal(20,0)") * F.lit(Decimal("0.0001"))
    return F.round(exact, minor_unit).cast(f"decimal(20,{minor_unit})")


def money_ratio(amount_e4: int | None, by: int | None, minor_unit: int) -> Decimal | None:
    """`amount_e4` / `by` in currency units at the minor unit, rounded half away from zero; None where there is none."""
    if amount_e4 is None or not by:
        return None
    return money_of(Fraction(amount_e4, 10_000 * by), minor_unit)


def money_of(amount: Fraction, minor_unit: int) -> Decimal:
    """An exact amount in currency units at the minor unit, rounded half away from zero."""
    units = math.floor(abs(amount) * 10**minor_unit + Fraction(1, 2))
    return Decimal(units if amount >= 0 else -units).scaleb(-minor_unit)


def published_names(names: Iterable[str], table: Table, suffix: str) -> dict[str, str]:
    """Name -> name in the table: signs that BI tools and Delta refuse become `_`, a taken name gets the suffix."""
    taken = {name.lower() for name in table.column_names}
    published = {}
    for name in names:
        new = NOT_IN_NAMES.sub("_", name)
        while new.lower() in taken:
            new += suffix
        taken.add(new.lower())
        published[name] = new
    return published


def conform(
    frame: DataFrame, table: Table, minor_unit: int, publication_id: str, more: Sequence[tuple[str, str]] = ()
) -> DataFrame:
    """The columns of `table`, then `more` (name, Spark type), cast and in order; a forbidden null stops the write.

    `publication_id` is filled in. Raises PublicationError for columns that are missing or not declared.
    """
    names = [c.name for c in table.columns if c.name != "publication_id"] + [name for name, _ in more]
    _same_names(table, [c for c in frame.columns if c != "publication_id"], names)
    columns = []
    for column in table.columns:
        kind = spark_type(column.kind, minor_unit)
        if column.name == "publication_id":
            columns.append(F.lit(publication_id).cast(kind).alias(column.name))
            continue
        value = F.col(quoted(column.name)).cast(kind)
        if not column.nullable:
            value = F.coalesce(value, F.raise_error(F.lit(f"{table.name}.{column.name} is null")).cast(kind))
        columns.append(value.alias(column.name))
    return frame.select(*columns, *(F.col(quoted(name)).cast(kind).alias(name) for name, kind in more))


def conform_rows(rows: Sequence[Mapping[str, object]], table: Table, minor_unit: int, publication_id: str) -> pa.Table:
    """Rows made on the driver as an Arrow table of the declared shape, in order of the table's key.

    Raises PublicationError for columns missing or not declared, nulls where none may be, wrong types and repeated keys.
    """
    filled = [{**row, "publication_id": publication_id} for row in rows]
    for row in filled:
        _same_names(table, list(row), table.column_names)
    schema = arrow_schema(table, minor_unit)
    try:
        made = pa.Table.from_pylist(filled, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise PublicationError("Rows do not have the declared types.", where=table.name, found=str(error)) from error
    check(made, table)
    return made.sort_by([(name, "ascending") for name in table.key])


def _same_names(table: Table, found: Sequence[str], declared: Sequence[str]) -> None:
    missing = [name for name in declared if name not in found]
    undeclared = [name for name in found if name not in declared]
    if missing or undeclared:
        raise PublicationError(
            "A published table would not have its declared columns.",
            where=table.name,
            found=f"missing: {', '.join(missing) or 'none'}; not declared: {', '.join(undeclared) or 'none'}",
            todo="Declare the column in segengine/tables, or leave it out.",
        )


def checked(rows: DataFrame | pa.Table, name: str, publication_id: str) -> DataFrame | pa.Table:
    """The rows of a table. PublicationError unless `check` passes them and they name this publication."""
    check(rows, by_name(name))
    if isinstance(rows, pa.Table) and set(rows.column("publication_id").unique().to_pylist()) - {publication_id}:
        raise PublicationError("Rows name another publication.", where=name, found=f"for {publication_id}")
    return rows


def made(rows: DataFrame | pa.Table | Later, name: str, publication_id: str) -> DataFrame | pa.Table:
    """The rows of a table, made and checked now where that was put off."""
    return checked(rows(), name, publication_id) if callable(rows) else rows


def check(rows: DataFrame | pa.Table, table: Table) -> None:
    """PublicationError unless columns, order and types are the declared ones; Arrow tables also by nulls and key."""
    types = types_of(rows)
    declared = {c.name: c.kind for c in table.columns}
    shown = list(types)[: len(declared)]
    if shown != list(declared) or (len(types) > len(declared) and not table.open_ended):
        _same_names(table, list(types), list(declared))
        raise PublicationError(
            "A published table would not have its columns in order.", where=table.name, found=", ".join(shown)
        )
    for name, kind in declared.items():
        fits = types[name].startswith("decimal(20,") if kind == "money" else types[name] == SPARK[kind]
        if not fits:
            raise PublicationError(
                "A column does not have its declared type.",
                where=f"{table.name}.{name}",
                found=f"{types[name]} for {kind}",
            )
    if isinstance(rows, pa.Table):
        _check_values(rows, table)


def _check_values(rows: pa.Table, table: Table) -> None:
    for column in table.columns:
        if not column.nullable and rows.column(column.name).null_count:
            raise PublicationError("A column that may not be null is null.", where=f"{table.name}.{column.name}")
    keys = rows.select(list(table.key)).group_by(list(table.key)).aggregate([])
    if keys.num_rows != rows.num_rows:
        raise PublicationError(
            "Rows share a key.",
            where=f"{table.name} ({', '.join(table.key)})",
            found=f"{rows.num_rows} rows, {keys.num_rows} keys",
        )


def types_of(rows: DataFrame | pa.Table | pa.Schema) -> dict[str, str]:
    """Column name -> type as Spark's SQL writes it, whichever of the two made the rows."""
    if not isinstance(rows, (pa.Table, pa.Schema)):  # a DataFrame, which has another class on Spark Connect 3.5
        return dict(rows.dtypes)
    schema = rows if isinstance(rows, pa.Schema) else rows.schema
    return {field.name: _spark_name(field.type) for field in schema}


def _spark_name(arrow: pa.DataType) -> str:
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    known = {str(ours): SPARK[kind] for kind, ours in ARROW.items()}
    return known.get(str(arrow), str(arrow))
