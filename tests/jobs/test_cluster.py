"""The job under spark-submit, from the packed environment, on a standalone cluster whose workers have no packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from segengine.config.values import SECRET_NAME
from tests import shops
from tests.jobs import standalone
from tests.jobs.standalone import REPOSITORY, Standalone, published_assignments, standalone_cluster, submit_command

RUN = REPOSITORY / "jobs" / "run.py"
IN_ARCHIVE = "./environment/bin/python"
FAMILY = f"python{sys.version_info.major}.{sys.version_info.minor}"
SETTINGS = REPOSITORY / "conf" / "spark" / "cluster.conf"
SMALL = {"spark.executor.memory": "1g", "spark.executor.cores": "1", "spark.driver.memory": "1g"}
"""What the settings file has to leave to workers of 1 GiB and one core."""
LONG = 900
"""Seconds that a run may take on a busy machine; it is one minute on an idle one."""
SIGKILLED = "exited with code 137"


def submit(
    master: str,
    script: Path,
    *arguments: str | Path,
    zipped: Path,
    cwd: Path,
    options: Sequence[str | Path] = (),
    variables: Mapping[str, str] = {},
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a script in this Python with the zipped package; `variables` are the driver's own."""
    command = submit_command(master, script, *arguments, options=["--py-files", zipped, *options], **more)
    return subprocess.run(
        command, cwd=cwd, env=standalone.environment(**variables), capture_output=True, text=True, timeout=LONG,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a zip for --py-files; the driver must find segengine nowhere else."""
    folder = tmp_path_factory.mktemp("zip")
    shutil.copytree(
        REPOSITORY / "segengine", folder / "tree" / "segengine", ignore=shutil.ignore_patterns("__pycache__")
    )
    return Path(shutil.make_archive(str(folder / "segengine"), "zip", folder / "tree"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `make dist` packs beside the wheel, by kind; packed quickly."""
    folder = tmp_path_factory.mktemp("archives")
    command = [sys.executable, str(REPOSITORY / "tools" / "pack.py"), "--folder", str(folder), "--level", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return {file.name.split("-")[2]: file for file in folder.iterdir()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A cluster started under `env -i`, whose python3 has no packages at all."""
    folder = tmp_path_factory.mktemp("cluster")
    with standalone_cluster(folder, standalone.bare_python(folder / "bare")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, zipped: Path) -> tuple[Path, pd.DataFrame]:
    """A folder with lines, and the assignments that local mode publishes for them."""
    folder = tmp_path_factory.mktemp("shop")
    shops.write_parquet(shops.lines(customers=150), folder / "lines", files=3)
    done = submit("local[2]", RUN, shops.write_config(folder, output="local"), "--json", zipped=zipped, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r'"publication_id": "\S+"', done.stdout)
    return folder, published_assignments(folder / "local")


def assert_same_segments(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Every customer is where local mode has it; doubles may differ in their last digits, sums being ordered anew."""
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


@pytest.mark.jobs
def test_the_workers_own_python_has_no_packages(tmp_path: Path) -> None:
    path = standalone.bare_python(tmp_path / "bare")
    for module in ("numpy", "pyarrow", "segengine"):
        done = subprocess.run(
            ["env", "-i", f"PATH={path}", "python3", "-c", f"import {module}"],
            capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert f"No module named '{module}'" in done.stderr


@pytest.mark.jobs
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a system of a folder")
def test_an_archive_runs_where_there_is_a_shell_and_the_c_and_cpp_libraries_alone(
    tmp_path: Path, archives: dict[str, Path]
) -> None:
    home = tmp_path / "system" / "srv" / "anywhere"
    home.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", archives["workers"], "-C", home], check=True)
    shell = Path("/bin/sh").resolve()
    asked = subprocess.run(["ldd", shell, *home.rglob("*.so*")], capture_output=True, text=True, check=False).stdout
    of_the_system = set(re.findall(r"(/\S*/(?:ld-linux|lib(?:c|m|dl|pthread|rt|util|gcc_s|stdc\+\+)\.)\S*)", asked))
    for library in of_the_system:
        place = tmp_path / "system" / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    (tmp_path / "system" / "bin").mkdir(exist_ok=True)
    shutil.copy(shell, tmp_path / "system" / "bin" / "sh")
    code = "import numpy, pyarrow.compute as c, ssl, sqlite3, segengine; print(numpy.__file__, c.sum([1, 2]))"
    done = subprocess.run(
        ["chroot", tmp_path / "system", "/srv/anywhere/bin/python", "-c", code],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [f"/srv/anywhere/lib/{FAMILY}/site-packages/numpy/__init__.py", "3"], done.stderr


@pytest.mark.jobs
def test_python_and_numpy_of_a_task_come_from_the_archive(
    tmp_path: Path, cluster: Standalone, zipped: Path, archives: dict[str, Path]
) -> None:
    done = submit(
        cluster.master, REPOSITORY / "tests" / "jobs" / "where_python.py", zipped=zipped, cwd=tmp_path,
        options=["--archives", f"{archives['workers']}#environment", "--properties-file", SETTINGS],
        confs=SMALL, variables={"PYSPARK_PYTHON": IN_ARCHIVE},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(re.search(r"^FOUND (.*)$", done.stdout, re.MULTILINE)[1])
    assert told["redaction"] == SECRET_NAME
    assert len(told["tasks"]) == 8
    for task in told["tasks"]:
        assert any(Path(task["folder"]).is_relative_to(work) for work in cluster.folders)
        packed = Path(task["folder"], "environment").resolve()
        for used in ("python", "numpy", "pyarrow"):
            assert Path(task[used]).is_relative_to(packed), used
        assert "zip/segengine/__init__.py" in task["segengine"] or "segengine.zip" in task["segengine"]
        assert not {"VIRTUAL_ENV", "HOME", "PYTHONHOME"} & set(task["variables"].split())


@pytest.mark.jobs
def test_the_cluster_and_local_mode_publish_the_same_assignments(
    cluster: Standalone, zipped: Path, archives: dict[str, Path], shop: tuple[Path, pd.DataFrame]
) -> None:
    folder, expected = shop
    config = shops.write_config(folder, output="cluster")
    done = submit(
        cluster.master, RUN, config, "--json", zipped=zipped, cwd=folder,
        options=["--archives", f"{archives['workers']}#environment", "--properties-file", SETTINGS],
        confs=SMALL, variables={"PYSPARK_PYTHON": IN_ARCHIVE},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_segments(published_assignments(folder / "cluster"), expected)


@pytest.mark.jobs
def test_driver_and_executors_run_from_the_whole_archive_alone(
    tmp_path: Path, cluster: Standalone, archives: dict[str, Path], shop: tuple[Path, pd.DataFrame]
) -> None:
    folder, expected = shop
    home = tmp_path / "environment"
    home.mkdir()
    subprocess.run(["tar", "-xzf", archives["all"], "-C", home], check=True)
    config = shops.write_config(folder, output="whole")
    variables = {
        "PATH": standalone.bare_python(tmp_path / "bare"),
        "JAVA_HOME": standalone.java_home(),
        "SPARK_HOME": str(standalone.spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": IN_ARCHIVE,
        **standalone.QUICK,
    }
    command = submit_command(
        cluster.master,
        home / "jobs" / "run.py",
        config,
        "--json",
        options=["--archives", f"{archives['all']}#environment"],
    )
    done = subprocess.run(
        ["env", "-i", *(f"{key}={value}" for key, value in variables.items()), *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=LONG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_segments(published_assignments(folder / "whole"), expected)


def events(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a Spark event log, which may still be written to, or be renamed at its end."""
    try:
        text = "".join(file.read_text(encoding="utf-8") for file in sorted(log.iterdir()) if file.suffix != ".crc")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def is_fit(event: Mapping[str, Any]) -> bool:
    """Whether a job start belongs to the fit on the cluster: Spark's KMeans, or one of our Lloyd passes."""
    stages = " ".join(stage["Stage Name"] for stage in event.get("Stage Infos", []))
    return event["Event"] == "SparkListenerJobStart" and ("KMeans.scala" in stages or "lloyd.py" in stages)


@pytest.mark.jobs
def test_an_executor_killed_amid_the_fit_changes_no_segment(
    tmp_path: Path, cluster: Standalone, zipped: Path, archives: dict[str, Path], shop: tuple[Path, pd.DataFrame]
) -> None:
    folder, expected = shop
    log = tmp_path / "events"
    log.mkdir()
    command = submit_command(
        cluster.master, RUN, shops.write_config(folder, output="killed"), "--json",
        options=["--py-files", zipped, "--archives", f"{archives['workers']}#environment"],
        confs={
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": log.as_uri(),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        },
    )  # fmt: skip
    with (tmp_path / "out.txt").open("wb") as told:
        process = subprocess.Popen(
            command, cwd=folder, env=standalone.environment(PYSPARK_PYTHON=IN_ARCHIVE), stdout=told, stderr=told
        )
        try:
            while process.poll() is None and sum(map(is_fit, events(log))) < 2:
                time.sleep(0.05)
            assert process.poll() is None, "the job ended before its fit was seen"
            (application,) = (e["App ID"] for e in events(log) if e["Event"] == "SparkListenerApplicationStart")
            os.kill(cluster.executors(application)[0], signal.SIGKILL)
            code = process.wait(LONG)
        finally:
            process.kill()
    assert code == 0, (tmp_path / "out.txt").read_text(errors="replace")[-3000:]

    all_events = events(log)
    fit = {event["Job ID"]: event["Submission Time"] for event in all_events if is_fit(event)}
    ends = [e["Completion Time"] for e in all_events if e["Event"] == "SparkListenerJobEnd" and e["Job ID"] in fit]
    lost = [
        e["Timestamp"] for e in all_events
        if e["Event"] == "SparkListenerExecutorRemoved" and SIGKILLED in e["Removed Reason"]
    ]  # fmt: skip
    assert len(lost) == 1, "exactly one executor died of the signal"
    assert min(fit.values()) < lost[0] < max(ends), "it was lost after the fit began and before it ended"
    assert sum(begun < lost[0] for begun in fit.values()) >= 2, "a job of the fit was done before the loss"
    assert sum(begun > lost[0] for begun in fit.values()) >= 1, "the fit went on after the loss"
    assert_same_segments(published_assignments(folder / "killed"), expected)


@pytest.mark.jobs
def test_exit_codes_reach_the_shell_through_spark_submit(tmp_path: Path, zipped: Path) -> None:
    config = shops.write_config(tmp_path, path="not-there")
    check = REPOSITORY / "jobs" / "check.py"
    assert submit("local[2]", check, config, zipped=zipped, cwd=tmp_path).returncode == 3
