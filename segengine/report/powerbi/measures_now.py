"""Measures of the customers as they are now, from their rows or, where there are too many, from totals."""

from __future__ import annotations

from segengine.report.powerbi.model import Measure, Sql

__all__ = ["AT_RISK_DAYS", "from_rows", "from_totals", "ratios"]

AT_RISK_DAYS = 90
"""Without an order for longer than this a customer counts as at risk, as `active_90_days` of segment_kpis counts."""

ROWS = "{assignments}"
NOW = "(SELECT * FROM {segment_kpis} WHERE as_of = (SELECT max(as_of) FROM {segment_kpis})) AS now"


def _rows(expression: str) -> Sql:
    return Sql(expression, ROWS, "segment_key")


def _totals(expression: str) -> Sql:
    return Sql(expression, NOW, "segment_key")


def from_rows(f: dict[str, str]) -> list[Measure]:
    """Base measures over one row a customer."""
    assigned = "segment_key IS NOT NULL"
    risk = f"recency_days > {AT_RISK_DAYS} AND {assigned}"
    return [
        Measure(
            "Customers",
            "COUNT ( {assignments.segment_key} )",
            "Customers in a segment now.",
            "Customers",
            f["count"],
            _rows("count(segment_key)"),
            synonyms=("clients", "shoppers", "buyers", "headcount"),
        ),
        Measure(
            "All Customers",
            "COUNTROWS ( {assignments} )",
            "Customers in a segment or a lane.",
            "Customers",
            f["count"],
            Sql("count(*)", ROWS),
        ),
        Measure(
            "Revenue",
            "CALCULATE ( SUM ( {assignments.revenue} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
            "Revenue in the window of the customers in a segment.",
            "Revenue",
            f["money"],
            _rows(f"sum(revenue) FILTER (WHERE {assigned})"),
            synonyms=("sales", "turnover", "spend"),
        ),
        Measure(
            "Orders",
            "CALCULATE ( SUM ( {assignments.orders} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
            "Orders in the window of the customers in a segment.",
            "Orders",
            f["count"],
            _rows(f"sum(orders) FILTER (WHERE {assigned})"),
            synonyms=("purchases", "baskets"),
        ),
        Measure(
            "Revenue in Lanes",
            "CALCULATE ( SUM ( {assignments.revenue} ), ISBLANK ( {assignments.segment_key} ) )",
            "Revenue in the window of the customers in a lane, who are in no segment.",
            "Revenue",
            f["money"],
            Sql("coalesce(sum(revenue) FILTER (WHERE segment_key IS NULL), 0)", ROWS),
        ),
        Measure(
            "Recency Days",
            "CALCULATE ( AVERAGE ( {assignments.recency_days} ), NOT ( ISBLANK ( {assignments.segment_key} ) ) )",
            "Mean number of days since the last order.",
            "Behaviour",
            f["days"],
            _rows(f"avg(recency_days) FILTER (WHERE {assigned})"),
            synonyms=("days since last order",),
        ),
        Measure(
            "At Risk",
            f"CALCULATE ( [Customers], {{assignments.recency_days}} > {AT_RISK_DAYS} )",
            f"Customers in a segment whose last order is more than {AT_RISK_DAYS} days ago.",
            "Behaviour",
            f["count"],
            _rows(f"count(*) FILTER (WHERE {risk})"),
            synonyms=("churn risk", "lapsing", "inactive"),
        ),
        Measure(
            "Outliers",
            "CALCULATE ( [Customers], {assignments.is_outlier} = TRUE () )",
            "Customers far from the centre of their segment.",
            "Stability",
            f["count"],
            _rows(f"count(*) FILTER (WHERE is_outlier AND {assigned})"),
        ),
        Measure(
            "Near a Border",
            "CALCULATE ( [Customers], {assignments.margin} < 0.1 )",
            "Customers whose second nearest segment is less than a tenth farther away.",
            "Stability",
            f["count"],
            _rows(f"count(*) FILTER (WHERE margin < 0.1 AND {assigned})"),
        ),
    ]


