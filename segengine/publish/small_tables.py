"""Rows of the small tables, from facts and measures: plain Python, no Spark."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

from segengine.contract.bridge import in_minor_units
from segengine.features.catalog import EXPECTED_DAYS, VALUE_DAYS
from segengine.publish.days import calendar
from segengine.publish.facts import FeatureFact, RunFacts, SegmentInfo
from segengine.publish.measure import Counts, Measures, Moments, Quantiles
from segengine.publish.shape import money_of, money_ratio

__all__ = ["COLOURS", "small_rows"]

Row = dict[str, object]

EXPECTED = f"expected_order_days_{EXPECTED_DAYS}d"
VALUE = f"lifetime_value_{VALUE_DAYS}d"

COLOURS = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
"""Paul Tol's `muted` scheme, to be told apart with any colour vision; https://sronpersonalpages.nl/~pault/"""


def small_rows(facts: RunFacts, measures: Measures) -> dict[str, list[Row]]:
    """Rows of every table but `assignments`, `customers` and `publications`, without their publication id."""
    return {
        "segments": _segments(facts, measures),
        "dates": calendar(*_years(facts, measures)),
        "segment_profiles": _profiles(facts, measures),
        "segment_kpis": _kpis(facts, measures),
        "rfm_cells": _rfm_cells(facts),
        "protected_mix": _protected_mix(facts),
        "models": [dict(model) for model in facts.models],
        "gates": [dict(gate) for gate in facts.gates],
        "k_candidates": [dict(candidate) for candidate in facts.k_candidates],
        "segment_events": [dict(event) for event in facts.events],
        "prediction": [dict(separation) for separation in facts.prediction],
        "quality": _quality(facts),
        "lanes": _lanes(facts, measures),
        "bridge": _bridge(facts),
        "drift": [dict(row) for row in facts.drift],
        "runs": [_run(facts, measures)],
        "expected_kpis": [],  # filled in when the Power BI project of the run is known
    }


def _years(facts: RunFacts, measures: Measures) -> tuple[int, int]:
    last = facts.as_of.astimezone(ZoneInfo(facts.timezone)).year
    return min(measures.first_year or last, last), last


def _total(values: Mapping[int, Counts]) -> Counts:
    """All segments together."""
    revenue = [c.revenue_e4 for c in values.values() if c.revenue_e4 is not None]
    return Counts(sum(c.customers for c in values.values()), sum(revenue) if revenue else None)


def _shared(counts: Counts, total: Counts, facts: RunFacts) -> Row:
    """What `segments` and `segment_kpis` both tell of a segment."""
    revenue, unit = counts.revenue_e4, facts.minor_unit
    return {
        "customers": counts.customers,
        "share": counts.customers / total.customers if total.customers else 0.0,
        "revenue": money_ratio(revenue, 1, unit),
        "revenue_share": revenue / total.revenue_e4 if revenue is not None and total.revenue_e4 else None,
        "average_order_value": money_ratio(revenue, counts.orders, unit),
    }


def _segments(facts: RunFacts, measures: Measures) -> list[Row]:
    total = _total(measures.segments)
    of_group: dict[str | None, int] = {}
    for segment in facts.segments:
        customers = measures.segments.get(segment.index, Counts()).customers
        of_group[segment.group_name] = of_group.get(segment.group_name, 0) + customers

    def by_revenue(segment: SegmentInfo) -> tuple[int, int, int]:
        counts = measures.segments.get(segment.index, Counts())
        return -(counts.revenue_e4 or 0), -counts.customers, segment.segment_key

    rows = []
    for rank, segment in enumerate(sorted(facts.segments, key=by_revenue), start=1):
        counts = measures.segments.get(segment.index, Counts())
        peers = of_group[segment.group_name] if segment.group_name is not None else 0
        rows.append(
            {
                "segment_key": segment.segment_key,
                "segment_id": segment.segment_id,
                "name": segment.name,
                "group_name": segment.group_name,
                "group_share": counts.customers / peers if peers else None,
                "rank": rank,
                **_shared(counts, total, facts),
                "mean_distance": measures.distances.get(segment.index, Moments()).mean,
                "outliers": counts.outliers,
                "name_is_true": segment.name_is_true,
                "description": segment.description,
                "action": segment.action,
                "rule": segment.rule,
                "rule_sql": segment.rule_sql,
                "rule_precision": segment.rule_precision,
                "rule_coverage": segment.rule_coverage,
                "stability": segment.stability,
                "colour": COLOURS[(segment.segment_key - 1) % len(COLOURS)],
                "warning": facts.warning,
            }
        )
    return rows


def _kpis(facts: RunFacts, measures: Measures) -> list[Row]:
    total = _total(measures.segments)
    rows = []
    for segment in facts.segments:
        counts = measures.segments.get(segment.index, Counts())
        rows.append(
            {
                "segment_key": segment.segment_key,
                "as_of": facts.as_of,
                "model_version": facts.model_version,
                "group_name": segment.group_name,
                **_shared(counts, total, facts),
                "orders": counts.orders,
                "revenue_per_customer": money_ratio(counts.revenue_e4, counts.customers, facts.minor_unit),
                "active_90_days": counts.active_90_days,
                "mean_distance": measures.distances.get(segment.index, Moments()).mean,
                **_lifetime(segment, facts, measures),
            }
        )
    return rows


