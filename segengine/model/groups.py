"""Groups of customers that get segments of their own: how a customer is routed to one, and what each one holds.

No Spark here but in types. A group is a value of an attribute; customers without a value are a group as well, and
values with too few customers share one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import NumericInput, Preparation, VectorColumn, numeric_values
from segengine.features.prepare_stages import TEMPORARY, double_literal, quoted, text_literal
from segengine.model.choose import RULE, KDecision

if TYPE_CHECKING:
    from pyspark.ml import Transformer

__all__ = ["GROUP", "MISSING", "OTHER", "GroupModel", "Grouping", "Key", "Routing", "named", "route_stage", "spacing"]

Floats = NDArray[np.float64]

GROUP = TEMPORARY + "group"
"""The column with the index of a customer's group, a double."""

OTHER = "other"
MISSING = "missing"


@dataclass(frozen=True)
class Key:
    """Whose customers a group holds: those with a value of the attribute, those without any, or all the others."""

    kind: Literal["value", "missing", "other"]
    value: str | None = None


@dataclass(frozen=True)
class Routing:
    """From the values of `column` to the index of a group. `fallback` is the group of values that have none."""

    column: str
    keys: tuple[Key, ...]
    fallback: int

    def index_of(self, value: str | None) -> int:
        """The group of a customer with this value."""
        key = Key("missing") if value is None else Key("value", value)
        return self.keys.index(key) if key in self.keys else self.fallback

    def sql(self) -> str:
        """The index as a SQL expression over `column`, a double."""
        column = f"CAST({quoted(self.column)} AS STRING)"
        known = [(key.value, i) for i, key in enumerate(self.keys) if key.kind == "value"]
        other = double_literal(self.fallback)
        found = other
        if known:
            pairs = ", ".join(f"{text_literal(value or '')}, {double_literal(i)}" for value, i in known)
            found = f"COALESCE(TRY_ELEMENT_AT(MAP({pairs}), {column}), {other})"
        missing = double_literal(self.index_of(None))
        return f"CASE WHEN {column} IS NULL THEN {missing} ELSE {found} END"


@dataclass(frozen=True)
class GroupModel:
    """A group with its segments: those with the indices `first` to `first + k - 1`."""

    name: str
    key: Key
    first: int
    k: int
    customers: int
    """When the model was fitted."""
    decision: KDecision
    metrics: dict[str, Any]

    @property
    def stop(self) -> int:
        return self.first + self.k


