"""How columns are written down: as the value of a key, and inside of a SQL expression."""

from __future__ import annotations

import re

from segengine.config.expressions import why_refused
from segengine.propose.facts import Column

__all__ = ["config_text", "literal", "name_in_sql", "number_in_sql"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset(
    "and as between case cast date div else end escape false from if ilike in interval is like not null or order rlike "
    "select table then time timestamp true user when where".split()
)


def config_text(name: str, *, nested: bool = False) -> str:
    """A column as the value of a key: its exact name, in backticks where the name would be taken for SQL."""
    if nested:
        return name_in_sql(name, nested=True)
    refused = why_refused(name, may_be_name=True) is not None or name != name.strip() or name.startswith("`")
    return _ticked(name) if refused else name


def name_in_sql(name: str, *, nested: bool = False) -> str:
    """A column inside of an expression: in backticks unless it is a plain word that means nothing else in SQL."""
    if nested:
        return ".".join(name_in_sql(part) for part in name.split("."))
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else _ticked(name)


def number_in_sql(column: Column) -> str:
    """The expression for the number in a column: without currency signs and thousands separators where it has some."""
    name = name_in_sql(column.name, nested=column.nested)
    return f"translate({name}, {literal(column.strip)}, '')" if column.strip else name


def literal(text: str) -> str:
    """A SQL string literal. ValueError for text with a backslash or both quotes, which no reading of SQL agrees on."""
    if "\\" in text or ("'" in text and '"' in text):
        raise ValueError("no literal for this text")
    return f'"{text}"' if "'" in text else f"'{text}'"


def _ticked(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
