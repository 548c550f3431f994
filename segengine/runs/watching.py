"""Monitoring as a recipe of its own, and as a step of every run that publishes."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.config import Config, with_as_of
from segengine.errors import BundleError, PublicationError, SegengineError
from segengine.job import Job, open_job
from segengine.model import bundle
from segengine.monitoring.count import count_recent
from segengine.monitoring.judge import Reading
from segengine.monitoring.profile import learn
from segengine.monitoring.watch import REFERENCE, Recent, Watched, reference, watch
from segengine.publish.publication import current, read_current
from segengine.publish.shape import published_names
from segengine.runs.customers import Customers
from segengine.runs.tables import Found, read_and_check
from segengine.tables import ASSIGNMENTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.model.trained import LoadedModel, TrainedModel
    from segengine.publish.publication import Publication
    from segengine.steps import Listener

__all__ = ["REFERENCE", "Monitored", "monitor", "reference_of", "watch_scored"]

log = logging.getLogger(__name__)

MIXED = ("channel", "category")
"""Columns of the lines whose values may vanish."""


@dataclass(frozen=True)
class Monitored:
    """What monitoring found. `reasons`: why a retrain is called for; none when it is not. `as_of` is aware UTC."""

    name: str
    as_of: dt.datetime
    model_version: str
    readings: tuple[Reading, ...]
    reasons: tuple[str, ...]
    compared_as_of: Mapping[str, dt.datetime]
    written: str
    """The OpenMetrics file."""


def monitor(
    config: Config | str | Path,
    *,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Monitored:
    """Compare the published customers with those that the model was trained on, and with those of a year ago.

    Reads the lines as well where channels or categories are mapped, as of the same moment: what nobody buys with any
    more is missed there first. Writes `monitoring/` and `retrain.json`; the table `drift` has it from the next
    publication on. PublicationError: nothing is published. BundleError: the model knows nothing of its training.
    """
    with open_job("monitor", config, steps=3, spark=spark, as_of=None, now=now, listener=listener) as job:
        published = current(job.config.output, job.spark)
        if published is None:
            raise PublicationError(
                "Nothing is published yet, so there is nothing to monitor.",
                where=job.store.uri("gold"),
                todo="Run `segengine run CONFIG` first.",
            )
        recent = _recent(job, published)
        with job.steps.step("Comparing customers") as step:
            watched = _watch_published(job, published, recent)
            step.rows_in = watched.profile.customers
        job.record["monitoring"] = {"alarms": len(watched.alarms), "call": bool(watched.reasons)}
        return Monitored(
            job.config.name,
            published.as_of,
            published.model_version,
            watched.readings,
            watched.reasons,
            watched.compared_as_of,
            job.store.uri("monitoring/metrics.prom"),
        )


def _watch_published(job: Job, published: Publication, recent: Recent | None) -> Watched:
    model = bundle.load(job.store, published.model_version, job.spark)
    trained = reference(job.store, model.version)
    if trained is None:
        raise BundleError(
            f"Model version {model.version} was trained before there was monitoring.",
            where=job.store.uri(f"models/{model.version}"),
            found=f"no {REFERENCE}",
            todo="Train again: `segengine run CONFIG --retrain`.",
        )
    names = published_names((f.name for f in model.features), ASSIGNMENTS, "_feature")
    rows = read_current(job.spark, job.config.output, "assignments").withColumnRenamed("segment_key", "segment")
    return watch(
        job.store,
        rows,
        names,
        trained=trained,
        as_of=published.as_of,
        version=model.version,
        segments=model.segment_keys,
        rows_read=_published_rows(job, published),
        recent=recent,
    )


def _published_rows(job: Job, published: Publication) -> tuple[int, int] | None:
    """Rows of the main table read and rejected, as the published table `quality` has them."""
    main = "transactions" if job.config.tables.transactions is not None else "customers"
    quality = read_current(job.spark, job.config.output, "quality")
    own: dict[str, int] = {}
    for row in quality.where((quality["run_id"] == published.run_id) & (quality["table"] == main)).collect():
        own[row["outcome"]] = own.get(row["outcome"], 0) + row["rows"]
    read = sum(own.get(outcome, 0) for outcome in ("used", "rejected", "ignored"))
    return (read, own.get("rejected", 0)) if read else None


def _recent(job: Job, published: Publication) -> Recent | None:
    """Who bought with which channel and category lately, counted in the lines themselves."""
    table = job.config.tables.transactions
    mapped = [name for name in MIXED if table is not None and name in table.columns]
    if not mapped:
        return None
    as_of = published.as_of
    then = with_as_of(job.config, as_of.isoformat()).model_copy(update={"incremental": False})
    found = read_and_check(replace(job, config=then))
    assert found.lines is not None
    with job.steps.step("Looking at the last month"):
        names = [name for name in mapped if name in found.lines.lines.columns]
        return count_recent(found.lines.lines, names, as_of=as_of)


def reference_of(model: TrainedModel, found: Found, people: Customers, version: str) -> dict[str, Any]:
    """What monitoring compares later customers with: the profile of those that the model was trained on."""
    rows = _rows(found, people)
    return learn(model, people.totals, as_of=found.as_of, version=version, rows=rows).to_dict()


def _rows(found: Found, people: Customers) -> tuple[int, int] | None:
    main = "transactions" if found.lines is not None else "customers"
    counts = dict.fromkeys(("used", "rejected", "ignored"), 0)
    for row in people.quality:
        if row.table == main and row.outcome in counts:
            counts[row.outcome] += row.rows
    read = sum(counts.values())
    return (read, counts["rejected"]) if read else None


def watch_scored(
    job: Job, scored: Any, model: LoadedModel, found: Found, people: Customers
) -> tuple[tuple[Mapping[str, object], ...], tuple[str, ...]]:
    """Watch the customers of a run before they are published: rows of the table `drift`, and what to warn of.

    A model without a profile of its training is passed over: it was saved before there were any.
    """
    try:
        trained = reference(job.store, model.version)
    except SegengineError as error:  # a run publishes with what it can compare, and says so
        log.warning("monitoring was left out: %s", error.what)
        return (), (f"Monitoring was left out: {error.what}",)
    if trained is None:
        return (), ()
    watched = watch(
        job.store,
        scored.withColumnRenamed("segment_index", "segment"),
        {feature.name: feature.name for feature in model.features},
        trained=trained,
        as_of=found.as_of,
        version=model.version,
        segments=range(model.k),
        rows_read=_rows(found, people),
    )
    job.record["monitoring"] = {"alarms": len(watched.alarms), "call": bool(watched.reasons)}
    return watched.rows, _told(watched)


def _told(watched: Watched) -> tuple[str, ...]:
    if not watched.alarms:
        return ()
    first = watched.alarms[0]
    more = f", and {len(watched.alarms) - 1} more" if len(watched.alarms) > 1 else ""
    so = "A retrain is called for." if watched.reasons else "Look at the data before training on it."
    return (f"Monitoring: {first.subject} ({first.measure}): {first.text}{more}. {so}",)
