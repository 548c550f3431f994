"""The reference of all published tables, as docs/tables.md holds it."""

from __future__ import annotations

from segengine.tables import TABLES, Kind, Table

__all__ = ["KIND_TEXT", "as_markdown"]

KIND_TEXT: dict[Kind, str] = {
    "string": "text",
    "int": "32-bit integer",
    "long": "64-bit integer",
    "double": "64-bit float",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp, UTC, microseconds",
    "money": "decimal(20, minor unit)",
}

HEAD = """# Published tables

What lies in `gold` of an output. This page is made from `segengine/tables` by `python -m segengine.tables`; a test
keeps it current. How the tables become visible, and how to read them, is in [publishing.md](publishing.md).

Money has as many decimals as the currency's minor unit (2 for EUR, 0 for JPY) and is rounded half up, from exact sums
in 1/10,000 of the unit. No column is nested. Every row names the publication that wrote it. A column that may be null
says so; all others never are.
"""


def as_markdown() -> str:
    """The reference of all published tables, as docs/tables.md holds it."""
    return "\n".join([HEAD, *(_table_markdown(table) for table in TABLES)])


def _table_markdown(table: Table) -> str:
    lines = [f"## {table.name}", "", f"{table.grain[0].upper()}{table.grain[1:]}. Key: {_code(table.key)}.", ""]
    if table.whole:
        lines += ["Cumulative: every publication holds the whole past.", ""]
    elif table.cumulative:
        replaced = _code(table.replaced_by)
        lines += [f"Cumulative: rows of earlier publications stay, unless new rows have the same {replaced}.", ""]
    lines += ["| column | type | what it is |", "|---|---|---|"]
    for column in table.columns:
        text = column.text.replace("|", "\\|") + ("; may be null" if column.nullable else "")
        lines.append(f"| `{column.name}` | {KIND_TEXT[column.kind]} | {text} |")
    if table.open_ended:
        lines += ["", OPEN_ENDED[table.name]]
    return "\n".join(lines) + "\n"


OPEN_ENDED = {
    "assignments": "One more column follows for each feature, by its name: a 64-bit float in its own unit (null where "
    "there is no value), or text for a category. A feature with the name of a column above gets `_feature` behind its "
    "name; blanks, dots and the like become `_`. Last come the key figures of `kpis`, as NAME_kpi.",
    "customers": "One more column follows for each attribute of the customers table: a 64-bit float or text. "
    "An attribute with the name of a column above gets `_attribute` behind its name; blanks, dots and the like become "
    "`_`.",
}


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
