"""What is published, as one plain, typed object: page, terminal and BI project are drawn from it and so agree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from segengine.tables import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "READ",
    "Bridge",
    "Candidate",
    "Event",
    "Facts",
    "Gate",
    "Kpi",
    "Lane",
    "Mix",
    "ModelVersion",
    "Move",
    "Predicted",
    "Profile",
    "Quality",
    "Run",
    "Segment",
    "published_facts",
]

Row = TypeVar("Row")


@dataclass(frozen=True)
class Segment:
    """A row of `segments`; what an older publication does not have is None."""

    segment_key: int
    segment_id: str
    name: str
    group_name: str | None
    rank: int
    customers: int
    share: float
    revenue: Decimal | None
    revenue_share: float | None
    average_order_value: Decimal | None
    outliers: int
    colour: str
    rule: str | None
    rule_precision: float | None
    rule_coverage: float | None
    stability: float | None
    description: str | None
    action: str | None
    warning: str | None


@dataclass(frozen=True)
class Profile:
    """A row of `segment_profiles`."""

    segment_key: int
    feature: str
    family: str
    unit: str
    mean: float | None
    median: float | None
    p10: float | None
    p90: float | None
    z: float | None
    overall_mean: float | None
    missing_share: float | None


@dataclass(frozen=True)
class Kpi:
    """A row of `segment_kpis`."""

    segment_key: int
    as_of: dt.datetime
    model_version: str
    customers: int
    share: float
    revenue: Decimal | None
    revenue_share: float | None
    average_order_value: Decimal | None
    revenue_per_customer: Decimal | None
    active_90_days: int | None
    lifetime_value_365d: Decimal | None


@dataclass(frozen=True)
class Lane:
    """A row of `lanes`."""

    lane: str
    customers: int
    revenue: Decimal | None


@dataclass(frozen=True)
class Bridge:
    """A row of `bridge`: source plus all changes is segments, to the minor unit."""

    name: str
    is_balance: bool
    rows: int | None
    customers: int | None
    amount: Decimal


@dataclass(frozen=True)
class Quality:
    """A row of `quality`."""

    table: str
    rule: str
    outcome: str
    rows: int
    amount: Decimal | None
    text: str


@dataclass(frozen=True)
class Run:
    """A row of `runs`."""

    run_id: str
    command: str
    started_at: dt.datetime
    as_of: dt.datetime
    model_version: str
    rows_read: int
    rows_used: int
    rows_rejected: int
    rows_ignored: int
    customers: int
    customers_assigned: int
    customers_in_lanes: int
    amount_read: Decimal | None
    amount_assigned: Decimal | None
    inputs: str
    config_sha256: str
    segengine_version: str
    spark_version: str


@dataclass(frozen=True)
class ModelVersion:
    """A row of `models`."""

    model_version: str
    created_at: dt.datetime
    as_of: dt.datetime
    status: str
    k: int
    groups: int | None
    customers: int
    inertia: float
    macro_silhouette: float | None
    micro_silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    smallest_share: float
    largest_share: float
    decision: str


@dataclass(frozen=True)
class Candidate:
    """A row of `k_candidates`: a number of segments that was tried, and what became of it."""

    k: int
    macro_silhouette: float | None
    davies_bouldin: float | None
    gap: float | None
    prediction_strength: float | None
    jaccard_min: float | None
    smallest_share: float | None
    largest_share: float | None
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class Gate:
    """A row of `gates`: a limit that the model was held against."""

    gate: str
    value: float | None
    warn_limit: float | None
    refuse_limit: float | None
    verdict: str
    text: str | None


@dataclass(frozen=True)
class Predicted:
    """A row of `prediction`: how much of a later behaviour's variance a way of grouping explains."""

    behaviour: str
    method: str
    eta_squared: float | None
    low: float | None
    high: float | None
    customers: int | None


@dataclass(frozen=True)
class Move:
    """A row of `moves`; no segment and no lane means that the customer was not there."""

    as_of: dt.datetime
    previous_as_of: dt.datetime | None
    from_segment_key: int | None
    from_lane: str | None
    to_segment_key: int | None
    to_lane: str | None
    cause: str
    customers: int
    revenue: Decimal | None


@dataclass(frozen=True)
class Event:
    """A row of `segment_events`: what became of a segment when a model was trained."""

    segment_key: int
    segment_id: str
    event: str
    other_segment_key: int | None
    overlap: float | None


@dataclass(frozen=True)
class Mix:
    """A row of `protected_mix`; `customers` and `share` are None where so few are not told."""

    segment_key: int
    attribute: str
    value: str | None
    customers: int | None
    share: float | None
    overall_share: float | None
    cramers_v: float | None


