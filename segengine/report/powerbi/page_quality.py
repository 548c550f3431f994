"""What the page of the model and the data shows: rows and money accounted for, and how good the model is."""

from __future__ import annotations

from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.page_contents import Builder, Drawn
from segengine.report.powerbi.visuals import Visual

__all__ = ["quality"]

NUMBERS = (
    "Rows Read",
    "Rows Rejected",
    "Rejected Share",
    "Bridge Difference",
    "Silhouette",
    "Lowest Stability",
    "Outliers",
    "Near a Border",
    "Near a Border Share",
)
ACCOUNT = ("Amount Read", "Revenue in Lanes", "Amount in Segments", "All Customers", "Customers in Lanes", "Orders")


def quality(b: Builder, options: Options) -> Drawn:
    """Cards, then the account of rows and money, then the models."""
    return [
        [b.cards("numbers", "Quality", "Rows read and rejected, and how good the model is", NUMBERS)],
        [b.cards("money", "Account", "Money and customers from the source to the segments", ACCOUNT)],
        _account(b),
        _models(b),
    ]


def _account(b: Builder) -> list[Visual | None]:
    return [
        b.visual(
            "bridge",
            "waterfallChart",
            "Revenue bridge",
            "Waterfall: money from the source to the segments",
            ("Category", (b.column("bridge", "step_label"),)),
            ("Y", (b.measure("Bridge Amount"),)),
        ),
        b.table(
            "rules",
            "Rows by rule",
            "Table: rows that each rule passed, rejected or ignored",
            "quality",
            ("table", "rule", "outcome"),
            "Rows by Rule",
        ),
        b.table(
            "drift",
            "Drift",
            "Table: how far customers are from earlier ones, and whether that is too far",
            "drift",
            ("subject", "measure", "compared_with", "verdict"),
            "Drift",
        ),
    ]


def _models(b: Builder) -> list[Visual | None]:
    return [
        b.table(
            "models",
            "Models",
            "Table: every model version and why its number of segments was chosen",
            "models",
            ("model_version", "status", "k", "decision"),
        ),
        b.table(
            "gates",
            "Gates of the model",
            "Table: what each gate measured, and its verdict",
            "gates",
            ("model_version", "gate", "verdict"),
            "Gate Value",
        ),
        b.table(
            "prediction",
            "What segments predict",
            "Table: share of the variance of what customers did next that the segments explain",
            "prediction",
            ("model_version", "behaviour", "method"),
            "Explained Variance",
        ),
        b.table(
            "runs",
            "Runs",
            "Table: every run that published",
            "runs",
            ("as_of_date", "command", "model_version", "segengine_version"),
        ),
    ]
