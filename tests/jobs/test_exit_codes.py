"""What the shell sees: exit codes and one-message errors of the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests import shops


def segengine(*arguments: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "segengine.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(Path(__file__).parents[2]), **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_help_needs_no_spark_and_leaves_with_0(tmp_path: Path) -> None:
    done = segengine("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("demo", "init", "check", "train", "score", "run", "schema"):
        assert command in done.stdout


def test_a_config_with_an_unknown_key_leaves_with_2_and_names_the_key(tmp_path: Path) -> None:
    config = shops.write_config(tmp_path, extra="segmnets: {k: 3}\n")
    done = segengine("check", config, cwd=tmp_path)
    assert done.returncode == 2
    assert "segmnets" in done.stderr and "segments" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_config_leaves_with_2(tmp_path: Path) -> None:
    done = segengine("run", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr


def test_an_unknown_option_leaves_with_2(tmp_path: Path) -> None:
    assert segengine("run", "--no-such-option", cwd=tmp_path).returncode == 2


def test_a_missing_table_leaves_with_3_names_the_path_and_shows_no_trace(tmp_path: Path) -> None:
    config = shops.write_config(tmp_path, path="not-there")
    done = segengine("run", config, cwd=tmp_path)
    assert done.returncode == 3
    assert "not-there" in done.stderr
    assert "Traceback" not in done.stderr and "org.apache" not in done.stderr
    assert not (tmp_path / "out" / "gold").exists()


def test_too_many_rejected_rows_leave_with_4_and_tell_the_reasons(tmp_path: Path) -> None:
    frame = shops.lines(customers=40)
    frame.loc[frame.index % 2 == 0, "client"] = None
    shops.write_parquet(frame, tmp_path / "lines")
    done = segengine("run", shops.write_config(tmp_path), cwd=tmp_path)
    assert done.returncode == 4
    assert "missing_customer_id" in done.stderr


def test_customers_that_are_all_alike_leave_with_6(tmp_path: Path) -> None:
    one = shops.lines(customers=1)
    frame = pd.concat([one.assign(client=f"C{n}", ticket=one["ticket"] + f"/{n}") for n in range(50)])
    shops.write_parquet(frame, tmp_path / "lines")
    done = segengine("run", shops.write_config(tmp_path), cwd=tmp_path)
    assert done.returncode == 6
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_an_output_that_cannot_be_written_leaves_with_5(tmp_path: Path) -> None:
    shops.write_parquet(shops.lines(customers=60), tmp_path / "lines")
    (tmp_path / "out").write_text("a file where a folder is needed")
    done = segengine("run", shops.write_config(tmp_path), cwd=tmp_path)
    assert done.returncode == 5
    assert "out" in done.stderr
    assert "Traceback" not in done.stderr