def from_totals(f: dict[str, str]) -> list[Measure]:
    """The same base measures over one row a segment, for publications with more customers than the model takes."""

    def now(column: str) -> str:
        latest = "CALCULATE ( MAX ( {segment_kpis.as_of_date_key} ), REMOVEFILTERS () )"
        return (
            f"VAR Latest = {latest} RETURN CALCULATE ( SUM ( {{segment_kpis.{column}}} ), "
            "{segment_kpis.as_of_date_key} = Latest )"
        )

    return [
        Measure(
            "Customers",
            now("customers"),
            "Customers in a segment now.",
            "Customers",
            f["count"],
            _totals("sum(customers)"),
            synonyms=("clients", "shoppers", "buyers", "headcount"),
        ),
        Measure(
            "Revenue",
            now("revenue"),
            "Revenue in the window of the customers in a segment.",
            "Revenue",
            f["money"],
            _totals("sum(revenue)"),
            synonyms=("sales", "turnover", "spend"),
        ),
        Measure(
            "Orders",
            now("orders"),
            "Orders in the window of the customers in a segment.",
            "Orders",
            f["count"],
            _totals("sum(orders)"),
            synonyms=("purchases", "baskets"),
        ),
        Measure(
            "Active in 90 Days",
            now("active_90_days"),
            "Customers with an order in the last 90 days.",
            "Behaviour",
            f["count"],
            _totals("sum(active_90_days)"),
        ),
        Measure(
            "At Risk",
            "[Customers] - [Active in 90 Days]",
            f"Customers in a segment without an order in the last {AT_RISK_DAYS} days.",
            "Behaviour",
            f["count"],
            _totals("sum(customers) - sum(active_90_days)"),
            synonyms=("churn risk", "lapsing", "inactive"),
        ),
    ]


def ratios(f: dict[str, str], *, rows: bool) -> list[Measure]:
    """What follows from the base measures, whichever rows they are over."""
    sql = _rows if rows else _totals
    count = "count(segment_key)" if rows else "sum(customers)"
    only = " FILTER (WHERE segment_key IS NOT NULL)" if rows else ""
    at_risk = f"count(*) FILTER (WHERE recency_days > {AT_RISK_DAYS} AND segment_key IS NOT NULL)"
    at_risk = at_risk if rows else "(sum(customers) - sum(active_90_days))"
    revenue, orders = f"sum(revenue){only}", f"sum(orders){only}"
    found = [
        Measure(
            "Customer Share",
            "DIVIDE ( [Customers], CALCULATE ( [Customers], REMOVEFILTERS ( {segments} ) ) )",
            "Share of all segmented customers.",
            "Customers",
            f["share"],
            sql(f"CAST({count} AS DOUBLE) / sum({count}) OVER ()"),
            synonyms=("share of customers", "size"),
        ),
        Measure(
            "Revenue Share",
            "DIVIDE ( [Revenue], CALCULATE ( [Revenue], REMOVEFILTERS ( {segments} ) ) )",
            "Share of the revenue of all segmented customers.",
            "Revenue",
            f["share"],
            sql(f"CAST({revenue} AS DOUBLE) / sum({revenue}) OVER ()"),
            synonyms=("share of sales",),
        ),
        Measure(
            "Average Order Value",
            "DIVIDE ( [Revenue], [Orders] )",
            "Revenue divided by orders.",
            "Orders",
            f["money"],
            sql(f"CAST({revenue} AS DOUBLE) / {orders}"),
            synonyms=("basket value", "AOV"),
        ),
        Measure(
            "Revenue per Customer",
            "DIVIDE ( [Revenue], [Customers] )",
            "Revenue divided by customers.",
            "Revenue",
            f["money"],
            sql(f"CAST({revenue} AS DOUBLE) / {count}"),
            synonyms=("customer value", "ARPU"),
        ),
        Measure(
            "Orders per Customer",
            "DIVIDE ( [Orders], [Customers] )",
            "Orders in the window per customer.",
            "Orders",
            f["number"],
            sql(f"CAST({orders} AS DOUBLE) / {count}"),
            synonyms=("frequency",),
        ),
        Measure(
            "At Risk Share",
            "DIVIDE ( [At Risk], [Customers] )",
            "Share of the customers who are at risk.",
            "Behaviour",
            f["share"],
            sql(f"CAST({at_risk} AS DOUBLE) / {count}"),
            synonyms=("churn rate",),
        ),
    ]
    if rows:
        found += [
            Measure(
                "Customers in Lanes",
                "[All Customers] - [Customers]",
                "Customers who are in no segment.",
                "Customers",
                f["count"],
                Sql("count(*) - count(segment_key)", ROWS),
            ),
            Measure(
                "Near a Border Share",
                "DIVIDE ( [Near a Border], [Customers] )",
                "Share of the customers who are near a border.",
                "Stability",
                f["share"],
                sql(f"CAST(count(*) FILTER (WHERE margin < 0.1 AND segment_key IS NOT NULL) AS DOUBLE) / {count}"),
            ),
        ]
    return found
