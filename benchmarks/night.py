"""What a night of few new lines costs with `incremental`, beside runs over all files, in turn.

python -m benchmarks.night --lines 20000000 --rounds 3

The newest lines, about a hundredth of all, are the night's file. A first run counts the rest, trains and publishes.
Each round then runs, from a copy of what that left, the night, and the same over all files with the same model; and
all files from nothing, training included.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import duckdb
import yaml

from benchmarks import data
from benchmarks.contest import RESULTS, ROOT, environment, machine
from benchmarks.contestants.segengine_run import config
from benchmarks.contestants.task import AS_OF, Task
from benchmarks.measure import measure

SHARE = 0.01
"""Of the lines, at least, are the night's: whole days are."""
KINDS = ("night", "all files, champion", "all files, training")


@dataclasses.dataclass
class Nights:
    """The lake of a night and the outputs over it, below `folder`."""

    folder: Path
    source: Path
    limit_seconds: float

    def split(self) -> dict[str, Any]:
        """All files but the newest linked into `lines`, that one in two; what the night's file holds."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "lines").mkdir(parents=True)
        *others, newest = sorted(self.source.glob("*.parquet"))
        for file in others:
            os.link(file, self.folder / "lines" / file.name)
        with duckdb.connect() as database:
            database.execute(f"CREATE VIEW newest AS SELECT * FROM read_parquet('{newest}')")
            lines = sum(_rows(database, file) for file in (*others, newest))
            days = database.execute(
                "SELECT ordered_at::date, count(*) FROM newest GROUP BY 1 ORDER BY 1 DESC"
            ).fetchall()
            new, first = 0, AS_OF
            for day, count in days:
                if new >= SHARE * lines:
                    break
                new, first = new + count, day
            for name, when in (("lines/before.parquet", "<"), ("night.parquet", ">=")):
                database.execute(
                    f"COPY (SELECT * FROM newest WHERE ordered_at {when} ? ORDER BY ordered_at) "
                    f"TO '{self.folder / name}' (FORMAT parquet, COMPRESSION zstd)",
                    [dt.datetime.combine(first, dt.time())],
                )
        return {"lines": lines, "new_lines": new, "night_from": first.isoformat()}

    def run(self, kind: str, as_of: str, *, incremental: bool, after: Path | None) -> dict[str, Any]:
        """One `segengine run` over what lies in `lines`, on a copy of the output `after`."""
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        if after is not None:
            shutil.copytree(after, output)
        document = yaml.safe_load(config(Task(self.folder / "lines", self.folder, tuple(range(2, 11)))))
        document |= {"as_of": as_of, "incremental": incremental, "output": {"path": str(output)}}
        (self.folder / "night.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        measured = measure(
            [sys.executable, "-m", "segengine.cli", "run", "night.yaml"],
            log=self.folder / "night.log",
            environment=environment(),
            folder=self.folder,
            limit_seconds=self.limit_seconds,
        )
        print(f"  {kind:<22} {measured.state:<9} {measured.wall_seconds:7.1f} s", flush=True)
        if measured.state != "finished":
            raise SystemExit((self.folder / "night.log").read_text(encoding="utf-8")[-2000:])
        return {"kind": kind, **dataclasses.asdict(measured)}


def _rows(database: duckdb.DuckDBPyConnection, file: Path) -> int:
    found = database.execute(f"SELECT count(*) FROM read_parquet('{file}')").fetchone()
    return int(found[0]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit-seconds", type=float, default=3600)
    parser.add_argument("--data", type=Path, help="a folder that benchmarks/data.py made; out/bench/LINES when absent")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    source = asked.data or ROOT / "out" / "bench" / str(asked.lines)
    if not any((source / "lines").glob("*.parquet")):
        source.mkdir(parents=True, exist_ok=True)
        data.write(asked.lines, source)
    nights = Nights(source / "night", source / "lines", asked.limit_seconds)
    record: dict[str, Any] = {"machine": machine(), **nights.split(), "runs": []}
    record["runs"].append(nights.run("first, with state", record["night_from"], incremental=True, after=None))
    first = nights.folder / "first"
    (nights.folder / "output").rename(first)
    record["state_bytes"] = sum(file.stat().st_size for file in (first / "state").rglob("*") if file.is_file())
    (nights.folder / "night.parquet").rename(nights.folder / "lines" / "night.parquet")
    for _ in range(asked.rounds):
        for kind, incremental, after in zip(KINDS, (True, False, False), (first, first, None), strict=True):
            record["runs"].append(nights.run(kind, str(AS_OF), incremental=incremental, after=after))
    took = {
        kind: statistics.median(run["wall_seconds"] for run in record["runs"] if run["kind"] == kind) for kind in KINDS
    }
    record["median_seconds"] = took
    record["night_of"] = {kind: round(took["night"] / took[kind], 3) for kind in KINDS[1:]}
    file = asked.results / f"night-{asked.lines}.json"
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"  {record['night_of']}, {file}")


if __name__ == "__main__":
    main()
