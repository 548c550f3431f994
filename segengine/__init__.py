"""Customer segmentation on PySpark: from init and check to train, run and rollback; importing it starts nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segengine.config import load
    from segengine.propose import init
    from segengine.runs import (
        campaign_result,
        check,
        draw_report,
        explain,
        export,
        forget,
        monitor,
        promote,
        rollback,
        run,
        score,
        train,
    )
    from segengine.stream import stream

__all__ = [
    "__version__", "campaign_result", "check", "draw_report", "explain", "export", "forget", "init", "load", "monitor",
    "promote", "rollback", "run", "score", "stream", "train",
]  # fmt: skip

__version__ = "0.1.0"

_ROOMS = {
    "campaign_result": "segengine.runs",
    "check": "segengine.runs",
    "explain": "segengine.runs",
    "export": "segengine.runs",
    "forget": "segengine.runs",
    "init": "segengine.propose",
    "load": "segengine.config",
    "monitor": "segengine.runs",
    "promote": "segengine.runs",
    "rollback": "segengine.runs",
    "draw_report": "segengine.runs",
    "run": "segengine.runs",
    "score": "segengine.runs",
    "stream": "segengine.stream",
    "train": "segengine.runs",
}


def __getattr__(name: str) -> Any:
    """Fetch a function from its room on first use, so that importing segengine stays quick."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'segengine' has no attribute {name!r}")
    value = getattr(importlib.import_module(_ROOMS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
