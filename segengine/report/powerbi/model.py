"""The parts of a semantic model, before anything is written: tables, fields, measures, relationships, roles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from segengine.report.powerbi.names import PLAIN, dax_column, dax_table, hex_id
from segengine.tables import Kind

SQL_TABLE = re.compile(r"\{([a-z_]+)\}")
"""A published table in a paired SQL."""

__all__ = ["SQL_TABLE", "Field", "Level", "Measure", "Model", "ModelTable", "Relationship", "Role", "Sql", "formats"]


@dataclass(frozen=True)
class Field:
    """A column of the model; `source` is its name in the published table."""

    name: str
    source: str
    kind: Kind
    text: str
    hidden: bool = False
    key: bool = False
    label: bool = False
    sort_by: str | None = None
    format: str | None = None

    @property
    def loaded(self) -> str:
        """What its query calls the column: as published, or something plain where TMDL could take that for syntax."""
        return self.source if PLAIN.fullmatch(self.source) else f"column_{hex_id(self.source)[:8]}"


@dataclass(frozen=True)
class Sql:
    """How a measure is computed without Power BI: an aggregate, the rows it is over, and their segment's column.

    `{assignments}` and the like stand for published tables.
    """

    expression: str
    source: str
    segment: str | None = None

    def query(self, segment_key: int | None = None) -> str:
        """The whole query, of all segments together or of one, over tables of the published names."""
        text = f"SELECT {self.expression} AS value FROM {self.source}"
        if segment_key is not None and self.segment is not None:
            each = f"SELECT {self.segment} AS segment_key, {self.expression} AS value FROM {self.source} "
            each += f"WHERE {self.segment} IS NOT NULL GROUP BY {self.segment}"
            text = f"SELECT max(value) AS value FROM ({each}) AS each WHERE segment_key = {segment_key}"
        return SQL_TABLE.sub(r"\1", text)


@dataclass(frozen=True)
class Measure:
    """A measure. In `dax`, `{table.column}` and `{table}` stand for published names, `[Name]` for other measures.

    `format` is what kind of number it is until the measures are put together, then a format string.
    """

    name: str
    dax: str
    text: str
    folder: str
    format: str | None = None
    sql: Sql | None = None
    hidden: bool = False
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Level:
    """A level of the calendar's hierarchy."""

    name: str
    column: str


@dataclass(frozen=True)
class ModelTable:
    """A table of the model. `source` is the published table, or None where `rows` (M) makes it."""

    name: str
    source: str | None
    text: str
    fields: tuple[Field, ...]
    measures: tuple[Measure, ...] = ()
    rows: str = ""
    hidden: bool = False
    is_dates: bool = False
    direct_query: bool = False
    hierarchy: tuple[Level, ...] = ()
    per_customer: bool = False
    """Whether a row is of one customer, so that a role that filters customers filters it."""

    def field_of(self, source: str) -> Field | None:
        return next((f for f in self.fields if f.source == source), None)


@dataclass(frozen=True)
class Relationship:
    """Many rows of one table to one of another; filters go from the second to the first only."""

    from_table: str
    from_column: str
    to_table: str
    to_column: str
    active: bool = True


@dataclass(frozen=True)
class Role:
    """A role: DAX filters by table, and the SQL condition on `customers` that says the same."""

    name: str
    text: str
    filters: Mapping[str, str]
    sql: str


@dataclass(frozen=True)
class Model:
    """Everything the TMDL folder says, and what had to be left out, with the reason."""

    tables: tuple[ModelTable, ...]
    relationships: tuple[Relationship, ...] = ()
    roles: tuple[Role, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)

    def table_of(self, source: str) -> ModelTable | None:
        """The first table that is read from a published one."""
        return next((t for t in self.tables if t.source == source), None)

    def named(self, name: str) -> ModelTable:
        return next(t for t in self.tables if t.name == name)

    def has_measure(self, name: str) -> bool:
        return name in self.measures

    def reference(self, source: str) -> str | None:
        """`assignments.revenue` -> `Assignments[Revenue]`, a table alone -> `Assignments`; None when it is missing."""
        table_name, _, column = source.partition(".")
        table = next((t for t in self.tables if table_name in (t.source, t.name)), None)
        if table is None:
            return None
        if not column:
            return dax_table(table.name)
        found = table.field_of(column)
        return dax_table(table.name) + dax_column(found.name) if found else None

    def with_tables(self, *tables: ModelTable) -> Model:
        """The model with these tables in place of those of their names, new ones last."""
        new = {t.name: t for t in tables}
        kept = tuple(new.pop(t.name, t) for t in self.tables)
        return replace(self, tables=(*kept, *new.values()))


def formats(minor_unit: int) -> dict[str, str]:
    """Format strings by what a number is."""
    money = "#,##0" + ("." + "0" * minor_unit if minor_unit else "")
    return {
        "count": "#,##0",
        "money": money,
        "share": "#,##0.0%;-#,##0.0%;#,##0.0%",
        "number": "#,##0.00",
        "days": "#,##0.0",
        "change": "+#,##0;-#,##0;0",
        "money change": f"+{money};-{money};0",
    }
