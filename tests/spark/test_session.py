"""Sessions: ours stay on this machine and quiet, those of others get their settings back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segengine.errors import InfrastructureError
from segengine.java import provide_java
from segengine.local import HUGE_METHODS
from segengine.session import open_session

REPOSITORY = Path(__file__).parents[2]


def test_local_mode_listens_on_loopback_only(spark):
    assert spark.conf.get("spark.driver.host") == "127.0.0.1"
    assert spark.conf.get("spark.driver.bindAddress") == "127.0.0.1"
    assert spark.conf.get("spark.ui.enabled") == "false"


def test_a_session_that_was_handed_in_gets_its_settings_back_and_lives_on(spark):
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    spark.conf.set("spark.sql.ansi.enabled", "false")
    try:
        with open_session(spark=spark) as session:
            assert session is spark
            assert session.conf.get("spark.sql.session.timeZone") == "UTC"
            assert session.conf.get("spark.sql.ansi.enabled") == "true"
        assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
        assert spark.conf.get("spark.sql.ansi.enabled") == "false"
        assert spark.range(3).count() == 3
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        spark.conf.set("spark.sql.ansi.enabled", "true")


def test_settings_come_back_after_a_failure_too(spark):
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        with pytest.raises(ZeroDivisionError), open_session(spark=spark):
            raise ZeroDivisionError
        assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_long_methods_are_compiled_or_not_made(spark, monkeypatch):
    limit = "spark.sql.codegen.hugeMethodLimit"
    with open_session(spark=spark) as ours:
        assert HUGE_METHODS in ours.conf.get("spark.driver.extraJavaOptions")
        assert ours.conf.get(limit) == "65535"
    monkeypatch.setattr("segengine.session.HUGE_METHODS", "an option that nobody gave")
    with open_session(spark=spark) as another:
        assert another.conf.get(limit) == "8000"
    assert spark.conf.get(limit) == "65535"


@pytest.mark.jobs
def test_a_new_session_says_nothing_on_standard_error(tmp_path):
    code = "from segengine.session import open_session\nwith open_session() as s:\n    print(s.range(5).count())\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "SEGENGINE_MASTER": "local[1]", "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "5", "")


def test_no_java_at_all_is_one_message_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(InfrastructureError, match="Java 17") as caught:
        provide_java()
    assert "make setup" in str(caught.value)
