"""The customers of a run: a row of features each, with the account of rows and money."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from segengine import features
from segengine.contract.bridge import BridgeStep, revenue_bridge
from segengine.contract.quality import QualityRow, complete, reconcile
from segengine.features import Attributes, Chosen
from segengine.features.customer_totals import FeatureTotals, size_warnings, totals
from segengine.job import Job
from segengine.kept import keep
from segengine.publish.kpis import check_kpis
from segengine.runs.tables import Found

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Customers", "asked_features", "customer_rows"]


@dataclass(frozen=True)
class Customers:
    """One row of features a customer, persisted, with what adds up over all of them."""

    rows: DataFrame
    chosen: Chosen
    totals: FeatureTotals
    quality: tuple[QualityRow, ...]
    bridge: tuple[BridgeStep, ...]
    warnings: tuple[str, ...]


def asked_features(job: Job, found: Found) -> Chosen:
    """The features that the configuration asks for and the tables support."""
    attributes = Attributes(found.people.numeric, found.people.categorical) if found.people else None
    return features.choose(job.config, found.lines.mapped if found.lines else frozenset(), attributes)


@contextmanager
def customer_rows(job: Job, found: Found, chosen: Chosen) -> Iterator[Customers]:
    """Build the customers' rows, persisted while the block runs; rows and money reconcile or the run stops."""
    with job.steps.step("Building features") as step:
        if found.lines is not None:
            standing = found.night.measures if found.night else None
            built = features.customer_rows(found.lines, found.people, chosen, job.config, standing)
        else:
            assert found.people is not None  # the configuration has one table or the other
            built = features.customers_only_rows(found.people, chosen, job.config)
        kept = keep(built.rows)
        total = totals(kept.rows)
        built.unpersist()
        step.rows_in, step.rows_out = total.lines_used, total.customers
    try:
        quality, bridge = _reconciled(found, total)
        job.record["quality"] = [asdict(row) for row in quality]
        if found.night is not None and job.command != "check":
            found.night.commit()
        resolved = Chosen(features=built.features, left_out=chosen.left_out)
        check_kpis(job.spark, job.config.kpis, resolved.features, job.config.minor_unit)
        told_before = [warning for source in job.sources for warning in source.facts.warnings]
        warnings = tuple(dict.fromkeys((*told_before, *_warnings(found), *size_warnings(total))))
        yield Customers(kept.rows, resolved, total, quality, bridge, warnings)
    finally:
        kept.release()


def _reconciled(found: Found, total: FeatureTotals) -> tuple[tuple[QualityRow, ...], tuple[BridgeStep, ...]]:
    """The final account of rows and money; QualityError when either does not add up."""
    people = found.people.quality if found.people else ()
    if found.lines is None:
        return people, ()
    lines = complete(found.lines, total.lines)
    reconcile(found.lines, lines, total.lines)
    bridge = revenue_bridge(
        lines,
        {name: lane.revenue_e4 for name, lane in total.by_lane.items()},
        total.assigned_revenue_e4,
        lane_customers={name: lane.customers for name, lane in total.by_lane.items()},
        segment_customers=total.assigned_customers,
    )
    return (*lines, *people), bridge


def _warnings(found: Found) -> tuple[str, ...]:
    checked = [part for part in (found.lines, found.people) if part is not None]
    told = tuple(warning for part in checked for warning in part.warnings)
    late = found.lines.arrived.rows_late if found.lines is not None else None
    if late:
        verb = "rows are gone that belong" if late < 0 else "rows arrived late: they belong"
        told = (*told, f"{abs(late):,} {verb} before the moment published last, whose history stays as it is.")
    return (found.read, *told) if found.read else told
