"""The theme: our palette or the team's own colours, with the contrast that WCAG asks for."""

from __future__ import annotations

from importlib import resources
from typing import Any

__all__ = ["BASE_THEME", "PALETTE", "THEME", "base_theme_text", "contrast", "low_contrast", "theme_json"]

BASE_THEME = "CY26SU10"
"""Microsoft's own base theme (MIT), which comes with the project: Desktop need not know it."""
THEME = "SegEngineTheme.json"

PALETTE = ("#332288", "#117733", "#aa4499", "#2b7bba", "#8a6d00", "#882255", "#2a8a7c", "#c1445a", "#555555")
"""After Paul Tol's scheme `muted`, its light colours darkened until each has a contrast of 3 with white."""

TEXT, QUIET, PAPER, LINE = "#252423", "#605e5c", "#ffffff", "#c8c6c4"
GRAPHIC = 3.0
"""Least contrast of what is drawn with what is behind it (WCAG 2.1, 1.4.11); text needs 4.5 (1.4.3)."""


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21, as WCAG 2.1 defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def low_contrast(colours: tuple[str, ...]) -> list[str]:
    """The colours that are too light to be seen on white."""
    return [colour for colour in colours if contrast(colour, PAPER) < GRAPHIC]


def base_theme_text() -> str:
    """The file of the base theme."""
    return resources.files("segengine.report.powerbi").joinpath("base_theme.json").read_text(encoding="utf-8")


def theme_json(colours: tuple[str, ...] = ()) -> dict[str, Any]:
    """The project's theme on top of the base theme. Its inner name is its file's: a checker of Microsoft's asks so."""
    used = colours or PALETTE
    return {
        "name": THEME,
        "dataColors": list(used),
        "background": PAPER,
        "foreground": TEXT,
        "foregroundNeutralSecondary": QUIET,
        "backgroundNeutral": LINE,
        "tableAccent": used[0],
        "good": "#117733",
        "neutral": "#8a6d00",
        "bad": "#882255",
        "maximum": used[0],
        "center": LINE,
        "minimum": "#f3f2f1",
    }
