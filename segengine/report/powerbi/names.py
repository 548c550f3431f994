"""Names and ids: what a person reads, how each of the four languages quotes it, and ids that stay."""

from __future__ import annotations

import re
import uuid

from segengine.tables import Kind

__all__ = [
    "PLAIN",
    "dax_column",
    "dax_table",
    "dax_text",
    "friendly",
    "guid",
    "hex_id",
    "kept_kind",
    "m_text",
    "one_line",
    "tmdl",
]

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "segengine/powerbi")
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
RESERVED = {"and", "in", "not", "or", "var", "return", "true", "false", "date", "model", "table", "column", "measure"}
SHORT = {"id": "Id", "kpi": "KPI", "kpis": "KPIs", "sql": "SQL", "cv": "CV", "as": "as", "of": "of"}


def guid(*parts: str) -> str:
    """The same parts give the same lineage tag for ever, so that drawing again changes nothing."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def hex_id(*parts: str) -> str:
    """A name of a page or visual: 20 hexadecimal digits."""
    return guid(*parts).replace("-", "")[:20]


def friendly(name: str) -> str:
    """`recency_days` -> `Recency Days`; a name that somebody chose otherwise stays as it is, control signs aside."""
    if SNAKE.fullmatch(name):
        words = [SHORT.get(word, word.capitalize()) for word in name.split("_")]
        return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
    return one_line(name) or "Unnamed"


def one_line(text: str) -> str:
    """The text on one line, without signs that cannot be shown."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def tmdl(name: str) -> str:
    """A name as TMDL writes it: in quotes unless it is letters and digits."""
    return name if PLAIN.fullmatch(name) else "'" + name.replace("'", "''") + "'"


def dax_table(name: str) -> str:
    """A table as DAX names it."""
    plain = PLAIN.fullmatch(name) and name.lower() not in RESERVED
    return name if plain else "'" + name.replace("'", "''") + "'"


def dax_column(name: str) -> str:
    """A column or measure as DAX names it, in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def dax_text(text: str) -> str:
    """A text literal of DAX."""
    return '"' + text.replace('"', '""') + '"'


def m_text(text: str) -> str:
    """A text literal of Power Query; `#(` would begin an escape, and a line end would end the line of TMDL."""
    escaped = text.replace("#(", "#(#)(").replace('"', '""')
    return '"' + "".join(c if c.isprintable() else f"#({ord(c):08x})" for c in escaped) + '"'


def kept_kind(spark_type: str) -> Kind:
    """The kind of a published column by its Spark type."""
    if spark_type.startswith("decimal"):
        return "money"
    known: dict[str, Kind] = {"bigint": "long", "int": "int", "double": "double", "boolean": "boolean"}
    known |= {"date": "date", "timestamp": "timestamp"}
    return known.get(spark_type, "string")
