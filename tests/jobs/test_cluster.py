"""The job under spark-submit: in local mode, and on a standalone cluster of one master and two workers on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import shops

REPOSITORY = Path(__file__).parents[2]


def spark_home() -> Path:
    pyspark = pytest.importorskip("pyspark")
    return Path(pyspark.__file__).parent


def environment(**more: str) -> dict[str, str]:
    from segengine.session import _provide_java

    _provide_java()
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SEGENGINE_MASTER", "PYSPARK_GATEWAY_PORT")}
    return clean | {
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **more,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def submit(master: str, job: str, *arguments: str | Path, zipped: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [
        spark_home() / "bin" / "spark-submit", "--master", master, "--deploy-mode", "client",
        "--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1",
        "--conf", "spark.driver.bindAddress=127.0.0.1", "--conf", "spark.sql.shuffle.partitions=4",
        "--py-files", zipped, REPOSITORY / "jobs" / f"{job}.py", *arguments,
    ]  # fmt: skip
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=400, check=False
    )


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a zip for --py-files; the driver must find segengine nowhere else."""
    folder = tmp_path_factory.mktemp("zip")
    shutil.copytree(
        REPOSITORY / "segengine", folder / "tree" / "segengine", ignore=shutil.ignore_patterns("__pycache__")
    )
    return Path(shutil.make_archive(str(folder / "segengine"), "zip", folder / "tree"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A standalone master with two workers of one core, all on 127.0.0.1; yields spark://host:port."""
    folder = tmp_path_factory.mktemp("cluster")
    port, web = free_port(), free_port()
    launcher = str(spark_home() / "bin" / "spark-class")
    running: list[subprocess.Popen[bytes]] = []

    def launch(name: str, *arguments: str, **env: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            started = subprocess.Popen(
                [launcher, *arguments],
                env=environment(**env),
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        running.append(started)

    master = f"spark://127.0.0.1:{port}"
    launch(
        "master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port),
        "--webui-port", str(web),
    )  # fmt: skip
    for number in (1, 2):
        launch(
            f"worker{number}", "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1",
            "--webui-port", str(free_port()), "-c", "1", "-m", "1g", master,
            SPARK_WORKER_DIR=str(folder / f"work{number}"),
        )  # fmt: skip
    try:
        wait_for_workers(web, 2)
        yield master
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            process.wait(30)


def wait_for_workers(web_port: int, wanted: int, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as answer:
                if json.load(answer).get("aliveworkers") == wanted:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{wanted} workers did not register within {seconds} s")


def assignments(output: Path) -> pd.DataFrame:
    current = json.loads((output / "gold" / "current.json").read_text())
    frame = pd.read_parquet(output / "gold" / current["folder"] / "assignments")
    return frame.drop(columns=["publication_id", "model_version"]).sort_values("customer_key").reset_index(drop=True)


@pytest.mark.jobs
def test_the_cluster_and_local_mode_publish_the_same_assignments(tmp_path: Path, cluster: str, zipped: Path) -> None:
    shops.write_parquet(shops.lines(customers=150), tmp_path / "lines", files=3)
    found = {}
    for name, master in (("local", "local[2]"), ("cluster", cluster)):
        config = shops.write_config(tmp_path, output=name)
        done = submit(master, "run", config, "--json", zipped=zipped, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        assert re.search(r'"publication_id": "\S+"', done.stdout)
        found[name] = assignments(tmp_path / name)
    pd.testing.assert_frame_equal(found["local"], found["cluster"], rtol=1e-9)


@pytest.mark.jobs
def test_exit_codes_reach_the_shell_through_spark_submit(tmp_path: Path, zipped: Path) -> None:
    config = shops.write_config(tmp_path, path="not-there")
    assert submit("local[2]", "check", config, zipped=zipped, cwd=tmp_path).returncode == 3
