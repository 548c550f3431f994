"""Rules of our own for files of a workspace: no keys, pinned names, identities, state that schedules can follow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from segengine.mlops.azure.documents import read

__all__ = ["Made", "made_in", "workspace_faults"]

Made = Mapping[str, frozenset[str]]
"""Names that the files of a folder make -> versions; none for named outputs, whose versions Azure counts."""

SECRETS = re.compile(
    r"account[_-]?key|sas[_-]?token|client[_-]?secret|connection[_-]?string|password|SharedAccessSignature"
    r"|[?&]sig=|AccountKey=|[A-Za-z0-9+/]{86}==",
    re.IGNORECASE,
)
UNFILLED = re.compile(r"__[a-z]+(?:_[a-z]+)*__")
ASSET = re.compile(r"^azureml:([A-Za-z0-9_.-]+)(?::([A-Za-z0-9_.-]+)|@([a-z]+))$")


def workspace_faults(file: Path, data: Mapping[str, Any], made: Made) -> Iterator[tuple[str, str]]:
    """Path of keys and text of each fault of one file; `made` is what all files of the folder make."""
    for where, key, value in _leaves(data):
        if SECRETS.search(key) or (isinstance(value, str) and SECRETS.search(value)):
            yield where, "looks like a key or a password: identities alone open doors here"
        if isinstance(value, str) and UNFILLED.search(value):
            yield where, "holds a name that was not filled in"
        asset = ASSET.match(value) if isinstance(value, str) else None
        if asset is not None and key in ("path", "component", "environment") and not _is_known(asset, made):
            yield where, f"{value} is made by no file of this folder, and is no named output of its pipelines"
        if asset is not None and key == "environment" and asset[2] is None:
            yield where, f"{value} is not pinned to a version"
    schema = str(data.get("$schema", ""))
    if data.get("auth_mode") == "key":
        yield "auth_mode", "key hands out a secret; use aad_token"
    if data.get("credentials"):
        yield "credentials", "a store is opened by identities, not by credentials in a file"
    if data.get("type") == "amlcompute" and not data.get("identity"):
        yield "identity", "compute without an identity can read nothing, or would need keys"
    if "onlineEndpoint" in schema.replace("Online", "online") and data.get("public_network_access") != "disabled":
        yield "public_network_access", "must be disabled"
    yield from _schedule(file, data)


def _schedule(file: Path, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A schedule keeps the versions that were newest when it was made: what changes nightly is read by folder."""
    job = data.get("create_job")
    if not isinstance(job, str):
        return
    target = (file.parent / job).resolve()
    if not target.is_file():
        yield "create_job", f"there is no {job}"
        return
    for where, _, value in _leaves(read(target)):
        if isinstance(value, str) and value.startswith("azureml:") and value.endswith("@latest"):
            yield f"create_job.{where}", f"{value} stays what it is when the schedule is made"


def _is_known(asset: re.Match[str], made: Made) -> bool:
    return asset[1] in made and (asset[2] is None or not made[asset[1]] or asset[2] in made[asset[1]])


def made_in(documents: Iterable[Mapping[str, Any]]) -> Made:
    """What these files make, assets and named outputs of pipelines."""
    made: dict[str, set[str]] = {}
    for data in documents:
        if isinstance(data.get("name"), str):
            made.setdefault(data["name"], set()).update([str(data["version"])] if "version" in data else [])
        outputs = data.get("outputs")
        for value in outputs.values() if isinstance(outputs, Mapping) else ():
            if isinstance(value, Mapping) and isinstance(value.get("name"), str):
                made.setdefault(value["name"], set())
    return {name: frozenset(versions) for name, versions in made.items()}


def _leaves(value: Any, where: str = "", key: str = "") -> Iterator[tuple[str, str, Any]]:
    """Path of keys, last key and value of every value that holds no others."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{where}.{name}".lstrip("."), str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{where}[{number}]", key)
    else:
        yield where, key, value
