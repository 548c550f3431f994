"""From what a run knows to the facts that are shown: choices of what to tell, no drawing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from segengine.model.identity import segment_id
from segengine.report.facts import BridgeLine, CandidateLine, GateLine, GroupLine, NextStep, RowsLine, SegmentLine

if TYPE_CHECKING:
    import pyarrow as pa

    from segengine.contract.bridge import BridgeStep
    from segengine.contract.quality import QualityRow
    from segengine.model.choose import KDecision
    from segengine.model.trained import LoadedModel, TrainedModel

__all__ = [
    "bridge_lines",
    "candidate_lines",
    "gate_lines",
    "group_lines",
    "local_text",
    "model_facts",
    "next_steps",
    "rows_lines",
    "segment_lines",
    "trained_lines",
]

READINGS = ("recency_days", "frequency_orders", "monetary_total")
"""Shown for every segment where they exist; else the three features that tell the segments apart most."""


def local_text(moment: dt.datetime | None, timezone: str) -> str | None:
    """An aware moment as text in a zone: the day alone when it is its midnight."""
    if moment is None:
        return None
    local = moment.astimezone(ZoneInfo(timezone))
    if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
        return local.date().isoformat()
    return local.isoformat(sep=" ", timespec="seconds")


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


def segment_lines(tables: Mapping[str, pa.Table]) -> tuple[SegmentLine, ...]:
    """The published segments in order of rank, or group by group, with the medians that say most."""
    rows = tables["segments"].to_pylist()
    place = "segment_key" if any(row["group_name"] is not None for row in rows) else "rank"
    segments = sorted(rows, key=lambda row: row[place])
    profiles = tables["segment_profiles"].to_pylist()
    medians = {(row["segment_key"], row["feature"]): row["median"] for row in profiles}
    features = _telling(profiles)
    lifetime = {
        row["segment_key"]: row["lifetime_value_365d"] for row in tables["segment_kpis"].sort_by("as_of").to_pylist()
    }
    return tuple(
        SegmentLine(
            segment_id=row["segment_id"],
            name=row["name"],
            customers=row["customers"],
            share=row["share"],
            revenue_e4=_e4(row["revenue"]),
            revenue_share=row["revenue_share"],
            readings=tuple((feature, medians.get((row["segment_key"], feature))) for feature in features),
            lifetime_value_e4=_e4(lifetime[row["segment_key"]]),
            group=row["group_name"],
        )
        for row in segments
    )


def _telling(profiles: Sequence[Mapping[str, Any]]) -> list[str]:
    known = dict.fromkeys(row["feature"] for row in profiles if row["median"] is not None)
    usual = [name for name in READINGS if name in known]
    if usual:
        return usual
    spread = dict.fromkeys(known, 0.0)
    for row in profiles:
        if row["feature"] in spread and row["z"] is not None:
            spread[row["feature"]] = max(spread[row["feature"]], abs(row["z"]))
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


def next_steps(
    output: str, folder: str | None, quarantines: Sequence[str], version: str | None, *, published: bool
) -> tuple[NextStep, ...]:
    """What to open or run, with paths as short as they get."""
    steps = []
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
