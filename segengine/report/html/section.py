"""A section of the page, and the small pieces that many sections use."""

from __future__ import annotations

from dataclasses import dataclass

from segengine.report.html.markup import Child, Markup, tag
from segengine.report.published import Facts, Segment

__all__ = ["Section", "chip", "colour", "drawn", "named", "note", "place_name"]


@dataclass(frozen=True)
class Section:
    """A section: its anchor, its title, and what is below the title."""

    anchor: str
    title: str
    body: tuple[Markup, ...]


def drawn(section: Section) -> Markup:
    """The section as HTML, labelled by its title."""
    title_id = f"{section.anchor}-title"
    title = tag("h2", section.title, id=title_id)
    return tag("section", title, section.body, id=section.anchor, aria_labelledby=title_id)


def note(*text: Child) -> Markup:
    """A paragraph that explains what is seen."""
    return tag("p", text, class_="lead")


def colour(segment: Segment) -> str:
    """The classes that give a mark the colour of a segment."""
    return f"seg s{segment.segment_key}"


def chip(segment: Segment) -> Markup:
    """A small square in the segment's colour; the name stands beside it."""
    return tag("span", class_=f"chip {colour(segment)}", aria_hidden="true")


def named(segment: Segment) -> Markup:
    """A segment's chip and name, with its group where there are groups."""
    group = f"{segment.group_name}: " if segment.group_name is not None else ""
    return tag("span", chip(segment), f"{group}{segment.name}", class_="named")


LANES = {
    "ignored": "Ignored (house or guest accounts)",
    "opted_out": "Opted out",
    "only_returns": "Only returns",
    "no_purchases": "No purchases",
    "too_new": "Too new",
}


def place_name(key: int | None, lane: str | None, facts: Facts) -> Child:
    """Where a customer is or was: a segment, a lane, or nowhere."""
    segment = facts.segment(key)
    if segment is not None:
        return named(segment)
    if key is not None:
        return f"Segment {key} (retired)"
    return "Not a customer" if lane is None else LANES.get(lane, lane)
