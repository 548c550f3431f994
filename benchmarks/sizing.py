"""How much memory and time a run takes: the numbers behind the sizing advice in docs/clusters.md.

python benchmarks/sizing.py --lines 1000000 5000000 --cores 1 2 --heap 1g 4g --folder /data/sizing

Makes shops of about so many lines (segengine.demo.shop, kept in the folder for the next time), runs `segengine run` on
each in local mode in a process of its own, and prints a Markdown table. Memory is the peak of the proportional set size
of the whole process tree, read four times a second: shared pages are counted once. CPU seconds are of the whole tree
and, unlike wall seconds, say something on a busy machine too. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from segengine.demo.shop import Shop

LINES_A_DAY = 146.257 / 365
"""Of one customer of the default shop, measured on 2,000 of them over a year."""
TICK = os.sysconf("SC_CLK_TCK")
COLUMNS = (
    "lines", "customers", "cores", "heap", "exit code", "wall s", "CPU s", "peak MB", "of it Java", "of it Python",
    "load before",
)  # fmt: skip


@dataclass
class Peak:
    """What a process tree took so far: PSS in MB at the worst moment and its parts then, CPU seconds in all."""

    mb: float = 0.0
    java_mb: float = 0.0
    python_mb: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)

    def look(self, root: int) -> None:
        """Add up what the tree takes now."""
        java = python = 0.0
        for pid in tree(root):
            try:
                words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue  # it ended meanwhile
            self.cpu[pid] = (int(words[11]) + int(words[12])) / TICK
            pss = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
            java, python = (java + pss, python) if name == "java" else (java, python + pss)
        if java + python > self.mb:
            self.mb, self.java_mb, self.python_mb = java + python, java, python


def tree(root: int) -> list[int]:
    """Process ids of `root` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(file.read_text().rpartition(")")[2].split()[1]), []).append(int(file.parent.name))
        except OSError:
            continue
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def shop_of(lines: int, days: int, folder: Path) -> Path:
    """The config of a shop with about so many lines in so many days, made where it is not there yet."""
    place = folder / f"shop-{lines}-{days}"
    if not (place / "shop.yaml").exists():
        shutil.rmtree(place, ignore_errors=True)
        customers = max(500, round(lines / (LINES_A_DAY * days)))
        Shop(customers=customers, days=days).write(place, files=max(2, lines // 1_000_000))
    return place / "shop.yaml"


def measure(config: Path, cores: int, heap: str) -> dict[str, object]:
    """One run in local mode: its row of the table."""
    shutil.rmtree(config.parent / "out", ignore_errors=True)
    environment = {**os.environ, "SEGENGINE_MASTER": f"local[{cores}]", "SEGENGINE_DRIVER_MEMORY": heap}
    load, begun, peak = os.getloadavg()[0], time.monotonic(), Peak()
    command = [sys.executable, "-m", "segengine.cli", "run", str(config), "--quiet"]
    process = subprocess.Popen(["taskset", "-c", f"0-{cores - 1}", *command], env=environment)
    while process.poll() is None:
        peak.look(process.pid)
        time.sleep(0.25)
    seconds = time.monotonic() - begun
    lines = sum(pq.read_metadata(file).num_rows for file in (config.parent / "lines").glob("*.parquet"))
    customers = pq.read_metadata(config.parent / "customers.parquet").num_rows
    values = (
        f"{lines:,}", f"{customers:,}", cores, heap, process.returncode, f"{seconds:.0f}",
        f"{sum(peak.cpu.values()):.0f}", f"{peak.mb:,.0f}", f"{peak.java_mb:,.0f}", f"{peak.python_mb:,.0f}",
        f"{load:.1f}",
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--days", type=int, default=365, help="fewer days: fewer lines a customer, more customers")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--heap", nargs="+", default=["1g", "4g"], help="of the one JVM that local mode has")
    parser.add_argument("--folder", type=Path, required=True, help="for shops, outputs and results.jsonl")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for lines in asked.lines:
        config = shop_of(lines, asked.days, asked.folder)
        for cores in asked.cores:
            for heap in asked.heap:
                row = measure(config, cores, heap)
                with (asked.folder / "results.jsonl").open("a", encoding="utf-8") as results:
                    results.write(json.dumps(row) + "\n")
                print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
