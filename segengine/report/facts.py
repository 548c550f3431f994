"""The facts of a publication, and those of a run, as plain objects; whatever is shown to people is drawn from them."""

from __future__ import annotations

from dataclasses import dataclass, field

from segengine.report.published import Facts, published_facts

__all__ = [
    "BridgeLine",
    "CandidateLine",
    "Facts",
    "GateLine",
    "GroupLine",
    "NextStep",
    "RowsLine",
    "SegmentLine",
    "Summary",
    "published_facts",
]


@dataclass(frozen=True)
class RowsLine:
    """What a rule did to the rows of a table."""

    table: str
    rule: str
    outcome: str  # used, rejected, ignored or noted
    rows: int
    amount_e4: int | None
    text: str


@dataclass(frozen=True)
class BridgeLine:
    """A step of the revenue bridge; amounts are in 1/10,000 of the currency unit and add up exactly."""

    name: str
    rows: int | None
    customers: int | None
    amount_e4: int


@dataclass(frozen=True)
class SegmentLine:
    """A segment as a line of a table; `readings` are feature -> median in its own unit.

    `lifetime_value_e4`: expected of its customers in the next 365 days, where the features have it.
    """

    segment_id: str
    name: str
    customers: int
    share: float
    revenue_e4: int | None
    revenue_share: float | None
    readings: tuple[tuple[str, float | None], ...] = ()
    lifetime_value_e4: int | None = None
    group: str | None = None


@dataclass(frozen=True)
class GroupLine:
    """A group of customers with `k` segments of its own, and why so many."""

    name: str
    customers: int
    share: float
    revenue_share: float | None
    k: int
    macro_silhouette: float | None
    decision: str


@dataclass(frozen=True)
class CandidateLine:
    """A number of segments that was tried, and what became of it."""

    k: int
    macro_silhouette: float | None
    smallest_share: float | None
    largest_share: float | None
    verdict: str
    reason: str
    micro_silhouette: float | None = None
    squared_silhouette: float | None = None
    calinski_harabasz: float | None = None
    davies_bouldin: float | None = None
    gap: float | None = None
    gap_error: float | None = None
    prediction_strength: float | None = None
    jaccard_min: float | None = None


@dataclass(frozen=True)
class GateLine:
    """A gate of the model with its limits and verdict."""

    gate: str
    value: float | None
    warn_limit: float | None
    refuse_limit: float | None
    verdict: str
    text: str


@dataclass(frozen=True)
class NextStep:
    """Something to open or run next."""

    what: str
    how: str


@dataclass(frozen=True)
class Summary:
    """A finished run. Times are ISO 8601 text in the configured zone."""

    command: str
    name: str
    run_id: str
    as_of: str
    window_start: str | None
    currency: str
    minor_unit: int
    rows_read: int
    rows: tuple[RowsLine, ...]
    customers: int | None = None
    customers_assigned: int | None = None
    lanes: tuple[tuple[str, int], ...] = ()
    bridge: tuple[BridgeLine, ...] = ()
    features: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    model_version: str | None = None
    trained: bool = False
    why_trained: str = ""
    why_not_trained: str = ""
    """Of a run that scored with the champion."""
    k: int | None = None
    decision: str = ""
    candidates: tuple[CandidateLine, ...] = ()
    gates: tuple[GateLine, ...] = ()
    segments: tuple[SegmentLine, ...] = ()
    groups: tuple[GroupLine, ...] = ()
    publication_id: str | None = None
    warnings: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    seconds: float = 0.0
    step_seconds: tuple[tuple[str, float], ...] = field(default=())

    def rows_of(self, outcome: str, table: str | None = None) -> int:
        """Rows with an outcome (used, rejected, ignored, noted), of one table or of all."""
        return sum(line.rows for line in self.rows if line.outcome == outcome and table in (None, line.table))
