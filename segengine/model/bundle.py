"""Model versions on disk: saved whole or not at all, verified file by file before anything is loaded, one of them
champion.

models/<version>/manifest.json      every other file with its size and SHA-256, written last
models/<version>/model.json         features, preparation, centres, limits, measures
models/<version>/k_decision.json    the record of every k
models/<version>/identity.json      key and id of every segment, and of all that were ever given
models/<version>/scorer.json        what scoring without Spark needs, of the same numbers
models/<version>/pipeline/          the Spark ML pipeline, stock stages only
models/<version>/<name>.json        what else is known of it, such as gates.json; see `save` and `read_more`
models/champion.json                the version in use, the hash of its manifest, and the champions before it
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segengine.errors import BundleError, ModelError
from segengine.model.choose import KDecision
from segengine.model.groups import Grouping
from segengine.model.identity import FILE as IDENTITY
from segengine.model.identity_file import identity_of
from segengine.model.scorer import scorer_facts
from segengine.model.staged import FOLDER, stage_pipeline, staging_of
from segengine.model.trained import LoadedModel, TrainedModel, describe, feature_from_dict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.io.files import Store

__all__ = [
    "FOLDER",
    "FORMAT",
    "champion",
    "champion_record",
    "load",
    "manifest",
    "next_version",
    "read_more",
    "save",
    "set_champion",
    "verify",
    "versions",
]

FORMAT = 1
CHAMPION = f"{FOLDER}/champion.json"
VERSION = re.compile(r"v\d{4,}")
STOCK = "org.apache.spark.ml."
READ_EVERYWHERE = (4, 2)
"""Spark 3.5 to this one load each other's models. What a newer one saves is not tried on an older one."""


