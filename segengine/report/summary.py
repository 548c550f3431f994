"""From what a run knows to the facts that are shown: choices of what to tell, no drawing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.config.times import local_text
from segengine.model.identity import segment_id
from segengine.report.facts import (
    BridgeLine,
    CandidateLine,
    GateLine,
    GroupLine,
    NextStep,
    RowsLine,
    SegmentLine,
    Summary,
)
from segengine.report.published import Facts, Profile

if TYPE_CHECKING:
    from segengine.contract.bridge import BridgeStep
    from segengine.contract.quality import QualityRow
    from segengine.model.choose import KDecision
    from segengine.model.trained import LoadedModel, TrainedModel

__all__ = [
    "bridge_lines",
    "candidate_lines",
    "gate_lines",
    "group_lines",
    "model_facts",
    "next_steps",
    "published_bridge",
    "published_summary",
    "report_steps",
    "rows_lines",
    "segment_lines",
    "trained_lines",
]

Steps = tuple[tuple[str, float], ...]

READINGS = ("recency_days", "frequency_orders", "monetary_total")
"""Shown for every segment where they exist; else the three features that tell the segments apart most."""


def rows_lines(quality: Sequence[QualityRow]) -> tuple[RowsLine, ...]:
    return tuple(RowsLine(row.table, row.rule, row.outcome, row.rows, row.amount_e4, row.text) for row in quality)


def bridge_lines(steps: Sequence[BridgeStep]) -> tuple[BridgeLine, ...]:
    return tuple(BridgeLine(step.name, step.rows, step.customers, step.amount_e4) for step in steps)


def candidate_lines(decision: KDecision) -> tuple[CandidateLine, ...]:
    names = [field.name for field in dataclasses.fields(CandidateLine)]
    return tuple(CandidateLine(**{name: getattr(c, name) for name in names}) for c in decision.candidates)


def gate_lines(version: str, gates: Sequence[Mapping[str, Any]]) -> tuple[GateLine, ...]:
    """The gates of a version among rows of the table `gates`."""
    return tuple(
        GateLine(**{key: value for key, value in gate.items() if key != "model_version"})
        for gate in gates
        if gate["model_version"] == version
    )


def segment_lines(facts: Facts) -> tuple[SegmentLine, ...]:
    """The published segments in order of rank, or group by group, with the medians that say most."""
    medians = {(profile.segment_key, profile.feature): profile.median for profile in facts.profiles}
    features = _telling(facts.profiles)
    lifetime = {kpi.segment_key: kpi.lifetime_value_365d for kpi in facts.kpis if kpi.as_of == facts.as_of}
    return tuple(
        SegmentLine(
            segment_id=segment.segment_id,
            name=segment.name,
            customers=segment.customers,
            share=segment.share,
            revenue_e4=_e4(segment.revenue),
            revenue_share=segment.revenue_share,
            readings=tuple((feature, medians.get((segment.segment_key, feature))) for feature in features),
            lifetime_value_e4=_e4(lifetime.get(segment.segment_key)),
            group=segment.group_name,
        )
        for segment in facts.segments
    )


def published_bridge(facts: Facts) -> tuple[BridgeLine, ...]:
    """The published bridge, in minor units, so that the steps shown add up as shown."""
    return tuple(BridgeLine(step.name, step.rows, step.customers, _e4(step.amount) or 0) for step in facts.bridge)


def published_summary(
    facts: Facts,
    *,
    command: str,
    run_id: str,
    next_steps: tuple[NextStep, ...],
    step_seconds: Steps,
    warnings: tuple[str, ...] = (),
) -> Summary:
    """The summary of a command that only looks at what is published."""
    lines = [
        RowsLine(line.table, line.rule, line.outcome, line.rows, _e4(line.amount), line.text) for line in facts.quality
    ]
    candidates = [
        CandidateLine(c.k, c.macro_silhouette, c.smallest_share, c.largest_share, c.verdict, c.reason or "")
        for c in facts.candidates
    ]
    return Summary(
        command=command,
        name=facts.name,
        run_id=run_id,
        as_of=local_text(facts.as_of, facts.timezone),
        window_start=None,
        currency=facts.currency,
        minor_unit=facts.minor_unit,
        rows_read=facts.run.rows_read,
        rows=tuple(lines),
        customers=facts.run.customers,
        customers_assigned=facts.run.customers_assigned,
        lanes=tuple((lane.lane, lane.customers) for lane in facts.lanes),
        bridge=published_bridge(facts),
        model_version=facts.model.model_version,
        k=facts.model.k,
        decision=facts.model.decision if candidates else "",
        candidates=tuple(candidates),
        segments=segment_lines(facts),
        publication_id=facts.publication_id,
        warnings=warnings,
        next_steps=next_steps,
        seconds=sum(seconds for _, seconds in step_seconds),
        step_seconds=step_seconds,
    )


def _telling(profiles: Sequence[Profile]) -> list[str]:
    known = dict.fromkeys(profile.feature for profile in profiles if profile.median is not None)
    usual = [name for name in READINGS if name in known]
    if usual:
        return usual
    spread = dict.fromkeys(known, 0.0)
    for profile in profiles:
        if profile.feature in spread and profile.z is not None:
            spread[profile.feature] = max(spread[profile.feature], abs(profile.z))
    return sorted(spread, key=lambda name: -spread[name])[:3]


def trained_lines(model: TrainedModel) -> tuple[SegmentLine, ...]:
    """The segments of a model that nobody was scored with yet, as they were when it was fitted."""
    total = sum(model.sizes)
    wanted = [name for name in READINGS if name in model.centres_original[0]]
    return tuple(
        SegmentLine(
            segment_id=segment_id(model.segment_keys[index]),
            name=name,
            customers=size,
            share=size / total,
            revenue_e4=None,
            revenue_share=None,
            readings=tuple((feature, _float(model.centres_original[index][feature])) for feature in wanted),
            group=model.group_of(index),
        )
        for index, (name, size) in enumerate(zip(model.names, model.sizes, strict=True))
    )


def model_facts(
    model: LoadedModel, segments: Sequence[SegmentLine], gates: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What the summary says of the model: which one, how many segments, why, and the groups."""
    return {
        "model_version": model.version,
        "k": model.k,
        "decision": model.decision.sentence,
        "candidates": candidate_lines(model.decision),
        "gates": gate_lines(model.version, gates),
        "groups": group_lines(model, segments),
    }


