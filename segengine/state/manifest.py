"""The record of what is counted: read, checked and replaced as one small file. No Spark here."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from segengine.config import Config
from segengine.errors import SegengineError
from segengine.io.files import Store
from segengine.io.inputs import InputFile
from segengine.privacy import check_of, key_of

__all__ = ["CURRENT", "FOLDER", "Part", "State", "fingerprint", "load", "new_files", "save", "sweep"]

log = logging.getLogger(__name__)

FOLDER = "state"
CURRENT = f"{FOLDER}/current.json"
PARTS = f"{FOLDER}/parts"
FORMAT = 3
"""Of the record and of the pieces; another number and the state is made anew."""
ABANDONED_SECONDS = 48 * 3600
"""No run reads a part, or writes one without saying so, for so long."""

Counted = tuple[str, int, int]
"""A file that is counted: name below the table's folder, size in bytes, time of change in microseconds."""


@dataclass(frozen=True)
class Part:
    """Pieces that one run wrote: a folder, how many lines are in it, and its files with their sizes in bytes."""

    folder: str
    lines: int
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class State:
    """Everything before `until_us` in `files` is counted; in those of `left_over` later rows are not yet.

    `counted` are the metrics of the contract's scans, `newest_us` the latest moment of a counted row, `columns` the
    source's columns with their types. Moments are microseconds since 1970.
    """

    run_id: str
    fingerprint: str
    columns: tuple[tuple[str, str], ...]
    buckets: int
    until_us: int
    newest_us: int
    files: tuple[Counted, ...]
    left_over: tuple[str, ...]
    counted: dict[str, int]
    parts: tuple[Part, ...]

    @property
    def lines(self) -> int:
        return sum(part.lines for part in self.parts)


def fingerprint(config: Config) -> str:
    """SHA-256 of what decides how lines are read, judged and folded; as_of, history and features do not."""
    said = config.model_dump(mode="json", include={"kind", "timezone", "quality"})
    said["quality"].pop("max_rejected_share")
    if config.privacy.pseudonymise:
        said["key"] = check_of(key_of(config))
    table = config.tables.transactions
    said["table"] = table.model_dump(mode="json") if table is not None else None
    text = json.dumps({"format": FORMAT, **said}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def load(store: Store) -> tuple[State | None, str]:
    """The state of an output folder, or None and why there is none that can be used."""
    try:
        plain = json.loads(store.read_bytes(CURRENT))
    except FileNotFoundError:
        return None, "nothing is kept of earlier runs"
    except ValueError:
        return None, "the record of earlier runs is damaged"
    if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
        return None, "what is kept of earlier runs is in another format"
    try:
        state = State(
            **{
                **plain,
                "columns": tuple((str(name), str(kind)) for name, kind in plain["columns"]),
                "files": tuple((str(name), int(size), int(at)) for name, size, at in plain["files"]),
                "left_over": tuple(plain["left_over"]),
                "parts": tuple(
                    Part(part["folder"], part["lines"], tuple((str(n), int(s)) for n, s in part["files"]))
                    for part in plain["parts"]
                ),
            }
        )
    except (KeyError, TypeError, ValueError):
        return None, "the record of earlier runs is damaged"
    for part in state.parts:
        if part_files(store, part.folder) != part.files:
            return None, "files that earlier runs wrote are missing or changed"
    return state, ""


def save(store: Store, state: State) -> None:
    """Make this the state; a reader sees the old or the new one."""
    store.write_atomic(CURRENT, json.dumps({"format": FORMAT, **asdict(state)}).encode())


def part_files(store: Store, folder: str) -> tuple[tuple[str, int], ...]:
    """The Parquet files of a part, with their sizes in bytes."""
    listed = store.list(f"{PARTS}/{folder}")
    return tuple((entry.name, entry.size_bytes) for entry in listed if entry.name.endswith(".parquet"))


def part_folder(folder: str) -> str:
    """Where a part lies, below the output."""
    return f"{PARTS}/{folder}"


def new_files(state: State, files: Sequence[InputFile]) -> tuple[list[InputFile], str]:
    """The files that are not counted; with a reason when a counted one is gone or has changed."""
    counted = {name: (size, changed) for name, size, changed in state.files}
    there = {file.name for file in files}
    gone = [name for name in counted if name not in there]
    if gone:
        return [], f"{len(gone)} of the files that were counted are gone"
    new, changed = [], 0
    for file in files:
        if file.name not in counted:
            new.append(file)
        elif counted[file.name] != (file.size_bytes, file.modified_us):
            changed += 1
    return new, f"{changed} of the files that were counted have changed" if changed else ""


def sweep(store: Store, kept: Sequence[Part]) -> None:
    """Delete parts that no state names any more, once nobody can be reading or writing them."""
    names = {part.folder for part in kept}
    for entry in store.list(PARTS):
        files = store.walk(entry.path)
        newest = max((file.modified_us for file in files), default=0)
        if entry.name in names or time.time() - newest / 1e6 < ABANDONED_SECONDS:
            continue
        try:
            store.delete(entry.path)
        except (SegengineError, OSError) as error:
            log.warning("%s could not be deleted: %s", store.uri(entry.path), type(error).__name__)
