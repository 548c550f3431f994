"""Whole publications made without Spark, and small scored customers, for the tests of publishing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from segengine import tables as declared
from segengine.publish import delta, publication
from segengine.publish.facts import Attribute, RunFacts, SegmentInfo
from segengine.publish.shape import conform_rows

AS_OF = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
VALUES: dict[str, Any] = {
    "string": "text",
    "int": 1,
    "long": 1,
    "double": 0.5,
    "boolean": True,
    "date": dt.date(2024, 3, 1),
    "timestamp": AS_OF,
    "money": Decimal("1.00"),
}


@dataclass(frozen=True)
class Feature:
    name: str
    family: str = "rfm"
    unit: str = "days"
    kind: Any = "numeric"


@dataclass(frozen=True)
class Rule:
    table: str = "transactions"
    rule: str = "used"
    outcome: str = "used"
    rows: int = 10
    amount_e4: int | None = 1_234_550
    text: str = "rows that passed"


FEW = ("customers", "assignments", "segments", "segment_kpis", "dates", "runs", "publications")
"""Tables of either kind, in whose publications the others would repeat what these show."""


def only(names: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
    """Declare no other tables, so that a publication is whole with these: quick where each takes a second."""
    kept = tuple(table for table in declared.TABLES if table.name in names)
    for module in (declared, delta, publication):
        patch.setattr(module, "TABLES", kept)


def tables(publication_id: str, *, customers: int = 3, as_of: dt.datetime = AS_OF) -> dict[str, pa.Table]:
    """Every table of a publication: `customers` rows in the two long ones, one row in the others."""
    made = {}
    for table in declared.TABLES:
        if table.name == "publications":
            continue
        row = {c.name: as_of if c.name == "as_of" else VALUES[c.kind] for c in table.columns}
        row |= {"run_id": f"run of {publication_id}"} if "run_id" in row else {}
        count = customers if table.name in ("assignments", "customers") else 1
        rows = [{**row, table.key[0]: n} if count > 1 else row for n in range(count)]
        made[table.name] = conform_rows(rows, table, 2, publication_id)
    return made


def arguments(output: Any, publication_id: str, **more: Any) -> dict[str, Any]:
    """Arguments of `publish` that are the same everywhere."""
    given = {"output": output, "spark": None, "publication_id": publication_id, "run_id": f"run of {publication_id}"}
    return {**given, "now": AS_OF, "as_of": AS_OF, "model_version": "v0001", **more}


def facts(**changed: Any) -> RunFacts:
    """Facts of a run with two segments and the features recency_days and country."""
    models = {
        "model_version": "v0001",
        "created_at": AS_OF,
        "as_of": AS_OF,
        "status": "champion",
        "k": 2,
        "groups": None,
        "features": "recency_days",
        "customers": 4,
        "inertia": 1.5,
        "macro_silhouette": 0.5,
        "micro_silhouette": None,
        "calinski_harabasz": None,
        "davies_bouldin": None,
        "smallest_share": 0.4,
        "largest_share": 0.6,
        "decision": "because",
        "config_sha256": "ab",
    }
    given: dict[str, Any] = {
        "publication_id": "p1",
        "run_id": "r1",
        "command": "run",
        "started_at": AS_OF,
        "finished_at": AS_OF,
        "as_of": AS_OF,
        "timezone": "UTC",
        "minor_unit": 2,
        "model_version": "v0001",
        "models": (models,),
        "segments": (SegmentInfo(1, "S-001", "one", 0), SegmentInfo(7, "S-007", "seven", 1)),
        "features": (Feature("recency_days"), Feature("country", "attributes", "", "categorical")),
        "centres": ({"recency_days": 3.0, "country": "FR"}, {"recency_days": 90.0, "country": "DE"}),
        "quality": (Rule(),),
        "rows_read": 12,
        "rows_used": 10,
        "rows_rejected": 2,
        "rows_ignored": 0,
        "amount_read_e4": 2_000_000,
        "inputs": "[]",
        "config_sha256": "ab",
        "segengine_version": "0.1.0",
        "spark_version": "4.2.0",
        "attributes": (
            Attribute("plan", "plan", "categorical"),
            Attribute("customer_id", "attribute_customer_id", "numeric"),
        ),
    }
    return RunFacts(**{**given, **changed})


SCORED = (
    "customer_id string, lane string, segment_index int, distance double, margin double, runner_up_index int, "
    "is_outlier boolean, assigned_by string, recency_days double, country string, revenue_e4 bigint, orders bigint, "
    "first_ordered_at timestamp, last_ordered_at timestamp, is_known boolean, plan string, attribute_customer_id double"
)


def scored_row(customer_id: str, segment: int | None = 0, **changed: Any) -> tuple[Any, ...]:
    """A scored customer: in segment 0, last order on 2024-02-20, 12.3455 of revenue in one order."""
    ordered_at = dt.datetime(2024, 2, 20, 12, tzinfo=dt.UTC)
    assigned = segment is not None
    row = {
        "customer_id": customer_id,
        "lane": None if assigned else "only_returns",
        "segment_index": segment,
        "distance": 0.5 if assigned else None,
        "margin": 0.25 if assigned else None,
        "runner_up_index": 1 - segment if segment is not None else None,
        "is_outlier": False if assigned else None,
        "assigned_by": "nearest" if assigned else None,
        "recency_days": 10.0,
        "country": "FR",
        "revenue_e4": 123_455,
        "orders": 1,
        "first_ordered_at": ordered_at,
        "last_ordered_at": ordered_at,
        "is_known": True,
        "plan": "gold",
        "attribute_customer_id": 5.0,
    }
    return tuple({**row, **changed}.values())