READ = (
    "segments", "segment_profiles", "segment_kpis", "models", "quality", "runs", "lanes", "bridge", "k_candidates",
    "gates", "prediction", "moves", "segment_events", "protected_mix", "drift",
)  # fmt: skip
"""The tables that the facts are made of; all of them are small, whatever the number of customers."""

REPLACED_BY = {table.name: table.replaced_by for table in TABLES}


@dataclass(frozen=True)
class Facts:
    """A publication as it is shown. Of cumulative tables only `kpis` keeps what was before; `absent` tables are not
    published, or as an empty table."""

    name: str
    currency: str
    minor_unit: int
    timezone: str
    publication_id: str
    run: Run
    model: ModelVersion
    segments: tuple[Segment, ...]
    profiles: tuple[Profile, ...]
    kpis: tuple[Kpi, ...]
    lanes: tuple[Lane, ...]
    bridge: tuple[Bridge, ...]
    quality: tuple[Quality, ...]
    candidates: tuple[Candidate, ...]
    gates: tuple[Gate, ...]
    predictions: tuple[Predicted, ...]
    moves: tuple[Move, ...]
    events: tuple[Event, ...]
    mixes: tuple[Mix, ...]
    drift: tuple[Mapping[str, object], ...]
    absent: frozenset[str]

    @property
    def as_of(self) -> dt.datetime:
        return self.run.as_of

    @property
    def has_money(self) -> bool:
        return any(segment.revenue is not None for segment in self.segments)

    def segment(self, key: int | None) -> Segment | None:
        """The segment of that key, where there is one now."""
        return next((segment for segment in self.segments if segment.segment_key == key), None)


def published_facts(
    tables: Mapping[str, pa.Table], *, name: str, currency: str, minor_unit: int, timezone: str
) -> Facts:
    """The facts of the run whose rows are newest in `tables`, which may lack any table but those of the first version.

    Segments are in the order of their revenue, group by group where there are groups.
    """
    rows = {table: found.to_pylist() for table, found in tables.items() if table in READ}
    publication_id = str(rows["segments"][0]["publication_id"])
    run = max(_made(Run, rows["runs"]), key=lambda run: (run.as_of, run.started_at))
    own = [row for row in rows["runs"] if row["publication_id"] == publication_id]
    if own:
        (run,) = _made(Run, own)
    now = {table: _of(table, found, run) for table, found in rows.items()}
    segments = sorted(_made(Segment, rows["segments"]), key=_place(rows["segments"]))
    return Facts(
        name=name,
        currency=currency,
        minor_unit=minor_unit,
        timezone=timezone,
        publication_id=publication_id,
        run=run,
        model=next(m for m in _made(ModelVersion, rows["models"]) if m.model_version == run.model_version),
        segments=tuple(segments),
        profiles=_made(Profile, rows["segment_profiles"]),
        kpis=tuple(sorted(_made(Kpi, rows["segment_kpis"]), key=lambda kpi: (kpi.as_of, kpi.segment_key))),
        lanes=_made(Lane, now.get("lanes", ())),
        bridge=_made(Bridge, sorted(now.get("bridge", ()), key=lambda row: int(row["step"]))),
        quality=_made(Quality, now["quality"]),
        candidates=_made(Candidate, now.get("k_candidates", ())),
        gates=_made(Gate, now.get("gates", ())),
        predictions=_made(Predicted, now.get("prediction", ())),
        moves=_made(Move, now.get("moves", ())),
        events=_made(Event, now.get("segment_events", ())),
        mixes=_made(Mix, rows.get("protected_mix", ())),
        drift=tuple({k: v for k, v in row.items() if k != "publication_id"} for row in now.get("drift", ())),
        absent=frozenset(table for table in READ if not rows.get(table)),
    )


def _made(kind: type[Row], rows: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """One object a row, by the names of its fields; a column that is not there is None."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # mypy cannot bound by dataclasses
    return tuple(kind(**{name: row.get(name) for name in names}) for row in rows)


def _of(table: str, rows: list[dict[str, Any]], run: Run) -> list[dict[str, Any]]:
    """Of a cumulative table's rows those of this run: as of its moment, or of its model."""
    (column,) = REPLACED_BY.get(table) or ("",)
    return [row for row in rows if row[column] == getattr(run, column)] if column else rows


def _place(rows: list[dict[str, Any]]) -> Any:
    grouped = any(row["group_name"] is not None for row in rows)
    return lambda segment: segment.segment_key if grouped else segment.rank
