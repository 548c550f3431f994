"""The section in which a reader types a customer's values and sees the segment, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from segengine.features.prepare_numbers import LARGEST, NumericInput
from segengine.report.bundle import ModelFacts
from segengine.report.html import words
from segengine.report.html.markup import Child, Markup, tag, trusted
from segengine.report.html.section import Section, colour, note
from segengine.report.published import Facts

__all__ = ["calculator", "embedded", "model_numbers"]

EXAMPLES = 12
"""Segments that there is a button for, which fills in the medians of their customers."""


def calculator(facts: Facts, model: ModelFacts | None) -> Section | None:
    """The form; calculator.js fills it with the first segment's medians and answers."""
    if model is None:
        return None
    lead = note(
        "Type a customer's values and see the segment. The page does the model's own arithmetic: nothing is sent. "
        "An empty field is a missing value. Lanes are not looked at, and neither is where the customer was before."
    )
    indices = [i for i, key in enumerate(model.segment_keys) if facts.segment(key) is not None][:EXAMPLES]
    buttons = [
        tag("button", f"Typical {facts.segment(model.segment_keys[i]).segment_id}", type="button", data_fill=i)  # type: ignore[union-attr]  # the index was only taken where there is a segment
        for i in indices
    ]
    answer = tag("output", id="answer", class_="answer", aria_live="polite")
    why = tag("div", id="why", aria_live="polite")
    form = tag("form", tag("div", buttons, class_="buttons"), answer, why, _fields(facts, model), id="calculator-form",
               hidden=True, autocomplete="off")  # fmt: skip
    without = tag("noscript", tag("p", "The calculator needs JavaScript; nothing else on this page does."))
    return Section("calculator", "Calculator", (lead, without, form))


def _fields(facts: Facts, model: ModelFacts) -> Markup:
    fields: list[Child] = []
    if model.grouping is not None:
        options = [tag("option", group["name"], value=place) for place, group in enumerate(model.grouping["groups"])]
        label = tag("label", words.feature_label(str(model.grouping["by"])), for_="f-group")
        fields.append(tag("div", label, tag("select", options, id="f-group")))
    described = {str(feature["name"]): feature for feature in model.features}
    for place, item in enumerate(model.preparation.inputs):
        feature = described.get(item.name, {})
        unit = _unit(feature, facts)
        label = tag(
            "label", words.feature_label(item.name), tag("small", f" {unit}") if unit else None, for_=f"f-{place}"
        )
        told = str(feature.get("text", ""))
        if isinstance(item, NumericInput):
            entry = tag("input", id=f"f-{place}", type="number", step="any", title=told)
        else:
            levels = [tag("option", level, value=f"={level}") for level in item.levels]
            others = [tag("option", "any other value", value="other"), tag("option", "missing", value="")]
            entry = tag("select", levels, others, id=f"f-{place}", title=told)
        fields.append(tag("div", label, entry))
    return tag("div", fields, class_="fields")


def _unit(feature: Mapping[str, object], facts: Facts) -> str:
    """What stands beside a field: of shares and ratios it is their range."""
    unit = str(feature.get("unit", ""))
    return words.shown_unit(unit, facts) or (unit if unit.startswith(("share", "ratio,")) else "")


def model_numbers(facts: Facts, model: ModelFacts) -> dict[str, Any]:
    """The numbers that calculator.js works with: preparation, centres, and what to call the segments."""
    inputs = [_input(item, facts, model) for item in model.preparation.inputs]
    places = {item.name: place for place, item in enumerate(model.preparation.inputs)}
    medians = {(p.segment_key, p.feature): p.median for p in facts.profiles}
    segments = []
    for index, key in enumerate(model.segment_keys):
        segment = facts.segment(key)
        segments.append(
            {
                "id": segment.segment_id if segment else f"S-{key:03d}",
                "name": segment.name if segment else "",
                "classes": colour(segment) if segment else "",
                "limit": float(model.outlier_limits[index]),
                "centre": [float(value) for value in model.centres[index]],
                "typical": [medians.get((key, item.name)) for item in model.preparation.inputs],
            }
        )
    groups = None
    if model.grouping is not None:
        groups = [[g["first"], g["first"] + g["k"]] for g in model.grouping["groups"]]
    vector = [
        {"input": places[c.input], "part": c.part, "level": c.level, "mean": c.mean, "factor": c.factor}
        for c in model.preparation.vector
    ]
    return {"largest": LARGEST, "inputs": inputs, "vector": vector, "segments": segments, "groups": groups}


def _input(item: Any, facts: Facts, model: ModelFacts) -> Mapping[str, object]:
    units = {str(feature["name"]): str(feature["unit"]) for feature in model.features}
    plain: dict[str, object] = {"label": words.feature_label(item.name), "kind": item.kind}
    if isinstance(item, NumericInput):
        cap = None if item.cap is None else list(item.cap)
        return {**plain, "impute": item.impute, "cap": cap, "log": item.log_scale,
                "unit": units.get(item.name, "").replace("currency", facts.currency)}  # fmt: skip
    return {**plain, "levels": list(item.levels)}


def embedded(numbers: Mapping[str, Any]) -> Markup:
    """JSON for a script element that is not executed; no character in it can end the element."""
    text = json.dumps(numbers, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return tag("script", trusted(text), type="application/json", id="model-numbers")
