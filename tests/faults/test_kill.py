"""SIGKILL at a dozen moments of a run: the previous publication stays readable and equal, and a rerun succeeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests import shops

MOMENTS = 12


def start(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "segengine.cli", "run", str(config), "--retrain", "--quiet"],
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def published(output: Path) -> pd.DataFrame:
    """Assignments as any reader finds them, without the ids and times that differ from run to run."""
    current = json.loads((output / "gold" / "current.json").read_text())
    frame = pd.read_parquet(output / "gold" / current["folder"] / "assignments")
    keep = frame.drop(columns=["publication_id", "model_version"]).sort_values("customer_key")
    return keep.reset_index(drop=True)


def seconds_of_a_whole_run(config: Path) -> float:
    begun = time.monotonic()
    process = start(config)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - begun


@pytest.mark.faults
def test_a_run_killed_at_any_moment_leaves_the_previous_publication_and_a_rerun_succeeds(tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    whole = seconds_of_a_whole_run(config)
    before = published(tmp_path / "out")
    kills = 0
    for moment in range(MOMENTS):
        process = start(config)
        # From after the start of the JVM to the very end, where the tables are written and made visible.
        time.sleep(whole * (0.25 + 0.75 * moment / MOMENTS))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        pd.testing.assert_frame_equal(published(tmp_path / "out"), before)
    assert kills >= MOMENTS // 2, "the runs ended before they could be killed: this test proved nothing"
    seconds_of_a_whole_run(config)
    pd.testing.assert_frame_equal(published(tmp_path / "out"), before)
    leftovers = [p.name for p in (tmp_path / "out" / "gold").iterdir() if "lock" in p.name or "staging" in p.name]
    assert not leftovers
