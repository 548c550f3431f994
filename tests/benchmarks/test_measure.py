"""What the contest measures is what processes did, their children included; and what it concludes can be checked."""

from __future__ import annotations

import os
import sys
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import plots, tables
from benchmarks.contestants.sweep import prepared
from benchmarks.contestants.task import FEATURES
from benchmarks.measure import measure
from benchmarks.quality import Judge

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux's /proc")

CHILD = "import time; held = b'x' * 80_000_000; end = time.process_time() + 1\nwhile time.process_time() < end: pass\n"
PARENT = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {CHILD!r} + 'time.sleep(1)'])"
LEAVES_ONE = (
    "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
)


def run(code, tmp_path, limit_seconds=120.0):
    words = [sys.executable, "-c", code]
    return measure(words, log=tmp_path / "log", environment=os.environ, folder=tmp_path, limit_seconds=limit_seconds)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_time_and_memory_of_a_child_count(tmp_path):
    found = run(PARENT, tmp_path)
    assert found.state == "finished"
    assert found.exit_code == 0
    assert found.most_processes == 2
    assert 1 <= found.cpu_seconds <= found.wall_seconds + 1
    assert 80e6 <= found.peak_pss_bytes < 400e6


def test_what_takes_too_long_is_stopped_and_reported_as_such(tmp_path):
    found = run("import time; time.sleep(600)", tmp_path, limit_seconds=1)
    assert (found.state, found.exit_code) == ("stopped", None)
    assert found.wall_seconds < 60


def test_what_fails_is_reported_as_such(tmp_path):
    found = run("raise SystemExit(3)", tmp_path)
    assert (found.state, found.exit_code) == ("failed", 3)


def test_nothing_that_a_contestant_started_outlives_it(tmp_path):
    assert run(LEAVES_ONE, tmp_path).state == "finished"
    pid = int((tmp_path / "log").read_text())
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(pid)


def customers(count=60):
    chance = np.random.default_rng(5)
    columns = {name: chance.lognormal(size=count) for name in FEATURES}
    return pa.table({"customer_id": [f"c{number:03}" for number in range(count)], **columns})


def test_costs_are_those_of_the_segments_own_means_and_the_truth_is_matched_by_id(tmp_path):
    table = customers()
    segments = np.arange(60) % 3
    truth = pa.table({"customer_id": table["customer_id"], "true_segment": [f"s{s}" for s in segments]})
    pq.write_table(truth.take(list(range(59, -1, -1))), tmp_path / "truth.parquet")
    judge = Judge.of(table, tmp_path / "truth.parquet", None)
    verdict = judge.verdict(table.append_column("segment", pa.array(segments)))
    points = prepared(np.column_stack([table[name].to_numpy() for name in FEATURES]))
    cost = sum(((points[segments == s] - points[segments == s].mean(axis=0)) ** 2).sum() for s in range(3))
    assert verdict["spaces"]["log1p, z"]["cost"] == pytest.approx(cost)
    assert verdict["adjusted_rand_index"] == 1
    assert judge.best_known(3)["log1p, z"] < cost
    with pytest.raises(ValueError, match="same customers"):
        judge.verdict(table.append_column("segment", pa.array(segments)).slice(1))


def record(lines=1_000_000):
    def one(name, seconds, state="finished"):
        run = {"contestant": name, "state": state, "wall_seconds": seconds, "cpu_seconds": 2.0, "peak_pss_bytes": 2**30}
        return run | ({"account": {"k": 5, "seconds": {"features": seconds / 2}}} if state == "finished" else {})

    machine = {"measured_on": "2024-01-01", "cores": 2, "processor": "one", "memory_gib": 8, "system": "Linux 6"}
    machine |= {"python": "3.11", "packages": {"numpy": "2"}, "load_before": 0.1}
    runs = [one("segengine", 10.0), one("segengine", 14.0), one("segengine", 11.0), one("pandas_sklearn", 22.0)]
    runs.append(one("tutorial_spark", 600.0, "stopped"))
    return {"lines": lines, "line_rows": lines, "machine": machine, "runs": runs}


def test_medians_are_held_against_segengine_and_a_stopped_contestant_is_not_timed():
    text = tables.markdown(record())
    assert "| segengine | 3 | 11.0 | 10.0 to 14.0 | 1.00x | 2.0 | 1.00 | 5 |" in text
    assert "| pandas_sklearn | 1 | 22.0 | 22.0 to 22.0 | 2.00x |" in text
    assert "| tutorial_spark | 1 | stopped after 600 | 600.0 to 600.0 | more than 54.5x |" in text


def test_plots_are_svg_that_names_every_contestant(tmp_path):
    import json

    for lines in (1_000_000, 4_000_000):
        (tmp_path / f"{lines}.json").write_text(json.dumps(record(lines)), encoding="utf-8")
    files = plots.write(tmp_path)
    names = ["memory-1000000", "memory-4000000", "time-1000000", "time-4000000", "time-over-size"]
    assert sorted(file.stem for file in files) == names
    for file in files:
        words = [element.text for element in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")]
        assert {"segengine", "pandas_sklearn"} <= set(words)
        assert ("tutorial_spark" in words) == (file.stem != "time-over-size")
