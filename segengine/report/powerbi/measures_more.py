"""Measures of history, moves and profiles, and of the team's own key figures."""

from __future__ import annotations

from segengine.report.powerbi.model import Measure, Sql
from segengine.report.powerbi.names import friendly

__all__ = ["history", "moves", "own", "own_name", "profiles"]


def aged(table: str) -> str:
    """The rows of a cumulative table with their age: 1 is the newest moment, 2 the one before."""
    return f"(SELECT t.*, dense_rank() OVER (ORDER BY as_of DESC) AS age FROM {{{table}}} AS t) AS aged"


KEY = "as_of_date_key"


def _latest(table: str) -> str:
    """The newest day of a table within the days that are looked at, whatever the segment."""
    return (
        f"VAR Latest = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {{segments}} ), "
        "REMOVEFILTERS ( {Previous Segments} ) ) "
        if table == "moves"
        else f"VAR Latest = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {{segments}} ) ) "
    )


def _previous(column: str) -> str:
    table = "segment_kpis"
    return (
        _latest(table) + f"VAR Before = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {{segments}} ), "
        f"REMOVEFILTERS ( {{dates}} ), {{{table}.{KEY}}} < Latest ) "
        f"RETURN CALCULATE ( SUM ( {{{table}.{column}}} ), REMOVEFILTERS ( {{dates}} ), {{{table}.{KEY}}} = Before )"
    )


def history(f: dict[str, str]) -> list[Measure]:
    """What segments were at each moment, and the change from the moment before."""
    source = aged("segment_kpis")

    def at(column: str, age: int) -> str:
        return f"sum({column}) FILTER (WHERE age = {age})"

    def sql(expression: str) -> Sql:
        return Sql(expression, source, "segment_key")

    def latest(column: str) -> str:
        return (
            _latest("segment_kpis")
            + f"RETURN CALCULATE ( SUM ( {{segment_kpis.{column}}} ), {{segment_kpis.{KEY}}} = Latest )"
        )

    made = []
    for name, column, number, change in (
        ("Customers", "customers", "count", "change"),
        ("Revenue", "revenue", "money", "money change"),
    ):
        then, before = f"{name} at the Time", f"{name} Before"
        low = name.lower()
        made += [
            Measure(
                then,
                latest(column),
                f"The {low} of segments at the newest moment of the days looked at.",
                "History",
                f[number],
                sql(at(column, 1)),
            ),
            Measure(
                before,
                _previous(column),
                f"The {low} of segments at the moment before.",
                "History",
                f[number],
                sql(at(column, 2)),
            ),
            Measure(
                f"{name} Change",
                f"IF ( NOT ( ISBLANK ( [{before}] ) ), [{then}] - [{before}] )",
                f"Change of the {low} from the moment before.",
                "History",
                f[change],
                sql(f"{at(column, 1)} - {at(column, 2)}"),
                synonyms=(f"{low} growth",),
            ),
            Measure(
                f"{name} Change %",
                f"DIVIDE ( [{name} Change], [{before}] )",
                f"Change of the {low} from the moment before, relative to then.",
                "History",
                f["share"],
                sql(f"CAST({at(column, 1)} - {at(column, 2)} AS DOUBLE) / {at(column, 2)}"),
            ),
        ]
    made.append(
        Measure(
            "Lifetime Value",
            latest("lifetime_value_365d"),
            "Money to be expected of the customers in the next 365 days.",
            "Revenue",
            f["money"],
            sql(at("lifetime_value_365d", 1)),
            synonyms=("CLV", "expected revenue"),
        )
    )
    return made


