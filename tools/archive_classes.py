"""Have Java write down the classes that a run of Spark loads, ready to be mapped into memory by later starts.

    python tools/archive_classes.py ARCHIVE JAVA_HOME

Set-up calls it. What it runs is only there to load classes: a session, files, aggregates, k-means.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

OPTIONS = "-Xshare:auto -XX:+UseParallelGC -Xlog:cds=off -Xlog:cds+dynamic=off -XX:ArchiveClassesAtExit="


def main(archive: Path, java_home: str) -> None:
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "JAVA_HOME": java_home}
    builder = SparkSession.builder.master("local[2]").config("spark.driver.extraJavaOptions", OPTIONS + str(archive))
    with tempfile.TemporaryDirectory() as folder:
        spark = builder.config("spark.ui.enabled", "false").getOrCreate()
        rows = spark.range(2_000).select("id", F.xxhash64("id").alias("x"), F.col("id").cast("string").alias("name"))
        rows.write.parquet(f"{folder}/rows")
        read = spark.read.parquet(f"{folder}/rows").where("name like '%7'")
        read.groupBy(F.substring("name", 1, 1).alias("first")).agg(F.count("*"), F.sum("id"), F.max("x")).collect()
        read.join(rows.select("id"), "id").repartition(4, "name").mapInArrow(_unchanged, "id bigint").count()
        points = VectorAssembler(inputCols=["id"], outputCol="features").transform(read.select("id"))
        KMeans(k=2, seed=1, solver="block").fit(points).save(f"{folder}/model")
        spark.stop()


def _unchanged(batches):  # type: ignore[no-untyped-def]  # travels to workers without this module's imports
    for batch in batches:
        yield batch.select(["id"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
