"""conf/spark/cluster.conf says the same as the session that segengine makes itself."""

from __future__ import annotations

import re
from pathlib import Path

from segengine import session

FILE = Path(__file__).parents[2] / "conf" / "spark" / "cluster.conf"


def settings(commented: bool = False) -> dict[str, str]:
    found = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(# )?(spark\.[\w.]+)\s+(\S.*)", line)
        if match and bool(match[1]) == commented:
            found[match[2]] = match[3]
    return found


def test_every_line_is_a_setting_or_a_comment():
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) == len(settings()) > 8


def test_secrets_are_redacted_as_in_our_own_sessions():
    ours = session._common_options()
    for key in ("spark.redaction.regex", "spark.sql.redaction.options.regex", "spark.ui.showConsoleProgress"):
        assert settings()[key] == ours[key]
    assert "\\" not in settings()["spark.redaction.regex"], "a properties file would take a backslash for an escape"


def test_delta_is_named_as_the_error_message_of_a_session_without_it_names_it():
    text, proposed = FILE.read_text(encoding="utf-8"), settings(commented=True)
    assert proposed["spark.sql.extensions"] == session.DELTA_EXTENSION
    assert proposed["spark.sql.catalog.spark_catalog"] == session.DELTA_CATALOG
    assert proposed["spark.jars.packages"] == session.DELTA_PACKAGES["4.2"]
    for package in session.DELTA_PACKAGES.values():
        assert package in text


def test_it_leaves_alone_what_a_run_sets_for_its_results():
    assert not settings().keys() & session.settings_for(None).keys()
