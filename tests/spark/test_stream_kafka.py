"""Lines from a real Kafka broker: nothing lost or doubled, whatever is killed, and the answers of a batch run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from examples.kafka_stream import lines_of
from segengine import runs
from segengine.errors import QualityError
from segengine.state import Night
from tests import servers
from tests.spark.test_incremental import lines, until
from tests.spark.test_stream import NOW, Shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
SCHEMA = "client string, ticket string, `sold at` timestamp_ntz, price double, pieces bigint, aisle string"


@pytest.fixture(scope="module")
def broker(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Kafka]:
    servers.need_jars("kafka")
    with servers.kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


class Till(Shop):
    """A shop whose tills send lines to a topic; the same lines lie in files, for batch runs to read."""

    def __init__(self, folder: Path, spark: SparkSession, broker: servers.Kafka) -> None:
        super().__init__(folder, spark)
        self.broker, self.topic = broker, folder.name.replace("_", "-")

    def sell(self, frame: pd.DataFrame, name: str) -> None:
        self.add(frame, name)
        rows = self.spark.read.parquet(str(self.folder / "lines" / f"{name}.parquet"))
        self.send(rows.selectExpr("client AS key", "to_json(struct(*)) AS value"))

    def send(self, messages) -> None:
        sent = messages.write.format("kafka").option("kafka.bootstrap.servers", self.broker.address)
        sent.option("topic", self.topic).save()

    def follow(self, **options):
        messages = lines_of(self.spark, self.broker.address, self.topic, SCHEMA)
        return super().follow(lines=messages, **options)


@pytest.fixture
def till(spark: SparkSession, broker: servers.Kafka, tmp_path: Path) -> Till:
    till = Till(tmp_path, spark, broker)
    till.sell(until(lines(), "2023-11-01"), "start")
    runs.train(till.config, spark=spark, now=NOW)
    return till


def test_messages_give_what_a_batch_run_says_also_after_a_kill_and_a_broker_that_was_away(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = lines()
    first = till.follow()
    assert (first.batches, first.rows_read) == (1, len(until(frame, "2023-11-01")))
    till.agree()
    till.sell(until(frame, "2023-11-02", "2023-11-01"), "day-1")
    with monkeypatch.context() as dying:
        dying.setattr(Night, "commit", lambda self: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            till.follow()
    till.broker.stop()
    till.broker.start()
    till.sell(until(frame, "2023-11-03", "2023-11-02"), "day-2")
    assert till.follow().rows_read == len(until(frame, "2023-11-03"))
    till.agree()
    assert till.follow().batches == 0


def test_messages_that_are_no_lines_are_counted_and_too_many_of_them_refused(till: Till) -> None:
    till.follow()
    till.send(till.spark.createDataFrame([("C1", "{not json"), ("C1", '{"client": 1}')], "key string, value string"))
    told = till.follow()
    assert told.rows_read == len(until(lines(), "2023-11-01")) + 2
    before = till.live()
    till.send(till.spark.range(5_000).selectExpr("'C1' AS key", "'noise' AS value"))
    with pytest.raises(QualityError, match="rows are rejected"):
        till.follow()
    pd.testing.assert_frame_equal(till.live(), before)


@pytest.mark.faults
def test_the_example_killed_amid_a_batch_loses_and_doubles_nothing(till: Till) -> None:
    command = [sys.executable, "-W", "error::SyntaxWarning", "examples/kafka_stream.py", str(till.config)]
    command += ["--servers", till.broker.address, "--topic", till.topic, "--schema", SCHEMA]
    settings = {**os.environ, "SEGENGINE_MASTER": "local[2]"}
    running = subprocess.Popen([*command, "--every", "1 second"], cwd=ROOT, env=settings, start_new_session=True)
    try:
        state = till.out / "stream" / "state"
        deadline = time.monotonic() + 120
        while not state.exists():  # the first batch is being written
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    till.sell(until(lines(), "2023-11-02", "2023-11-01"), "day-1")
    again = subprocess.run(
        [*command, "--every", "once"], cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "2 batches, " in again.stdout and "as of 2023-11-01T23:00" in again.stdout
    till.agree()
