"""The examples run as they are, and DuckDB reads what they publish."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.jobs
def test_the_quickstart_runs_and_its_tables_answer_the_example_queries(tmp_path, monkeypatch):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "quickstart.py", tmp_path],
        env={**os.environ, "SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5 segments of 1,000 customers" in done.stdout
    monkeypatch.chdir(tmp_path)
    queries = (REPOSITORY / "examples" / "read_results.sql").read_text(encoding="utf-8")
    answers = []
    with duckdb.connect() as database:
        for statement in duckdb.extract_statements(queries):
            answers.append(database.execute(statement).fetchall())
    assert [len(rows) for rows in answers[-3:]] == [5, 15, 10]
