"""A standalone Spark cluster on 127.0.0.1 whose workers know nothing of this Python, and spark-submit to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import FIRST_COMPILER
from tests.servers import free_port

EXECUTOR = b"org.apache.spark.executor.CoarseGrainedExecutorBackend"
REPOSITORY = Path(__file__).parents[2]
QUICK = {"JDK_JAVA_OPTIONS": FIRST_COMPILER}
"""For every JVM of a cluster, as sessions of local mode have it."""


def spark_home() -> Path:
    pyspark = pytest.importorskip("pyspark")
    return Path(pyspark.__file__).parent


def java_home() -> str:
    from segengine.java import provide_java

    provide_java()
    return os.environ["JAVA_HOME"]


def environment(**more: str) -> dict[str, str]:
    """What the driver gets: this machine's variables without those that would help it to find segengine."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SEGENGINE_MASTER", "PYSPARK_GATEWAY_PORT")}
    return clean | {
        "JAVA_HOME": java_home(),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **QUICK,
        **more,
    }


def submit_command(
    master: str, script: Path, *arguments: str | Path, options: Sequence[str | Path] = (), confs: Mapping[str, str] = {}
) -> list[str]:
    """A spark-submit in client mode on loopback; `options` are its own, `arguments` the script's."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        **confs,
    }
    command: list[str | Path] = [spark_home() / "bin" / "spark-submit", "--master", master, "--deploy-mode", "client"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    return [str(part) for part in (*command, *options, script, *arguments)]


@dataclass(frozen=True)
class Standalone:
    """A running cluster: its address, the folders and process ids of its workers."""

    master: str
    folders: tuple[Path, ...]
    workers: tuple[int, ...]

    def executors(self, application: str) -> list[int]:
        """Process ids of an application's executors: children of this cluster's workers, and of nobody else."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                command = (status.parent / "cmdline").read_bytes().split(b"\0")
            except (OSError, ValueError):
                continue  # it ended meanwhile
            if parent in self.workers and {EXECUTOR, application.encode()} <= set(command):
                found.append(int(status.parent.name))
        return sorted(found)


@contextmanager
def standalone_cluster(folder: Path, path: str) -> Iterator[Standalone]:
    """A master and two workers of one core; all they find in their environment is Java, Spark and this PATH."""
    port, web = free_port(), free_port()
    launcher = str(spark_home() / "bin" / "spark-class")
    running: list[subprocess.Popen[bytes]] = []

    def launch(name: str, *arguments: str) -> None:
        given = {"PATH": path, "JAVA_HOME": java_home(), "SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1"}
        given |= QUICK
        variables = [f"{key}={value}" for key, value in given.items()]
        with (folder / f"{name}.log").open("wb") as log:
            command = ["env", "-i", *variables, launcher, *arguments]
            running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True))

    master = f"spark://127.0.0.1:{port}"
    at_home = ("--host", "127.0.0.1")
    launch("master", "org.apache.spark.deploy.master.Master", *at_home, "--port", str(port), "--webui-port", str(web))
    folders = (folder / "work1", folder / "work2")
    for number, work in enumerate(folders, start=1):
        launch(
            f"worker{number}", "org.apache.spark.deploy.worker.Worker", *at_home, "--webui-port", "0",
            "-c", "1", "-m", "1g", "--work-dir", str(work), master,
        )  # fmt: skip
    try:
        _wait_for_workers(web, 2)
        yield Standalone(master, folders, tuple(process.pid for process in running[1:]))
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            process.wait(30)


def _wait_for_workers(web_port: int, wanted: int, seconds: float = 90) -> None:
    """The master's page about all else answers, in HTML, some milliseconds before its page of JSON is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as answer:
                if json.load(answer).get("aliveworkers") == wanted:
                    return
        except (OSError, json.JSONDecodeError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"{wanted} workers did not register within {seconds} s")


def bare_python(folder: Path) -> str:
    """A PATH whose python3 has its standard library and nothing else; `folder` is made."""
    folder.mkdir()
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S -s "$@"\n')
    python.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def published_assignments(output: Path) -> pd.DataFrame:
    """Assignments as any reader finds them, without the ids that differ from run to run."""
    current = json.loads((output / "gold" / "current.json").read_text())
    frame = pd.read_parquet(output / "gold" / current["folder"] / "assignments")
    return frame.drop(columns=["publication_id", "model_version"]).sort_values("customer_key").reset_index(drop=True)
