"""Customers are scored as their lines arrive; at the end of the day the live table says what a batch run says."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pyspark.sql import functions as F

from segengine import runs
from segengine.errors import ConfigError, InputError, ModelError, QualityError
from segengine.state import Night, manifest
from segengine.stream import arrivals, live, stream, stream_rows
from tests import shops
from tests.spark.test_incremental import lines, until
from tests.spark.test_privacy import SALT, places

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOW = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)


class Shop:
    """A folder that lines arrive in, with a stream over it and batch runs beside it."""

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        self.folder, self.out, self.spark = folder, folder / "out", spark
        (folder / "lines").mkdir()
        self.config = shops.write_config(folder, as_of="latest", output_format="delta", timezone="Europe/Berlin")
        self.config.write_text(self.config.read_text() + "quality: {max_rejected_share: 0.2}\n")

    def add(self, frame: pd.DataFrame, name: str) -> None:
        frame.to_parquet(self.folder / "lines" / f"{name}.parquet", index=False, coerce_timestamps="us")

    def follow(self, **options: Any) -> arrivals.StreamSummary:
        return stream(self.config, spark=self.spark, every=None, now=NOW, **options)

    def live(self) -> pd.DataFrame:
        table = self.spark.read.format("delta").load(str(self.folder / "out" / "stream" / "assignments"))
        return table.toPandas().drop(columns="batch").sort_values("customer_id").reset_index(drop=True)

    def batch(self) -> pd.DataFrame:
        """What `segengine score` publishes for the same lines."""
        runs.score(self.config, spark=self.spark, now=NOW)
        tables = {
            name: self.spark.read.format("delta").load(str(self.folder / "out" / "gold" / name)).toPandas()
            for name in ("assignments", "customers")
        }
        both = tables["assignments"].merge(tables["customers"][["customer_key", "customer_id"]])
        dropped = both.drop(columns=["customer_key", "publication_id"])
        return dropped.sort_values("customer_id").reset_index(drop=True)

    def agree(self) -> None:
        mine, theirs = self.live(), self.batch()
        assert len(mine) == mine["customer_id"].nunique()
        pd.testing.assert_frame_equal(mine[sorted(mine.columns)], theirs[sorted(mine.columns)])


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    shop, frame = Shop(tmp_path, spark), lines()
    shop.add(until(frame, "2023-11-01"), "start")
    runs.train(shop.config, spark=spark, now=NOW)
    return shop


def test_the_live_table_is_what_a_batch_run_says_at_the_end_of_the_day(shop: Shop) -> None:
    frame = lines()
    assert shop.follow().batches == 1
    shop.agree()
    day = until(frame, "2023-11-02", "2023-11-01").sort_values("sold at")
    half = len(day) // 2
    shop.add(day.iloc[:half], "morning")
    first = shop.follow()
    shop.add(pd.concat([day.iloc[half:], until(frame, "2023-09-01").sample(20, random_state=1)]), "evening")
    second = shop.follow()
    assert (first.batches, second.batches) == (1, 1)
    assert first.customers_scored > second.customers_scored  # a new day is everybody's, the evening is of some
    shop.agree()
    assert shop.follow().batches == 0


def test_a_stream_killed_between_table_and_state_loses_and_doubles_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = lines()
    shop.follow()
    shop.add(until(frame, "2023-11-02", "2023-11-01"), "day")
    with monkeypatch.context() as dying:
        dying.setattr(Night, "commit", lambda self: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            shop.follow()
    assert shop.follow().batches == 1
    shop.agree()
    with monkeypatch.context() as dying:
        dying.setattr(live, "stands", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        shop.add(until(frame, "2023-11-03", "2023-11-02"), "next-day")
        with pytest.raises(RuntimeError, match="killed"):
            shop.follow()
    shop.follow()
    shop.agree()


def test_a_bad_batch_stops_the_stream_with_its_own_error_and_changes_nothing(shop: Shop) -> None:
    shop.follow()
    before = shop.live()
    bad = until(lines(), "2023-11-01").assign(price=None)
    bad["price"] = bad["price"].astype(float)
    shop.add(bad, "bad")
    with pytest.raises(QualityError, match="rows are rejected"):
        shop.follow()
    pd.testing.assert_frame_equal(shop.live(), before)


def rows_of_files(shop: Shop) -> DataFrame:
    """The shop's lines as somebody else's stream: a rate source drives it, files give the schema."""
    schema = shop.spark.read.parquet(str(shop.folder / "lines")).schema
    return shop.spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(shop.folder / "lines"))


def test_a_stream_of_rows_handed_in_counts_each_batch_once(shop: Shop) -> None:
    frame = lines()
    shop.add(until(frame, "2023-11-02", "2023-11-01"), "day-1")
    shop.add(until(frame, "2023-11-03", "2023-11-02"), "day-2")
    assert shop.follow(lines=rows_of_files(shop)).batches == 3
    shop.agree()
    assert shop.follow(lines=rows_of_files(shop)).batches == 0
    shutil.rmtree(shop.out / "stream" / "checkpoint-lines")
    before = shop.live()
    with pytest.raises(InputError, match="counts its batches from the beginning"):
        shop.follow(lines=rows_of_files(shop))
    pd.testing.assert_frame_equal(shop.live(), before)


def test_a_stream_of_rows_starts_from_its_first_ones_when_a_customer_was_forgotten(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SALT", SALT)
    shop.config.write_text(shop.config.read_text() + "privacy: {salt_env: SHOP_SALT}\n")
    shop.follow(lines=rows_of_files(shop))
    gone = str(shop.live()["customer_id"].iloc[7])
    runs.forget(shop.config, gone, spark=shop.spark, now=NOW)
    assert places(shop.out / "stream", gone) == []
    assert shop.follow(lines=rows_of_files(shop)).batches == 1
    assert gone not in set(shop.live()["customer_id"])
    shop.agree()


def test_a_stream_of_rows_starts_again_when_its_first_batch_died_and_never_without_what_was_counted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(manifest, "save", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            shop.follow(lines=rows_of_files(shop))
    assert (shop.out / "stream" / manifest.FOLDER).exists()
    assert shop.follow(lines=rows_of_files(shop)).batches == 1
    shop.agree()
    shop.add(until(lines(), "2023-11-02", "2023-11-01"), "day-1")
    shutil.rmtree(shop.out / "stream" / manifest.FOLDER)
    before = shop.live()
    with pytest.raises(InputError, match="earlier rows of the stream cannot be used"):
        shop.follow(lines=rows_of_files(shop))
    pd.testing.assert_frame_equal(shop.live(), before)


def test_a_rate_source_is_scored_while_it_runs(spark: SparkSession, tmp_path: Path) -> None:
    shop, frame = Shop(tmp_path, spark), lines()
    shop.add(until(frame, "2023-11-01"), "start")
    runs.train(shop.config, spark=spark, now=NOW)
    ticks = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 50).option("numPartitions", 1).load()
    number = F.col("value")
    sales = ticks.where(number < 150).select(
        F.concat(F.lit("R"), (number % 20).cast("string")).alias("client"),
        F.concat(F.lit("T"), (number % 60).cast("string")).alias("ticket"),
        F.timestamp_seconds(F.lit(1_698_800_000) + number * 60).alias("sold at"),
        (number % 7 + 1).cast("double").alias("price"),
        F.lit(1).cast("bigint").alias("pieces"),
        F.lit("bread").alias("aisle"),
    )

    class Enough(Exception):
        """All 150 lines are in."""

    taken = arrivals._Arrivals._take_in

    def until_all(self: Any, rows: DataFrame, number: int) -> None:
        taken(self, rows, number)
        if self.summary.rows_read == 150:
            raise Enough

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrivals._Arrivals, "_take_in", until_all)
        with pytest.raises(Enough):
            stream(shop.config, lines=sales, every="0 seconds", spark=spark, now=NOW)
    found = shop.live().set_index("customer_id")
    assert len(found) == 20
    expected = pd.DataFrame({"value": range(150)}).assign(
        client=lambda rows: "R" + (rows["value"] % 20).astype(str), price=lambda rows: rows["value"] % 7 + 1
    )
    paid = expected.groupby("client")["price"].sum()
    assert found["revenue"].astype(float).sort_index().tolist() == paid.astype(float).sort_index().tolist()


def test_ready_rows_are_scored_once_as_batch_scoring_does_and_the_forgotten_stay_away_from_streams(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.follow()
    published_rows = shop.batch()
    ready = published_rows[published_rows["lane"].isna()].drop(columns=["segment_key", "distance", "margin"])
    features = ready.drop(columns=["lane", "assigned_by", "runner_up_key", "is_outlier", "model_version", "as_of"])
    features = features.drop(columns=["revenue", "orders"])
    (shop.folder / "ready").mkdir()
    for number, part in enumerate((features.iloc[:50], features.iloc[50:])):
        part.to_parquet(shop.folder / "ready" / f"{number}.parquet", index=False)
        for _ in range(2):
            where = stream_rows(shop.config, shop.folder / "ready", spark=shop.spark, now=NOW)
    scored = shop.spark.read.format("delta").load(where).toPandas()
    assert len(scored) == len(features)
    both = scored.merge(published_rows, on="customer_id", suffixes=("", "_batch"))
    for name in ("segment_key", "distance", "margin", "runner_up_key", "is_outlier"):
        assert both[name].tolist() == both[f"{name}_batch"].tolist()

    monkeypatch.setenv("SHOP_SALT", SALT)
    shop.config.write_text(shop.config.read_text() + "privacy: {salt_env: SHOP_SALT}\n")
    gone, stays, streams = (
        str(features["customer_id"].iloc[7]),
        str(features["customer_id"].iloc[8]),
        shop.out / "stream",
    )
    before = {part: places(streams / part, gone) for part in ("assignments", "scores")}
    assert all(before.values()), before
    runs.forget(shop.config, gone, spark=shop.spark, now=NOW)
    assert places(shop.out, gone) == []
    assert places(streams, stays)
    features[features["customer_id"].isin([gone, stays])].to_parquet(
        shop.folder / "ready" / "again.parquet", index=False
    )
    stream_rows(shop.config, shop.folder / "ready", spark=shop.spark, now=NOW)
    scored = shop.spark.read.format("delta").load(where).toPandas()
    assert len(scored) == len(features) - 1 + 1
    assert gone not in set(scored["customer_id"])
    shop.add(until(lines(), "2023-11-02", "2023-11-01"), "day")
    assert shop.follow().batches == 1
    mine, others = shop.live(), set(published_rows["customer_id"]) - {gone}
    assert others <= set(mine["customer_id"])  # every file was read again
    assert gone not in set(mine["customer_id"])
    assert places(shop.out, gone) == []
    assert not runs.verify(shop.config, spark=shop.spark).tampered


def test_what_cannot_be_streamed_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    file = shops.write_config(tmp_path, as_of="2024-01-01")
    with pytest.raises(ConfigError, match="cannot be streamed") as refused:
        stream(file, spark=spark, every=None)
    assert "as_of is not latest" in refused.value.found and "output.format is not delta" in refused.value.found
    (tmp_path / "x").mkdir()
    shop = Shop(tmp_path / "x", spark)
    shop.add(until(lines(), "2023-11-01"), "start")
    with pytest.raises(ModelError, match="no model"):
        shop.follow()
