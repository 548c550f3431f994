"""What the page needs of a model bundle: preparation, centres and decision, as plain data and in numpy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segengine.features.prepare_numbers import Preparation

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["ModelFacts", "read_model"]


@dataclass(frozen=True)
class ModelFacts:
    """A model as the page draws it."""

    version: str
    features: tuple[Mapping[str, Any], ...]
    """name, family, unit, text and kind of each."""
    preparation: Preparation
    centres: NDArray[np.float64]
    """(k, d), prepared space."""
    outlier_limits: NDArray[np.float64]
    segment_keys: tuple[int, ...]
    """Centre index -> the lasting key of the segment."""
    decision: Mapping[str, Any]
    """k_decision.json."""
    grouping: Mapping[str, Any] | None
    """by, column, fallback, and groups with kind, value, name, first, k; None without groups."""
    manifest: Mapping[str, Any]


def read_model(store: Store, version: str) -> ModelFacts:
    """The facts of a model version. The bundle was verified when it scored; nothing in it is executed here."""
    folder = f"models/{version}"
    model = json.loads(store.read_bytes(f"{folder}/model.json"))
    centres = np.array(model["centres"], dtype=np.float64)
    return ModelFacts(
        version=version,
        features=tuple(model["features"]),
        preparation=Preparation.from_dict(model["preparation"]),
        centres=centres,
        outlier_limits=np.array(model["outlier_limits"], dtype=np.float64),
        segment_keys=_keys(store, folder, len(centres)),
        decision=json.loads(store.read_bytes(f"{folder}/k_decision.json")),
        grouping=model.get("grouping"),
        manifest=json.loads(store.read_bytes(f"{folder}/manifest.json")),
    )


def _keys(store: Store, folder: str, k: int) -> tuple[int, ...]:
    """The segments' keys by index; bundles from before there was identity.json count from 1."""
    if not store.exists(f"{folder}/identity.json"):
        return tuple(range(1, k + 1))
    segments = json.loads(store.read_bytes(f"{folder}/identity.json"))["segments"]
    return tuple(item["segment_key"] for item in sorted(segments, key=lambda item: int(item["index"])))
