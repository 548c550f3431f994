"""What is told of a trained model: parameters, metrics, metrics by k, tags and texts, from the files of its bundle.

Plain data, no MLflow here. No file of a bundle holds a customer's row, and so nothing of it goes to a server.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segengine
from segengine.mlops.plots import k_plot, segments_plot

if TYPE_CHECKING:
    from segengine.config import Config

__all__ = ["TrackedFacts", "code_sha256", "data_sha256", "tracked_facts"]

LONGEST = 500
"""Characters of a parameter or tag that every server takes; Azure ML's takes no more."""

BY_K = (
    "macro_silhouette",
    "micro_silhouette",
    "squared_silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "inertia",
    "gap",
    "prediction_strength",
    "jaccard_min",
    "smallest_share",
    "largest_share",
)
FILES = (
    "k_decision.json",
    "gates.json",
    "model_card.json",
    "model_card.md",
    "model_card.html",
    "cards.json",
    "identity.json",
)
"""Files of a bundle that are shown with the run, where it has them."""


@dataclass(frozen=True)
class TrackedFacts:
    """Everything that a run of a tracking server holds beside the models.

    `by_k`: k -> metric -> value. `texts`: name of an artifact -> its content.
    """

    params: dict[str, str]
    metrics: dict[str, float]
    by_k: dict[int, dict[str, float]]
    tags: dict[str, str]
    texts: dict[str, bytes] = field(default_factory=dict)


def tracked_facts(
    config: Config,
    manifest: Mapping[str, Any],
    read: Callable[[str], bytes],
    inputs: Sequence[Mapping[str, Any]] = (),
) -> TrackedFacts:
    """The facts of a verified version: its manifest, and how one of its files is read.

    `inputs`: what was read (segengine.io.source.SourceFacts as dicts).
    """
    model, decision = json.loads(read("model.json")), json.loads(read("k_decision.json"))
    files = {name: read(name) for name in FILES if name in manifest["files"]}
    gates = json.loads(files["gates.json"]) if "gates.json" in files else {"gates": []}
    texts = dict(files)
    told = config.redact(json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False))
    texts["config.json"] = told.encode()
    if inputs:
        plain = json.dumps([dict(one) for one in inputs], indent=2, ensure_ascii=False, default=str)
        texts["inputs.json"] = config.redact(plain).encode()
    if decision["candidates"]:
        texts["plots/k.svg"] = k_plot(decision["candidates"]).encode()
    names = _names(files, model)
    texts["plots/segments.svg"] = segments_plot(names, model["sizes"]).encode()
    return TrackedFacts(
        params=_params(config, manifest, model, decision),
        metrics=_numbers({**_measures(manifest), **_gate_values(gates["gates"])}),
        by_k={int(c["k"]): _numbers({name: c.get(name) for name in BY_K}) for c in decision["candidates"]},
        tags=_tags(config, manifest, inputs),
        texts=texts,
    )


def data_sha256(inputs: Sequence[Mapping[str, Any]]) -> str:
    """A fingerprint of the data that was read: of each table's name, format, fingerprint and versions; not its path."""
    known = ("name", "format", "files", "size_bytes", "fingerprint", "delta_version", "iceberg_snapshot")
    plain = [{key: one.get(key) for key in known} for one in inputs]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def code_sha256() -> str:
    """A fingerprint of the code that runs: of every Python file of segengine, by name and content."""
    folder = Path(segengine.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _params(
    config: Config, manifest: Mapping[str, Any], model: Mapping[str, Any], decision: Mapping[str, Any]
) -> dict[str, str]:
    plain = config.model_dump(mode="json")
    told = {
        "name": config.name,
        "kind": config.kind,
        "as_of": manifest.get("as_of"),
        "history": config.history,
        "k": manifest["k"],
        "groups": manifest.get("groups"),
        "seed": model["seed"],
        "features": ", ".join(manifest["features"]),
        "features_count": len(manifest["features"]),
        "components": len(model["preparation"]["vector"]),
        "k_rule": decision.get("rule"),
        **{f"prepare.{key}": value for key, value in plain["prepare"].items()},
        **{f"segments.{key}": value for key, value in plain["segments"].items()},
        "spark_version": manifest.get("spark_version"),
    }
    return {key: _short(value) for key, value in told.items() if value is not None}


def _tags(config: Config, manifest: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    told = {
        "segengine.model_version": manifest["version"],
        "segengine.run_id": manifest.get("run_id"),
        "segengine.why_trained": manifest.get("why"),
        "segengine.k_decision": manifest.get("decision"),
        "segengine.verdict": manifest.get("verdict"),
        "segengine.refused_for": manifest.get("refused_for") or None,
        "segengine.config_sha256": manifest.get("config_sha256", config.fingerprint()),
        "segengine.recipe_sha256": manifest.get("recipe_sha256"),
        "segengine.data_sha256": data_sha256(inputs) if inputs else None,
        "segengine.version": segengine.__version__,
        "segengine.code_sha256": code_sha256(),
    }
    return {key: config.redact(_short(value)) for key, value in told.items() if value is not None}


def _measures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest.get("measures", {}), "segments": manifest["k"]}


def _gate_values(gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"gate.{gate['gate']}": gate.get("value") for gate in gates}


def _names(files: Mapping[str, bytes], model: Mapping[str, Any]) -> list[str]:
    """Each segment's id and name."""
    ids = [f"S-{i + 1:03d}" for i in range(len(model["names"]))]
    if "identity.json" in files:
        known = json.loads(files["identity.json"])["segments"]
        ids = [one["segment_id"] for one in sorted(known, key=lambda one: int(one["index"]))]
    return [f"{lasting} {name}" for lasting, name in zip(ids, model["names"], strict=True)]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """What is a finite number; a server refuses the others."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, (int, float)) and math.isfinite(float(value))
    }


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
