"""Check that the columns a configuration names are there, before a row is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from segengine.errors import InputError
from segengine.io.inputs import first_line
from segengine.io.source import AnyTable, nearest, shown, sql_texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAME_LIKE = re.compile(r"[\w .#/&-]*[A-Za-z_][\w .#/&-]*")
_UNRESOLVED = re.compile(r"(?:name|field)\s+`?(.+?)`?\s+cannot be resolved", re.DOTALL)


def refuse_missing(
    rows: DataFrame, columns: tuple[str, ...], table: AnyTable, name: str, *, looks: str = "", hint: str = ""
) -> None:
    """InputError naming the key, the column and what there is instead, when the configuration names what is not there.

    An exact column name wins; anything else is analysed by Spark as an expression on the columns (nothing is run).
    `looks` and `hint` replace what is said of the columns found when the reader knows better.
    """
    known = {column.casefold() for column in columns}
    for key, text in sql_texts(table).items():
        if text.strip().casefold() in known:
            continue
        try:
            analysed = rows.select(F.expr(text))
            analysed.schema  # noqa: B018 (Spark Connect analyses only when asked)
        except PySparkException as error:
            message = str(error)
            unresolved = _UNRESOLVED.search(message)
            if unresolved is not None or (_NAME_LIKE.fullmatch(text) and "PARSE_SYNTAX_ERROR" in message):
                wanted = text if _NAME_LIKE.fullmatch(text) or unresolved is None else unresolved[1].replace("`", "")
                raise _missing(wanted, key, columns, name, looks, hint) from error
            if "DATATYPE_MISMATCH" in message:
                continue  # of text columns; the contract casts them first, and judges the types of what it gets
            raise InputError(
                f"{name}: '{text}' is neither a column nor an expression that Spark accepts.",
                where=f"tables.{name}.{key}",
                found=first_line(error),
                todo=f"Columns found: {looks or shown(columns)}.",
            ) from error


def _missing(wanted: str, key: str, columns: tuple[str, ...], name: str, looks: str, hint: str) -> InputError:
    return InputError(
        f"{name}: column '{wanted}' not found.",
        where=f"tables.{name}.{key}",
        found=f"columns: {looks or shown(columns)}",
        todo=(hint or f"Correct tables.{name}.{key}.{nearest(wanted, columns)}"),
    )
