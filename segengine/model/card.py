"""The model card: what a version is, what it was made from, how it was judged, what it is not for; as data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segengine.model.gates import Gate, reasons, verdict_of

if TYPE_CHECKING:
    from segengine.model.trained import TrainedModel

__all__ = ["Rows", "Section", "card", "sections"]


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
NOT_FOR = (
    "Meant for addressing groups of customers differently, and for reporting on them over time.",
    "Not meant for decisions about single people, such as credit or prices.",
    "Segments say who behaves alike, and nothing of why.",
    "k-means looks for round groups of like width. Customers near a border (column margin) could be in the next one.",
)
"""What holds for every model."""


@dataclass(frozen=True)
class Rows:
    """A table of a card: its head, its rows of text, and the column that is a verdict, if one is."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdict: int | None = None


@dataclass(frozen=True)
class Section:
    """A part of a card: paragraphs, lists (tuples of text) and tables, in this order."""

    title: str
    blocks: tuple[str | tuple[str, ...] | Rows, ...]


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
    """The card as JSON-able data. `more`: data, protected attributes, weights, and the prediction."""
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


def sections(card: Mapping[str, Any]) -> tuple[Section, ...]:
    """The card's parts as they are read, whatever they are drawn as."""
    tried = (_candidates(card["candidates"]),) if card["candidates"] else ()
    features = _weights(card["weights"])
    return (
        Section("Gates", (_gates(card["gates"]),)),
        Section("Segments", (_segments(card["segments"]),)),
        Section("Data", _data(card["data"])),
        Section("Protected attributes", (_protected(card["protected"]),)),
        Section("Limits", (_limits(card),)),
        Section("How many segments", (f"{card['decision']} Rule: {card['rule']}", *tried)),
        Section("Does it predict anything?", _prediction(card["prediction"])),
        Section("Features", (", ".join(card["features"]), features)),
    )


def _gates(gates: Sequence[Mapping[str, Any]]) -> Rows:
    rows = [
        (g["gate"], _number(g["value"]), _number(g["warn_limit"]), _number(g["refuse_limit"]), g["verdict"], g["text"])
        for g in gates
    ]
    return Rows(("gate", "value", "warns at", "refuses at", "verdict", "in words"), tuple(rows), verdict=4)


def _segments(segments: Sequence[Mapping[str, Any]]) -> Rows:
    rows = [(s["name"], f"{s['customers']:,}", f"{s['share']:.1%}", _number(s["stability"])) for s in segments]
    return Rows(("segment", "customers", "share", "stability"), tuple(rows))


def _data(data: Mapping[str, Any]) -> tuple[str | Rows, ...]:
    """What was read, which moments of it count, what became of rows and customers."""
    since = f"from {data['window_start']} " if data["window_start"] else ""
    lanes = ", ".join(f"{count:,} {lane}" for lane, count in data["lanes"].items() if count)
    told = (
        f"What happened {since}before {data['as_of']} ({data['timezone']}), money in {data['currency']}. "
        f"{data['customers']:,} customers, {data['in_segments']:,} of them in segments"
        f"{f'; in no segment: {lanes}' if lanes else ''}."
    )
    tables = [
        (t["name"], t["format"], f"{t['files']:,}", f"{t['size_bytes']:,}", str(t["version"] or ""), t["fingerprint"])
        for t in data["tables"]
    ]
    rules = [(r["table"], r["rule"], r["outcome"], f"{r['rows']:,}", r["text"]) for r in data["rows"] if r["rows"]]
    return (
        told,
        Rows(("table", "format", "files", "bytes", "version", "fingerprint"), tuple(tables)),
        Rows(("table", "rule", "rows were", "rows", "in words"), tuple(rules)),
    )


def _protected(protected: Mapping[str, Any]) -> str:
    if not protected["attributes"]:
        return (
            "None is declared (tables.customers.protected), so nothing is known of how they spread over the segments. "
            "A feature may stand for one all the same."
        )
    return (
        f"{', '.join(protected['attributes'])}: never features. How they spread over the segments is in the table "
        f"protected_mix of every publication, where cells of fewer than {protected['min_cell']} customers are left "
        "out. A feature may stand for one all the same: look at that table before a segment is acted on."
    )


def _limits(card: Mapping[str, Any]) -> tuple[str, ...]:
    """What the model is not for, and what is not known of it."""
    told = [*NOT_FOR]
    outside = card["data"]["customers"] - card["data"]["in_segments"]
    told += [f"It says nothing of {outside:,} customers who are in no segment."] if outside else []
    if card["data"]["window_start"]:
        told.append(f"What happened before {card['data']['window_start']} is not looked at.")
    for verdict, words in (("not_judged", "Not judged"), ("warned", "Passed with a warning")):
        named = [gate for gate in card["gates"] if gate["verdict"] == verdict]
        told += [f"{words}: {gate['gate']} ({gate['text']})." for gate in named]
    return tuple(told)


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> Rows:
    rows = [(str(c["k"]), *(_number(c[name]) for name in CANDIDATE), c["verdict"], c["reason"]) for c in candidates]
    return Rows(("k", *CANDIDATE.values(), "verdict", "why"), tuple(rows), verdict=len(CANDIDATE) + 1)


def _prediction(prediction: Mapping[str, Any]) -> tuple[str | Rows, ...]:
    """Eta squared of every behaviour, and how the segments fare against the baselines."""
    if "why_not" in prediction:
        return (f"Not measured: {prediction['why_not']}.",)
    values = {(one["behaviour"], one["method"]): one for one in prediction["separations"]}
    against = {(one["behaviour"], one["baseline"]): one for one in prediction["against"]}
    methods = list(dict.fromkeys(method for _, method in values))
    baselines = [method for method in methods if method != "segments"]
    head = ("behaviour", "customers", *methods, *(f"against {name}" for name in baselines))
    rows = []
    for behaviour in dict.fromkeys(behaviour for behaviour, _ in values):
        own = values[behaviour, "segments"]
        note = "" if own["is_judged"] else " (not judged)"
        cells = [behaviour + note, f"{own['customers']:,}", *(_interval(values[behaviour, name]) for name in methods)]
        cells += [_difference(against[behaviour, name]) for name in baselines]
        rows.append(tuple(cells))
    panel = {one["baseline"]: one for one in prediction["panel"]}
    rows.append(("mean of those judged", "", *("" for _ in methods), *(_difference(panel[name]) for name in baselines)))
    told = (
        f"Eta squared with 95 % bootstrap intervals: {prediction['k']} segments of {prediction['customers']:,} "
        "customers, as the recipe finds them 90 days before, and what those customers did in the 90 days."
    )
    if prediction["lift"] is not None:
        told += (
            f" The segment that spent most before, {prediction['lift_share']:.1%} of the customers, spent "
            f"{prediction['lift']:.2f} times the average after."
        )
    return Rows(head, tuple(rows)), told


def _interval(one: Mapping[str, Any]) -> str:
    return f"{one['eta_squared']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _difference(one: Mapping[str, Any]) -> str:
    return f"{one['outcome']}, {one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _weights(weighed: Mapping[str, Any]) -> str:
    weights = ", ".join(f"{family} {weight:g}" for family, weight in weighed["weights"].items())
    return f"Weights of families: {weights}; picked {weighed['picked']}."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