@dataclass(frozen=True)
class Grouping:
    """The groups of a model, in the order of their segments.

    `by` is the attribute, `column` its column in the customers' rows, `spacing` how far apart the groups are in the
    dimension that routes (see `route_stage`), `notes` what was decided about groups, in sentences.
    """

    by: str
    column: str
    groups: tuple[GroupModel, ...]
    fallback: int
    spacing: float
    notes: tuple[str, ...] = ()

    @property
    def routing(self) -> Routing:
        return Routing(self.column, tuple(group.key for group in self.groups), self.fallback)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First and one past the last segment of each group."""
        return tuple((group.first, group.stop) for group in self.groups)

    def routes(self) -> Floats:
        """(k,) where each segment's centre is in the dimension that routes."""
        return np.concatenate([np.full(group.k, i * self.spacing) for i, group in enumerate(self.groups)])

    def decision(self) -> KDecision:
        """How many segments there are in all. Why is in the decision of each group."""
        ks = [group.k for group in self.groups]
        each = f"{min(ks)} to {max(ks)} each" if min(ks) < max(ks) else f"{ks[0]} each"
        groups = "1 group" if len(ks) == 1 else f"{len(ks)} groups"
        return KDecision(sum(ks), RULE, f"{sum(ks)} segments in {groups} by {self.by}, {each}.", ())

    def metrics(self) -> dict[str, Any]:
        """Measures of all groups together; shares are of the customers of a group."""
        every = [group.metrics for group in self.groups]
        macro = [(group.metrics.get("macro_silhouette"), group.k) for group in self.groups]
        micro = [(one.get("micro_silhouette"), one["sampled_customers"]) for one in every]
        return {
            "customers": sum(one["customers"] for one in every),
            "sampled_customers": sum(one["sampled_customers"] for one in every),
            "inertia": math.fsum(one["inertia"] for one in every),
            "smallest_share": min(one["smallest_share"] for one in every),
            "largest_share": max(one["largest_share"] for one in every),
            "macro_silhouette": _mean(macro),
            "micro_silhouette": _mean(micro),
        }

    def name_of(self, segment: int) -> str:
        """The name of the group that a segment, by its index, belongs to."""
        return next(group.name for group in self.groups if group.first <= segment < group.stop)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the decisions."""
        groups = [
            {
                "name": group.name,
                "kind": group.key.kind,
                "value": group.key.value,
                "first": group.first,
                "k": group.k,
                "customers": group.customers,
                "metrics": group.metrics,
            }
            for group in self.groups
        ]
        plain = {"by": self.by, "column": self.column, "fallback": self.fallback, "spacing": self.spacing}
        return {**plain, "notes": list(self.notes), "groups": groups}

    def decisions(self) -> list[dict[str, Any]]:
        """Why each group has as many segments as it has; JSON-able."""
        return [{"name": group.name, **group.decision.to_dict()} for group in self.groups]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> Grouping:
        """The inverse of `to_dict` and `decisions`. ValueError: they are of different groups."""
        groups = tuple(
            GroupModel(
                item["name"],
                Key(item["kind"], item["value"]),
                item["first"],
                item["k"],
                item["customers"],
                KDecision.from_dict(dict(decision)),
                item["metrics"],
            )
            for item, decision in zip(data["groups"], decisions, strict=True)
        )
        return cls(data["by"], data["column"], groups, data["fallback"], data["spacing"], tuple(data["notes"]))


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total else None


def named(keys: Sequence[Key]) -> tuple[str, ...]:
    """Names to show, each one once: a value is its own; `missing` and `other` get brackets where a value has theirs."""
    taken = {key.value for key in keys if key.kind == "value"}
    names = []
    for key in keys:
        name = key.value if key.kind == "value" else {"missing": MISSING, "other": OTHER}[key.kind]
        while key.kind != "value" and name in taken:
            name = f"({name})"
        names.append(str(name))
    return tuple(names)


def route_stage(routing: Routing) -> Transformer:
    """A stock stage that adds GROUP, the index of the customer's group."""
    from pyspark.ml.feature import SQLTransformer

    return SQLTransformer(statement=f"SELECT *, {routing.sql()} AS {GROUP} FROM __THIS__")


def spacing(preparation: Preparation, points: Floats) -> float:
    """How far apart groups have to be so that nobody is nearer to a centre of another group: a power of two.

    Twice the farthest that a customer and a centre can be from each other. Where values are not capped, a thousand
    times as far as the sampled customers, `points` (n, d), are from the middle.
    """
    by_name = {item.name: item for item in preparation.inputs}
    farthest = 0.0
    for j, column in enumerate(preparation.vector):
        item = by_name[column.input]
        reach = _reach(item, column) if isinstance(item, NumericInput) else _flag_reach(column)
        if reach is None:
            reach = 1000 * float(np.max(np.abs(points[:, j]), initial=1.0))
        farthest += reach**2
    return 2.0 ** math.ceil(math.log2(4 * math.sqrt(farthest) + 1))


def _reach(item: NumericInput, column: VectorColumn) -> float | None:
    """The farthest from zero that a component of the vector can be; None where there is no limit."""
    if column.part != "value":
        return _flag_reach(column)
    if item.cap is None:
        return None
    ends = numeric_values(item, np.array(item.cap))
    return float(np.max(np.abs((ends - column.mean) * column.factor)))


def _flag_reach(column: VectorColumn) -> float:
    return float(max(abs(column.mean), abs(1 - column.mean)) * abs(column.factor))
