"""Plots of the results files as SVG, drawn by hand: time by contestant, time over size, memory.

python -m benchmarks.plots benchmarks/results
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.tables import GIB, Summary, summaries

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 150, 110, 26, 44
COLOURS = {
    "segengine": "#0f766e",
    "tutorial_spark": "#9ca3af",
    "corrected_spark": "#6b7280",
    "pandas_sklearn": "#b45309",
    "polars_sklearn": "#1d4ed8",
    "duckdb_sklearn": "#a16207",
}
"""One colour a contestant in all plots."""


def write(folder: Path) -> list[Path]:
    """Draw everything that the results files of `folder` hold, beside them; returns the files."""
    records = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("[0-9]*.json")]
    records.sort(key=lambda record: int(record["line_rows"]))
    written = []
    for record in records:
        found, lines = summaries(record), f"{record['line_rows']:,} lines"
        times = bars(
            f"Seconds, {lines} (logarithmic; range of the rounds)", found, {s.contestant: s.wall for s in found}
        )
        memory = {one.contestant: (one.pss_median / GIB,) for one in found}
        for name, drawing in (("time", times), ("memory", bars(f"Peak memory in GiB (PSS), {lines}", found, memory))):
            written.append(folder / f"{name}-{record['lines']}.svg")
            written[-1].write_text(drawing, encoding="utf-8")
    if len(records) > 1:
        written.append(folder / "time-over-size.svg")
        written[-1].write_text(curves(records), encoding="utf-8")
    return written


def bars(title: str, found: Sequence[Summary], values: Mapping[str, Sequence[float]]) -> str:
    """A bar a contestant, as long as the logarithm of its median; a thin line from the least to the most."""
    everything = [value for some in values.values() for value in some]
    low, high = min(everything) / 2, max(everything)
    span = math.log(high / low)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / low) / span

    parts = []
    for row, one in enumerate(found):
        some = sorted(values[one.contestant])
        median, y = statistics.median(some), TOP + row * ROW
        opacity = 1.0 if one.state == "finished" else 0.4
        label = f"{median:,.1f}" if one.state == "finished" else f"{one.state} at {median:,.0f}"
        parts += [
            _text(LEFT - 8, y + 13, one.contestant, "end"),
            (
                f'<rect x="{LEFT}" y="{y}" width="{x(median) - LEFT:.1f}" height="17" '
                f'fill="{COLOURS[one.contestant]}" fill-opacity="{opacity}"/>'
            ),
            _text(max(x(median), x(some[-1])) + 6, y + 13, label),
        ]
        if len(some) > 1:
            parts.append(_line([(x(some[0]), y + 8.5), (x(some[-1]), y + 8.5)], "#111827", 1.5))
    return _svg(title, parts, TOP + len(found) * ROW + 8)


def curves(records: Sequence[Mapping[str, Any]]) -> str:
    """Median seconds a million lines, over the number of lines; both axes logarithmic. Finished rounds only."""
    points: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for one in summaries(dict(record)):
            if one.state == "finished":
                millions = record["line_rows"] / 1e6
                points.setdefault(one.contestant, []).append((millions, one.wall_median / millions))
    xs, ys = ([point[axis] for some in points.values() for point in some] for axis in (0, 1))
    height, bottom = 400, 360
    wide, high = math.log(max(xs) / min(xs)) or 1.0, math.log(max(ys) / min(ys)) or 1.0

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = LEFT - 60 + (WIDTH - LEFT - RIGHT) * math.log(point[0] / min(xs)) / wide
        return across, bottom - (bottom - TOP - 10) * math.log(point[1] / min(ys)) / high

    parts = [
        _text(place((size, min(ys)))[0], bottom + 24, f"{size:,.0f} million", "middle") for size in sorted(set(xs))
    ]
    for name, some in points.items():
        placed = [place(point) for point in sorted(some)]
        parts.append(_line(placed, COLOURS[name], 2.5))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[name]}"/>' for x, y in placed]
        parts += [
            _text(x, y - 8, f"{value:.2f}", "middle") for (x, y), (_, value) in zip(placed, sorted(some), strict=True)
        ]
        parts.append(_text(placed[-1][0] + 20, placed[-1][1] + 4, name))
    return _svg("Seconds a million lines, by size (both logarithmic)", parts, height)


def _svg(title: str, parts: Sequence[str], height: int) -> str:
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">'
            ),
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="24" font-size="14" font-weight="bold" fill="#111827">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#111827">{escape(words)}</text>'


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


if __name__ == "__main__":
    for folder in sys.argv[1:] or [str(Path(__file__).parent / "results")]:
        for file in write(Path(folder)):
            print(file)
