"""The section with the map of customers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segengine.report.html import words
from segengine.report.html.markup import Markup, tag
from segengine.report.html.section import Section, colour, named, note
from segengine.report.plane import ACROSS, Hexagon, Plane
from segengine.report.published import Facts

__all__ = ["map_section"]

STEP = 14.0
"""Width of a hexagon in the drawing's own unit."""
SHADES = 5
MARGIN = 16
LABELLED = 24
"""Centres that are labelled; more would cover the map."""


def map_section(facts: Facts, plane: Plane | None) -> Section | None:
    """The customers of the sample on a plane, darker where there are more of them."""
    if plane is None:
        return None
    share = words.percent(plane.shown_share, 0)
    lead = note(
        f"{words.count(plane.sampled)} customers, chosen by a hash of their id, on the plane that tells the segments "
        "apart best. A hexagon has the colour of the segment that most of its customers are in, and is stronger where "
        f"there are more. The plane shows {share} of how customers differ, so what overlaps here may lie apart."
    )
    legend = tag("ul", [tag("li", named(segment)) for segment in facts.segments[:LABELLED]], class_="legend")
    right, up = _axis("Further right", plane.x_features), _axis("Further up", plane.y_features)
    ends = tag("p", right, " " if right and up else "", up, class_="axes")
    figure = tag("figure", _drawing(facts, plane), tag("figcaption", ends), legend)
    return Section("map", "Map", (lead, figure))


def _axis(where: str, features: Sequence[tuple[str, bool]]) -> str:
    told = [f"{'more' if grows else 'less'} {words.feature_label(name).lower()}" for name, grows in features]
    return f"{where}: {', '.join(told)}." if told else ""


def _drawing(facts: Facts, plane: Plane) -> Markup:
    height_step = STEP * math.sqrt(3) / 2
    width, height = STEP * (ACROSS - 0.5) + 2 * MARGIN, height_step * (plane.rows - 1) + STEP + 2 * MARGIN
    most = max(hexagon.customers for hexagon in plane.hexagons)
    groups: dict[tuple[int, int], list[Hexagon]] = {}
    for hexagon in plane.hexagons:
        shade = math.ceil(SHADES * math.log1p(hexagon.customers) / math.log1p(most))
        groups.setdefault((hexagon.segment_key, shade), []).append(hexagon)
    drawn = []
    for (key, shade), hexagons in sorted(groups.items()):
        segment = facts.segment(key)
        if segment is not None:
            path = "".join(_hexagon(hexagon, plane.rows, height_step) for hexagon in hexagons)
            drawn.append(tag("path", tag("title", segment.name), d=path, class_=f"{colour(segment)} shade{shade}"))
    labels = []
    for key, x, y in plane.centres[:LABELLED]:
        segment = facts.segment(key)
        if segment is not None:
            at_x = MARGIN + x * STEP * (ACROSS - 1)
            at_y = MARGIN + STEP / 2 + (1 - y) * height_step * (plane.rows - 1)
            text = tag("text", segment.segment_id, x=f"{at_x:.1f}", y=f"{at_y - 10:.1f}", text_anchor="middle")
            labels.append(tag("g", tag("circle", cx=f"{at_x:.1f}", cy=f"{at_y:.1f}", r="5"), text, class_="centre"))
    label = "Map of the customers, coloured by segment; the sizes are in the table below"
    view = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", drawn, labels, viewBox=view, role="img", aria_label=label, class_="map")


def _hexagon(hexagon: Hexagon, rows: int, height_step: float) -> str:
    """The path of a hexagon, a little smaller than its cell."""
    x = MARGIN + STEP * (hexagon.column + 0.5 * (hexagon.row % 2))
    y = MARGIN + STEP / 2 + height_step * (rows - 1 - hexagon.row)
    half, side = STEP * 0.48, STEP * 0.48 / math.cos(math.pi / 6)
    return (
        f"M{x:.1f} {y - side:.1f}l{half:.1f} {side / 2:.1f}v{side:.1f}"
        f"l{-half:.1f} {side / 2:.1f}l{-half:.1f} {-side / 2:.1f}v{-side:.1f}z"
    )