def group_lines(model: TrainedModel, segments: Sequence[SegmentLine]) -> tuple[GroupLine, ...]:
    """The groups of a model in its order, with what their segments add up to; none without groups."""
    lines = []
    for group in model.grouping.groups if model.grouping else ():
        own = [segment for segment in segments if segment.group == group.name]
        revenue = [segment.revenue_share for segment in own if segment.revenue_share is not None]
        lines.append(
            GroupLine(
                name=group.name,
                customers=sum(segment.customers for segment in own),
                share=sum(segment.share for segment in own),
                revenue_share=sum(revenue) if revenue else None,
                k=group.k,
                macro_silhouette=group.metrics.get("macro_silhouette"),
                decision=group.decision.sentence,
            )
        )
    return tuple(lines)


def _e4(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 10_000)


def _float(value: float | str) -> float | None:
    return value if isinstance(value, float) else None


def report_steps(
    output: str, page: str, workbook: str | None = None, powerbi: str | None = None
) -> tuple[NextStep, ...]:
    """The page to open in a browser, the workbook for Excel, and the project for Power BI Desktop."""
    drawn = (("the report", page), ("in Excel", workbook), ("Power BI", powerbi))
    return tuple(NextStep(what, f"{_short(output)}/{path}") for what, path in drawn if path is not None)


def next_steps(
    output: str,
    folder: str | None,
    quarantines: Sequence[str],
    version: str | None,
    *,
    published: bool,
    page: str | None = None,
    workbook: str | None = None,
    powerbi: str | None = None,
) -> tuple[NextStep, ...]:
    """What to open or run, with paths as short as they get."""
    steps = list(report_steps(output, page, workbook, powerbi)) if page is not None else []
    if published and folder is not None:
        tables = f"{_short(output)}/gold/{folder}"
        steps.append(NextStep("the tables", tables))
        query = f"SELECT name, customers, revenue FROM read_parquet('{tables}/segments/*.parquet')"
        steps.append(NextStep("with DuckDB", query))
    elif published:
        steps.append(NextStep("the tables (Delta)", f"{_short(output)}/gold"))
    if version is not None:
        steps.append(NextStep("why this k", f"{_short(output)}/models/{version}/k_decision.json"))
        steps.append(NextStep("its gates", f"{_short(output)}/models/{version}/model_card.md"))
    steps += [NextStep("rejected rows", _short(folder)) for folder in quarantines]
    return tuple(steps)


def _short(path: str) -> str:
    local = path.removeprefix("file://")
    try:
        return str(Path(local).relative_to(Path.cwd()))
    except ValueError:
        return local