def moves(f: dict[str, str]) -> list[Measure]:
    """Who came, who went, who stayed since the moment before."""
    source = aged("moves")
    differ = "from_segment_key IS DISTINCT FROM to_segment_key"

    def summed(condition: str) -> str:
        return f"coalesce(sum(customers) FILTER (WHERE age = 1 AND {condition}), 0)"

    def dax(condition: str, *more: str) -> str:
        rows = f"FILTER ( {{moves}}, {{moves.{KEY}}} = Latest && {condition} )"
        total = f"SUMX ( {rows}, {{moves.customers}} )"
        inner = f"CALCULATE ( {total}, {', '.join(more)} )" if more else total
        return _latest("moves") + f"RETURN {inner} + 0"

    change = "{moves.from_segment_key} <> {moves.to_segment_key}"
    by_from = "USERELATIONSHIP ( {moves.from_segment_key}, {segments.segment_key} )"
    before, still = "NOT ( ISBLANK ( {moves.from_segment_key} ) )", "NOT ( ISBLANK ( {moves.to_segment_key} ) )"
    lanes = '{moves.from_lane} IN { "no_purchases", "only_returns" }'
    flows = (
        f"(SELECT to_segment_key AS segment_key, customers AS flow, age, from_segment_key AS other FROM {source} "
        f"UNION ALL SELECT from_segment_key, -customers, age, to_segment_key FROM {source}) AS flows"
    )
    return [
        Measure(
            "Moves In",
            dax(f"{change} && {still}"),
            "Customers who came into a segment since the moment before.",
            "Moves",
            f["count"],
            Sql(summed(f"{differ} AND to_segment_key IS NOT NULL"), source, "to_segment_key"),
            synonyms=("joiners", "inflow"),
        ),
        Measure(
            "Moves Out",
            dax(f"{change} && {before}", by_from),
            "Customers who left a segment since the moment before.",
            "Moves",
            f["count"],
            Sql(summed(f"{differ} AND from_segment_key IS NOT NULL"), source, "from_segment_key"),
            synonyms=("leavers", "outflow"),
        ),
        Measure(
            "Net Flow",
            "[Moves In] - [Moves Out]",
            "Customers who came less those who left.",
            "Moves",
            f["change"],
            Sql(
                "coalesce(sum(flow) FILTER (WHERE age = 1 AND segment_key IS NOT NULL AND segment_key IS DISTINCT "
                "FROM other), 0)",
                flows,
                "segment_key",
            ),
            synonyms=("net change",),
        ),
        Measure(
            "Moved Customers",
            dax("TRUE ()"),
            "Customers by where they were and where they are.",
            "Moves",
            f["count"],
            Sql(summed("true"), source),
        ),
        Measure(
            "Customers Who Were There",
            dax(before, by_from),
            "Customers who were in a segment at the moment before.",
            "Moves",
            f["count"],
            Sql(summed("from_segment_key IS NOT NULL"), source, "from_segment_key"),
        ),
        Measure(
            "Still in a Segment",
            dax(f"{before} && {still}", by_from),
            "Customers who were in a segment before and are in one now.",
            "Moves",
            f["count"],
            Sql(summed("from_segment_key IS NOT NULL AND to_segment_key IS NOT NULL"), source, "from_segment_key"),
        ),
        Measure(
            "Retention",
            "DIVIDE ( [Still in a Segment], [Customers Who Were There] )",
            "Share of the customers of the moment before who are in a segment now.",
            "Moves",
            f["share"],
            Sql(
                "CAST(sum(customers) FILTER (WHERE age = 1 AND from_segment_key IS NOT NULL AND to_segment_key IS NOT "
                "NULL) AS DOUBLE) / sum(customers) FILTER (WHERE age = 1 AND from_segment_key IS NOT NULL)",
                source,
                "from_segment_key",
            ),
            synonyms=("retention rate", "loyalty"),
        ),
        Measure(
            "Reactivated",
            dax(f"{lanes} && {still}"),
            "Customers in a segment now who had no purchase that counts at the moment before.",
            "Moves",
            f["count"],
            Sql(
                summed("from_lane IN ('no_purchases', 'only_returns') AND to_segment_key IS NOT NULL"),
                source,
                "to_segment_key",
            ),
            synonyms=("won back", "reactivation"),
        ),
    ]


def profiles(f: dict[str, str]) -> list[Measure]:
    """What is typical of a segment, feature by feature: meant for one feature at a time."""
    source = "{segment_profiles}"
    return [
        Measure(
            "Feature Mean",
            "AVERAGE ( {segment_profiles.mean} )",
            "Mean of a feature, in its own unit.",
            "Profile",
            f["number"],
        ),
        Measure(
            "Feature Median",
            "AVERAGE ( {segment_profiles.median} )",
            "Median of a feature, in its own unit.",
            "Profile",
            f["number"],
        ),
        Measure(
            "Feature Index",
            "AVERAGE ( {segment_profiles.index} )",
            "Mean of a feature where 100 is the mean of all customers.",
            "Profile",
            f["count"],
        ),
        Measure(
            "Feature Difference",
            "AVERAGE ( {segment_profiles.z} )",
            "How far the mean of a feature is from that of all customers, in standard deviations.",
            "Profile",
            f["number"],
            synonyms=("z score", "what drives"),
        ),
        Measure(
            "Strongest Difference",
            "MAXX ( {segment_profiles}, ABS ( {segment_profiles.z} ) )",
            "The largest difference of any feature from all customers, in standard deviations.",
            "Profile",
            f["number"],
            Sql("max(abs(z))", source, "segment_key"),
        ),
    ]


def own_name(kpi: str) -> str:
    """What the measure of a key figure of the team is called."""
    return f"Total {friendly(kpi)}"


def own(kpis: tuple[str, ...], f: dict[str, str]) -> list[Measure]:
    """The team's own key figures: the sum over the customers in a segment."""
    return [
        Measure(
            own_name(kpi),
            f"CALCULATE ( SUM ( {{assignments.{kpi}}} ), NOT ( ISBLANK ( {{assignments.segment_key}} ) ) )",
            f"Sum of the team's own key figure {kpi} over the customers in a segment.",
            "Own Key Figures",
            f["number"],
            Sql(f"sum({kpi}) FILTER (WHERE segment_key IS NOT NULL)", "{assignments}", "segment_key"),
            synonyms=(kpi.replace("_", " "),),
        )
        for kpi in kpis
    ]
