"""Sessions: ours stay on this machine and quiet, those of others get their settings back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.errors import AnalysisException

from segengine.errors import InfrastructureError
from segengine.java import of_setup, provide_java
from segengine.local import CLASS_ARCHIVE, HUGE_METHODS, LEARNED, local_options
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


AHEAD = """
import sys
from segengine.config import Config
from segengine.gateway import _ahead
from segengine.session import open_session, start_ahead

def config(**spark):
    columns = {name: name for name in ("customer_id", "ordered_at", "amount")}
    tables = {"transactions": {"path": "lines", "columns": columns}}
    return Config.model_validate({"name": "shop", "tables": tables, "spark": spark, "output": {"path": "output"}})

start_ahead(config(**{"spark.sql.catalog.lake.type": "ahead"}))
start_ahead(config())  # there is one already
ahead = _ahead[0]
asked = config(**{"spark.sql.catalog.lake.type": sys.argv[1]})
with open_session(asked) as spark:
    print(spark.sparkContext._gateway is ahead._coming.result(), spark.conf.get("spark.sql.catalog.lake.type"), _ahead)
    print(ahead._coming.result().proc.poll() is None)
start_ahead(config())
print(_ahead)
"""


@pytest.mark.jobs
@pytest.mark.parametrize(("asked", "told"), [("ahead", "True ahead []\nTrue"), ("other", "False other []\nFalse")])
def test_a_session_takes_up_the_java_that_was_started_ahead_for_it_and_ends_one_of_other_options(tmp_path, asked, told):
    done = subprocess.run(
        [sys.executable, "-c", AHEAD, asked], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "SEGENGINE_MASTER": "local[1]", "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, f"{told}\n[]", "")


def test_no_java_at_all_is_one_message_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(InfrastructureError, match="Java 17") as caught:
        provide_java()
    assert "make setup" in str(caught.value)


@pytest.fixture
def prefix(monkeypatch, tmp_path):
    """An environment of the line of development, where set-up placed a Java and had it learn; its share/segengine."""
    monkeypatch.setattr("segengine.java.version", lambda name: "4.2.0")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = of_setup() / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"25.0.2\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    (of_setup().parent / LEARNED).write_bytes(b"learned")
    return of_setup().parent


def test_the_java_of_set_up_comes_before_the_machines_and_starts_with_what_it_learned(prefix):
    provide_java()
    assert os.environ["JAVA_HOME"] == str(prefix / "java")
    assert f"-XX:AOTCache={prefix / LEARNED}" in local_options()["spark.driver.extraJavaOptions"]


def test_a_java_that_was_named_is_used_and_gets_no_option_that_it_may_not_know(prefix, monkeypatch, tmp_path):
    named = tmp_path / "named" / "bin" / "java"
    named.parent.mkdir(parents=True)
    named.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\"' >&2\n", encoding="utf-8")
    named.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "named"))
    provide_java()
    assert os.environ["JAVA_HOME"] == str(tmp_path / "named")
    assert "AOTCache" not in local_options()["spark.driver.extraJavaOptions"]


def test_an_older_spark_passes_over_a_java_that_it_does_not_run_on(prefix, monkeypatch, tmp_path):
    monkeypatch.setattr("segengine.java.version", lambda name: "3.5.9")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfrastructureError, match="up to 21") as caught:
        provide_java()
    assert f"Java 25 at {prefix / 'java' / 'bin' / 'java'}" in str(caught.value)


@pytest.mark.jobs
def test_java_takes_up_what_it_learned_in_set_up(tmp_path):
    learned = of_setup().with_name(LEARNED).is_file() and os.environ.get("JAVA_HOME") in (None, str(of_setup()))
    if not learned and not of_setup().with_name(CLASS_ARCHIVE).is_file():
        pytest.skip("set-up had Java write nothing; remove share/segengine/setup.json in .venv and run `make setup`")
    log = tmp_path / "java.log"
    code = "from segengine.session import open_session\nwith open_session() as s:\n    pass\n"
    options = f"-Xlog:{'aot' if learned else 'cds'}=info:file={log}"
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=200, check=True,
        env=os.environ
        | {"SEGENGINE_MASTER": "local[1]", "PYTHONPATH": str(REPOSITORY), "SEGENGINE_JAVA_OPTIONS": options},
    )  # fmt: skip
    taken_up = "Using AOT-linked classes: true" if learned else "Mapped dynamic"
    assert taken_up in log.read_text(encoding="utf-8")


def test_an_error_that_is_caught_is_not_told_on_standard_error_as_well(spark):
    with pytest.raises(AnalysisException):
        spark.sql("select nowhere")
    told = logging.getLogger("SQLQueryContextLogger")
    assert not told.isEnabledFor(logging.ERROR) or not type(told).__module__.startswith("pyspark")  # not before Spark 4
