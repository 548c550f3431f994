"""Visuals of a report page as PBIR JSON: only kinds of Microsoft's catalogue, each with an alternative text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from segengine.report.powerbi.names import hex_id

__all__ = ["SCHEMAS", "Box", "Ref", "Visual", "literal", "mobile_json", "visual_json"]

BASE = "https://developer.microsoft.com/json-schemas/fabric/"
SCHEMAS: dict[str, str] = {
    "pbip": BASE + "pbip/pbipProperties/1.0.0/schema.json",
    "platform": BASE + "gitIntegration/platformProperties/2.0.0/schema.json",
    "pbism": BASE + "item/semanticModel/definitionProperties/1.0.0/schema.json",
    "pbir": BASE + "item/report/definitionProperties/2.0.0/schema.json",
    "version": BASE + "item/report/definition/versionMetadata/1.0.0/schema.json",
    "report": BASE + "item/report/definition/report/3.0.0/schema.json",
    "pages": BASE + "item/report/definition/pagesMetadata/1.0.0/schema.json",
    "page": BASE + "item/report/definition/page/2.0.0/schema.json",
    "visual": BASE + "item/report/definition/visualContainer/2.4.0/schema.json",
    "mobile": BASE + "item/report/definition/visualContainerMobileState/2.4.0/schema.json",
}
"""The schema versions that are written, of late 2025: older Desktops refuse newer ones."""


@dataclass(frozen=True)
class Ref:
    """A column or measure of the model."""

    table: str
    name: str
    is_measure: bool

    def json(self) -> dict[str, Any]:
        """The field as a query names it."""
        kind = "Measure" if self.is_measure else "Column"
        return {kind: {"Expression": {"SourceRef": {"Entity": self.table}}, "Property": self.name}}


@dataclass(frozen=True)
class Box:
    """Where something is, in pixels from the top left."""

    x: int
    y: int
    width: int
    height: int

    def overlaps(self, other: Box) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(frozen=True)
class Visual:
    """A visual: its kind, fields by role, title and alternative text. `text` is that of a text box."""

    id: str
    kind: str
    title: str
    alt: str
    box: Box
    roles: tuple[tuple[str, tuple[Ref, ...]], ...] = ()
    text: str = ""
    sync: str | None = None
    sort: tuple[Ref, str] | None = None
    mobile: Box | None = None
    image: str | None = None
    objects: dict[str, Any] = field(default_factory=dict)

    def at(self, box: Box, mobile: Box | None = None) -> Visual:
        return replace(self, box=box, mobile=mobile or self.mobile)

    def fields(self) -> list[Ref]:
        return [ref for _, refs in self.roles for ref in refs]


GROUPING = {"Category", "Series", "Rows", "Columns", "Values", "ExplainBy"}
"""Roles whose columns take part in the grouping."""


def literal(value: str | bool | int | float) -> dict[str, Any]:
    """A constant as a formatting property: texts in single quotes, numbers as double."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''") + "'"
    else:
        text = f"{value}D"
    return {"expr": {"Literal": {"Value": text}}}


def visual_json(page: str, visual: Visual, order: int) -> dict[str, Any]:
    """The file `visual.json`; `order` is its place in the tab order."""
    inner: dict[str, Any] = {"visualType": visual.kind}
    if visual.roles:
        state = {role: {"projections": [_projection(role, ref) for ref in refs]} for role, refs in visual.roles}
        inner["query"] = {"queryState": state}
        if visual.sort is not None:
            ref, direction = visual.sort
            inner["query"]["sortDefinition"] = {"sort": [{"field": ref.json(), "direction": direction}]}
    objects = {**_text_objects(visual), **_image_objects(visual), **visual.objects}
    if visual.kind == "slicer":
        objects["data"] = [{"properties": {"mode": literal("Dropdown")}}]
    if objects:
        inner["objects"] = objects
    inner["visualContainerObjects"] = _container(visual)
    if visual.sync is not None:
        inner["syncGroup"] = {"groupName": visual.sync, "fieldChanges": True, "filterChanges": True}
    inner["drillFilterOtherVisuals"] = True
    return {
        "$schema": SCHEMAS["visual"],
        "name": hex_id("visual", page, visual.id),
        "position": _position(visual.box, order),
        "visual": inner,
    }


def mobile_json(visual: Visual, order: int) -> dict[str, Any]:
    """The file `mobile.json` of a visual that is on the page for telephones."""
    assert visual.mobile is not None
    return {"$schema": SCHEMAS["mobile"], "position": _position(visual.mobile, order)}


def _position(box: Box, order: int) -> dict[str, int]:
    place = order * 1000
    return {"x": box.x, "y": box.y, "z": place, "height": box.height, "width": box.width, "tabOrder": place}


def _projection(role: str, ref: Ref) -> dict[str, Any]:
    made = {"field": ref.json(), "queryRef": f"{ref.table}.{ref.name}", "nativeQueryRef": ref.name}
    return made if ref.is_measure or role not in GROUPING else {**made, "active": True}


def _container(visual: Visual) -> dict[str, Any]:
    shown = visual.title if visual.kind not in ("textbox", "image") else ""
    title: dict[str, Any] = {"show": literal(bool(shown))}
    if shown:
        title["text"] = literal(shown)
    return {
        "title": [{"properties": title}],
        "general": [{"properties": {"altText": literal(visual.alt)}}],
    }


def _text_objects(visual: Visual) -> dict[str, Any]:
    if visual.kind != "textbox":
        return {}
    runs = [{"value": visual.text, "textStyle": {"fontSize": "18pt", "fontWeight": "bold"}}]
    return {"general": [{"properties": {"paragraphs": [{"textRuns": runs}]}}]}


def _image_objects(visual: Visual) -> dict[str, Any]:
    if visual.image is None:
        return {}
    item = {"PackageName": "RegisteredResources", "PackageType": 1, "ItemName": visual.image}
    return {"general": [{"properties": {"imageUrl": {"expr": {"ResourcePackageItem": item}}}}]}


def overlapping(visuals: Sequence[Visual]) -> list[tuple[str, str]]:
    """Pairs of visuals of a page that lie on each other."""
    pairs = ((a, b) for place, a in enumerate(visuals) for b in visuals[place + 1 :])
    return [(a.id, b.id) for a, b in pairs if a.box.overlaps(b.box)]