def canonical_json(data: Any) -> bytes:
    """JSON with sorted keys and no NaN: equal data gives equal bytes."""
    return (json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def versions(store: Store) -> list[str]:
    """Complete versions, oldest first."""
    return [version for version in _folders(store) if store.exists(f"{FOLDER}/{version}/manifest.json")]


def next_version(store: Store) -> str:
    """One more than the newest there is, complete or not: v0001, v0002, ..."""
    known = _folders(store)
    return f"v{int(known[-1][1:]) + 1 if known else 1:04d}"


def manifest(store: Store, version: str) -> dict[str, Any]:
    """The manifest of a version, its files unchecked. Raises BundleError when it is missing or foreign."""
    return _manifest(store, version)[0]


def save(
    model: TrainedModel,
    store: Store,
    *,
    version: str,
    manifest_extra: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    staged: bool = False,
) -> dict[str, Any]:
    """Write a version under a staging name, its manifest last, then rename it into place. Returns the manifest.

    `more`: name of a file (`reference.json`) -> what is written into it as JSON, or bytes; hashed as all others are.
    `staged`: `stage_pipeline` wrote the pipeline before. What a crash leaves behind is overwritten by the next save of
    the same version. Raises BundleError when the version exists.
    """
    folder = _folder(version)
    if store.exists(folder):
        raise BundleError(
            f"Model version {version} exists already.",
            where=store.uri(folder),
            todo="Save under next_version(); no version changes.",
        )
    staging = staging_of(version)
    if not staged:
        stage_pipeline(model, store, version)
    described = describe(model)
    store.write_atomic(f"{staging}/model.json", canonical_json(described))
    store.write_atomic(f"{staging}/scorer.json", canonical_json(scorer_facts(described)))
    store.write_atomic(f"{staging}/k_decision.json", canonical_json(_decisions(model)))
    for name, data in (more or {}).items():
        store.write_atomic(f"{staging}/{name}", data if isinstance(data, bytes) else canonical_json(data))
    store.write_atomic(f"{staging}/{IDENTITY}", canonical_json(model.identified.to_dict()))
    listing = {
        **manifest_extra,
        "format": FORMAT,
        "version": version,
        "spark_version": _running_spark(),
        "features": [feature.name for feature in model.features],
        "k": model.k,
        "groups": None if model.grouping is None else len(model.grouping.groups),
        "files": {
            path: {"bytes": size, "sha256": store.sha256(f"{staging}/{path}")}
            for path, size in _files(store, staging).items()
        },
    }
    store.write_atomic(f"{staging}/manifest.json", canonical_json(listing))
    store.rename(staging, folder)
    return listing


def verify(store: Store, version: str, *, features: Sequence[str] | None = None) -> dict[str, Any]:
    """Check every file of a version against its manifest, without Spark; returns the manifest.

    Raises BundleError for a missing, extra or altered file, a foreign format, other features than `features` when
    given, or a manifest that is not the one that was made champion.
    """
    folder = _folder(version)
    saved, digest = _manifest(store, version)
    record = champion_record(store)
    if record is not None and record["version"] == version and record["manifest_sha256"] != digest:
        raise _altered(store, version, "manifest.json is not the one that was made champion")
    listed: dict[str, dict[str, Any]] = saved["files"]
    there = {path: size for path, size in _files(store, folder).items() if path != "manifest.json"}
    missing, extra = sorted(set(listed) - set(there)), sorted(set(there) - set(listed))
    if missing or extra:
        found = [f"missing {', '.join(missing[:5])}"] if missing else []
        found += [f"not in the manifest: {', '.join(extra[:5])}"] if extra else []
        raise _altered(store, version, "; ".join(found))
    for path, facts in sorted(listed.items()):
        if there[path] != facts["bytes"]:
            raise _altered(store, version, f"{path} has {there[path]:,} bytes instead of {facts['bytes']:,}")
        if store.sha256(f"{folder}/{path}") != facts["sha256"]:
            raise _altered(store, version, f"the content of {path} has changed (SHA-256 differs)")
    if features is not None and list(features) != saved["features"]:
        raise _other_features(store, version, saved["features"], features)
    return saved


def load(store: Store, version: str, spark: SparkSession, *, features: Sequence[str] | None = None) -> LoadedModel:
    """Verify a version, then load it. Raises BundleError before Spark has read anything that does not check out."""
    from segengine.model.pipeline import load_pipeline, routed

    saved = verify(store, version, features=features)
    _require_spark(store, version, saved, spark.version)
    folder = _folder(version)
    _require_stock_stages(store, version, saved)
    data = json.loads(store.read_bytes(f"{folder}/model.json"))
    if [feature["name"] for feature in data["features"]] != saved["features"]:
        raise _altered(store, version, "model.json and manifest.json name other features")
    decisions = json.loads(store.read_bytes(f"{folder}/k_decision.json"))
    grouping = None
    if "grouping" in data:
        try:
            grouping = Grouping.from_dict(data["grouping"], decisions.get("groups", []))
        except ValueError as error:
            raise _altered(store, version, "model.json and k_decision.json are of other groups") from error
    pipeline: Any = load_pipeline(store.uri(f"{folder}/pipeline"), spark)
    centres = np.array(data["centres"], dtype=np.float64)
    if not np.array_equal(np.array(pipeline.stages[-1].clusterCenters()), routed(centres, grouping)):
        raise _altered(store, version, "the pipeline has other centres than model.json")
    return LoadedModel(
        pipeline=pipeline,
        features=tuple(feature_from_dict(feature) for feature in data["features"]),
        preparation=data["preparation"],
        centres=centres,
        centres_original=data["centres_original"],
        names=tuple(data["names"]),
        outlier_limits=np.array(data["outlier_limits"], dtype=np.float64),
        sizes=tuple(data["sizes"]),
        decision=KDecision.from_dict(decisions),
        grouping=grouping,
        metrics=data["metrics"],
        seed=data["seed"],
        identity=identity_of(store, version, len(data["names"])),
        version=version,
        manifest=saved,
    )


def read_more(store: Store, version: str, name: str) -> dict[str, Any] | None:
    """One of the further JSON files of a version, whose hash is checked; None when the version was saved without it."""
    saved, _ = _manifest(store, version)
    listed = saved["files"].get(name)
    if listed is None:
        return None
    path = f"{_folder(version)}/{name}"
    if not store.exists(path) or store.sha256(path) != listed["sha256"]:
        raise _altered(store, version, f"{name} is missing or has changed")
    return _json(store, path)


def champion(store: Store) -> str | None:
    """The version in use, or None before the first."""
    record = champion_record(store)
    return None if record is None else str(record["version"])


def require_champion(store: Store) -> str:
    """The version in use; ModelError before the first."""
    version = champion(store)
    if version is None:
        raise ModelError(
            "There is no model to score with.",
            where=store.uri("models"),
            todo="Run `segengine train CONFIG` first, or `segengine run CONFIG`, which trains when there is none.",
        )
    return version


def champion_record(store: Store) -> dict[str, Any] | None:
    """version, manifest_sha256, reason, since, and `history`: the champions before it, newest first."""
    if not store.exists(CHAMPION):
        return None
    record = _json(store, CHAMPION)
    if not isinstance(record.get("version"), str) or not VERSION.fullmatch(record["version"]):
        raise BundleError(
            "The champion's record names no model version.", where=store.uri(CHAMPION), todo="Promote a version again."
        )
    return record


def set_champion(store: Store, version: str, reason: str, now: dt.datetime, *, provisional: bool = False) -> None:
    """Make a complete version the champion, in one atomic replace. `now` carries its zone.

    `provisional`: it did not pass, and is in use until one does.
    """
    _, digest = _manifest(store, version)
    before = champion_record(store)
    history = [] if before is None else list(before.get("history", []))
    if before is not None and before["version"] != version:  # one that is promoted again has the same one before it
        history = [{k: v for k, v in before.items() if k != "history"}, *history]
    record = {
        "version": version,
        "manifest_sha256": digest,
        "reason": reason,
        "since": now.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "history": history,
        **({"provisional": True} if provisional else {}),
    }
    store.write_atomic(CHAMPION, canonical_json(record))


def _decisions(model: TrainedModel) -> dict[str, Any]:
    groups = {} if model.grouping is None else {"groups": model.grouping.decisions()}
    return {**model.decision.to_dict(), **groups}


def _folders(store: Store) -> list[str]:
    names = [entry.name for entry in store.list(FOLDER) if entry.is_folder and VERSION.fullmatch(entry.name)]
    return sorted(names, key=lambda name: int(name[1:]))


def _folder(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise BundleError(f"'{version}' is not a model version.", todo="Versions look like v0001.")
    return f"{FOLDER}/{version}"


def _files(store: Store, folder: str) -> dict[str, int]:
    """Files of a folder with their sizes. Hadoop's own checksum files are not listed: Spark checks them, and they are
    not copied from one store to another."""
    files = {}
    for entry in store.walk(folder):
        relative = entry.path.removeprefix(folder).lstrip("/")
        if not (entry.name.startswith(".") and entry.name.endswith(".crc")):
            files[relative] = entry.size_bytes
    return files


def _manifest(store: Store, version: str) -> tuple[dict[str, Any], str]:
    path = f"{_folder(version)}/manifest.json"
    if not store.exists(path):
        known = ", ".join(versions(store)) or "none"
        raise BundleError(
            f"There is no complete model version {version}.",
            where=store.uri(path),
            found=f"versions: {known}",
            todo="Train a model.",
        )
    content = store.read_bytes(path)
    manifest = _json(store, path)
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"Model version {version} was written in another format.",
            where=store.uri(path),
            found=f"format {manifest.get('format')}; this segengine reads format {FORMAT}",
            todo="Use the segengine that wrote it, or train again.",
        )
    if manifest.get("version") != version:
        raise _altered(store, version, f"its manifest is of version {manifest.get('version')}")
    files, names = manifest.get("files"), manifest.get("features")
    listed = isinstance(files, dict) and all(
        isinstance(f, dict) and {"bytes", "sha256"} <= set(f) for f in files.values()
    )
    if not listed or not isinstance(names, list):
        raise _altered(store, version, "its manifest does not list files and features")
    return manifest, hashlib.sha256(content).hexdigest()


def _json(store: Store, path: str) -> dict[str, Any]:
    try:
        data = json.loads(store.read_bytes(path))
    except ValueError as error:
        raise BundleError(
            "A model file is not JSON.", where=store.uri(path), found=str(error), todo="Restore it, or train again."
        ) from error
    if not isinstance(data, dict):
        raise BundleError(
            "A model file does not hold what it should.", where=store.uri(path), todo="Restore it, or train again."
        )
    return data


def _altered(store: Store, version: str, found: str) -> BundleError:
    return BundleError(
        f"Model version {version} is not as it was saved.",
        where=store.uri(_folder(version)),
        found=found,
        todo="Restore the folder from a copy, roll back to another version, or train again.",
    )


def _other_features(store: Store, version: str, saved: Sequence[str], wanted: Sequence[str]) -> BundleError:
    missing, extra = [n for n in wanted if n not in saved], [n for n in saved if n not in wanted]
    found = f"the model lacks {', '.join(missing) or 'none'}; only the model has {', '.join(extra) or 'none'}"
    return BundleError(
        f"Model version {version} was trained on other features than the configuration asks for.",
        where=store.uri(_folder(version)),
        found=found if missing or extra else "the same features in another order",
        todo="Train again, or put the features section back as it was.",
    )


def _require_stock_stages(store: Store, version: str, manifest: Mapping[str, Any]) -> None:
    """Spark creates the class that a stage's metadata names: only its own are allowed."""
    for path in manifest["files"]:
        if re.search(r"(^|/)metadata/part-", path):
            for line in store.read_bytes(f"{_folder(version)}/{path}").decode().splitlines():
                name = json.loads(line).get("class", "") if line.strip() else STOCK
                if not str(name).startswith(STOCK):
                    raise _altered(store, version, f"{path} names the class {name}, which is not Spark's own")


def _require_spark(store: Store, version: str, manifest: Mapping[str, Any], running: str) -> None:
    saved = str(manifest.get("spark_version", ""))
    if _major_minor(saved) > max(_major_minor(running), READ_EVERYWHERE):
        raise BundleError(
            f"Model version {version} was saved by a newer Spark.",
            where=store.uri(_folder(version)),
            found=f"saved by Spark {saved}, running on {running}",
            todo=f"Use Spark {saved} or newer, or train again here.",
        )


def _major_minor(version: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _running_spark() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pyspark")
    except PackageNotFoundError:  # platforms bring a pyspark that is on the path without being installed
        import pyspark

        return pyspark.__version__
