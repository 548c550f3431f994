"""Measures of moves between segments since the moment before."""

from __future__ import annotations

from segengine.report.powerbi.measures_more import KEY, aged
from segengine.report.powerbi.model import Measure, Sql

__all__ = ["MOVES"]

SOURCE = aged("moves")
LATEST = (
    f"VAR Latest = CALCULATE ( MAX ( {{moves.{KEY}}} ), REMOVEFILTERS ( {{segments}} ), "
    "REMOVEFILTERS ( {Previous Segments} ) ) "
)
DIFFER = "from_segment_key IS DISTINCT FROM to_segment_key"


def _summed(condition: str) -> str:
    """Customers of the newest moves that fulfil a SQL condition."""
    return f"coalesce(sum(customers) FILTER (WHERE age = 1 AND {condition}), 0)"


def _dax(condition: str, *more: str) -> str:
    """Customers of the newest moves that fulfil a DAX condition; `more` changes the filters around it."""
    rows = f"FILTER ( {{moves}}, {{moves.{KEY}}} = Latest && {condition} )"
    total = f"SUMX ( {rows}, {{moves.customers}} )"
    inner = f"CALCULATE ( {total}, {', '.join(more)} )" if more else total
    return LATEST + f"RETURN {inner} + 0"


CHANGE = "{moves.from_segment_key} <> {moves.to_segment_key}"
BY_FROM = "USERELATIONSHIP ( {moves.from_segment_key}, {segments.segment_key} )"
BEFORE, STILL = "NOT ( ISBLANK ( {moves.from_segment_key} ) )", "NOT ( ISBLANK ( {moves.to_segment_key} ) )"
LANES = '{moves.from_lane} IN { "no_purchases", "only_returns" }'
FLOWS = (
    f"(SELECT to_segment_key AS segment_key, customers AS flow, age, from_segment_key AS other FROM {SOURCE} "
    f"UNION ALL SELECT from_segment_key, -customers, age, to_segment_key FROM {SOURCE}) AS flows"
)

KEPT = (
    f"(SELECT segment_key, customers AS was, 0 AS went, 0 AS lost FROM {aged('segment_kpis')} WHERE age = 2 UNION ALL "
    "SELECT from_segment_key, 0, CASE WHEN from_segment_key IS DISTINCT FROM to_segment_key THEN customers ELSE 0 END, "
    f"CASE WHEN to_segment_key IS NULL THEN customers ELSE 0 END FROM {SOURCE} "
    "WHERE age = 1 AND from_segment_key IS NOT NULL) AS kept"
)
"""Who was there at the moment before, and who of them went. Those who stayed are in no row of `moves`."""


MOVES = (
    Measure(
        "Moves In",
        _dax(f"{CHANGE} && {STILL}"),
        "Customers who came into a segment since the moment before.",
        "Moves",
        "count",
        Sql(_summed(f"{DIFFER} AND to_segment_key IS NOT NULL"), SOURCE, "to_segment_key"),
        synonyms=("joiners", "inflow"),
    ),
    Measure(
        "Moves Out",
        _dax(f"{CHANGE} && {BEFORE}", BY_FROM),
        "Customers who left a segment since the moment before.",
        "Moves",
        "count",
        Sql(_summed(f"{DIFFER} AND from_segment_key IS NOT NULL"), SOURCE, "from_segment_key"),
        synonyms=("leavers", "outflow"),
    ),
    Measure(
        "Net Flow",
        "[Moves In] - [Moves Out]",
        "Customers who came less those who left.",
        "Moves",
        "change",
        Sql(
            "coalesce(sum(flow) FILTER (WHERE age = 1 AND segment_key IS NOT NULL AND segment_key IS DISTINCT "
            "FROM other), 0)",
            FLOWS,
            "segment_key",
        ),
        synonyms=("net change",),
    ),
    Measure(
        "Moved Customers",
        _dax("TRUE ()"),
        "Customers by where they were and where they are.",
        "Moves",
        "count",
        Sql(_summed("true"), SOURCE),
    ),
    Measure(
        "No Longer in a Segment",
        _dax(f"{BEFORE} && NOT ( {STILL} )", BY_FROM),
        "Customers who were in a segment at the moment before and are in none now.",
        "Moves",
        "count",
        Sql(_summed("from_segment_key IS NOT NULL AND to_segment_key IS NULL"), SOURCE, "from_segment_key"),
        synonyms=("lost customers",),
    ),
    Measure(
        "Stayed",
        "[Customers Before] - [Moves Out]",
        "Customers who are in the segment in which they were at the moment before.",
        "Moves",
        "count",
        Sql("sum(was) - sum(went)", KEPT, "segment_key"),
    ),
    Measure(
        "Stayed Share",
        "DIVIDE ( [Stayed], [Customers Before] )",
        "Share of the customers of the moment before who stayed where they were.",
        "Moves",
        "share",
        Sql("CAST(sum(was) - sum(went) AS DOUBLE) / nullif(sum(was), 0)", KEPT, "segment_key"),
        synonyms=("stability of customers",),
    ),
    Measure(
        "Retention",
        "DIVIDE ( [Customers Before] - [No Longer in a Segment], [Customers Before] )",
        "Share of the customers of the moment before who are in any segment now.",
        "Moves",
        "share",
        Sql("CAST(sum(was) - sum(lost) AS DOUBLE) / nullif(sum(was), 0)", KEPT, "segment_key"),
        synonyms=("retention rate", "loyalty"),
    ),
    Measure(
        "Reactivated",
        _dax(f"{LANES} && {STILL}"),
        "Customers in a segment now who had no purchase that counts at the moment before.",
        "Moves",
        "count",
        Sql(
            _summed("from_lane IN ('no_purchases', 'only_returns') AND to_segment_key IS NOT NULL"),
            SOURCE,
            "to_segment_key",
        ),
        synonyms=("won back", "reactivation"),
    ),
)
"""Who came, who went, who stayed since the moment before."""
