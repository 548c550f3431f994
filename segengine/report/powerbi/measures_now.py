"""Measures of the customers as they are now, from their rows or, where there are too many, from totals."""

from __future__ import annotations

from collections.abc import Callable

from segengine.report.powerbi.model import Measure, Sql

__all__ = ["AT_RISK_DAYS", "FROM_ROWS", "FROM_TOTALS", "ratios"]

AT_RISK_DAYS = 90
"""Without an order for longer than this a customer counts as at risk, as `active_90_days` of segment_kpis counts."""

ROWS = "{assignments}"
NOW = "(SELECT * FROM {segment_kpis} WHERE as_of = (SELECT max(as_of) FROM {segment_kpis})) AS now"


def _rows(expression: str) -> Sql:
    return Sql(expression, ROWS, "segment_key")


def _totals(expression: str) -> Sql:
    return Sql(expression, NOW, "segment_key")


ASSIGNED = "segment_key IS NOT NULL"
RISK = f"recency_days > {AT_RISK_DAYS} AND {ASSIGNED}"

FROM_ROWS = (
    Measure(
        "Customers",
        "COUNT ( {assignments.segment_key} )",
        "Customers in a segment now.",
        "Customers",
        "count",
        _rows("count(segment_key)"),
        synonyms=("clients", "shoppers", "buyers", "headcount"),
    ),
    Measure(
        "All Customers",
        "COUNTROWS ( {assignments} )",
        "Customers in a segment or a lane.",
        "Customers",
        "count",
        Sql("count(*)", ROWS),
    ),
    Measure(
        "Revenue",
        "CALCULATE ( SUM ( {assignments.revenue} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
        "Revenue in the window of the customers in a segment.",
        "Revenue",
        "money",
        _rows(f"sum(revenue) FILTER (WHERE {ASSIGNED})"),
        synonyms=("sales", "turnover", "spend"),
    ),
    Measure(
        "Orders",
        "CALCULATE ( SUM ( {assignments.orders} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
        "Orders in the window of the customers in a segment.",
        "Orders",
        "count",
        _rows(f"sum(orders) FILTER (WHERE {ASSIGNED})"),
        synonyms=("purchases", "baskets"),
    ),
    Measure(
        "Revenue in Lanes",
        "CALCULATE ( SUM ( {assignments.revenue} ), ISBLANK ( {assignments.segment_key} ) )",
        "Revenue in the window of the customers in a lane, who are in no segment.",
        "Revenue",
        "money",
        Sql("coalesce(sum(revenue) FILTER (WHERE segment_key IS NULL), 0)", ROWS),
    ),
    Measure(
        "Recency Days",
        "CALCULATE ( AVERAGE ( {assignments.recency_days} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
        "Mean number of days since the last order.",
        "Behaviour",
        "days",
        _rows(f"avg(recency_days) FILTER (WHERE {ASSIGNED})"),
        synonyms=("days since last order",),
    ),
    Measure(
        "At Risk",
        f"CALCULATE ( [Customers], {{assignments.recency_days}} > {AT_RISK_DAYS} )",
        f"Customers in a segment whose last order is more than {AT_RISK_DAYS} days ago.",
        "Behaviour",
        "count",
        _rows(f"count(*) FILTER (WHERE {RISK})"),
        synonyms=("churn risk", "lapsing", "inactive"),
    ),
    Measure(
        "Outliers",
        "CALCULATE ( [Customers], {assignments.is_outlier} = TRUE () )",
        "Customers far from the centre of their segment.",
        "Stability",
        "count",
        _rows(f"count(*) FILTER (WHERE is_outlier AND {ASSIGNED})"),
    ),
    Measure(
        "Near a Border",
        "CALCULATE ( [Customers], {assignments.margin} < 0.1 )",
        "Customers whose second nearest segment is less than a tenth farther away.",
        "Stability",
        "count",
        _rows(f"count(*) FILTER (WHERE margin < 0.1 AND {ASSIGNED})"),
    ),
)
"""Base measures over one row a customer."""


def _now(column: str) -> str:
    """The sum of a column of the segments at the newest day."""
    latest = "CALCULATE ( MAX ( {segment_kpis.as_of_date_key} ), REMOVEFILTERS () )"
    return (
        f"VAR Latest = {latest} RETURN CALCULATE ( SUM ( {{segment_kpis.{column}}} ), "
        "{segment_kpis.as_of_date_key} = Latest )"
    )


