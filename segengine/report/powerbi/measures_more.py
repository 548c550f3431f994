"""Measures of history and profiles, and of the team's own key figures."""

from __future__ import annotations

from segengine.report.powerbi.model import Measure, Sql
from segengine.report.powerbi.names import friendly

__all__ = ["KEY", "PROFILES", "aged", "history", "own", "own_name"]


def aged(table: str) -> str:
    """The rows of a cumulative table with their age: 1 is the newest moment, 2 the one before."""
    return f"(SELECT t.*, dense_rank() OVER (ORDER BY as_of DESC) AS age FROM {{{table}}} AS t) AS aged"


KEY = "as_of_date_key"


def _latest(table: str) -> str:
    """The newest day of a table within the days that are looked at, whatever the segment."""
    return f"VAR Latest = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {{segments}} ) ) "


def _previous(column: str) -> str:
    table = "segment_kpis"
    return (
        _latest(table) + f"VAR Before = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {{segments}} ), "
        f"REMOVEFILTERS ( {{dates}} ), {{{table}.{KEY}}} < Latest ) "
        f"RETURN CALCULATE ( SUM ( {{{table}.{column}}} ), REMOVEFILTERS ( {{dates}} ), {{{table}.{KEY}}} = Before )"
    )


HISTORY = aged("segment_kpis")


def _at(column: str, age: int) -> str:
    return f"sum({column}) FILTER (WHERE age = {age})"


def _paired(expression: str) -> Sql:
    return Sql(expression, HISTORY, "segment_key")


def _at_latest(column: str) -> str:
    table = "segment_kpis"
    return _latest(table) + f"RETURN CALCULATE ( SUM ( {{{table}.{column}}} ), {{{table}.{KEY}}} = Latest )"


def history() -> list[Measure]:
    """What segments were at each moment, and the change from the moment before."""
    made = [*_changing("Customers", "customers", "count", "change")]
    made += _changing("Revenue", "revenue", "money", "money change")
    made.append(
        Measure(
            "Lifetime Value",
            _at_latest("lifetime_value_365d"),
            "Money to be expected of the customers in the next 365 days.",
            "Revenue",
            "money",
            _paired(_at("lifetime_value_365d", 1)),
            synonyms=("CLV", "expected revenue"),
        )
    )
    return made


def _changing(name: str, column: str, number: str, change: str) -> list[Measure]:
    then, before, low = f"{name} at the Time", f"{name} Before", name.lower()
    now, was = _at(column, 1), _at(column, 2)
    return [
        Measure(
            then,
            _at_latest(column),
            f"The {low} of segments at the newest moment of the days looked at.",
            "History",
            number,
            _paired(now),
        ),
        Measure(
            before,
            _previous(column),
            f"The {low} of segments at the moment before.",
            "History",
            number,
            _paired(was),
        ),
        Measure(
            f"{name} Change",
            f"IF ( NOT ( ISBLANK ( [{before}] ) ), [{then}] - [{before}] )",
            f"Change of the {low} from the moment before.",
            "History",
            change,
            _paired(f"{now} - {was}"),
            synonyms=(f"{low} growth",),
        ),
        Measure(
            f"{name} Change %",
            f"DIVIDE ( [{name} Change], [{before}] )",
            f"Change of the {low} from the moment before, relative to then.",
            "History",
            "share",
            _paired(f"CAST({now} - {was} AS DOUBLE) / nullif({was}, 0)"),
        ),
    ]


def _profile(column: str) -> Sql:
    return Sql(f"avg({column})", "{segment_profiles}", "segment_key")


PROFILES = (
    Measure(
        "Feature Mean",
        "AVERAGE ( {segment_profiles.mean} )",
        "Mean of a feature, in its own unit.",
        "Profile",
        "number",
        _profile("mean"),
    ),
    Measure(
        "Feature Median",
        "AVERAGE ( {segment_profiles.median} )",
        "Median of a feature, in its own unit.",
        "Profile",
        "number",
        _profile("median"),
    ),
    Measure(
        "Feature Index",
        "AVERAGE ( {segment_profiles.index} )",
        "Mean of a feature where 100 is the mean of all customers.",
        "Profile",
        "count",
        _profile("index"),
    ),
    Measure(
        "Feature Difference",
        "AVERAGE ( {segment_profiles.z} )",
        "How far the mean of a feature is from that of all customers, in standard deviations.",
        "Profile",
        "number",
        _profile("z"),
        synonyms=("z score", "what drives"),
    ),
    Measure(
        "Strongest Difference",
        "MAXX ( {segment_profiles}, ABS ( {segment_profiles.z} ) )",
        "The largest difference of any feature from all customers, in standard deviations.",
        "Profile",
        "number",
        Sql("max(abs(z))", "{segment_profiles}", "segment_key"),
    ),
)
"""What is typical of a segment, feature by feature: meant for one feature at a time."""


def own_name(kpi: str) -> str:
    """What the measure of a key figure of the team is called, by its column."""
    return f"Total {friendly(kpi.removesuffix('_kpi'))}"


def own(kpis: tuple[str, ...]) -> list[Measure]:
    """The team's own key figures: the sum over the customers in a segment."""
    return [
        Measure(
            own_name(kpi),
            f"CALCULATE ( SUM ( {{assignments.{kpi}}} ), NOT ( ISBLANK ( {{assignments.segment_key}} ) ) )",
            f"Sum of the team's own key figure {kpi.removesuffix('_kpi')} over the customers in a segment.",
            "Own Key Figures",
            "number",
            Sql(f"sum({kpi}) FILTER (WHERE segment_key IS NOT NULL)", "{assignments}", "segment_key"),
            synonyms=(kpi.removesuffix("_kpi").replace("_", " "),),
        )
        for kpi in kpis
    ]
