"""Score customers as messages with their lines arrive in a Kafka topic, until it is stopped.

spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0,io.delta:delta-spark_4.2_2.13:4.4.0 \
    examples/kafka_stream.py my-shop.yaml --servers broker:9092 --topic sales \
    --schema "client string, ticket string, sold_at timestamp, price double"
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

import segengine
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def lines_of(spark: SparkSession, servers: str, topic: str, schema: str) -> DataFrame:
    """The topic's messages, a line each as a JSON object, from the oldest that Kafka still has.

    A message that is no such object becomes a row of nothing, which the checks reject and count.
    """
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    return messages.select(F.from_json(F.col("value").cast("string"), schema).alias("line")).select("line.*")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="as for `segengine stream`")
    parser.add_argument("--servers", required=True, help="host:port of a broker, or several")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--schema", required=True, help="the message's fields and types, as in CREATE TABLE")
    parser.add_argument("--every", default="1 minute", help="how often to look; 'once' takes what is there and ends")
    chosen = parser.parse_args()
    config = segengine.load(chosen.config)
    with open_session(config, extras=["kafka"]) as spark:
        lines = lines_of(spark, chosen.servers, chosen.topic, chosen.schema)
        every = None if chosen.every == "once" else chosen.every
        told = segengine.stream(config, lines=lines, every=every, spark=spark)
        print(f"{told.batches} batches, {told.customers_scored:,} customers scored as of {told.as_of}: {told.table}")


if __name__ == "__main__":
    main()
