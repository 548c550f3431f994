"""Have Java write down what a run of segengine teaches it, so that later sessions start with it and are quick sooner.

    python tools/archive_classes.py ARCHIVE JAVA_HOME

Set-up calls it. A name that ends in .aot stands for Java's cache of classes, their links and which methods are hot
(Java 25, JEP 483, 514 and 515), one in .jsa for the archive of classes that older ones write.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from segengine import runs
from segengine.local import HUGE_METHODS, LATER_C2, local_options, worker_options

CUSTOMERS, LINES = 150, 4_000
OPTIONS = {
    # Java keeps links and profiles only where it can keep objects too, which takes this collector when it writes.
    ".aot": "-XX:+UseG1GC -Xlog:aot=off -Xlog:cds=off -XX:AOTCacheOutput=",
    ".jsa": "-Xshare:auto -XX:+UseParallelGC -Xlog:cds=off -Xlog:cds+dynamic=off -XX:ArchiveClassesAtExit=",
}
CONFIG = """\
name: first-run
as_of: 2024-01-01
history: all
timezone: UTC
currency: EUR
tables:
  transactions:
    path: {folder}/lines
    columns: {{customer_id: customer, order_id: order, ordered_at: at, product: product, quantity: n, amount: amount}}
segments: {{k: [2, 3], restarts: 2}}
output:
  path: {folder}/output
"""


def main(archive: Path, java_home: str) -> None:
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "JAVA_HOME": java_home}
    settings: dict[str, Any] = local_options() | worker_options()
    java_options = (HUGE_METHODS, *LATER_C2, OPTIONS[archive.suffix] + str(archive))
    settings["spark.driver.extraJavaOptions"] = " ".join(java_options)
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    work = _whole_run if archive.suffix == ".aot" else _few_queries
    with tempfile.TemporaryDirectory() as folder:
        work(spark, Path(folder))
        spark.stop()


def _whole_run(spark: SparkSession, folder: Path) -> None:
    """All that a run does: Java remembers which methods it was busy with."""
    _write_lines(folder / "lines")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    runs.run(config, spark=spark)


def _few_queries(spark: SparkSession, folder: Path) -> None:
    """Files, aggregates, Python, k-means: nine in ten of the classes that a run loads, in half the time."""
    rows = spark.range(2_000).select("id", F.xxhash64("id").alias("x"), F.col("id").cast("string").alias("name"))
    rows.write.parquet(f"{folder}/rows")
    read = spark.read.parquet(f"{folder}/rows").where("name like '%7'")
    read.groupBy(F.substring("name", 1, 1).alias("first")).agg(F.count("*"), F.sum("id"), F.max("x")).collect()
    read.join(rows.select("id"), "id").repartition(4, "name").mapInArrow(_unchanged, "id bigint").count()
    points = VectorAssembler(inputCols=["id"], outputCol="features").transform(read.select("id"))
    KMeans(k=2, seed=1, solver="block").fit(points).save(f"{folder}/model")


def _unchanged(batches):  # type: ignore[no-untyped-def]  # travels to workers without this module's imports
    for batch in batches:
        yield batch.select(["id"])


def _write_lines(folder: Path) -> None:
    """Order lines of two kinds of customers, in two files."""
    random = np.random.default_rng(1)
    customer = random.integers(0, CUSTOMERS, LINES)
    often = customer % 2 == 0
    day = np.where(often, random.integers(0, 360, LINES), random.integers(0, 40, LINES) * 3)
    lines = pa.table(
        {
            "customer": pa.array(np.char.add("C", customer.astype(str))),
            "order": pa.array(np.char.add(np.char.add(customer.astype(str), "-"), day.astype(str))),
            "at": pa.array(np.datetime64("2023-01-01", "us") + day.astype("timedelta64[D]")),
            "product": pa.array(np.char.add("P", random.integers(0, 50, LINES).astype(str))),
            "n": pa.array(random.integers(1, 5, LINES)),
            "amount": pa.array(np.round(np.where(often, 20.0, 90.0) * random.lognormal(0, 0.3, LINES), 2)),
        }
    )
    folder.mkdir()
    for part in range(2):
        pq.write_table(lines.slice(part * (LINES // 2), LINES // 2), folder / f"part-{part}.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
