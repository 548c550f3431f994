"""Read what a scorer needs from a saved model version on a disk, every file checked against its hash first."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segengine.errors import BundleError, ModelError
from segengine.model.scorer import FORMAT, scorer_facts

__all__ = ["assemble", "read_scorer"]

BUNDLE_FORMAT = 1
VERSION = re.compile(r"v\d{4,}")


def read_scorer(path: str | os.PathLike[str], version: str | None = None) -> dict[str, Any]:
    """The facts of a scorer, with `model_version` and `segments` (segment_key, segment_id and name of each).

    `path`: an output folder, its folder `models`, or the folder of a version. Raises ModelError when there is no
    champion, BundleError when anything is missing, altered, not in the manifest or of another format.
    """
    folder = _version_folder(Path(path), version)
    return assemble(_verified(folder), lambda name: _json(folder / name), str(folder))


def assemble(manifest: Mapping[str, Any], read: Callable[[str], dict[str, Any]], where: str) -> dict[str, Any]:
    """The facts of a scorer from a verified version: its manifest, and how one of its JSON files is read."""
    files = manifest["files"]
    facts = read("scorer.json") if "scorer.json" in files else scorer_facts(read("model.json"))
    if facts.get("format") != FORMAT:
        raise _foreign(f"{where}/scorer.json", facts.get("format"), FORMAT)
    if [item["name"] for item in facts["inputs"]] != manifest["features"]:
        raise _altered(where, "the scorer and the manifest name other features")
    identity = read("identity.json") if "identity.json" in files else None
    segments = _segments(facts["names"], identity, where)
    return {**facts, "model_version": str(manifest["version"]), "segments": segments}


def _version_folder(path: Path, version: str | None) -> Path:
    """Which folder holds the version: the one given, or the champion's."""
    if (path / "manifest.json").is_file():
        if version is not None and version != _json(path / "manifest.json").get("version"):
            raise BundleError(
                f"This is not version {version}.",
                where=str(path),
                todo="Name the folder of that version, or leave the version out.",
            )
        _check_champion(path)
        return path
    models = path if (path / "champion.json").is_file() or path.name == "models" else path / "models"
    if version is None:
        if not (models / "champion.json").is_file():
            raise ModelError(
                "There is no model to score with.",
                where=str(models / "champion.json"),
                todo="Give the folder of an output or of a model version; `segengine train CONFIG` makes one.",
            )
        version = str(_json(models / "champion.json").get("version"))
    if not VERSION.fullmatch(version):
        raise BundleError(f"'{version}' is not a model version.", where=str(models), todo="Versions look like v0001.")
    folder = models / version
    if not (folder / "manifest.json").is_file():
        known = sorted(p.name for p in models.glob("v*") if (p / "manifest.json").is_file())
        raise BundleError(
            f"There is no complete model version {version}.",
            where=str(folder),
            found=f"versions: {', '.join(known) or 'none'}",
            todo="Copy the whole folder of a version, or train a model.",
        )
    _check_champion(folder)
    return folder


def _check_champion(folder: Path) -> None:
    """The champion's record holds the hash of its manifest: a bundle made anew with fitting hashes is found."""
    record = folder.parent / "champion.json"
    if not record.is_file():
        return
    champion = _json(record)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    if champion.get("version") == folder.name and champion.get("manifest_sha256") != digest:
        raise _altered(folder, "manifest.json is not the one that was made champion")


def _verified(folder: Path) -> dict[str, Any]:
    """The manifest, when every file is there, none besides, and all have the sizes and hashes it says."""
    manifest = _json(folder / "manifest.json")
    if manifest.get("format") != BUNDLE_FORMAT:
        raise _foreign(folder / "manifest.json", manifest.get("format"), BUNDLE_FORMAT)
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("features"), list) or "version" not in manifest:
        raise _altered(folder, "its manifest does not list version, files and features")
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and not _is_checksum(p.name)}
    there.pop("manifest.json", None)
    missing, extra = sorted(set(files) - set(there)), sorted(set(there) - set(files))
    if missing or extra:
        found = [f"missing {', '.join(missing[:5])}"] if missing else []
        found += [f"not in the manifest: {', '.join(extra[:5])}"] if extra else []
        raise _altered(folder, "; ".join(found))
    for name, path in sorted(there.items()):
        if hashlib.sha256(path.read_bytes()).hexdigest() != files[name].get("sha256"):
            raise _altered(folder, f"the content of {name} has changed (SHA-256 differs)")
    return manifest


def _is_checksum(name: str) -> bool:
    """Hadoop's own checksum files are in no manifest."""
    return name.startswith(".") and name.endswith(".crc")


def _segments(names: Sequence[str], identity: Mapping[str, Any] | None, where: str) -> list[dict[str, Any]]:
    """Key, id and name of each segment by the index of its centre; the key counts from 1 where nothing says more."""
    segments = [
        {"segment_key": i + 1, "segment_id": f"S-{i + 1:03d}", "segment_name": name} for i, name in enumerate(names)
    ]
    if identity is None:
        return segments
    try:
        known = {int(one["index"]): (int(one["segment_key"]), str(one["segment_id"])) for one in identity["segments"]}
    except (KeyError, TypeError, ValueError) as error:
        raise _altered(where, f"identity.json: {type(error).__name__}: {error}") from error
    if sorted(known) != list(range(len(names))):
        raise _altered(where, "identity.json is of other segments")
    for i, segment in enumerate(segments):
        segment["segment_key"], segment["segment_id"] = known[i]
    return segments


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(
            "A model file cannot be read.", where=str(path), found=str(error), todo="Restore it, or train again."
        ) from error
    if not isinstance(data, dict):
        raise BundleError("A model file does not hold what it should.", where=str(path), todo="Train again.")
    return data


def _foreign(path: Path | str, found: object, wanted: int) -> BundleError:
    return BundleError(
        "The model was written in another format.",
        where=str(path),
        found=f"format {found}; this segengine reads format {wanted}",
        todo="Use the segengine that wrote it, or train again.",
    )


def _altered(folder: Path | str, found: str) -> BundleError:
    return BundleError(
        "The model version is not as it was saved.",
        where=str(folder),
        found=found,
        todo="Restore the folder from a copy, use another version, or train again.",
    )