FROM_TOTALS = (
    Measure(
        "Customers",
        _now("customers"),
        "Customers in a segment now.",
        "Customers",
        "count",
        _totals("sum(customers)"),
        synonyms=("clients", "shoppers", "buyers", "headcount"),
    ),
    Measure(
        "Revenue",
        _now("revenue"),
        "Revenue in the window of the customers in a segment.",
        "Revenue",
        "money",
        _totals("sum(revenue)"),
        synonyms=("sales", "turnover", "spend"),
    ),
    Measure(
        "Orders",
        _now("orders"),
        "Orders in the window of the customers in a segment.",
        "Orders",
        "count",
        _totals("sum(orders)"),
        synonyms=("purchases", "baskets"),
    ),
    Measure(
        "Active in 90 Days",
        _now("active_90_days"),
        "Customers with an order in the last 90 days.",
        "Behaviour",
        "count",
        _totals("sum(active_90_days)"),
    ),
    Measure(
        "At Risk",
        "[Customers] - [Active in 90 Days]",
        f"Customers in a segment without an order in the last {AT_RISK_DAYS} days.",
        "Behaviour",
        "count",
        _totals("sum(customers) - sum(active_90_days)"),
        synonyms=("churn risk", "lapsing", "inactive"),
    ),
)
"""The same base measures over one row a segment, for publications with more customers than the model takes."""


def ratios(*, rows: bool) -> list[Measure]:
    """What follows from the base measures, whichever rows they are over."""
    sql = _rows if rows else _totals
    count = "count(segment_key)" if rows else "sum(customers)"
    only = " FILTER (WHERE segment_key IS NOT NULL)" if rows else ""
    at_risk = f"count(*) FILTER (WHERE recency_days > {AT_RISK_DAYS} AND segment_key IS NOT NULL)"
    at_risk = at_risk if rows else "(sum(customers) - sum(active_90_days))"
    revenue, orders = f"sum(revenue){only}", f"sum(orders){only}"
    found = [
        *_shares(sql, count, revenue),
        Measure(
            "Average Order Value",
            "DIVIDE ( [Revenue], [Orders] )",
            "Revenue divided by orders.",
            "Orders",
            "money",
            sql(f"CAST({revenue} AS DOUBLE) / nullif({orders}, 0)"),
            synonyms=("basket value", "AOV"),
        ),
        Measure(
            "Revenue per Customer",
            "DIVIDE ( [Revenue], [Customers] )",
            "Revenue divided by customers.",
            "Revenue",
            "money",
            sql(f"CAST({revenue} AS DOUBLE) / {count}"),
            synonyms=("customer value", "ARPU"),
        ),
        Measure(
            "Orders per Customer",
            "DIVIDE ( [Orders], [Customers] )",
            "Orders in the window per customer.",
            "Orders",
            "number",
            sql(f"CAST({orders} AS DOUBLE) / {count}"),
            synonyms=("frequency",),
        ),
        Measure(
            "At Risk Share",
            "DIVIDE ( [At Risk], [Customers] )",
            "Share of the customers who are at risk.",
            "Behaviour",
            "share",
            sql(f"CAST({at_risk} AS DOUBLE) / {count}"),
            synonyms=("churn rate",),
        ),
    ]
    return [*found, *_row_ratios()] if rows else found


def _shares(sql: Callable[[str], Sql], count: str, revenue: str) -> list[Measure]:
    return [
        Measure(
            "Customer Share",
            "DIVIDE ( [Customers], CALCULATE ( [Customers], REMOVEFILTERS ( {segments} ) ) )",
            "Share of all segmented customers.",
            "Customers",
            "share",
            sql(f"CAST({count} AS DOUBLE) / sum({count}) OVER ()"),
            synonyms=("share of customers", "size"),
        ),
        Measure(
            "Revenue Share",
            "DIVIDE ( [Revenue], CALCULATE ( [Revenue], REMOVEFILTERS ( {segments} ) ) )",
            "Share of the revenue of all segmented customers.",
            "Revenue",
            "share",
            sql(f"CAST({revenue} AS DOUBLE) / nullif(sum({revenue}) OVER (), 0)"),
            synonyms=("share of sales",),
        ),
    ]


def _row_ratios() -> list[Measure]:
    """What follows from rows only."""
    return [
        Measure(
            "Customers in Lanes",
            "[All Customers] - [Customers]",
            "Customers who are in no segment.",
            "Customers",
            "count",
            Sql("count(*) - count(segment_key)", ROWS),
        ),
        Measure(
            "Near a Border Share",
            "DIVIDE ( [Near a Border], [Customers] )",
            "Share of the customers who are near a border.",
            "Stability",
            "share",
            _rows(f"CAST(count(*) FILTER (WHERE margin < 0.1 AND {ASSIGNED}) AS DOUBLE) / count(segment_key)"),
        ),
    ]
