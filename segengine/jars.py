"""Which JARs beside Spark's own a configuration needs, and where set-up has put them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from segengine.config import Config

__all__ = ["EXTRAS", "SETTINGS", "extras_for", "how_to_get", "installed"]

EXTRAS = {
    "postgresql": "org.postgresql:postgresql:42.7.14",
    "s3": "org.apache.hadoop:hadoop-aws, of the Hadoop version that Spark brings",
    "azure": "org.apache.hadoop:hadoop-azure, of the Hadoop version that Spark brings",
    "kafka": "org.apache.spark:spark-sql-kafka-0-10_2.13, of the version of Spark",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime, of the line of Spark",
}
"""Extra of `tools/setup.py --with` -> the coordinates that do the same elsewhere."""
SETTINGS = {
    "azure": {
        f"spark.hadoop.mapreduce.outputcommitter.factory.scheme.{scheme}": (
            "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterFactory"
        )
        for scheme in ("abfs", "abfss")
    }
}
"""What a session needs beside an extra's JARs. Hadoop's own committer for abfs fails in Spark's writer of text (as a
model's metadata is) with a null job id, unless Spark's cloud committers are installed and set."""
_SCHEMES = {"s3": "s3", "s3a": "s3", "abfs": "azure", "abfss": "azure"}


def extras_for(config: Config | None) -> tuple[str, ...]:
    """The extras that places, databases and catalogs of a configuration need."""
    return tuple(dict.fromkeys(_needed(config))) if config is not None else ()


def _needed(config: Config) -> Iterator[str]:
    tables = [table for table in (config.tables.transactions, config.tables.customers) if table is not None]
    for path in (config.output.path, *(table.path for table in tables if table.path)):
        if (scheme := path.split(":", 1)[0].lower()) in _SCHEMES:
            yield _SCHEMES[scheme]
    if any(table.jdbc is not None and table.jdbc.url.startswith("jdbc:postgresql:") for table in tables):
        yield "postgresql"
    for name, value in config.spark.items():
        if value.startswith("org.apache.iceberg."):
            yield "iceberg"
        elif name.startswith("spark.sql.catalog.") and (scheme := value.split(":", 1)[0].lower()) in _SCHEMES:
            yield _SCHEMES[scheme]


def installed(extras: Iterable[str]) -> list[Path]:
    """The JARs of these extras that set-up has placed beside Python; none where it has not."""
    folder = Path(sys.prefix) / "share" / "segengine" / "jars"
    return [jar for extra in extras for jar in sorted((folder / extra).glob("*.jar"))]


def how_to_get(address: str) -> str:
    """What to do when the JARs for a database or a store are missing."""
    scheme = re.split(r":", address.removeprefix("jdbc:"), maxsplit=1)[0].lower()
    extra = _SCHEMES.get(scheme, scheme)
    if extra not in EXTRAS:
        return "Name the package of its driver or store in spark.jars.packages (spark-submit --packages)."
    return (
        f"In a checkout: tools/setup.py --with {extra}. Elsewhere name the package {EXTRAS[extra]}, in "
        "spark.jars.packages (spark-submit --packages)."
    )
