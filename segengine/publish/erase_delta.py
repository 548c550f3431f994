"""Take one customer out of a Delta table and out of all its history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from segengine.io.files import Store
from segengine.publish import delta_log
from segengine.publish.delta import last_recorded, read_version
from segengine.publish.erase import Erased, Person, counted, matching, without
from segengine.publish.record import GOLD, Publication
from segengine.session import with_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["end_history", "erase_delta", "repin"]

VACUUM = {
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
}
"""Files of the last days may go: that is what erasing means. A table of ours is one folder; Delta would list it with
10,000 tasks."""
INTERVAL = "delta.checkpointInterval"
USUAL_INTERVAL = "10"


def erase_delta(store: Store, spark: SparkSession, folder: str, person: Person) -> tuple[Erased, int | None]:
    """Write the table anew without the person; its new version, None when no column of it could hold anybody.

    The commit is the same publication's as before. `end_history` makes it the oldest one that there is.
    """
    rows = spark.read.format("delta").load(store.uri(folder))
    hit = matching(rows.columns, person, None)
    if hit is None:
        return Erased(), None
    before = delta_log.latest_version(store, folder)
    told = delta_log.last_told(store, folder, before)
    erased = Erased(rows=counted(rows, hit))
    _set_interval(spark, store, folder, "1")  # the commit below gets a checkpoint, and needs no commit before it
    writing = without(rows, hit).write.format("delta").mode("overwrite")
    (writing.option("userMetadata", json.dumps(told)) if told else writing).save(store.uri(folder))
    return erased, delta_log.latest_version(store, folder)


def end_history(store: Store, spark: SparkSession, folder: str, version: int) -> list[str]:
    """Delete every commit before a version, and every data file that it does not have; the paths that went.

    The log goes as well: its statistics name the smallest and the largest id of every file that ever was.
    """
    log, gone = f"{folder}/_delta_log", []
    for entry in store.list(log):
        number = entry.name.split(".")[0]
        if number.isdigit() and int(number) < version:
            store.delete(entry.path)
            gone.append(entry.path)
    there = {entry.path for entry in store.walk(folder) if "/_delta_log/" not in entry.path}
    with with_settings(spark, VACUUM):
        spark.sql(f"VACUUM delta.`{store.uri(folder)}` RETAIN 0 HOURS")
    _set_interval(spark, store, folder, USUAL_INTERVAL)
    return gone + sorted(there - {entry.path for entry in store.walk(folder)})


def repin(store: Store, spark: SparkSession, versions: Mapping[str, int]) -> Publication | None:
    """Record the new versions of tables as those of the current publication, before the old ones go."""
    recorded = last_recorded(store)
    if recorded is None:
        return None
    publication = replace(recorded, table_versions={**recorded.table_versions, **versions})
    folder = f"{GOLD}/publications"
    before = delta_log.latest_version(store, folder)
    told = {**delta_log.last_told(store, folder, before), **publication.as_json()}
    rows = read_version(spark, store, "publications", None).toPandas()
    own = rows["publication_id"] == publication.publication_id
    rows.loc[own, "table_versions"] = json.dumps(dict(publication.table_versions))
    frame = spark.createDataFrame(rows, read_version(spark, store, "publications", None).schema)
    writing = frame.coalesce(1).write.format("delta").mode("overwrite").option("userMetadata", json.dumps(told))
    writing.save(store.uri(folder))
    return publication


def _set_interval(spark: SparkSession, store: Store, folder: str, commits: str) -> None:
    spark.sql(f"ALTER TABLE delta.`{store.uri(folder)}` SET TBLPROPERTIES ('{INTERVAL}' = '{commits}')")
