"""What a step changed in a copy of the output folder, carried to a later step and put into the real one there.

changes.json        what it was made from, every new file with its SHA-256, what is to be removed, new audit records
files/...           the new and changed files, by their path in the output folder
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from segengine.config import Config
from segengine.errors import InputError, PublicationError
from segengine.io.files import LocalStore
from segengine.mlops import audit, recording
from segengine.model import bundle
from segengine.publish.lock import publication_lock

__all__ = ["Base", "Changes", "apply", "base_of", "collect", "copy_of", "place", "read_changes", "seen"]

FORMAT = 1
LISTING = "changes.json"
PASSING = ("gold/_lock", "work/", "segengine.log")
"""Nothing of a finished run: its lock, its snapshots, and the log, which Azure keeps with the step."""
CHAINED = ("n", "kind", "at", "by", "by_is", "evidence", "host", "previous_sha256")
"""What a record of the audit trail gets from its place in the chain."""
AUDIT = f"{audit.FOLDER}/"
POINTERS = ("gold/current.json", "models/champion.json")


@dataclass(frozen=True)
class Base:
    """What an output folder shows at a moment: its publication and champion, None before the first.

    `erasures`: how often customers were erased. A copy from before an erasure still has them.
    """

    publication: str | None
    champion: str | None
    erasures: int = 0


@dataclass(frozen=True)
class Changes:
    """The listing of a folder of changes; `files` is path -> SHA-256."""

    step: str
    run_id: str
    base: Base
    files: Mapping[str, str]
    removed: tuple[str, ...] = ()
    audit: tuple[Mapping[str, Any], ...] = ()
    """Records that the recipe added to its copy of the audit trail, to be added to the real one: kind, at, facts."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def base_of(output: Path) -> Base:
    """What is visible in an output folder now."""
    store = LocalStore(str(output))
    shown = None
    if store.exists("gold/current.json"):
        shown = str(json.loads(store.read_bytes("gold/current.json"))["publication_id"])
    elif store.exists("gold/publications/_delta_log"):
        commits = [entry.name for entry in store.list("gold/publications/_delta_log") if entry.name.endswith(".json")]
        shown = commits[-1] if commits else None
    record = bundle.champion_record(store)
    erasures = sum(entry.kind == "erasure" for entry in audit.read_chain(store))
    return Base(shown, None if record is None else str(record["version"]), erasures)


