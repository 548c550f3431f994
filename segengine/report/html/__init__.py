"""The HTML report, drawn from the facts of a publication."""

from segengine.report.html.page import draw

__all__ = ["draw"]
