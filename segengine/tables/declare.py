"""What the declaration of a published table is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PUBLICATION_ID", "Column", "Kind", "Table", "declared"]

Kind = Literal["string", "int", "long", "double", "boolean", "date", "timestamp", "money"]
"""`money` is a decimal(20, m), m being the currency's minor unit; `timestamp` is UTC, in microseconds."""


@dataclass(frozen=True)
class Column:
    """A column of a published table."""

    name: str
    kind: Kind
    text: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A published table. `cumulative` ones are carried from one publication to the next."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    cumulative: bool = False
    replaced_by: tuple[str, ...] = ()
    """Cumulative tables: rows carried forward that share these columns with new rows are replaced."""
    whole: bool = False
    """Cumulative tables whose new rows are the whole table already, past and all."""
    open_ended: bool = False
    """More columns follow, one for each feature or attribute of the configuration."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


PUBLICATION_ID = Column("publication_id", "string", "the publication that wrote this row")


def declared(
    name: str,
    grain: str,
    key: tuple[str, ...],
    *columns: Column,
    cumulative: bool = False,
    replaced_by: tuple[str, ...] = (),
    whole: bool = False,
    open_ended: bool = False,
) -> Table:
    """A table with these columns, and at their end the publication that wrote the row."""
    return Table(name, grain, key, (*columns, PUBLICATION_ID), cumulative, replaced_by, whole, open_ended)
