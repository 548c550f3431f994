"""Publications to draw Power BI projects from: every declared table, with names that are hard to quote."""

from __future__ import annotations

import datetime as dt
from typing import Any

from segengine.report.powerbi import Card, Expected, Options, Published
from segengine.tables import TABLES, Kind

AS_OF = dt.datetime(2024, 3, 31, 23, 0, tzinfo=dt.UTC)  # midnight of 1 April in London
LONG_NAME = "an attribute that somebody named at length, " * 4 + "until two hundred signs"
ADVERSE = (
    "country",
    'Customer\'s "best" plan',
    "=1+1",
    "größe, Ω 東京 🛒",
    "square [brackets] {braces}",
    "back`tick and #(lf) and // and /*",
    "  blanks  ",
    "tab\tand\nline",
    LONG_NAME[:200],
    "Customer Id",
    "TRUE",
    "über'",
)
CARDS = (
    Card(1, "S-001", 'Spenders "de luxe"', "They buy often.", "Thank them."),
    Card(2, "S-002", "=HYPERLINK(1)", "They lapsed.", "Write to them."),
    Card(3, "S-003", "L" * 200, "New here."),
)
FEATURES: dict[str, Kind] = {"recency_days": "double", "frequency_orders": "double", "margin_kpi": "double"}


def published(*without: str, attributes: tuple[str, ...] = ADVERSE, **changed: Any) -> Published:
    """Every declared table with all of its columns, but the tables and `table.column`s named."""
    tables: dict[str, dict[str, Kind]] = {}
    for table in TABLES:
        if table.name not in without:
            kept = {c.name: c.kind for c in table.columns if f"{table.name}.{c.name}" not in without}
            tables[table.name] = kept
    if "assignments" in tables:
        more = {name: kind for name, kind in FEATURES.items() if f"assignments.{name}" not in without}
        tables["assignments"] |= more
    if "customers" in tables:
        tables["customers"] |= dict.fromkeys(attributes, "string")
    given: dict[str, Any] = {
        "customers": 1000,
        "as_of": AS_OF,
        "cards": CARDS,
        "expected": (Expected("Customers", None, 1000.0), Expected("Customers", 1, 400.0)),
    }
    return Published(tables, **{**given, **changed})


def options(**changed: Any) -> Options:
    """The options of a shop in London."""
    given: dict[str, Any] = {
        "name": "shop",
        "currency": "GBP",
        "minor_unit": 2,
        "timezone": "Europe/London",
        "data_root": "C:\\shop\\gold",
    }
    return Options(**{**given, **changed})


CUSTOMERS_ONLY = (
    "assignments.revenue",
    "assignments.orders",
    "assignments.recency_days",
    "customers.first_ordered_at",
    "customers.last_ordered_at",
    "customers.is_known",
    "segments.revenue",
    "segment_kpis.revenue",
    "segment_kpis.orders",
    "segment_kpis.active_90_days",
    "segment_kpis.lifetime_value_365d",
    "runs.amount_read",
    "runs.amount_assigned",
    "quality.amount",
    "moves.revenue",
    "bridge",
)
"""What a configuration without transactions does not have."""

VARIANTS = {
    "everything": (published(), options()),
    "customers only": (published(*CUSTOMERS_ONLY), options()),
    "first publication of old": (published("moves", "segment_events", "gates", "bridge", "protected_mix"), options()),
    "totals": (published(customers=2_000_000), options()),
    "queried": (published(customers=2_000_000), options(source="databricks")),
    "roles": (
        published(),
        options(rls_attribute="=1+1", rls_roles={"It's": ('a"b', "c'd")}, rls_users={"a@b": ("x",)}),
    ),
    "key figures": (published(), options(kpis=("margin_kpi",))),
    "brand": (published(), options(logo=b"png", colours=("#123456", "#654321"))),
    "one connector": (published(), options(source="adls_parquet")),
}
"""A publication and options for every kind of project."""
