"""The theme: our palette or the team's own colours, with the contrast that WCAG asks for."""

from __future__ import annotations

from importlib import resources
from typing import Any

from segengine.config.colours import LEAST_CONTRAST, contrast

__all__ = ["BASE_THEME", "PALETTE", "THEME", "base_theme_text", "low_contrast", "theme_json"]

BASE_THEME = "CY26SU10"
"""Microsoft's own base theme (MIT), which comes with the project: Desktop need not know it."""
THEME = "SegEngineTheme.json"

PALETTE = ("#443388", "#aa7711", "#117733", "#dd66bb", "#5577dd", "#552255", "#779977", "#776677", "#004422")
"""Searched for: each has a contrast of 3 with white, and any two are 20 apart in CIELAB (1976) with normal vision and
as people without one kind of cones see them (Machado, Oliveira and Fernandes 2009)."""

TEXT, QUIET, PAPER, LINE = "#252423", "#605e5c", "#ffffff", "#c8c6c4"


def low_contrast(colours: tuple[str, ...]) -> list[str]:
    """The colours that are too light to be seen on white."""
    return [colour for colour in colours if contrast(colour, PAPER) < LEAST_CONTRAST]


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
