"""The audit trail: a file a record, each naming the hash of the one before, so that what is changed later shows.

audit/00000001.json        what happened, what was read, which code and configuration, what was written with its hash

A record is never changed and never replaced: of two writers of the same number one wins, the other takes the next. The
chain alone cannot show that its end is cut off or that all of it was written anew; for that the hash of the newest
record, the head, is kept somewhere else as well, the anchor.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from segengine.errors import PublicationError
from segengine.mlops.who import who

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from segengine.io.files import Store

__all__ = ["FOLDER", "Entry", "Head", "append", "code_sha256", "config_changes", "files_below", "head_of", "read_chain"]

log = logging.getLogger(__name__)

FOLDER = "audit"
FIRST = "0" * 64
"""What the first record names as the one before it."""
MOST_TRIES = 100


@dataclass(frozen=True)
class Head:
    """The newest record: its number, counted from 1, and its hash."""

    n: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A record as it lies there: its file's number, its content (None when it is no JSON), the hash of the file."""

    n: int
    content: Mapping[str, Any] | None
    sha256: str

    @property
    def kind(self) -> str:
        return str((self.content or {}).get("kind", ""))


def append(store: Store, kind: str, facts: Mapping[str, Any], now: dt.datetime) -> Head:
    """Add a record to the chain and return the new head. `now` carries its zone; `facts` are JSON-able.

    Raises PublicationError when it cannot be written.
    """
    known = head_of(store)
    for _ in range(MOST_TRIES):
        n = known.n + 1 if known else 1
        record = {
            **facts,
            "n": n,
            "kind": kind,
            "at": now.astimezone(dt.UTC).isoformat(timespec="seconds"),
            **asdict(who()),
            "host": socket.gethostname(),
            "previous_sha256": known.sha256 if known else FIRST,
        }
        data = (json.dumps(record, sort_keys=True, ensure_ascii=False, indent=1, default=str) + "\n").encode()
        if store.create_exclusive(_path(n), data):
            return Head(n, hashlib.sha256(data).hexdigest())
        known = head_of(store)
    raise PublicationError(
        "The audit trail could not be added to.",
        where=store.uri(FOLDER),
        found=f"{MOST_TRIES} numbers were taken by others",
        todo="Run again.",
    )


def head_of(store: Store) -> Head | None:
    """The newest record there is; None when there is none."""
    names = _numbers(store)
    return None if not names else Head(names[-1], store.sha256(_path(names[-1])))


def read_chain(store: Store) -> list[Entry]:
    """Every record there is, by its number."""
    entries = []
    for n in _numbers(store):
        data = store.read_bytes(_path(n))
        try:
            content = json.loads(data)
        except ValueError:
            content = None
        whole = content if isinstance(content, dict) else None
        entries.append(Entry(n, whole, hashlib.sha256(data).hexdigest()))
    return entries


def files_below(store: Store, folders: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Every file of some folders (or files): its size in bytes and its SHA-256."""
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        above = folder.rsplit("/", 1)[0]
        for entry in store.walk(folder) or [e for e in store.list(above) if e.path == folder]:
            found[entry.path] = {"bytes": entry.size_bytes, "sha256": store.sha256(entry.path)}
    return found


def config_changes(store: Store, plain: Mapping[str, Any], sha256: str) -> dict[str, Any] | None:
    """What is to be recorded of the configuration before a run: None when the newest record names the same.

    `plain`: the configuration as it is written, secrets as references. The record has all of it, and which keys have
    other values than in the last record of one.
    """
    entries = read_chain(store)
    for entry in reversed(entries):
        said = entry.content or {}
        if "config_sha256" in said and said["config_sha256"] == sha256:
            return None
        if entry.kind == "config_change" or "config_sha256" in said:
            break
    before = next((e.content["config"] for e in reversed(entries) if e.content and "config" in e.content), None)
    changed = sorted(_differing(before, plain)) if isinstance(before, Mapping) else []
    return {"config_sha256": sha256, "config": plain, "changed": changed}


def _differing(one: Any, other: Any, at: str = "") -> set[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = {*one, *other}
        return {path for key in keys for path in _differing(one.get(key), other.get(key), f"{at}.{key}".lstrip("."))}
    return set() if one == other else {at}


@cache
def code_sha256() -> str:
    """SHA-256 over the names and contents of all Python files of this package, wherever it is imported from."""
    digest = hashlib.sha256()
    for name, content in sorted(_sources(resources.files("segengine"), "")):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(folder: Traversable, inside: str) -> Iterable[tuple[str, bytes]]:
    for item in folder.iterdir():
        name = f"{inside}{item.name}"
        if item.is_dir():
            if item.name != "__pycache__":
                yield from _sources(item, f"{name}/")
        elif name.endswith(".py"):
            yield name, item.read_bytes()


def _numbers(store: Store) -> list[int]:
    names = (entry.name.removesuffix(".json") for entry in store.list(FOLDER) if entry.name.endswith(".json"))
    return sorted(int(name) for name in names if name.isdigit())


def _path(n: int) -> str:
    return f"{FOLDER}/{n:08d}.json"
