"""Time, processor time and memory of a command with everything that it starts, from outside (Linux's /proc)."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_SECONDS = 0.3
GROWTH, LEAST_GROWTH_BYTES = 1.03, 64 * 2**20
"""Proportional set sizes are added up when resident sets, which cost nothing to ask for, have grown by so much. The
kernel walks through all pages for them: three times a second that took 17 of 80 seconds of a Java of 5 GiB."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """`state`: finished, failed (exit code not 0), or stopped (at the time limit).

    `peak_pss_bytes`: the largest sum of proportional set sizes over the processes alive at one moment: memory that
    several share counts once. It is looked at every INTERVAL_SECONDS at most, and when resident sets have grown by
    GROWTH, so a peak that is shorter, or less above another one, may be missed. `cpu_seconds`: user and system time as
    last seen of each process, or as the kernel adds up for those that were waited for, the larger of the two.
    """

    state: str
    exit_code: int | None
    wall_seconds: float
    cpu_seconds: float
    peak_pss_bytes: int
    most_processes: int


@dataclass
class _Tree:
    """All processes that descend from `root` or are in its session, also those whose parent has gone."""

    root: int
    cpu: dict[tuple[int, int], float] = field(default_factory=dict)
    """(pid, time of its start in ticks) -> its own seconds, as last seen."""

    def alive(self) -> list[int]:
        parents, sessions, seconds = {}, {}, {}
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            fields = _stat(pid)
            if fields is None:
                continue
            parents[pid], sessions[pid] = int(fields[1]), int(fields[3])
            seconds[pid] = (int(fields[19]), (int(fields[11]) + int(fields[12])) / TICKS)
        known = {pid for pid, _ in self.cpu}
        found = [pid for pid in parents if sessions[pid] == self.root or _descends(pid, self.root, parents)]
        found += [pid for pid in known & parents.keys() if pid not in found and (pid, seconds[pid][0]) in self.cpu]
        for pid in found:
            started, used = seconds[pid]
            self.cpu[pid, started] = used
        return found

    def kill(self) -> None:
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def measure(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path, limit_seconds: float
) -> Measured:
    """Run it in `folder` and a session of its own, with its output in the file `log`; what it leaves running is killed.

    Raises OSError when the command cannot be started.
    """
    reaped = _reaped_seconds()
    with log.open("wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        tree = _Tree(process.pid)
        try:
            peak, most, stopped = _watch(process, tree, begun + limit_seconds)
            wall = time.monotonic() - begun
        finally:
            tree.kill()
            process.wait()
    state = "stopped" if stopped else "finished" if process.returncode == 0 else "failed"
    return Measured(
        state=state,
        exit_code=None if stopped else process.returncode,
        wall_seconds=round(wall, 3),
        cpu_seconds=round(max(sum(tree.cpu.values()), _reaped_seconds() - reaped), 2),
        peak_pss_bytes=peak,
        most_processes=most,
    )


def _watch(process: subprocess.Popen[bytes], tree: _Tree, deadline: float) -> tuple[int, int, bool]:
    """Peak memory, most processes at a time, and whether time ran out."""
    peak, most, next_look_bytes = 0, 0, 0.0
    while True:
        alive = tree.alive()
        most = max(most, len(alive))
        resident = sum(_resident(pid) for pid in alive)
        if resident >= next_look_bytes:
            peak = max(peak, sum(_pss(pid) for pid in alive))
            next_look_bytes = max(resident * GROWTH, resident + LEAST_GROWTH_BYTES)
        if time.monotonic() > deadline:
            return peak, most, True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(INTERVAL_SECONDS)
            return peak, most, False


def _reaped_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the third on (proc(5)): state, parent, group, session ...; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while pid in parents:
        if pid == root:
            return True
        pid = parents[pid]
    return False