def _lifetime(segment: SegmentInfo, facts: RunFacts, measures: Measures) -> Row:
    """What the features of the family clv add up to over a segment's customers."""
    days = measures.features.get((EXPECTED, segment.index), Moments())
    value = measures.features.get((VALUE, segment.index), Moments())
    return {
        EXPECTED: float(days.total) if days.count else None,
        f"{EXPECTED}_per_customer": days.mean,
        VALUE: money_of(value.total, facts.minor_unit) if value.count else None,
        f"{VALUE}_per_customer": money_of(value.total / value.count, facts.minor_unit) if value.count else None,
    }


def _profiles(facts: RunFacts, measures: Measures) -> list[Row]:
    rows = []
    for feature in facts.features:
        own = {s.index: measures.features.get((feature.name, s.index), Moments()) for s in facts.segments}
        overall = Moments()
        for moments in own.values():
            overall = overall.plus(moments) if moments.count else overall
        rows += [_profile(feature, segment, own[segment.index], overall, facts, measures) for segment in facts.segments]
    return rows


def _profile(
    feature: FeatureFact, segment: SegmentInfo, own: Moments, overall: Moments, facts: RunFacts, measures: Measures
) -> Row:
    counts = measures.segments.get(segment.index, Counts())
    quantiles = measures.quantiles.get((feature.name, segment.index), Quantiles())
    missing = dict(counts.missing).get(feature.name, counts.customers - own.count)
    mean, all_mean, deviation = own.mean, overall.mean, overall.deviation
    centre = facts.centres[segment.index].get(feature.name)
    apart, rank = facts.differences.get((feature.name, segment.index), (None, None))
    return {
        "segment_key": segment.segment_key,
        "feature": feature.name,
        "family": feature.family,
        "unit": feature.unit,
        "mean": mean,
        "median": quantiles.median,
        "p10": quantiles.p10,
        "p90": quantiles.p90,
        "centre": float(centre) if isinstance(centre, (int, float)) else None,
        "z": (mean - all_mean) / deviation if mean is not None and all_mean is not None and deviation else None,
        "z_prepared": apart,
        "rank": rank,
        "index": 100 * mean / all_mean if mean is not None and all_mean is not None and all_mean > 0 else None,
        "overall_mean": all_mean,
        "missing_share": missing / counts.customers if counts.customers else None,
    }


def _rfm_cells(facts: RunFacts) -> list[Row]:
    return [
        {
            **{name: value for name, value in cell.items() if name != "revenue_e4"},
            "revenue": money_ratio(cell["revenue_e4"], 1, facts.minor_unit),
        }
        for cell in facts.rfm_cells
    ]


def _protected_mix(facts: RunFacts) -> list[Row]:
    keys = {segment.index: segment.segment_key for segment in facts.segments}
    return [
        {**{name: value for name, value in row.items() if name != "index"}, "segment_key": keys[row["index"]]}
        for row in facts.protected_mix
    ]


def _quality(facts: RunFacts) -> list[Row]:
    return [
        {
            "run_id": facts.run_id,
            "as_of": facts.as_of,
            "table": fact.table,
            "rule": fact.rule,
            "outcome": fact.outcome,
            "rows": fact.rows,
            "amount": money_ratio(fact.amount_e4, 1, facts.minor_unit),
            "text": fact.text,
        }
        for fact in facts.quality
    ]


def _lanes(facts: RunFacts, measures: Measures) -> list[Row]:
    return [
        {
            "as_of": facts.as_of,
            "lane": lane,
            "customers": counts.customers,
            "revenue": money_ratio(counts.revenue_e4, 1, facts.minor_unit),
            "orders": counts.orders,
        }
        for lane, counts in measures.lanes.items()
    ]


def _bridge(facts: RunFacts) -> list[Row]:
    """The steps in minor units: they still add up, as rounding each of them would not."""
    steps = facts.bridge
    amounts = in_minor_units(steps, facts.minor_unit) if steps else ()
    return [
        {
            "as_of": facts.as_of,
            "step": place,
            "name": step.name,
            "is_balance": place in (1, len(steps)),
            "rows": step.rows,
            "customers": step.customers,
            "amount": Decimal(amount).scaleb(-facts.minor_unit),
        }
        for place, (step, amount) in enumerate(zip(steps, amounts, strict=True), start=1)
    ]


def _run(facts: RunFacts, measures: Measures) -> Row:
    total = _total(measures.segments)
    return {
        "run_id": facts.run_id,
        "command": facts.command,
        "started_at": facts.started_at,
        "finished_at": facts.finished_at,
        "as_of": facts.as_of,
        "model_version": facts.model_version,
        "rows_read": facts.rows_read,
        "rows_used": facts.rows_used,
        "rows_rejected": facts.rows_rejected,
        "rows_ignored": facts.rows_ignored,
        "rows_before": facts.rows_before,
        "rows_late": facts.rows_late,
        "customers": measures.customers,
        "customers_assigned": total.customers,
        "customers_in_lanes": measures.customers - total.customers,
        "amount_read": money_ratio(facts.amount_read_e4, 1, facts.minor_unit),
        "amount_assigned": money_ratio(total.revenue_e4, 1, facts.minor_unit),
        "inputs": facts.inputs,
        "config_sha256": facts.config_sha256,
        "segengine_version": facts.segengine_version,
        "spark_version": facts.spark_version,
    }
