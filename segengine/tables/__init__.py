"""Every published table: what one row is, its columns, types and units, and its key. No Spark here.

present.py has those of what is now, cumulative.py those that grow, history.py where customers were, TABLES all of them.
"""

from __future__ import annotations

from segengine.tables.cumulative import BRIDGE, DRIFT, LANE_KPIS, MODELS, PUBLICATIONS, QUALITY, RUNS, SEGMENT_KPIS
from segengine.tables.declare import Column, Kind, Table
from segengine.tables.history import MEMBERSHIP, MOVES, SEGMENT_EVENTS
from segengine.tables.judged import GATES, K_CANDIDATES, PREDICTION
from segengine.tables.present import (
    ASSIGNMENTS,
    CUSTOMERS,
    DATES,
    EXPECTED_KPIS,
    PROTECTED_MIX,
    RFM_CELLS,
    SEGMENT_PROFILES,
    SEGMENTS,
)

__all__ = [
    "ASSIGNMENTS",
    "BRIDGE",
    "CUSTOMERS",
    "DATES",
    "DRIFT",
    "EXPECTED_KPIS",
    "GATES",
    "K_CANDIDATES",
    "LANES",
    "LANE_KPIS",
    "MEMBERSHIP",
    "MINOR_UNITS",
    "MODELS",
    "MOVES",
    "PREDICTION",
    "PROTECTED_MIX",
    "PUBLICATIONS",
    "QUALITY",
    "RFM_CELLS",
    "RUNS",
    "SEGMENTS",
    "SEGMENT_EVENTS",
    "SEGMENT_KPIS",
    "SEGMENT_PROFILES",
    "TABLES",
    "Column",
    "Kind",
    "Table",
    "by_name",
    "minor_unit",
]

TABLES: tuple[Table, ...] = (
    SEGMENTS,
    ASSIGNMENTS,
    CUSTOMERS,
    DATES,
    SEGMENT_PROFILES,
    EXPECTED_KPIS,
    SEGMENT_KPIS,
    RFM_CELLS,
    PROTECTED_MIX,
    MEMBERSHIP,
    MOVES,
    SEGMENT_EVENTS,
    MODELS,
    GATES,
    K_CANDIDATES,
    PREDICTION,
    QUALITY,
    LANE_KPIS,
    BRIDGE,
    DRIFT,
    RUNS,
    PUBLICATIONS,
)

LANES: tuple[tuple[str, str], ...] = (
    ("ignored", "a house or guest account listed in the configuration"),
    ("opted_out", "the customer does not want to be profiled"),
    ("only_returns", "returned goods in the window, bought none that count"),
    ("no_purchases", "known, but without a purchase that counts in the window"),
    ("too_new", "bought too recently or too seldom to tell"),
)
"""Lanes by precedence: a customer is in the first one that fits."""

MINOR_UNITS: dict[str, int] = {
    **dict.fromkeys(("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF").split(), 0),
    **dict.fromkeys(("BHD IQD JOD KWD LYD OMR TND").split(), 3),
    **dict.fromkeys(("CLF UYW").split(), 4),
}
"""ISO 4217 currencies whose minor unit is not 2 digits."""


def minor_unit(currency: str) -> int:
    """Digits after the decimal point at which money in this currency is published (ISO 4217)."""
    return MINOR_UNITS.get(currency.upper(), 2)


def by_name(name: str) -> Table:
    """The published table of that name; KeyError when there is none."""
    return {table.name: table for table in TABLES}[name]
