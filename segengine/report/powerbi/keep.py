"""Write a project beside analysts' edits: what they changed is never overwritten, ours lands beside it as `.new`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["MANIFEST", "Written", "write_project"]

MANIFEST = "manifest.sha256"
"""In the form of `sha256sum`, so that `sha256sum --check` tells what was changed."""
NEW = ".new"


@dataclass(frozen=True)
class Written:
    """What became of the files of a project."""

    written: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Changed by somebody: left as they are, with ours beside them."""
    deleted: tuple[str, ...] = ()


def write_project(store: Store, folder: str, files: Mapping[str, bytes], *, theirs: frozenset[str]) -> Written:
    """Write the files below `folder` of the store.

    The manifest remembers the hash of what we wrote or offered last. A file with another hash was changed by somebody:
    it stays, and so does the gap where somebody deleted one. What is new of ours since then is offered beside it. A
    file that is no longer part of the project is deleted when nobody changed it. Files in `theirs` are written when
    missing, and never again.
    """
    before = _manifest(store, folder)
    hashes: dict[str, str] = {}
    done: dict[str, list[str]] = {"written": [], "same": [], "kept": [], "deleted": []}
    for path, data in files.items():
        hashes[path], where = _hash(data), f"{folder}/{path}"
        found = store.sha256(where) if store.exists(where) else None
        if found == hashes[path]:
            done["same"].append(path)
            store.delete(where + NEW)
        elif path in theirs and found is not None:
            done["same"].append(path)
        elif found == before.get(path) or (found is None and path in theirs):
            store.write_atomic(where, data)
            store.delete(where + NEW)
            done["written"].append(path)
        else:
            if hashes[path] != before.get(path):
                store.write_atomic(where + NEW, data)
            done["kept"].append(path)
    for path, was in before.items():
        where = f"{folder}/{path}"
        if path not in files and path not in theirs:
            store.delete(where + NEW)
            if store.exists(where) and store.sha256(where) == was:
                store.delete(where)
                done["deleted"].append(path)
            elif store.exists(where):
                hashes[path] = was
                done["kept"].append(path)
    text = "".join(f"{value}  {path}\n" for path, value in sorted(hashes.items()))
    store.write_atomic(f"{folder}/{MANIFEST}", text.encode())
    return Written(**{name: tuple(paths) for name, paths in done.items()})


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(store: Store, folder: str) -> dict[str, str]:
    """What was written last time; nothing when the manifest is missing or damaged, so that nothing is overwritten."""
    try:
        lines = store.read_bytes(f"{folder}/{MANIFEST}").decode().splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    return {path: value for value, _, path in (line.partition("  ") for line in lines) if len(value) == 64 and path}
