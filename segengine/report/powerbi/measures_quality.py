"""Measures of what became of rows and money, and of how good the model is."""

from __future__ import annotations

from segengine.report.powerbi.measures_more import KEY
from segengine.report.powerbi.model import Measure, Sql

__all__ = ["QUALITY"]


def _newest(table: str) -> str:
    """The rows of a cumulative table as of its newest moment."""
    return f"(SELECT * FROM {{{table}}} WHERE as_of = (SELECT max(as_of) FROM {{{table}}})) AS newest"


def _latest(table: str, *columns: str) -> str:
    """The newest day of a table within the days that are looked at, whatever else its rows are narrowed to.

    Without that a rule, a step or an alarm of long ago would show as if it were one of now.
    """
    listed = ", ".join(f"{{{table}.{column}}}" for column in columns)
    return f"VAR Latest = CALCULATE ( MAX ( {{{table}.{KEY}}} ), REMOVEFILTERS ( {listed} ) ) "


def _run(column: str) -> str:
    """A column of the newest run."""
    return (
        f"VAR Latest = MAX ( {{runs.{KEY}}} ) RETURN CALCULATE ( SUM ( {{runs.{column}}} ), {{runs.{KEY}}} = Latest )"
    )


NEWEST = _newest("runs")
STEPS = "(NOT is_balance OR step = 1)"
CHAMPION = '{models.status} = "champion"'

QUALITY = (
    Measure(
        "Rows Read",
        _run("rows_read"),
        "Rows of the main table that were read.",
        "Data Quality",
        "count",
        Sql("sum(rows_read)", NEWEST),
    ),
    Measure(
        "Rows Rejected",
        _run("rows_rejected"),
        "Rows in quarantine.",
        "Data Quality",
        "count",
        Sql("sum(rows_rejected)", NEWEST),
        synonyms=("quarantine", "bad rows"),
    ),
    Measure(
        "Rejected Share",
        "DIVIDE ( [Rows Rejected], [Rows Read] )",
        "Share of the rows read that were rejected.",
        "Data Quality",
        "share",
        Sql("CAST(sum(rows_rejected) AS DOUBLE) / nullif(sum(rows_read), 0)", NEWEST),
    ),
    Measure(
        "Rows by Rule",
        _latest("quality", "table", "rule", "outcome")
        + f"RETURN CALCULATE ( SUM ( {{quality.rows}} ), {{quality.{KEY}}} = Latest )",
        "Rows that a rule passed, rejected or ignored.",
        "Data Quality",
        "count",
        Sql("sum(rows)", _newest("quality")),
    ),
    Measure(
        "Amount Read",
        _run("amount_read"),
        "Money of all rows read: where the revenue bridge begins.",
        "Revenue Bridge",
        "money",
        Sql("sum(amount_read)", NEWEST),
    ),
    Measure(
        "Amount in Segments",
        _run("amount_assigned"),
        "Revenue of the customers in segments: where it ends.",
        "Revenue Bridge",
        "money",
        Sql("sum(amount_assigned)", NEWEST),
    ),
    Measure(
        "Bridge Amount",
        _latest("bridge", "step_label", "step", "is_balance")
        + f"RETURN CALCULATE ( SUM ( {{bridge.amount}} ), {{bridge.{KEY}}} = Latest, "
        "{bridge.is_balance} = FALSE () || {bridge.step} = 1 )",
        "Money of the source and of every change; their sum is the revenue of the segments.",
        "Revenue Bridge",
        "money",
        Sql(f"sum(amount) FILTER (WHERE {STEPS})", _newest("bridge")),
    ),
    Measure(
        "Bridge Difference",
        "[Bridge Amount] - [Amount in Segments]",
        "What is missing from the revenue bridge: 0, or something is wrong.",
        "Revenue Bridge",
        "money",
        Sql(
            "sum(amount)",
            f"(SELECT amount FROM {_newest('bridge')} WHERE {STEPS} UNION ALL "
            f"SELECT -amount_assigned FROM {NEWEST}) AS differences",
        ),
    ),
    Measure(
        "Silhouette",
        f"CALCULATE ( MAX ( {{models.macro_silhouette}} ), {CHAMPION} )",
        "How well the champion's segments are apart, from -1 to 1; mean of the segments' means.",
        "Model",
        "number",
        Sql("max(macro_silhouette)", "(SELECT * FROM {models} WHERE status = 'champion') AS champions"),
    ),
    Measure(
        "Lowest Stability",
        "MIN ( {segments.stability} )",
        "Stability of the least stable segment when customers are drawn again, 0 to 1.",
        "Stability",
        "number",
        Sql("min(stability)", "{segments}", "segment_key"),
        synonyms=("robustness",),
    ),
    Measure(
        "Gate Value",
        "MAX ( {gates.value} )",
        "What a gate of the model measured.",
        "Model",
        "number",
        Sql("max(value)", "{gates}"),
    ),
    Measure(
        "Explained Variance",
        "MAX ( {prediction.eta_squared} )",
        "Share of the variance of what customers did next that the segments explain.",
        "Model",
        "share",
        Sql("max(eta_squared)", "{prediction}"),
    ),
    Measure(
        "Protected Share",
        "AVERAGE ( {protected_mix.share} )",
        "Share of a segment's customers with a protected value; small cells are left empty.",
        "Protected",
        "share",
        Sql("avg(share)", "{protected_mix}", "segment_key"),
    ),
    Measure(
        "Drift",
        _latest("drift", "subject", "measure", "compared_with", "verdict")
        + f"RETURN CALCULATE ( MAX ( {{drift.value}} ), {{drift.{KEY}}} = Latest )",
        "How far the newest customers are from those of training or of an earlier moment, in the unit of the measure.",
        "Model",
        "number",
        Sql("max(value)", _newest("drift")),
    ),
)
"""What became of the rows and the money that were read, and how good the model is."""
