"""What the pages promise exists: configs parse, links lead somewhere, commands and functions are there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

import segengine
from segengine.cli import app
from segengine.config import parse

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert broken == []


def test_the_readmes_config_is_accepted(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    config = parse(textwrap.dedent(block), folder=tmp_path)
    assert config.name == "my-shop"
    assert len(block.strip().splitlines()) <= 17


def test_every_command_of_the_readme_is_there_with_help():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^    segengine (\w+)", text, re.MULTILINE))
    assert {"check", "run"} <= commands
    for command in commands:
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0
        assert "Usage" in shown.output


def test_every_command_has_help_that_says_what_it_does():
    assert {command.callback.__name__ for command in app.registered_commands} == {
        "check", "demo", "explain", "export", "forget", "history", "init", "monitor", "promote", "report", "rollback",
        "run", "schema", "score", "stream", "train", "verify",
    }  # fmt: skip
    for command in app.registered_commands:
        assert len(command.callback.__doc__.strip()) > 20


def test_what_the_package_exports_is_there():
    for name in segengine.__all__:
        assert getattr(segengine, name) is not None


def test_every_claim_names_its_state_and_the_tests_that_it_names_exist():
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", (REPOSITORY / "docs/proven.md").read_text(), re.MULTILINE)
    claims = [row for row in rows if row[0] not in ("claim", "---")]
    assert len(claims) > 20
    assert {state for _, state, _ in claims} <= {"executed", "validated offline", "unproven"}
    for _, state, by in claims:
        files = re.findall(r"`(tests/[\w/.]+)`", by)
        assert files or state != "executed"
        assert [name for name in files if not (REPOSITORY / name).exists()] == []
