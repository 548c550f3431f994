"""What a Power BI project is drawn from: plain facts of one publication."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segengine.tables import Kind

__all__ = ["KINDS", "Card", "Expected", "Options", "Published", "Source"]

Source = Literal["any", "local_parquet", "local_delta", "adls_parquet", "adls_delta", "databricks", "fabric_sql"]

KINDS: dict[str, str] = {
    "local_parquet": "LocalParquet",
    "local_delta": "LocalDelta",
    "adls_parquet": "AdlsParquet",
    "adls_delta": "AdlsDelta",
    "databricks": "Databricks",
    "fabric_sql": "FabricSql",
}
"""What the configuration calls a source -> the value of the parameter SourceKind."""


@dataclass(frozen=True)
class Card:
    """A segment as people talk of it."""

    segment_key: int
    segment_id: str
    name: str
    description: str = ""
    action: str = ""


@dataclass(frozen=True)
class Expected:
    """What a measure must show: of a segment, or of all together when the key is None."""

    kpi: str
    segment_key: int | None
    value: float | None


@dataclass(frozen=True)
class Options:
    """What the configuration says of the project."""

    name: str
    currency: str
    minor_unit: int
    timezone: str
    source: Source = "any"
    source_kind: str = "LocalParquet"
    """What SourceKind is set to, one of the values of KINDS."""
    data_root: str = ""
    max_customers: int = 1_000_000
    stale_days: int = 35
    rls_attribute: str | None = None
    rls_roles: Mapping[str, tuple[str, ...]] | None = None
    rls_users: Mapping[str, tuple[str, ...]] | None = None
    protected: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    """Published column of customers -> what the configuration calls the attribute."""
    kpis: tuple[str, ...] = ()
    logo: bytes | None = None
    colours: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """One publication. `tables` maps table -> column -> kind, without the columns that hold no value at all."""

    tables: Mapping[str, Mapping[str, Kind]]
    customers: int
    as_of: dt.datetime
    cards: tuple[Card, ...] = ()
    expected: tuple[Expected, ...] = ()

    def has(self, table: str, *columns: str) -> bool:
        """Whether the table and these of its columns can be drawn."""
        return table in self.tables and all(column in self.tables[table] for column in columns)
