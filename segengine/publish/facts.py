"""What a run hands to publishing beside its scored customers: plain facts, no Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = ["Attribute", "BridgeFact", "FeatureFact", "QualityFact", "RunFacts", "SegmentInfo"]

Value = float | str | None
Kind = Literal["numeric", "categorical"]


class FeatureFact(Protocol):
    """A feature, as the catalog of features describes it."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def kind(self) -> Kind: ...


class QualityFact(Protocol):
    """What a rule did to the rows of a table, as the contract counts it."""

    @property
    def table(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def amount_e4(self) -> int | None: ...
    @property
    def text(self) -> str: ...


class BridgeFact(Protocol):
    """A step of the revenue bridge, as the contract reckons it."""

    @property
    def name(self) -> str: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def customers(self) -> int | None: ...
    @property
    def amount_e4(self) -> int: ...


@dataclass(frozen=True)
class SegmentInfo:
    """A segment of the model. `index` is its place in the model's centres, `segment_key` its lasting number."""

    segment_key: int
    segment_id: str
    name: str
    index: int
    group_name: str | None = None
    name_is_true: bool | None = None
    description: str | None = None
    action: str | None = None
    rule: str | None = None
    rule_sql: str | None = None
    rule_precision: float | None = None
    rule_coverage: float | None = None
    stability: float | None = None


@dataclass(frozen=True)
class Attribute:
    """A column of the scored rows that describes the customer, and the name to publish it under."""

    name: str
    column: str
    kind: Kind


@dataclass(frozen=True)
class RunFacts:
    """A run. Times are aware; amounts are in 1/10,000 of the currency unit.

    `centres[i]` maps feature to value in its own unit, for the segment of index i; `models` are rows of the table
    `models`, without their publication id.
    """

    publication_id: str
    run_id: str
    command: str
    started_at: dt.datetime
    finished_at: dt.datetime
    as_of: dt.datetime
    timezone: str
    minor_unit: int
    model_version: str
    models: tuple[Mapping[str, object], ...]
    segments: tuple[SegmentInfo, ...]
    features: tuple[FeatureFact, ...]
    centres: tuple[Mapping[str, Value], ...]
    quality: tuple[QualityFact, ...]
    rows_read: int
    rows_used: int
    rows_rejected: int
    rows_ignored: int
    amount_read_e4: int | None
    inputs: str
    config_sha256: str
    segengine_version: str
    spark_version: str
    attributes: tuple[Attribute, ...] = ()
    kpis: Mapping[str, str] = field(default_factory=dict)
    """Key figures of the team's own: name -> SQL over a row of assignments."""
    differences: Mapping[tuple[str, int], tuple[float, int]] = field(default_factory=dict)
    """(feature, segment index) -> difference to all over prepared values, and its place among the segment's."""
    rfm_cells: tuple[Mapping[str, Any], ...] = ()
    """Rows of the table rfm_cells, their revenue as `revenue_e4`."""
    protected_mix: tuple[Mapping[str, Any], ...] = ()
    """Rows of the table protected_mix, with the `index` of the segment."""
    rows_before: int | None = None
    rows_late: int | None = None
    events: tuple[Mapping[str, object], ...] = ()
    """Rows of the table `segment_events`, without their publication id."""
    bridge: tuple[BridgeFact, ...] = ()
    """From source to segments, both included; empty without transactions."""
    gates: tuple[Mapping[str, object], ...] = ()
    k_candidates: tuple[Mapping[str, object], ...] = ()
    prediction: tuple[Mapping[str, object], ...] = ()
    """Rows of the tables of these names, likewise."""
    warning: str | None = None
    """Why the model is to be used with care."""
    drift: tuple[Mapping[str, object], ...] = ()
    """Rows of the table `drift`, without their publication id."""
