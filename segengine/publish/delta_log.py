"""Read the commits of a Delta table from its log, without Spark: which version is newest, who wrote it, how many rows.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md: commit n is `_delta_log/<n as 20 digits>.json`, one action
a line.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import unquote

from segengine.errors import PublicationError
from segengine.io.files import Store
from segengine.publish.record import Publication

__all__ = [
    "check_commit",
    "columns_at",
    "files_for",
    "files_written",
    "last_publication",
    "last_told",
    "latest_version",
    "unrecorded_commits",
]

COMMIT = re.compile(r"\d{20}\.json")


def latest_version(store: Store, folder: str) -> int | None:
    """The newest version of a table; None when there is no table."""
    versions = [int(e.name[:20]) for e in store.list(f"{folder}/_delta_log") if COMMIT.fullmatch(e.name)]
    return max(versions, default=None)


def _actions(store: Store, folder: str, version: int) -> list[dict[str, Any]]:
    """The actions of a commit; none when its file was cleaned away."""
    try:
        text = store.read_bytes(f"{folder}/_delta_log/{version:020d}.json").decode()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _info(store: Store, folder: str, version: int) -> dict[str, Any]:
    for action in _actions(store, folder, version):
        if "commitInfo" in action:
            info: dict[str, Any] = action["commitInfo"]
            return info
    return {}


def _told(info: dict[str, Any]) -> dict[str, Any]:
    """What a commit of ours says of itself; empty for commits of others."""
    try:
        told = json.loads(info.get("userMetadata") or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) and "publication_id" in told else {}


def _restored(info: dict[str, Any]) -> int | None:
    """The version that a RESTORE went back to; None for other commits."""
    version = info.get("operationParameters", {}).get("version") if info.get("operation") == "RESTORE" else None
    return int(version) if version not in (None, "null") else None


def last_told(store: Store, folder: str, version: int | None) -> dict[str, Any]:
    """What our newest commit in force at a version says of itself; OPTIMIZE and the like of others are passed over."""
    while version is not None and version >= 0:
        info = _info(store, folder, version)
        if told := _told(info):
            return told
        back = _restored(info)
        version = back if back is not None else version - 1
    return {}


def last_publication(store: Store, folder: str) -> Publication | None:
    """The publication that the newest commit of the table `publications` told of.

    PublicationError when there is such a table and no commit of ours in its log.
    """
    latest = latest_version(store, folder)
    if latest is None:
        return None
    told = last_told(store, folder, latest)
    try:
        return Publication.from_json(
            json.dumps({k: v for k, v in told.items() if k not in ("columns", "added", "removed")})
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PublicationError(
            "The log of the table `publications` does not say which publication is current.",
            where=store.uri(folder),
            found=f"newest version {latest}",
            todo="Restore the table to a version that segengine wrote, or publish to a new output.path.",
        ) from error


def columns_at(store: Store, folder: str, version: int) -> dict[str, str]:
    """Column -> type of a table of ours as of a version."""
    columns: dict[str, str] = last_told(store, folder, version).get("columns", {})
    return columns


def files_written(store: Store, folder: str, version: int) -> list[str] | None:
    """The data files of a version that we wrote, and so in full; None when the commit is another's, or far away."""
    actions = _actions(store, folder, version)
    if not any(_told(a.get("commitInfo", {})) for a in actions):
        return None
    paths = [unquote(a["add"]["path"]) for a in actions if "add" in a]
    return None if not paths or any("://" in path for path in paths) else [f"{folder}/{path}" for path in paths]


def unrecorded_commits(store: Store, folder: str, recorded: int | None) -> list[int]:
    """Versions after `recorded` that publications of ours wrote and nobody has undone."""
    left: list[int] = []
    version, oldest = latest_version(store, folder), -1 if recorded is None else recorded
    while version is not None and version > oldest:
        info = _info(store, folder, version)
        if _told(info):
            left.append(version)
        back = _restored(info)
        version = back if back is not None else version - 1
    return left


def check_commit(store: Store, folder: str, before: int | None, publication_id: str, expected: int | None) -> int:
    """The version of the commit just made; PublicationError when it is not there, or lacks rows that were meant."""
    latest = latest_version(store, folder)
    first = 0 if before is None else before + 1
    for version in range(first, (latest if latest is not None else -1) + 1):
        actions = _actions(store, folder, version)
        info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
        if _told(info).get("publication_id") != publication_id:
            continue
        rows = _rows(actions, info)
        if expected is not None and rows is not None and rows != expected:
            raise PublicationError(
                "A table is not what was written.", where=store.uri(folder), found=f"{rows} rows for {expected}"
            )
        return version
    raise PublicationError(
        "The commit of a table is not in its log.", where=store.uri(folder), found=f"newest version {latest}"
    )


def _rows(actions: list[dict[str, Any]], info: dict[str, Any]) -> int | None:
    stats = [json.loads(a["add"].get("stats") or "{}").get("numRecords") for a in actions if "add" in a]
    if stats and all(n is not None for n in stats):
        return int(sum(stats))
    told = info.get("operationMetrics", {}).get("numOutputRows")
    return int(told) if told is not None else None


def files_for(rows: int | None, columns: int) -> int:
    """How many files to write, about 128 MB each before compression; one when the number of rows is not known."""
    return max(1, math.ceil((rows or 0) * columns * 8 / (128 * 2**20)))
