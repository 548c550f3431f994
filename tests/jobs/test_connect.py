"""Train, score and publish over Spark Connect, on a server of its own: the same tables as a classic session makes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from segengine.demo.shop import Shop
from tests import shops
from tests.conftest import FIRST_COMPILER, INTERPRETED
from tests.servers import answers, free_port

pytest.importorskip("grpc", reason="the client of Spark Connect is not installed; `make setup` installs it")

pytestmark = pytest.mark.jobs

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 240
TABLES = {
    "segments": ["segment_key"],
    "assignments": ["customer_key"],
    "customers": ["customer_key"],
    "segment_profiles": ["segment_key", "feature"],
    "segment_kpis": ["segment_key"],
}
"""Published table -> its key."""
CHANGING = ["publication_id", "model_version", "run_id"]


def spark_home() -> Path:
    import pyspark

    return Path(pyspark.__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Connect server with Delta on loopback; its address."""
    from segengine.java import provide_java
    from segengine.session import DELTA_CATALOG, DELTA_EXTENSION

    provide_java()
    jars = sorted((Path(sys.prefix) / "share" / "segengine" / "jars").glob("*.jar"))
    if not jars:
        pytest.skip("Delta's JARs are not in this environment; `make setup` brings them")
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.extensions": DELTA_EXTENSION,
        "spark.sql.catalog.spark_catalog": DELTA_CATALOG,
        "spark.databricks.delta.snapshotPartitions": 2,
        "spark.driver.extraJavaOptions": FIRST_COMPILER,
        **INTERPRETED,
    }
    command = [spark_home() / "bin" / "spark-submit", "--master", "local[2]", "--jars", ",".join(map(str, jars))]
    command += [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    variables = {"SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    log = folder / "server.log"
    with log.open("wb") as said:
        running = subprocess.Popen(
            list(map(str, command)), cwd=folder, env=os.environ | variables, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        until = time.monotonic() + START_SECONDS
        while not answers(port):
            assert running.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, f"no answer after {START_SECONDS} s: {log.read_text()[-3000:]}"
            time.sleep(0.5)
        yield f"sc://127.0.0.1:{port}"
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def client(*arguments: str | Path, remote: str, seconds: int = 900) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments; its JAVA_HOME leads nowhere, because a client needs no Java."""
    variables = {"SPARK_REMOTE": remote, "PYTHONPATH": str(REPOSITORY), "JAVA_HOME": "/nowhere"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=os.environ | variables, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip


def published(output: Path, table: str, key: list[str]) -> pd.DataFrame:
    current = json.loads((output / "gold" / "current.json").read_text())
    rows = pd.read_parquet(output / "gold" / current["folder"] / table)
    return rows.drop(columns=[c for c in CHANGING if c in rows]).sort_values(key).reset_index(drop=True)


def assert_same_tables(one: Path, other: Path) -> None:
    for table, key in TABLES.items():
        pd.testing.assert_frame_equal(
            published(one, table, key), published(other, table, key), rtol=1e-12, atol=1e-12, obj=table
        )


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop and `out`, trained and published by a classic session."""
    folder = tmp_path_factory.mktemp("shop")
    config = Shop(customers=200, seed=3, returns=0.03, dirt=0.02, opted_out=0.03).write(folder)
    config.write_text(config.read_text().replace("k: [3, 10]", "k: [4, 6], restarts: 3"))
    variables = {"SEGENGINE_MASTER": "local[2]", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "segengine.cli", "run", str(config), "--quiet"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def remote(server: str, classic: Path) -> Path:
    """The same shop in a folder of its own, trained and published over Connect."""
    folder = classic.parent / "shop-remote"
    shutil.copytree(classic, folder, ignore=shutil.ignore_patterns("out"))
    done = client("-m", "segengine.cli", "run", folder / "shop.yaml", "--quiet", remote=server)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_same_segments_and_tables_over_connect_as_in_a_classic_session(classic, remote):
    assert_same_tables(classic / "out", remote / "out")
    one, other = (json.loads((f / "out" / "models" / "v0001" / "model.json").read_text()) for f in (classic, remote))
    assert one["centres"] == other["centres"]
    assert one["names"] == other["names"]


def test_a_classic_model_scores_over_connect(server, classic, tmp_path):
    shutil.copytree(classic, tmp_path / "shop")
    done = client("-m", "segengine.cli", "score", tmp_path / "shop" / "shop.yaml", "--quiet", remote=server)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_tables(classic / "out", tmp_path / "shop" / "out")


def test_a_model_trained_over_connect_is_saved_as_a_classic_one(spark, classic, remote, tmp_path):
    from segengine import runs

    shutil.copytree(remote, tmp_path / "shop")
    runs.score(tmp_path / "shop" / "shop.yaml", spark=spark)
    assert_same_tables(classic / "out", tmp_path / "shop" / "out")
    pipeline = remote / "out" / "models" / "v0001" / "pipeline" / "metadata"
    (metadata,) = pipeline.glob("part-*")
    assert json.loads(metadata.read_text())["class"] == "org.apache.spark.ml.PipelineModel"


def test_segments_by_country_over_connect_are_those_of_a_classic_session(spark, server, classic, tmp_path):
    from segengine import runs

    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        shutil.copytree(classic, folder, ignore=shutil.ignore_patterns("out"))
        config = folder / "shop.yaml"
        text = config.read_text().replace("k: [4, 6]", "k: [2, 3], by: country, by_min_customers: 25")
        config.write_text(text)
    groups = runs.run(folders[0] / "shop.yaml", spark=spark).groups
    done = client("-m", "segengine.cli", "run", folders[1] / "shop.yaml", "--quiet", remote=server)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(groups) >= 3
    assert_same_tables(*(folder / "out" for folder in folders))


HANDED_IN = """
import sys
from pyspark.sql import SparkSession
import segengine

spark = SparkSession.builder.getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
summary = segengine.run(sys.argv[1], spark=spark)
assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
assert [table.name for table in spark.catalog.listTables() if table.isTemporary] == []
print(type(spark).__module__, spark.range(3).count())
"""


def test_a_connect_session_that_is_handed_in_publishes_delta_and_lives_on(server, classic, tmp_path):
    from deltalake import DeltaTable

    shutil.copytree(classic, tmp_path / "shop", ignore=shutil.ignore_patterns("out"))
    config = tmp_path / "shop" / "shop.yaml"
    config.write_text(config.read_text().replace("output: {path: out}", "output: {path: out, format: delta}"))
    done = client("-c", HANDED_IN, config, remote=server)
    assert (done.returncode, done.stdout.split()) == (0, ["pyspark.sql.connect.session", "3"]), done.stderr
    delta = DeltaTable(str(config.parent / "out" / "gold" / "assignments")).to_pyarrow_table().to_pandas()
    delta = delta.sort_values("customer_key").reset_index(drop=True)
    expected = published(classic / "out", "assignments", ["customer_key"])
    columns = ["customer_key", "segment_key", "lane", "distance", "margin", "revenue"]
    pd.testing.assert_frame_equal(delta[columns], expected[columns], rtol=1e-12, atol=1e-12, check_dtype=False)
    assert delta["lane"].notna().any()


def test_an_output_that_only_hadoop_reaches_is_refused_before_any_work(server, tmp_path):
    shops.write_parquet(shops.lines(customers=10), tmp_path / "lines")
    config = shops.write_config(tmp_path, output="s3a://bucket/out")
    done = client("-m", "segengine.cli", "run", config, remote=server)
    assert done.returncode == 2
    assert "output.path: s3a://bucket/out" in done.stderr
    assert "spark-submit" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines", "shop.yaml"]


def test_a_server_that_is_not_there_is_one_message_without_the_token(tmp_path):
    shops.write_parquet(shops.lines(customers=10), tmp_path / "lines")
    config = shops.write_config(tmp_path)
    address = f"sc://127.0.0.1:{free_port()}"
    done = client("-m", "segengine.cli", "run", config, "--remote", f"{address}/;token=hush", remote="", seconds=60)
    assert done.returncode == 8
    assert "does not answer" in done.stderr
    assert address in done.stderr
    assert "hush" not in done.stderr
