"""The recipes: read, check, build, fit, score, publish. The only place where rooms meet."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import segengine
from segengine import contract, features, io
from segengine.config import Config
from segengine.contract.bridge import BridgeStep, revenue_bridge
from segengine.contract.quality import QualityRow, complete, reconcile
from segengine.errors import ModelError
from segengine.features import Attributes, Chosen
from segengine.features.customer_totals import FeatureTotals, size_warnings, totals
from segengine.job import Job, open_job
from segengine.kept import keep
from segengine.model import bundle, history
from segengine.model.train import train as train_model
from segengine.publish.build import Built, build_tables
from segengine.publish.facts import Attribute, RunFacts, SegmentInfo
from segengine.publish.lock import publication_lock
from segengine.publish.publication import Publication, current, publish, read_current
from segengine.report import summary as told
from segengine.report.facts import Summary
from segengine.scoring import batch
from segengine.state import Night, check_night

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from segengine.model.trained import LoadedModel
    from segengine.steps import Listener

__all__ = ["check", "demo", "run", "score", "train"]


def check(
    config: Config | str | Path,
    *,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Check the config, the tables and their rows; write nothing but the run's record and the quarantine."""
    with open_job("check", config, steps=4, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        found = _read_and_check(job)
        with _customers(job, found, _chosen(job, found)) as people:
            return _summary(job, found, people)


def train(
    config: Config | str | Path,
    *,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Train a new model version, which becomes the champion; publish nothing."""
    with open_job("train", config, steps=5, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        found = _read_and_check(job)
        with _lock(job), _customers(job, found, _chosen(job, found)) as people:
            why = "training was asked for"
            model = _train(job, found, people, why)
            return _summary(job, found, people, model=model, why=why)


def score(
    config: Config | str | Path,
    *,
    model: str | None = None,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Assign every customer with a model version that exists (the champion by default), and publish."""
    with open_job("score", config, steps=6, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        found = _read_and_check(job)
        with _lock(job):
            return _score_and_publish(job, found, _load(job, model))


def run(
    config: Config | str | Path,
    *,
    retrain: bool = False,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Score with the champion and publish; train first when there is none, when one is due, or with `retrain`."""
    with open_job("run", config, steps=7, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        found = _read_and_check(job)
        with _lock(job):
            why = history.why_train(job.store, job.config, found.as_of, asked=retrain)
            if why is None:
                return _score_and_publish(job, found, _load(job, None))
            with _customers(job, found, _chosen(job, found)) as people:
                model = _train(job, found, people, why)
                return _publish(job, found, people, model, why)


def demo(
    folder: str | Path | None = None, *, spark: SparkSession | None = None, listener: Listener | None = None
) -> Summary:
    """Write real grocery data and a config into a new folder, and run it."""
    from segengine.demo.grocery import prepare

    return run(prepare(Path(folder or "segengine-demo")), spark=spark, listener=listener)


@dataclass(frozen=True)
class Found:
    """The checked tables of a run: `lines` unless the config has customers only, `people` where it has such a table."""

    lines: contract.CheckedLines | None
    people: contract.CheckedCustomers | None
    as_of: dt.datetime
    window_start: dt.datetime | None
    night: Night | None = None
    read: str = ""
    """Of an incremental run: what of the table was read, and why."""


@dataclass(frozen=True)
class Customers:
    """One row of features a customer, persisted, with what adds up over all of them."""

    rows: DataFrame
    chosen: Chosen
    totals: FeatureTotals
    quality: tuple[QualityRow, ...]
    bridge: tuple[BridgeStep, ...]
    warnings: tuple[str, ...]


def _lock(job: Job) -> contextlib.AbstractContextManager[object]:
    """Keep other runs from changing models and tables of this output meanwhile."""
    return publication_lock(job.store, run_id=job.run_id)


def _read_and_check(job: Job) -> Found:
    """Read the configured tables and judge every row; rejected ones go to quarantine."""
    config, people = job.config, None
    if config.tables.customers is not None:
        with job.steps.step("Checking customers") as step:
            source = io.read_table(job.spark, config.tables.customers, "customers", config, work=job.work)
            job.add_source(source)
            people = contract.check_customers(source, config, run_id=job.run_id, quarantine=job.quarantine)
            io.check_rows_read(source, people.rows_read)
            step.rows_in = people.rows_read
    if config.tables.transactions is None:
        return Found(None, people, features.moment(config, job.started_at), None)
    with job.steps.step("Checking transactions") as step:
        night, read = check_night(job) if config.incremental else (None, "")
        lines = night.checked if night else _all_lines(job, people)
        step.rows_in = lines.rows_read
    return Found(lines, people, lines.as_of, lines.window_start, night, read)


def _all_lines(job: Job, people: contract.CheckedCustomers | None) -> contract.CheckedLines:
    config = job.config
    assert config.tables.transactions is not None
    source = io.read_table(job.spark, config.tables.transactions, "transactions", config, work=job.work)
    job.add_source(source)
    return contract.check_transactions(
        source,
        config,
        now=job.started_at,
        run_id=job.run_id,
        quarantine=job.quarantine,
        known_customers=people.customers if people else None,
    )


def _chosen(job: Job, found: Found) -> Chosen:
    """The features that the configuration asks for and the tables support."""
    attributes = Attributes(found.people.numeric, found.people.categorical) if found.people else None
    return features.choose(job.config, found.lines.mapped if found.lines else frozenset(), attributes)


@contextmanager
def _customers(job: Job, found: Found, chosen: Chosen) -> Iterator[Customers]:
    """Build the customers' rows, persisted while the block runs; rows and money reconcile or the run stops."""
    with job.steps.step("Building features") as step:
        if found.lines is not None:
            standing = found.night.measures if found.night else None
            built = features.customer_rows(found.lines, found.people, chosen, job.config, standing)
        else:
            assert found.people is not None  # the configuration has one table or the other
            built = features.customers_only_rows(found.people, chosen, job.config)
        kept = keep(built.rows)
        total = totals(kept.rows)
        built.unpersist()
        step.rows_in, step.rows_out = total.lines_used, total.customers
    try:
        quality, bridge = _reconciled(found, total)
        job.record["quality"] = [asdict(row) for row in quality]
        if found.night is not None and job.command != "check":
            found.night.commit()
        resolved = Chosen(features=built.features, left_out=chosen.left_out)
        told_before = [warning for source in job.sources for warning in source.facts.warnings]
        warnings = tuple(dict.fromkeys((*told_before, *_warnings(found), *size_warnings(total))))
        yield Customers(kept.rows, resolved, total, quality, bridge, warnings)
    finally:
        kept.release()


def _reconciled(found: Found, total: FeatureTotals) -> tuple[tuple[QualityRow, ...], tuple[BridgeStep, ...]]:
    """The final account of rows and money; QualityError when either does not add up."""
    people = found.people.quality if found.people else ()
    if found.lines is None:
        return people, ()
    lines = complete(found.lines, total.lines)
    reconcile(found.lines, lines, total.lines)
    bridge = revenue_bridge(
        lines,
        {name: lane.revenue_e4 for name, lane in total.by_lane.items()},
        total.assigned_revenue_e4,
        lane_customers={name: lane.customers for name, lane in total.by_lane.items()},
        segment_customers=total.assigned_customers,
    )
    return (*lines, *people), bridge


def _warnings(found: Found) -> tuple[str, ...]:
    checked = [part for part in (found.lines, found.people) if part is not None]
    told = tuple(warning for part in checked for warning in part.warnings)
    return (found.read, *told) if found.read else told


def _train(job: Job, found: Found, people: Customers, why: str) -> LoadedModel:
    """Find segments among the customers without a lane, save them as a version, make it the champion."""
    with job.steps.step("Finding segments") as step:
        model = train_model(people.rows.where("lane is null"), people.chosen, job.config, seed=job.config.segments.seed)
        step.rows_in, step.rows_out = people.totals.assigned_customers, model.k
    with job.steps.step("Saving the model"):
        version = bundle.next_version(job.store)
        facts = history.facts(
            model, job.config, run_id=job.run_id, created_at=job.started_at, as_of=found.as_of, why=why
        )
        bundle.save(model, job.store, version=version, manifest_extra=facts)
        bundle.set_champion(job.store, version, why, job.started_at)
        return bundle.load(job.store, version, job.spark)


def _load(job: Job, version: str | None) -> LoadedModel:
    """A model version, verified; the champion when no version is named."""
    version = version or bundle.champion(job.store)
    if version is None:
        raise ModelError(
            "There is no model to score with.",
            where=job.store.uri("models"),
            todo="Run `segengine train CONFIG` first, or `segengine run CONFIG`, which trains when there is none.",
        )
    return bundle.load(job.store, version, job.spark)


def _score_and_publish(job: Job, found: Found, model: LoadedModel) -> Summary:
    with _customers(job, found, Chosen(features=model.features, left_out=())) as people:
        return _publish(job, found, people, model, "")


def _publish(job: Job, found: Found, people: Customers, model: LoadedModel, why: str) -> Summary:
    """Score every customer, build the tables, make them visible together."""
    output = job.config.output
    with job.steps.step("Scoring customers") as step:
        scored = keep(batch.score(people.rows, model))
        published = current(output, job.spark) is not None
        previous = read_current(job.spark, output, "customers") if published else None
        built = build_tables(scored.rows, _facts(job, found, people, model), previous_customers=previous)
        step.rows_in = step.rows_out = built.measures.customers
    try:
        with job.steps.step("Publishing tables") as step:
            publication = publish(
                built.tables,
                rows=built.rows,
                output=output,
                spark=job.spark,
                publication_id=job.run_id,
                run_id=job.run_id,
                now=job.started_at,
                as_of=found.as_of,
                model_version=model.version,
            )
            step.rows_out = built.measures.customers
    finally:
        scored.release()
    job.record["publication_id"] = publication.publication_id
    people = replace(people, warnings=(*people.warnings, *batch.group_warnings(people.rows, model)))
    return _summary(job, found, people, model=model, why=why, built=built, publication=publication)


def _facts(job: Job, found: Found, people: Customers, model: LoadedModel) -> RunFacts:
    """Everything the published tables tell of the run itself."""
    config, lines = job.config, found.lines
    rows = dict.fromkeys(("used", "rejected", "ignored"), 0)
    main = "transactions" if lines is not None else "customers"
    for row in people.quality:
        if row.table == main and row.outcome in rows:
            rows[row.outcome] += row.rows
    infos = [SegmentInfo(i + 1, f"S-{i + 1:03d}", name, i, model.group_of(i)) for i, name in enumerate(model.names)]
    return RunFacts(
        publication_id=job.run_id,
        run_id=job.run_id,
        command=job.command,
        started_at=job.started_at,
        finished_at=dt.datetime.now(dt.UTC),
        as_of=found.as_of,
        timezone=config.timezone,
        minor_unit=config.minor_unit,
        model_version=model.version,
        models=history.model_rows(job.store),
        segments=tuple(infos),
        features=model.features,
        centres=tuple(model.centres_original),
        quality=people.quality,
        rows_read=sum(rows.values()),
        rows_used=rows["used"],
        rows_rejected=rows["rejected"],
        rows_ignored=rows["ignored"],
        amount_read_e4=lines.amount_read_e4 if lines is not None else None,
        inputs=json.dumps([asdict(source.facts) for source in job.sources], sort_keys=True, default=str),
        config_sha256=config.fingerprint(),
        segengine_version=segengine.__version__,
        spark_version=job.spark.version,
        attributes=_attributes(config, found.people),
    )


def _attributes(config: Config, people: contract.CheckedCustomers | None) -> tuple[Attribute, ...]:
    if people is None:
        return ()
    columns = features.attribute_columns(config)
    return tuple(
        Attribute(name, column, "numeric" if name in people.numeric else "categorical")
        for name, column in columns.items()
    )


def _summary(
    job: Job,
    found: Found,
    people: Customers,
    *,
    model: LoadedModel | None = None,
    why: str = "",
    built: Built | None = None,
    publication: Publication | None = None,
) -> Summary:
    """The facts to show at the end of a run."""
    config, total = job.config, people.totals
    segments = told.segment_lines(built.tables) if built else told.trained_lines(model) if model else ()
    quarantines = [p.quarantine for p in (found.lines, found.people) if p is not None and p.quarantine]
    return Summary(
        command=job.command,
        name=config.name,
        run_id=job.run_id,
        as_of=told.local_text(found.as_of, config.timezone) or "",
        window_start=told.local_text(found.window_start, config.timezone),
        currency=config.currency,
        minor_unit=config.minor_unit,
        rows_read=found.lines.rows_read if found.lines else found.people.rows_read if found.people else 0,
        rows=told.rows_lines(people.quality),
        customers=total.customers,
        customers_assigned=total.assigned_customers,
        lanes=tuple((name, lane.customers) for name, lane in total.by_lane.items()),
        bridge=told.bridge_lines(people.bridge),
        features=tuple(feature.name for feature in people.chosen.features),
        left_out=tuple(people.chosen.left_out),
        **(told.model_facts(model, segments) if model else {}),
        trained=bool(why),
        why_trained=why,
        segments=segments,
        publication_id=publication.publication_id if publication else None,
        warnings=(*people.warnings, *(model.notes if model else ())),
        next_steps=told.next_steps(
            config.output.path,
            publication.folder if publication else None,
            quarantines,
            model.version if model else None,
            published=publication is not None,
        ),
        seconds=sum(step.seconds for step in job.steps.done),
        step_seconds=tuple((step.what, step.seconds) for step in job.steps.done),
    )
