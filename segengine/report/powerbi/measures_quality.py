"""Measures of what became of rows and money, and of how good the model is."""

from __future__ import annotations

from segengine.report.powerbi.model import Measure, Sql

__all__ = ["quality"]

KEY = "as_of_date_key"


def _newest(table: str) -> str:
    """The rows of a cumulative table as of its newest moment."""
    return f"(SELECT * FROM {{{table}}} WHERE as_of = (SELECT max(as_of) FROM {{{table}}})) AS newest"


def quality(f: dict[str, str]) -> list[Measure]:
    """What became of the rows and the money that were read, and how good the model is."""
    newest = _newest("runs")
    steps = "(NOT is_balance OR step = 1)"

    def run(column: str) -> str:
        return (
            f"VAR Latest = MAX ( {{runs.{KEY}}} ) "
            f"RETURN CALCULATE ( SUM ( {{runs.{column}}} ), {{runs.{KEY}}} = Latest )"
        )

    champion = '{models.status} = "champion"'
    return [
        Measure(
            "Rows Read",
            run("rows_read"),
            "Rows of the main table that were read.",
            "Data Quality",
            f["count"],
            Sql("sum(rows_read)", newest),
        ),
        Measure(
            "Rows Rejected",
            run("rows_rejected"),
            "Rows in quarantine.",
            "Data Quality",
            f["count"],
            Sql("sum(rows_rejected)", newest),
            synonyms=("quarantine", "bad rows"),
        ),
        Measure(
            "Rejected Share",
            "DIVIDE ( [Rows Rejected], [Rows Read] )",
            "Share of the rows read that were rejected.",
            "Data Quality",
            f["share"],
            Sql("CAST(sum(rows_rejected) AS DOUBLE) / sum(rows_read)", newest),
        ),
        Measure(
            "Rows by Rule",
            f"VAR Latest = MAX ( {{quality.{KEY}}} ) "
            f"RETURN CALCULATE ( SUM ( {{quality.rows}} ), {{quality.{KEY}}} = Latest )",
            "Rows that a rule passed, rejected or ignored.",
            "Data Quality",
            f["count"],
            Sql("sum(rows)", _newest("quality")),
        ),
        Measure(
            "Amount Read",
            run("amount_read"),
            "Money of all rows read: where the revenue bridge begins.",
            "Revenue Bridge",
            f["money"],
            Sql("sum(amount_read)", newest),
        ),
        Measure(
            "Amount in Segments",
            run("amount_assigned"),
            "Revenue of the customers in segments: where it ends.",
            "Revenue Bridge",
            f["money"],
            Sql("sum(amount_assigned)", newest),
        ),
        Measure(
            "Bridge Amount",
            f"VAR Latest = MAX ( {{bridge.{KEY}}} ) "
            f"RETURN CALCULATE ( SUM ( {{bridge.amount}} ), {{bridge.{KEY}}} = Latest, "
            "{bridge.is_balance} = FALSE () || {bridge.step} = 1 )",
            "Money of the source and of every change; their sum is the revenue of the segments.",
            "Revenue Bridge",
            f["money"],
            Sql(f"sum(amount) FILTER (WHERE {steps})", _newest("bridge")),
        ),
        Measure(
            "Bridge Difference",
            "[Bridge Amount] - [Amount in Segments]",
            "What is missing from the revenue bridge: 0, or something is wrong.",
            "Revenue Bridge",
            f["money"],
            Sql(
                "sum(amount)",
                f"(SELECT amount FROM {_newest('bridge')} WHERE {steps} UNION ALL "
                f"SELECT -amount_assigned FROM {newest}) AS differences",
            ),
        ),
        Measure(
            "Silhouette",
            f"CALCULATE ( MAX ( {{models.macro_silhouette}} ), {champion} )",
            "How well the champion's segments are apart, from -1 to 1; mean of the segments' means.",
            "Model",
            f["number"],
            Sql("max(macro_silhouette)", "(SELECT * FROM {models} WHERE status = 'champion') AS champions"),
        ),
        Measure(
            "Lowest Stability",
            "MIN ( {segments.stability} )",
            "Stability of the least stable segment when customers are drawn again, 0 to 1.",
            "Stability",
            f["number"],
            Sql("min(stability)", "{segments}", "segment_key"),
            synonyms=("robustness",),
        ),
        Measure("Gate Value", "MAX ( {gates.value} )", "What a gate of the model measured.", "Model", f["number"]),
        Measure(
            "Explained Variance",
            "MAX ( {prediction.eta_squared} )",
            "Share of the variance of what customers did next that the segments explain.",
            "Model",
            f["share"],
        ),
        Measure(
            "Protected Share",
            "AVERAGE ( {protected_mix.share} )",
            "Share of a segment's customers with a protected value; small cells are left empty.",
            "Protected",
            f["share"],
        ),
        Measure(
            "Drift",
            "MAX ( {drift.psi} )",
            "Population stability index of a feature since training.",
            "Model",
            f["number"],
        ),
    ]
