"""`segengine init` from a shell: what it writes, what it leaves with, and that it waits for nobody."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests import shops
from tests.jobs.test_exit_codes import segengine


def test_init_writes_a_config_that_check_accepts_and_names_the_next_command(tmp_path: Path) -> None:
    shops.lines(customers=60).rename(columns={"client": "client_id"}).to_csv(tmp_path / "shop_lines.csv", index=False)
    done = segengine("init", "shop_lines.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "segengine check shop-lines.yaml" in done.stdout
    assert "client_id" in done.stdout and "C00001" not in done.stdout + done.stderr
    checked = segengine("check", "shop-lines.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    again = segengine("init", "shop_lines.csv", cwd=tmp_path)
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_init_leaves_with_2_when_a_column_cannot_be_found_and_says_which(tmp_path: Path) -> None:
    pd.DataFrame({"sensor": ["a", "b"] * 9, "humidity": range(18)}).to_csv(tmp_path / "weather.csv", index=False)
    done = segengine("init", "weather.csv", "--output", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "tables.transactions.columns.customer_id" in done.stderr
    assert "Traceback" not in done.stderr
    assert "# TODO customer_id" in (tmp_path / "c.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["not-there.csv", "not-there/*.parquet"])
def test_init_leaves_with_3_when_there_is_no_such_table(tmp_path: Path, name: str) -> None:
    done = segengine("init", name, cwd=tmp_path)
    assert done.returncode == 3
    assert "not-there" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
