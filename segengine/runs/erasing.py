"""Erase a customer from everything that an output holds, and keep runs to come from bringing the customer back."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segengine import privacy
from segengine.campaigns.manifest import is_own
from segengine.config import Config
from segengine.contract.values import canonical_text
from segengine.errors import PublicationError
from segengine.io.files import Store
from segengine.io.snapshot import WORK
from segengine.job import Job, open_job
from segengine.mlops.recording import record
from segengine.publish.erase import Erased, Person, erase_parquet, parquet_folders
from segengine.publish.erase_delta import end_history, erase_delta, repin
from segengine.publish.keys import customer_key
from segengine.publish.lock import publication_lock
from segengine.publish.publication import current
from segengine.runs.erasing_campaigns import erase_campaigns, list_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.steps import Listener

__all__ = ["Forgotten", "forget"]

STATES = ("state", "stream/assignments.json", "stream/state", "stream/checkpoint-lines", WORK)
"""What is made anew by the next run. Without its state a stream has to see its first rows again, and what says that it
had seen them goes first; snapshots are of runs that are not to publish any more what they have read."""
NEVER_TOUCHED = ("audit/", "privacy/", "models/", "gold/_lock")
TEXTS = tuple(".csv .css .html .json .js .log .md .prom .svg .tmdl .tsv .txt .yaml .yml".split())
LARGEST_TEXT_BYTES = 256 * 2**20
ERASED_TEXT = "(erased)"


@dataclass(frozen=True)
class Forgotten:
    """What was erased. `record`: the number of the audit record that proves it, and holds no id.

    `elsewhere`: exported lists that hold the customer and could not be written anew, as they were moved or changed.
    """

    rows: int
    files_rewritten: int
    files_removed: int
    record: int
    elsewhere: tuple[str, ...] = ()


def forget(
    config: Config | str | Path,
    customer_id: str,
    *,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Forgotten:
    """Erase a customer, by the id in the source: every table and version, quarantine, reports, state and streams.

    Sums and counts that the customer was part of stay as they were published. What incremental runs and streams keep is
    deleted as a whole and made anew by the next run; stop streams before. Run it again after a crash; doing it twice
    does no harm.
    Raises ConfigError when there is no salt, PublicationError when something of the customer is left.
    """
    with open_job("forget", config, steps=3, spark=spark, as_of=None, now=now, listener=listener) as job:
        key = privacy.key_of(job.config)
        canonical = canonical_text(customer_id)
        published = privacy.pseudonym(key, canonical) if job.config.privacy.pseudonymise else canonical
        with publication_lock(job.store, run_id=job.run_id):
            token = privacy.forget(job.store, key, canonical)
            with job.steps.step("Looking for the customer"):
                person = Person(published, _keys(job, published))
            with job.steps.step("Erasing") as step:
                erased = _erase(job, person)
                done, elsewhere = erase_campaigns(job.store, job.spark, person, canonical)
                erased.add(done)
                erased.add(_erase_texts(job.store, {canonical, published}))
                step.rows_in = erased.rows
            moment, removed = dt.datetime.now(dt.UTC), sorted(set(erased.removed))
            wrote = [path for path in dict.fromkeys(erased.rewritten) if job.store.exists(path)]
            facts: dict[str, object] = {"run_id": job.run_id, "subject": token[:16], "rows": erased.rows}
            facts |= {"files": len(wrote + removed), "removed": removed, "made_anew": sorted(erased.made_anew)}
            facts["elsewhere"] = elsewhere
            number = record(job.store, job.config, "erasure", facts, now=moment, wrote=wrote, spark=job.spark)
        return Forgotten(erased.rows, len(wrote), len(removed), number, tuple(elsewhere))


def _keys(job: Job, published: str) -> frozenset[int]:
    """Keys that the id has, or had: the plain hash, and what collisions made of it in any publication.

    The id becomes a row of a local table, which no plan prints; and its key is looked up where the id stands beside it.
    """
    local = job.spark.createDataFrame([(published,)], "customer_id string")
    keys = {int(row[0]) for row in local.select(customer_key(local["customer_id"], 0)).collect()}
    for folder, files in parquet_folders(job.store, "gold/publications").items():
        if folder.endswith("/customers"):
            rows = job.spark.read.parquet(*(job.store.uri(entry.path) for entry in files))
            found = rows.join(local, on="customer_id", how="left_semi").select("customer_key").collect()
            keys |= {int(row[0]) for row in found}
    if job.store.exists("gold/customers/_delta_log"):
        rows = job.spark.read.format("delta").load(job.store.uri("gold/customers"))
        found = rows.join(local, on="customer_id", how="left_semi").select("customer_key").collect()
        keys |= {int(row[0]) for row in found}
    return frozenset(keys)


def _erase(job: Job, person: Person) -> Erased:
    store, spark, erased = job.store, job.spark, Erased()
    column = _id_column(job.config)
    for below in ("gold/publications", "quarantine", "stream/quarantine"):
        for folder, files in parquet_folders(store, below).items():
            row = column if "quarantine" in below else None
            erased.add(erase_parquet(store, spark, folder, files, person, row=row))
    for folder in STATES:
        if store.exists(folder):
            store.delete(folder)
            erased.made_anew.append(folder)
    versions: dict[str, int] = {}
    pinned = current(job.config.output, spark) if job.config.output.format == "delta" else None
    for folder in _delta_folders(store):
        done, version = erase_delta(store, spark, folder, person)
        erased.add(done)
        if version is not None:
            versions[folder] = version
    if pinned is not None:
        repin(store, spark, {f.removeprefix("gold/"): v for f, v in versions.items() if f.startswith("gold/")})
    for folder, version in versions.items():
        erased.removed += end_history(store, spark, folder, version)
        erased.rewritten += [entry.path for entry in store.walk(folder) if "/_delta_log/" not in entry.path]
    return erased


def _delta_folders(store: Store) -> list[str]:
    folders = [entry.path for below in ("gold", "stream") for entry in store.list(below) if entry.is_folder]
    return [folder for folder in folders if store.exists(f"{folder}/_delta_log")]


def _id_column(config: Config) -> str:
    """Their name of the customer id, as rows in quarantine have it."""
    tables = (config.tables.transactions, config.tables.customers)
    return next(str(table.columns["customer_id"]).strip("`") for table in tables if table is not None)


def _erase_texts(store: Store, ids: set[str]) -> Erased:
    """Replace the id where it stands as a word in a text that was drawn or exported; lines of CSV go as a whole.

    What may not be changed (audit, models) must not have it: PublicationError when it does.
    """
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(one)}(?![\w.-])" for one in sorted(ids)))
    erased, left, lists = Erased(), [], list_files(store)
    for entry in store.walk():
        if is_own(entry.path) or entry.path in lists:  # no ids in the former, and none any more in the latter
            continue
        if not entry.name.endswith(TEXTS) or "/_delta_log/" in entry.path or entry.size_bytes > LARGEST_TEXT_BYTES:
            continue
        text = store.read_bytes(entry.path).decode("utf-8", errors="surrogateescape")
        if not pattern.search(text):
            continue
        if entry.path.startswith(NEVER_TOUCHED):
            left.append(entry.path)
            continue
        store.write_atomic(entry.path, _cleaned(text, entry.name, pattern).encode("utf-8", errors="surrogateescape"))
        erased.rewritten.append(entry.path)
    if left:
        raise PublicationError(
            "Something that looks like the id is in files that are never changed.",
            where=", ".join(left[:5]),
            todo="Look at them: when it is the customer, delete these files by hand and run forget again.",
        )
    return erased


def _cleaned(text: str, name: str, pattern: re.Pattern[str]) -> str:
    if name.endswith((".csv", ".tsv")):
        return "".join(line for line in text.splitlines(keepends=True) if not pattern.search(line))
    return pattern.sub(ERASED_TEXT, text)
