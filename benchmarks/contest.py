"""The contest: makes the lines once, lets the contestants run in turn for several rounds, measures and compares them.

python -m benchmarks.contest --lines 5000000 --rounds 3
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import data, plots, quality, tables
from benchmarks.measure import measure

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = Path(os.environ.get("SEGENGINE_BENCH_PACKAGES") or Path(sys.prefix) / "share" / "segengine" / "bench")
"""Where `make bench-setup` puts what only the contestants need."""

CONTESTANTS = {
    "segengine": "segengine_run",
    "tutorial_spark": "tutorial_spark",
    "corrected_spark": "corrected_spark",
    "pandas_sklearn": "pandas_sklearn",
    "polars_sklearn": "polars_sklearn",
    "duckdb_sklearn": "duckdb_sklearn",
}
"""Contestant -> its module in benchmarks/contestants."""
VERSIONS = ("pyspark", "numpy", "pandas", "pyarrow", "scikit-learn", "polars", "duckdb")


def command(contestant: str, lines: Path, out: Path, *options: str) -> list[str]:
    """How a contestant is started, from any folder, with `environment`."""
    module = f"benchmarks.contestants.{CONTESTANTS[contestant]}"
    return [sys.executable, "-m", module, "--lines", str(lines.resolve()), "--out", str(out.resolve()), *options]


def environment() -> dict[str, str]:
    """The machine's environment, with this checkout and the contestants' packages on Python's path."""
    java = Path(sys.prefix) / "share" / "segengine" / "java"
    found = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{PACKAGES}"}
    if java.is_dir() and not shutil.which("java"):
        found.setdefault("JAVA_HOME", str(java))
    found["PYSPARK_PYTHON"] = sys.executable
    return found


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    installed = {d.metadata["Name"]: d.version for d in metadata.distributions(path=[*sys.path, str(PACKAGES)])}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = [line.split(":", 1)[1].strip() for line in _lines_of("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "measured_on": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "packages": {name: installed.get(name, "not installed") for name in VERSIONS},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _lines_of(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


@dataclasses.dataclass
class Contest:
    """One size of the contest. `record` is what becomes the results file; it is saved after every run."""

    asked: argparse.Namespace
    folder: Path
    results: Path
    record: dict[str, Any]

    @property
    def lines(self) -> Path:
        return self.folder / "lines"

    def out(self, contestant: str) -> Path:
        return Path(self.asked.work or self.folder) / "out" / contestant

    def warm(self) -> None:
        """Read every file once, so that the first contestant does not pay for the disk."""
        for file in sorted(self.lines.iterdir()):
            with file.open("rb") as stream:
                while stream.read(1 << 24):
                    pass

    def race(self) -> None:
        """The contestants in turn, round after round, so that a change of the machine's mood meets all of them."""
        wanted: dict[str, int] = self.asked.contestants
        state: dict[str, str] = {}
        for number in range(1, max(wanted.values()) + 1):
            for contestant, rounds in wanted.items():
                if number > rounds or state.get(contestant) == "stopped":
                    continue
                run = self.run(contestant, number)
                state[contestant] = run["state"]
                self.record["runs"].append(run)
                self.save()

    def run(self, contestant: str, number: int, *options: str) -> dict[str, Any]:
        """One run, in an emptied folder: its measures, and its own account when it finished."""
        out = self.out(contestant)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        log = out.with_suffix(".log")
        measured = measure(
            command(contestant, self.lines, out, *options),
            log=log,
            environment=environment(),
            folder=out,
            limit_seconds=self.asked.limit_seconds,
        )
        run = {"contestant": contestant, "round": number, **dataclasses.asdict(measured)}
        print(
            f"  round {number}  {contestant:<16} {measured.state:<9} {measured.wall_seconds:8.1f} s"
            f"  {measured.cpu_seconds:8.1f} CPU s  {measured.peak_pss_bytes / 2**30:6.2f} GiB",
            flush=True,
        )
        if measured.state == "finished":
            run["account"] = quality.account(out)
        elif measured.state == "failed":
            print("\n".join(_lines_of(str(log))[-15:]), file=sys.stderr)
        return run

    def judge(self) -> None:
        """Quality: of what the last round left, and of one more run of each with the same number of segments."""
        self.record["quality"] = {"own_k": self._verdicts(self._finished())}
        k = self.asked.common_k
        if k:
            again = [
                name for name in self._finished() if self.run(name, 0, "--k", str(k), str(k))["state"] == "finished"
            ]
            self.record["quality"] |= {"common_k": k, "at_common_k": self._verdicts(again, best_of=k)}
        self.save()

    def _finished(self) -> list[str]:
        last = {run["contestant"]: run["state"] for run in self.record["runs"]}
        return [name for name in self.asked.contestants if last.get(name) == "finished"]

    def _verdicts(self, names: list[str], best_of: int = 0) -> dict[str, Any]:
        if not names:
            return {}
        ours = self.out("segengine") if "segengine" in names else None
        judge = quality.Judge.of(quality.segmented(self.out(names[0])), self.folder / "truth.parquet", ours)
        found: dict[str, Any] = {name: judge.verdict(quality.segmented(self.out(name))) for name in names}
        if best_of:
            found["scikit-learn on everybody"] = {"k": best_of, "costs": judge.best_known(best_of)}
        return found

    def save(self) -> None:
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")


def opened(asked: argparse.Namespace) -> Contest:
    """Data made or found, and the results file begun, or with --add continued."""
    folder = asked.data or ROOT / "out" / "bench" / str(asked.lines)
    if not (folder / "truth.parquet").is_file() or not any((folder / "lines").glob("*.parquet")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"  making {asked.lines:,} lines in {folder}", flush=True)
        data.write(asked.lines, folder)
    results = asked.results / f"{asked.lines}.json"
    record: dict[str, Any] = {"lines": asked.lines, "machine": machine(), "runs": []}
    if asked.add and results.is_file():
        record["runs"] = json.loads(results.read_text(encoding="utf-8"))["runs"]
    record["line_rows"] = quality.rows_of(folder / "lines")
    record["limit_seconds"] = asked.limit_seconds
    return Contest(asked, folder, results, record)


def _contestants(words: Sequence[str], rounds: int) -> dict[str, int]:
    """`segengine=5 polars_sklearn` -> rounds by contestant, in the order given."""
    found = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in CONTESTANTS:
            raise SystemExit(f"There is no contestant {name}. There are: {', '.join(CONTESTANTS)}.")
        found[name] = int(number or rounds)
    return found


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), metavar="NAME[=ROUNDS]")
    parser.add_argument("--limit-seconds", type=float, default=3600, help="a run that takes longer is stopped")
    parser.add_argument("--common-k", type=int, default=5, help="for the comparison of costs; 0: leave it out")
    parser.add_argument("--data", type=Path, help="a folder that benchmarks/data.py made; out/bench/LINES when absent")
    parser.add_argument("--work", type=Path, help="where the contestants write; the folder of the data when absent")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--add", action="store_true", help="keep the runs that the results file has already")
    asked = parser.parse_args(given)
    asked.contestants = _contestants(asked.contestants, asked.rounds)
    return asked


def main(given: Sequence[str] | None = None) -> int:
    contest = opened(arguments(given))
    contest.warm()
    contest.race()
    contest.judge()
    text = tables.markdown(contest.record)
    contest.results.with_suffix(".md").write_text(text, encoding="utf-8")
    plots.write(contest.results.parent)
    print(text)
    return 0 if all(run["state"] != "failed" for run in contest.record["runs"]) else 1


if __name__ == "__main__":
    sys.exit(main())
