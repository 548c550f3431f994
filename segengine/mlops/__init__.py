"""Operating a segmentation: where models are kept and tracked, and Azure Machine Learning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.mlops.tracking import Tracked

__all__ = ["track"]


def track(config: Config | str | Path, version: str) -> Tracked:
    """Record a saved version on the configured MLflow server (again), for an output on a local disk."""
    from segengine.config import Config, load
    from segengine.io.files import store_for
    from segengine.mlops import tracking

    loaded = config if isinstance(config, Config) else load(config)
    return tracking.track(loaded, store_for(loaded.output.path), version)
