"""The model card: what a version is, how it was judged and why it has so many segments; as data and as text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segengine.model.gates import Gate, reasons, verdict_of

if TYPE_CHECKING:
    from segengine.model.trained import TrainedModel

__all__ = ["card", "card_markdown"]


CANDIDATE = {
    "macro_silhouette": "macro silhouette",
    "micro_silhouette": "micro silhouette",
    "squared_silhouette": "Spark's squared silhouette",
    "calinski_harabasz": "Calinski-Harabasz",
    "davies_bouldin": "Davies-Bouldin",
    "gap": "gap",
    "gap_error": "its error",
    "prediction_strength": "prediction strength",
    "jaccard_min": "least Jaccard",
    "smallest_share": "smallest share",
    "largest_share": "largest share",
}
"""Measures of a k and what they are called."""


def card(
    model: TrainedModel,
    gates: Sequence[Gate],
    *,
    name: str,
    version: str,
    as_of: dt.datetime,
    why: str,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """The card as JSON-able data. `more`: weights, and the prediction."""
    total = sum(model.sizes) or 1
    segments = [
        {"name": segment, "customers": size, "share": size / total, "stability": stability}
        for segment, size, stability in zip(model.names, model.sizes, model.stability, strict=True)
    ]
    return {
        "name": name,
        "model_version": version,
        "as_of": as_of.isoformat(),
        "why_trained": why,
        "verdict": verdict_of(gates),
        "refused_for": reasons(gates),
        "decision": model.decision.sentence,
        "rule": model.decision.rule,
        "candidates": model.decision.to_dict()["candidates"],
        "features": [feature.name for feature in model.features],
        "gates": [gate.to_dict() for gate in gates],
        "segments": segments,
        "metrics": model.metrics,
        "seed": model.seed,
        **more,
    }


def card_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page of text."""
    lines = [
        f"# Model card: {_cell(card['name'])}, {card['model_version']}",
        "",
        f"As of {card['as_of']}. Trained because {_cell(card['why_trained'])}. Verdict: **{card['verdict']}**.",
    ]
    if card["refused_for"]:
        lines += ["", f"Refused for {_cell(card['refused_for'])}."]
    lines += ["", "## Gates", "", *_gates(card["gates"])]
    lines += ["", "## Segments", "", *_segments(card["segments"])]
    lines += ["", "## How many segments", "", f"{_cell(card['decision'])} Rule: {_cell(card['rule'])}"]
    lines += ["", *_candidates(card["candidates"])] if card["candidates"] else []
    lines += ["", "## Does it predict anything?", "", *_prediction(card["prediction"])]
    lines += ["", "## Features", "", _cell(", ".join(card["features"])), "", *_weights(card["weights"]), ""]
    return "\n".join(lines)


def _gates(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {g['gate']} | {_number(g['value'])} | {_number(g['warn_limit'])} | {_number(g['refuse_limit'])} "
        f"| {g['verdict']} | {_cell(g['text'])} |"
        for g in gates
    ]
    return ["| gate | value | warns at | refuses at | verdict | |", "|---|---|---|---|---|---|", *rows]


def _segments(segments: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {_cell(s['name'])} | {s['customers']:,} | {s['share']:.1%} | {_number(s['stability'])} |" for s in segments
    ]
    return ["| segment | customers | share | stability |", "|---|---|---|---|", *rows]


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        " | ".join(["", str(c["k"]), *(_number(c[name]) for name in CANDIDATE), c["verdict"], _cell(c["reason"]), ""])
        for c in candidates
    ]
    rows = [row.strip() for row in rows]
    head = [
        " | ".join(["", "k", *CANDIDATE.values(), "verdict", "why", ""]).strip(),
        "|" + "---|" * (len(CANDIDATE) + 3),
    ]
    return [*head, *rows]


def _prediction(prediction: Mapping[str, Any]) -> list[str]:
    """Eta squared of every behaviour, and how the segments fare against the baselines."""
    if "why_not" in prediction:
        return [f"Not measured: {_cell(prediction['why_not'])}."]
    values = {(one["behaviour"], one["method"]): one for one in prediction["separations"]}
    against = {(one["behaviour"], one["baseline"]): one for one in prediction["against"]}
    methods = list(dict.fromkeys(method for _, method in values))
    baselines = [method for method in methods if method != "segments"]
    head = ["behaviour", "customers", *methods, *(f"against {name}" for name in baselines)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for behaviour in dict.fromkeys(behaviour for behaviour, _ in values):
        own = values[behaviour, "segments"]
        note = "" if own["is_judged"] else " (not judged)"
        cells = [behaviour + note, f"{own['customers']:,}", *(_interval(values[behaviour, name]) for name in methods)]
        cells += [f"{_difference(against[behaviour, name])}" for name in baselines]
        lines.append("| " + " | ".join(cells) + " |")
    panel = {one["baseline"]: one for one in prediction["panel"]}
    cells = ["mean of those judged", "", *("" for _ in methods), *(_difference(panel[name]) for name in baselines)]
    lines += ["| " + " | ".join(cells) + " |", ""]
    told = (
        f"Eta squared with 95 % bootstrap intervals: {prediction['k']} segments of {prediction['customers']:,} "
        "customers, as the recipe finds them 90 days before, and what those customers did in the 90 days."
    )
    if prediction["lift"] is not None:
        told += (
            f" The segment that spent most before, {prediction['lift_share']:.1%} of the customers, spent "
            f"{prediction['lift']:.2f} times the average after."
        )
    return [*lines, told]


def _interval(one: Mapping[str, Any]) -> str:
    return f"{one['eta_squared']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _difference(one: Mapping[str, Any]) -> str:
    return f"{one['outcome']}, {one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _weights(weighed: Mapping[str, Any]) -> list[str]:
    weights = ", ".join(f"{family} {weight:g}" for family, weight in weighed["weights"].items())
    return [f"Weights of families: {_cell(weights)}; picked {_cell(weighed['picked'])}."]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _cell(text: str) -> str:
    """Text that cannot break a table or make markup."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        plain = plain.replace(mark, "&lt;" if mark == "<" else "\\" + mark)
    return plain