def copy_of(output: Path, target: Path) -> dict[str, tuple[int, int]]:
    """Copy an output folder, and return what `collect` compares with later.

    Raises InputError when it is not there: the first run finds a folder, made empty on purpose, not one misspelt.
    """
    if not output.is_dir():
        raise InputError(
            "There is no output folder to go on from.",
            where=str(output),
            todo="Make it before the first run, with any small file in it: docs/azure.md says how.",
        )
    shutil.copytree(output, target, ignore=shutil.ignore_patterns("*.crc", "*.tmp", "_lock"))
    return seen(target)


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, by its path in the folder."""
    return {path: (status.st_size, status.st_mtime_ns) for path, status in _files(folder)}


def collect(
    work: Path, before: Mapping[str, tuple[int, int]], target: Path, *, step: str, run_id: str, base: Base,
    without: Callable[[str], bool] = lambda path: False, earlier: Changes | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Changes:  # fmt: skip
    """Write into `target` what changed in `work` since `before`, except paths that `without` says.

    Of the audit trail the records of runs are handed on, after those of an `earlier` step. Whoever applies them tells
    of new configurations and champions.
    """
    now = seen(work)
    new = sorted(path for path, status in now.items() if before.get(path) != status)
    changed = [path for path in new if not without(path) and not path.startswith(AUDIT)]
    records = [] if earlier is None else [*earlier.audit]
    records += [record for path in new if path.startswith(AUDIT) and (record := _record(work / path))["kind"] == "run"]
    removed = tuple(sorted(path for path in before.keys() - now.keys() if not without(path)))
    for path in changed:
        there = target / "files" / path
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / path, there)
    files = {path: _sha256(target / "files" / path) for path in changed}
    made = Changes(step, run_id, base, files, removed, tuple(records), facts or {})
    listing = json.dumps({"format": FORMAT, **asdict(made)}, indent=1, sort_keys=True)
    (target / LISTING).write_text(listing + "\n", encoding="utf-8")
    return made


def read_changes(folder: Path, step: str) -> Changes:
    """The listing of a folder, every file checked by its hash. InputError for anything else than it says."""
    try:
        data = json.loads((folder / LISTING).read_text(encoding="utf-8"))
        found = Changes(
            data["step"],
            data["run_id"],
            Base(**data["base"]),
            data["files"],
            tuple(data["removed"]),
            tuple(data["audit"]),
            data["facts"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "That is not what an earlier step writes.",
            where=str(folder),
            found=repr(error),
            todo="Connect the output of the step before, as the pipelines in conf/azureml do.",
        ) from error
    if data.get("format") != FORMAT or found.step != step:
        raise InputError(
            "That was written by another step.",
            where=str(folder),
            found=f"{found.step}, not {step}",
            todo="Connect the output of the step that the pipeline names.",
        )
    outside = [path for path in (*found.files, *found.removed) if path.startswith("/") or ".." in path.split("/")]
    there = {path for path, _ in _files(folder / "files")}
    altered = [
        path for path in found.files if path not in there or _sha256(folder / "files" / path) != found.files[path]
    ]
    wrong = [*outside, *altered, *sorted(there - found.files.keys())]
    if wrong:
        raise InputError(
            "Files differ from what the step wrote.",
            where=str(folder),
            found=", ".join(wrong[:5]),
            todo="Run the pipeline again; nothing was taken over.",
        )
    return found


def apply(
    folder: Path, changes: Changes, output: Path, config: Config, *, whatever_is_published: bool = False,
    then: Callable[[LocalStore], None] = lambda store: None,
) -> None:  # fmt: skip
    """Put the changes into an output folder: data first, what points to it last, removals at the end.

    `then` is called before the removals, under the same lock. Raises LockedError when somebody else writes, and
    PublicationError when the folder shows something else than the changes were made from: another champion, an erasure
    or, unless `whatever_is_published`, another publication.
    """
    store = LocalStore(str(output))
    with publication_lock(store, run_id=changes.run_id):
        shown = base_of(output)
        if shown != (replace(changes.base, publication=shown.publication) if whatever_is_published else changes.base):
            raise PublicationError(
                "The output folder has moved on since this step's data was read.",
                where=str(output),
                found=f"{_spoken(shown)} now, {_spoken(changes.base)} then",
                todo="Run the pipeline again; nothing was changed.",
            )
        for path in sorted(changes.files, key=_when):
            place(folder / "files" / path, output / path)
        for record in changes.audit:
            facts = {**record["facts"], "computed_at": record["at"]}
            recording.add(store, config, record["kind"], facts, now=dt.datetime.now(dt.UTC))
        then(store)
        for path in changes.removed:
            store.delete(path)
    _drop_empty(output, changes.removed)


def _record(file: Path) -> Mapping[str, Any]:
    """A record of the audit trail without its place in a chain."""
    content = json.loads(file.read_text(encoding="utf-8"))
    facts = {key: value for key, value in content.items() if key not in CHAINED}
    return {"kind": content["kind"], "at": content["at"], "facts": facts}


def _when(path: str) -> tuple[int, int, str]:
    """Data, then Delta's logs, that of publications last, then the files that say what is current."""
    if path in POINTERS:
        return 3, 0, path
    if "/_delta_log/" in path:
        return 2 if path.startswith("gold/publications/") else 1, 0, path
    return 0, int(path.endswith("manifest.json")), path


def place(source: Path, target: Path) -> None:
    """A whole file under its name or none: written beside it, through to the disk, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.arriving.tmp")
    with source.open("rb") as reader, temporary.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 2**20)
        writer.flush()
        os.fsync(writer.fileno())
    target.with_name(f".{target.name}.crc").unlink(missing_ok=True)
    os.replace(temporary, target)


def _files(folder: Path) -> Iterable[tuple[str, os.stat_result]]:
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        passing = path.startswith(PASSING) or file.name.endswith((".crc", ".tmp"))
        if file.is_file() and not passing:
            yield path, file.stat()


def _drop_empty(output: Path, removed: Iterable[str]) -> None:
    for folder in sorted({(output / path).parent for path in removed}, key=lambda path: -len(path.parts)):
        while folder != output and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _spoken(base: Base) -> str:
    known = f"publication {base.publication or 'none'} and champion {base.champion or 'none'}"
    return f"{known}, {base.erasures} erasures" if base.erasures else known
