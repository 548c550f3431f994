"""One publisher at a time: a small file in the output, renewed while its owner works, broken when the owner is dead."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from segengine.errors import LockedError, PublicationError, SegengineError
from segengine.io.files import Store

__all__ = ["LOCK", "LockRecord", "publication_lock", "require_lock"]

log = logging.getLogger(__name__)

LOCK = "gold/_lock"
HEARTBEAT_SECONDS = 30.0
STALE_AFTER = dt.timedelta(minutes=10)
"""Silent for so long, the owner is taken for dead: 20 heartbeats, more than pauses and clocks that differ."""


@dataclass(frozen=True)
class LockRecord:
    """Who holds the lock. `process` tells it from a later one of the same number, `space` is its PID namespace."""

    run_id: str
    owner: str
    host: str
    pid: int
    process: str
    space: str
    taken_at: str
    heartbeat_at: str

    def is_same_holder(self, other: LockRecord | None) -> bool:
        mine = (self.run_id, self.host, self.pid, self.process, self.space)
        return other is not None and mine == (other.run_id, other.host, other.pid, other.process, other.space)

    def silent_for(self, now: dt.datetime) -> dt.timedelta:
        return now - dt.datetime.fromisoformat(self.heartbeat_at)

    def why_stale(self, now: dt.datetime) -> str | None:
        """Why the holder must be dead; None when it may be alive."""
        if self.silent_for(now) > STALE_AFTER:
            return f"no sign of life for {_spoken(self.silent_for(now))}"
        here = self.host == socket.gethostname() and self.space == _space()
        if here and not _is_alive(self.pid, self.process):
            return f"process {self.pid} is gone"
        return None


@contextmanager
def publication_lock(
    store: Store, *, run_id: str, owner: str = "", heartbeat: float = HEARTBEAT_SECONDS
) -> Iterator[LockRecord]:
    """Hold the output's lock while the block runs. A run that holds it already goes straight in.

    Raises LockedError, naming owner and age, when somebody else holds it. A stale lock is broken, with a log line.
    """
    mine = _record(run_id, owner or _user())
    held = _read(store)
    if held is not None and mine.is_same_holder(held):
        yield held
        return
    _take(store, mine, held)
    stop = threading.Event()
    renewer = threading.Thread(target=_renew, args=(store, mine, heartbeat, stop), name="segengine-lock", daemon=True)
    renewer.start()
    try:
        yield mine
    finally:
        stop.set()
        renewer.join()
        if mine.is_same_holder(_read(store)):
            with contextlib.suppress(SegengineError, OSError):  # a lock that stays is stale as soon as we are gone
                store.delete(LOCK)


def require_lock(store: Store, mine: LockRecord) -> None:
    """PublicationError when the lock is no longer ours: we were taken for dead, and somebody else may be publishing."""
    held = _read(store)
    if not mine.is_same_holder(held):
        raise PublicationError(
            "The publication lock was lost while publishing; nothing was made visible.",
            where=store.uri(LOCK),
            found=_described(held, _now()) if held else "no lock",
            todo="Run again. If this machine sleeps or its clock jumps, keep it awake while a run works.",
        )


def _take(store: Store, mine: LockRecord, held: LockRecord | None) -> None:
    if held is not None:
        why = held.why_stale(_now())
        if why is None:
            raise _locked(store, held)
        log.warning("the publication lock of run %s on %s is broken: %s", held.run_id, held.host, why)
        _break(store)
    elif store.exists(LOCK):  # there, and unreadable: a crash of a store that does not write whole files
        log.warning("an unreadable publication lock is broken")
        _break(store)
    if not store.create_exclusive(LOCK, _text(mine)) or not mine.is_same_holder(_read(store)):
        found = _read(store)
        raise _locked(store, found or mine)


def _break(store: Store) -> None:
    """Move the lock away, so that one of several who break it does; `require_lock` notices if it was a live one."""
    aside = f"{LOCK}.{secrets.token_hex(4)}"
    try:
        store.rename(LOCK, aside)
    except PublicationError:
        if store.exists(LOCK):
            raise
    finally:
        store.delete(aside)


def _locked(store: Store, held: LockRecord) -> LockedError:
    return LockedError(
        "Somebody else is publishing to the same output.",
        where=store.uri(LOCK),
        found=_described(held, _now()),
        todo=f"Wait for that run to end. A lock silent for {_spoken(STALE_AFTER)} is broken by the next run.",
    )


def _described(held: LockRecord, now: dt.datetime) -> str:
    age = now - dt.datetime.fromisoformat(held.taken_at)
    return (
        f"run {held.run_id} of {held.owner} on {held.host} (process {held.pid}), since {_spoken(age)}, "
        f"last sign of life {_spoken(held.silent_for(now))} ago"
    )


def _renew(store: Store, mine: LockRecord, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds):
        try:
            if not mine.is_same_holder(_read(store)):
                return
            store.write_atomic(LOCK, _text(replace(mine, heartbeat_at=_now().isoformat())))
        except (SegengineError, OSError) as error:
            log.warning("the publication lock could not be renewed: %s", type(error).__name__)


def _read(store: Store) -> LockRecord | None:
    """The lock's content; None when there is no lock, or none that can be read."""
    try:
        return LockRecord(**json.loads(store.read_bytes(LOCK)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _text(record: LockRecord) -> bytes:
    return json.dumps(asdict(record), indent=2).encode()


def _record(run_id: str, owner: str) -> LockRecord:
    now, pid = _now().isoformat(), os.getpid()
    return LockRecord(run_id, owner, socket.gethostname(), pid, _process(pid), _space(), now, now)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _space() -> str:
    """The PID namespace: two containers may share a host's name and yet not see each other's processes."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _process(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty where nobody tells, `dead` for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return "dead" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""


def _is_alive(pid: int, process: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # there, and somebody else's
        return True
    return _process(pid) == process


def _spoken(span: dt.timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
