"""The runbook knows every exit code, every alarm and every step of the pipelines, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

from segengine import errors
from segengine.monitoring import judge

REPOSITORY = Path(__file__).parents[2]
RUNBOOK = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """First cell -> the other cells of each row of the table under a heading."""
    section = RUNBOOK.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells[2:]}


def test_every_exit_code_has_a_row_that_says_what_it_means_and_what_to_do():
    codes = {str(getattr(errors, name).exit_code) for name in errors.__all__} | {"0", "130"}
    found = rows("Exit codes")
    assert set(found) == codes
    for code, (means, do) in found.items():
        assert means
        assert do or code == "0"


def test_every_alarm_of_monitoring_has_a_row_that_says_what_it_means_and_what_to_do():
    source = Path(judge.__file__).read_text(encoding="utf-8")
    measures = set(re.findall(r'(?:Reading|_share|_psi)\(\s*"(\w+)"', source)) | {"distance_growth", "median_ratio"}
    assert {"psi", "segment_psi", "far_share", "vanished", "appeared", "rejected_share"} <= measures
    found = rows("Alarms of monitoring")
    assert {name for cell in found for name in re.findall(r"`(\w+)`", cell)} == measures
    for means, do in found.values():
        assert means and do


def test_what_ends_with_tampering_is_in_it():
    assert "segengine verify" in RUNBOOK
    assert "tampered" in rows("Other alarms")["`segengine verify` ends with 5"][0]
