"""Two drawings of a model as SVG text: its qualities by k, and how large its segments are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["k_plot", "segments_plot"]

INK, QUIET, LINE, CHOSEN = "#1f2933", "#6b7785", "#2a78b8", "#d1495b"
WIDTH = 640
FONT = 'font-family="sans-serif"'


def k_plot(candidates: Sequence[Mapping[str, Any]]) -> str:
    """Macro silhouette by k; hollow points are k that broke a limit, the chosen one is marked."""
    known = [c for c in candidates if c.get("macro_silhouette") is not None]
    height, left, right, top, bottom = 300, 60, 20, 40, 45
    if not known:
        return _svg(120, [_text(WIDTH / 2, 60, "No k came back with a silhouette.", anchor="middle")])
    ks = [int(c["k"]) for c in known]
    values = [float(c["macro_silhouette"]) for c in known]
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1.0
    step = (WIDTH - left - right) / max(1, max(ks) - min(ks))

    def place(k: int, value: float) -> tuple[float, float]:
        return left + (k - min(ks)) * step, top + (high - value) / span * (height - top - bottom)

    points = [place(k, value) for k, value in zip(ks, values, strict=True)]
    parts = [_text(left, 22, "Macro silhouette by number of segments (hollow: a limit was broken)", weight="bold")]
    for value in (low, (low + high) / 2, high):
        y = place(min(ks), value)[1]
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}" stroke="#dde3e9"/>')
        parts.append(_text(left - 8, y + 4, f"{value:.2f}", anchor="end", colour=QUIET))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for (x, y), k, c in zip(points, ks, known, strict=True):
        chosen, passed = c.get("verdict") == "chosen", c.get("verdict") in ("chosen", "passed")
        colour = CHOSEN if chosen else LINE
        fill = colour if passed else "white"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if chosen else 4}" fill="{fill}" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        parts.append(_text(x, height - 20, str(k), anchor="middle", weight="bold" if chosen else "normal"))
    return _svg(height, parts)


def segments_plot(names: Sequence[str], sizes: Sequence[int]) -> str:
    """A bar a segment, as long as it has customers; the first 60 of many."""
    total, most, left, row = sum(sizes) or 1, max(sizes, default=1) or 1, 220, 24
    shown = list(zip(names, sizes, strict=True))[:60]
    parts = [_text(10, 22, f"Customers by segment, {total:,} in all", weight="bold")]
    for i, (name, size) in enumerate(shown):
        y = 40 + i * row
        short = name if len(name) <= 30 else name[:29] + "…"
        length = (WIDTH - left - 120) * size / most
        parts.append(_text(left - 8, y + 13, short, anchor="end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="16" fill="{LINE}"/>')
        parts.append(_text(left + length + 6, y + 13, f"{size:,} ({size / total:.1%})", colour=QUIET))
    more = len(names) - len(shown)
    if more:
        parts.append(_text(left, 40 + len(shown) * row + 13, f"and {more:,} more", colour=QUIET))
    return _svg(40 + (len(shown) + (more > 0)) * row + 10, parts)


def _svg(height: float, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}"'
    body = "\n".join(['<rect width="100%" height="100%" fill="white"/>', *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{body}\n</svg>\n'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = INK) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    style = f'{FONT} font-size="12" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(plain)}</text>'
