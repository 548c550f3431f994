"""Charts as inline SVG and as bars in tables: no script, no image, colours from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from segengine.report.html.markup import Child, Markup, tag

__all__ = [
    "Column",
    "Interval",
    "Line",
    "Point",
    "bar",
    "candidates",
    "intervals",
    "left",
    "lines",
    "nice_top",
    "right",
    "span_bar",
    "table",
]

Column: TypeAlias = tuple[str, Literal["left", "right"]]
"""The title of a table's column, and the side that its cells are at."""

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 26


def left(*titles: str) -> list[Column]:
    """Columns of text."""
    return [(title, "left") for title in titles]


def right(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [(title, "right") for title in titles]


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Child]]) -> Markup:
    """A table in a frame that scrolls by itself, with keys too; the first cell of a row is its head."""
    head = tag("tr", [tag("th", name, scope="col", class_=align) for name, align in columns])
    body = []
    for row in rows:
        cells: list[Markup] = []
        for place, (cell, (_, align)) in enumerate(zip(row, columns, strict=True)):
            cells.append(tag("th", cell, scope="row", class_=align) if place == 0 else tag("td", cell, class_=align))
        body.append(tag("tr", cells))
    inside = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=caption)


def bar(share: float | None, colour: str = "") -> Markup:
    """A bar of a share, 0 to 1; the number stands beside it, so it is hidden from screen readers."""
    width = 100 * min(max(share or 0.0, 0.0), 1.0)
    return tag("span", tag("i", style=f"width:{width:.2f}%", class_=colour or None), class_="bar", aria_hidden="true")


def span_bar(start: float, end: float, kind: str) -> Markup:
    """A bar between two shares of the width, for a waterfall."""
    low, high = sorted((min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)))
    style = f"margin-left:{100 * low:.2f}%;width:{max(100 * (high - low), 0.4):.2f}%"
    return tag("span", tag("i", style=style, class_=kind), class_="bar wide", aria_hidden="true")


@dataclass(frozen=True)
class Line:
    """A line of a chart: one value for each place on the x axis, None where there is none."""

    name: str
    colour: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Point:
    """A point of the chart of k."""

    x: int
    y: float
    verdict: str


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, all from 0 to 1."""

    name: str
    value: float
    low: float | None
    high: float | None
    strong: bool


def _svg(label: str, *inside: Child, height: int = HEIGHT) -> Markup:
    return tag("svg", inside, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=label, class_="chart")


def nice_top(top: float) -> float:
    """A round number at or above `top`, for the end of an axis."""
    if top <= 0 or not math.isfinite(top):
        return 1.0
    step = 10.0 ** math.floor(math.log10(top))
    return next((m * step for m in (1, 1.5, 2, 3, 4, 5, 6, 8) if m * step >= top), 10 * step)


def _axis(bottom: float, top: float, shown: Sequence[str]) -> list[Markup]:
    """Three lines across with their values at the left; `shown` are the texts at bottom, middle and top."""
    drawn = []
    for place, text in enumerate(shown):
        y = _y(bottom + (top - bottom) * place / (len(shown) - 1), bottom, top)
        drawn.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        drawn.append(tag("text", text, x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"))
    return drawn


def _y(value: float, bottom: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - bottom) / ((top - bottom) or 1.0))


def _x(place: float, places: int) -> float:
    return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (place / max(places - 1, 1))


def lines(label: str, x_texts: Sequence[str], drawn: Sequence[Line], axis: Sequence[str], top: float) -> Markup:
    """A chart of lines from 0 to `top`; `axis` are the texts at 0, the middle and the top."""
    paths: list[Markup] = []
    for line in drawn:
        dots = [(_x(i, len(x_texts)), _y(value, 0, top)) for i, value in enumerate(line.values) if value is not None]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        ends = [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_="mark") for x, y in dots]
        shapes = [tag("path", d=path, class_="stroke")] if len(dots) > 1 else []
        paths.append(tag("g", tag("title", line.name), shapes, ends, class_=line.colour))
    texts = [
        tag("text", x_texts[0], x=LEFT, y=HEIGHT - 6),
        tag("text", x_texts[-1], x=WIDTH - RIGHT, y=HEIGHT - 6, text_anchor="end") if len(x_texts) > 1 else None,
    ]
    return _svg(label, _axis(0, top, axis), paths, texts)


def candidates(label: str, points: Sequence[Point]) -> Markup:
    """The numbers of segments that were tried: chosen ones filled and large, passed filled, refused hollow."""
    bottom = min(0.0, *(point.y for point in points))
    top = nice_top(max(point.y for point in points))
    low, high = min(p.x for p in points), max(p.x for p in points)
    marks = []
    places = high - low + 1
    for point in points:
        x, y = _x(point.x - low, places), _y(point.y, bottom, top)
        kind = point.verdict if point.verdict in ("chosen", "passed") else "refused"
        radius = "6" if kind == "chosen" else "4"
        marks.append(tag("circle", tag("title", f"k = {point.x}: {point.y:.3f}, {point.verdict}"),
                         cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, class_=f"k {kind}"))  # fmt: skip
        marks.append(tag("text", point.x, x=f"{x:.1f}", y=HEIGHT - 6, text_anchor="middle"))
    path = "M" + "L".join(f"{_x(p.x - low, places):.1f} {_y(p.y, bottom, top):.1f}" for p in points)
    axis = [f"{bottom + (top - bottom) * part:.2f}" for part in (0, 0.5, 1)]
    return _svg(label, _axis(bottom, top, axis), tag("path", d=path, class_="faint"), marks)


def intervals(label: str, rows: Sequence[Interval], top: float) -> Markup:
    """Estimates as dots with their intervals, one below the other."""
    begin, row_height = 132, 26
    height = row_height * len(rows) + 34

    def across(value: float) -> str:
        return f"{begin + (WIDTH - begin - 16) * min(max(value, 0.0), top) / top:.1f}"

    drawn: list[Markup] = []
    for part in (0.0, 0.5, 1.0):
        x = across(top * part)
        drawn.append(tag("line", x1=x, x2=x, y1="6", y2=height - 24, class_="grid"))
        drawn.append(tag("text", f"{top * part:.2f}", x=x, y=height - 8, text_anchor="middle"))
    for place, row in enumerate(rows):
        y = row_height * place + 20
        if row.low is not None and row.high is not None:
            drawn.append(tag("line", x1=across(row.low), x2=across(row.high), y1=y, y2=y, class_="whisker"))
        kind = "k chosen" if row.strong else "k passed"
        drawn.append(tag("circle", tag("title", f"{row.value:.3f}"), cx=across(row.value), cy=y, r="5", class_=kind))
        drawn.append(tag("text", row.name, x=begin - 10, y=y + 4, text_anchor="end"))
    return _svg(label, drawn, height=height)
