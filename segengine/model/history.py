"""What is told of model versions: why each was trained, and what became of its segments. No Spark here."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from segengine.model import bundle, promotion
from segengine.model.identity import segment_id
from segengine.model.identity_file import identity_of
from segengine.tables import K_CANDIDATES, PREDICTION

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.io.files import Store
    from segengine.model.trained import TrainedModel

__all__ = [
    "candidate_rows",
    "event_rows",
    "facts",
    "gate_rows",
    "model_rows",
    "prediction_rows",
    "recipe_fingerprint",
]

CANDIDATE_COLUMNS = K_CANDIDATES.column_names[:-1]

RECIPE = ("kind", "history", "features", "prepare", "lanes", "segments")
"""The sections of a configuration that decide what a model looks like."""


def recipe_fingerprint(config: Config) -> str:
    """SHA-256 of the sections that decide what a model looks like: another one means the champion is out of date."""
    plain = config.model_dump(mode="json", include=set(RECIPE))
    plain["segments"].pop("hysteresis")  # about scoring
    by, customers = config.segments.by, config.tables.customers
    if config.segments.too_small == "refuse":  # as before there was a choice
        del plain["segments"]["too_small"]
    if by is None:  # the fingerprint is that of a segengine that knew no groups
        plain["segments"] = {key: value for key, value in plain["segments"].items() if not key.startswith("by")}
    elif customers is not None:
        plain["by"] = customers.attributes[by]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def facts(
    model: TrainedModel, config: Config, *, run_id: str, created_at: dt.datetime, as_of: dt.datetime, why: str
) -> dict[str, Any]:
    """What the manifest of a version says beside its files. Times are aware UTC."""
    wanted = (
        "customers", "inertia", "macro_silhouette", "micro_silhouette", "calinski_harabasz", "davies_bouldin",
        "smallest_share", "largest_share",
    )  # fmt: skip
    return {
        "run_id": run_id,
        "created_at": created_at.isoformat(),
        "as_of": as_of.isoformat(),
        "why": why,
        "decision": model.decision.sentence,
        "config_sha256": config.fingerprint(),
        "recipe_sha256": recipe_fingerprint(config),
        "measures": {name: model.metrics.get(name) for name in wanted},
    }


def gate_rows(store: Store, since: str) -> tuple[dict[str, object], ...]:
    """The rows of the published table `gates`: of this version and of later ones, those that have any."""
    return _rows(store, since, "gates.json", "gates")


def candidate_rows(store: Store, since: str) -> tuple[dict[str, object], ...]:
    """The rows of the published table `k_candidates`, likewise."""
    named = CANDIDATE_COLUMNS
    rows = _rows(store, since, "k_decision.json", "candidates")
    return tuple({name: row.get(name) for name in named} for row in rows)


def prediction_rows(store: Store, since: str) -> tuple[dict[str, object], ...]:
    """The rows of the published table `prediction`, likewise."""
    rows = _rows(store, since, "prediction.json", "separations")
    return tuple({name: row[name] for name in PREDICTION.column_names[:-1]} for row in rows)


def _rows(store: Store, since: str, file: str, key: str) -> tuple[dict[str, object], ...]:
    rows: list[dict[str, object]] = []
    for version in bundle.versions(store):
        path = f"{bundle.FOLDER}/{version}/{file}"
        if int(version[1:]) >= int(since[1:]) and store.exists(path):
            found = json.loads(store.read_bytes(path))[key]
            rows += [{"model_version": version, **row} for row in found]
    return tuple(rows)


def _status(manifest: Mapping[str, Any]) -> str:
    return "refused" if manifest.get("verdict") == "refused" else "retired"


def model_rows(store: Store) -> tuple[dict[str, object], ...]:
    """The rows of the published table `models`: every complete version; one is champion, the others retired."""
    champion = bundle.champion(store)
    in_use = "provisional" if promotion.is_provisional(store) else "champion"
    rows = []
    for version in bundle.versions(store):
        manifest = bundle.manifest(store, version)
        rows.append(
            {
                "model_version": version,
                "created_at": dt.datetime.fromisoformat(str(manifest["created_at"])),
                "as_of": dt.datetime.fromisoformat(str(manifest["as_of"])),
                "status": in_use if version == champion else _status(manifest),
                "k": manifest["k"],
                "groups": manifest.get("groups"),
                "features": ", ".join(manifest["features"]),
                **manifest["measures"],
                "decision": manifest["decision"],
                "config_sha256": manifest["config_sha256"],
            }
        )
    return tuple(rows)


def event_rows(store: Store) -> tuple[dict[str, object], ...]:
    """The rows of the published table `segment_events`: of every version that is or was champion."""
    record = bundle.champion_record(store) or {}
    used = {str(one.get("version")) for one in (record, *record.get("history", []), *promotion.events(store))}
    rows = []
    for version in bundle.versions(store):
        if version in used:
            manifest = bundle.manifest(store, version)
            as_of = dt.datetime.fromisoformat(str(manifest["as_of"]))
            for event in identity_of(store, version, int(manifest["k"])).events:
                named = {"segment_id": segment_id(event.segment_key), **asdict(event)}
                rows.append({"model_version": version, "as_of": as_of, **named})
    return tuple(rows)
