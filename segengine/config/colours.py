"""Colours, and how well they can be told from what is behind them (WCAG 2.1)."""

from __future__ import annotations

import re

__all__ = ["COLOUR", "LEAST_CONTRAST", "contrast"]

COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
LEAST_CONTRAST = 3.0
"""Of what is drawn with what is behind it (WCAG 2.1, 1.4.11); text needs 4.5 (1.4.3)."""


def contrast(one: str, other: str) -> float:
    """Contrast of two colours `#rrggbb`, 1 to 21; https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
