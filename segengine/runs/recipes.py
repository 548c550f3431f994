"""The recipes: read, check, build, fit, score, publish. The only place where rooms meet."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from segengine import privacy
from segengine.beside import beside
from segengine.config import Config
from segengine.errors import BundleError, LockedError, RefusedError
from segengine.features import Chosen
from segengine.job import Job, open_job
from segengine.kept import keep
from segengine.mlops.recording import record
from segengine.model import bundle, history
from segengine.model.policy import Plan, answering, decide
from segengine.model.staged import stage_pipeline
from segengine.model.train import find_segments, fit_segments
from segengine.publish.build import build_tables
from segengine.publish.lock import publication_lock
from segengine.publish.publication import current, publish, read_current
from segengine.publish.written import publication_facts, publication_files
from segengine.report.facts import Summary
from segengine.runs import cards, lenses
from segengine.runs.accounts import run_facts, summary
from segengine.runs.ahead import looked_back, looking_back, one_period_ago, weights_for
from segengine.runs.customers import Customers, asked_features, customer_rows
from segengine.runs.identify import identified
from segengine.runs.judging import bundle_files, explained, judged, settle, told, verdict
from segengine.runs.kpis import with_expected_kpis
from segengine.runs.past import past_of, published_before, scored_rows
from segengine.runs.power_bi import draw_powerbi
from segengine.runs.report import drawn_report
from segengine.runs.tables import Found, read_and_check
from segengine.runs.tracked import require, tracked
from segengine.runs.watching import REFERENCE, reference_of, watch_scored
from segengine.scoring import batch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.model.trained import LoadedModel
    from segengine.steps import Listener

__all__ = ["check", "demo", "run", "score", "train"]

log = logging.getLogger(__name__)


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
        found = read_and_check(job)
        with customer_rows(job, found, asked_features(job, found)) as people:
            _require_nobody_erased(job)
            return summary(job, found, people)


def train(
    config: Config | str | Path,
    *,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
    provisional: bool = False,
) -> Summary:
    """Train a new model version, which becomes the champion when it passes its gates; publish nothing.

    Raises RefusedError when it does not, or when no number of segments passes; `provisional` makes the least bad one
    champion all the same.
    """
    with open_job("train", config, steps=6, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        require(job.config)
        found = read_and_check(job)
        with _lock(job), customer_rows(job, found, asked_features(job, found)) as people:
            why = "training was asked for"
            model = _train(job, found, people, why, provisional=provisional)
            return summary(job, found, people, model=model, plan=Plan(True, why))


def score(
    config: Config | str | Path,
    *,
    model: str | None = None,
    rebuild: bool = False,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Assign every customer with a model version that exists (the champion by default), and publish.

    What is published as of an earlier moment stays as it is in the tables of history, unless `rebuild`.
    """
    with open_job("score", config, steps=7, spark=spark, as_of=as_of, now=now, listener=listener) as job:
        job.published = published_before(job)
        found = read_and_check(job)
        with _lock(job):
            return _score_and_publish(job, found, _model(job, model), Plan(False, ""), rebuild=rebuild)


def run(
    config: Config | str | Path,
    *,
    retrain: bool = False,
    provisional: bool = False,
    rebuild: bool = False,
    rekey: bool = False,
    spark: SparkSession | None = None,
    as_of: str | dt.date | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Score with the champion and publish; train first when there is none, when one is due, or with `retrain`.

    `rekey`: publish under new pseudonyms, or under pseudonyms from now on, or no longer.

    A new model that is refused is kept, and the champion goes on. Without a champion that is a RefusedError, unless
    `provisional` publishes the least bad model with a warning. `rebuild` as in `score`.
    """
    with open_job("run", config, steps=9, spark=spark, as_of=as_of, now=now, listener=listener, rekey=rekey) as job:
        require(job.config)
        job.published = published_before(job)
        found = read_and_check(job)
        with _lock(job):
            plan = decide(job.store, job.config, found.as_of, asked=retrain)
            if not plan.train:
                return _score_and_publish(job, found, _model(job, None), plan, rebuild=rebuild)
            with customer_rows(job, found, asked_features(job, found)) as people:
                try:
                    with answering(job.store, plan, job.run_id):
                        model = _train(job, found, people, plan.why, provisional=provisional)
                except RefusedError as refusal:
                    if bundle.champion(job.store) is None:
                        raise
                    note, plan = told(refusal), Plan(False, f"a new model was refused, though {plan.why}")
                else:
                    return _publish(job, found, people, model, plan, rebuild=rebuild)
            return _score_and_publish(job, found, _model(job, None), plan, note, rebuild=rebuild)


def demo(
    folder: str | Path | None = None, *, spark: SparkSession | None = None, listener: Listener | None = None
) -> Summary:
    """Write real grocery data and a config into a new folder, and run it."""
    from segengine.demo.grocery import prepare
    from segengine.demo.salt import own_salt

    config = prepare(Path(folder or "segengine-demo"))
    with own_salt(config.parent):
        return run(config, spark=spark, listener=listener)


@contextlib.contextmanager
def _lock(job: Job) -> Iterator[None]:
    """Keep other runs from changing models and tables of this output meanwhile.

    Raises LockedError when somebody does, or when a customer was erased since the run began.
    """
    with publication_lock(job.store, run_id=job.run_id):
        _require_nobody_erased(job)
        yield


def _require_nobody_erased(job: Job) -> None:
    """LockedError when a customer was erased since the run began; what it put into quarantine goes, too."""
    if privacy.listed(job.store) != job.forgotten:
        job.store.delete(f"quarantine/{job.run_id}")
        raise LockedError(
            "A customer was erased while this run read its tables.",
            where=job.store.uri(),
            todo="Run again; nothing was changed.",
        )


def _train(job: Job, found: Found, people: Customers, why: str, *, provisional: bool) -> LoadedModel:
    """Find segments among the customers without a lane, save them as a version, judge it, make it the champion.

    Raises RefusedError when it is refused, its version being saved; the report of why is written.
    """
    with explained(job, found, people):
        with looking_back(job, found, people) as past, beside(job.spark) as submit:
            with job.steps.step("Finding segments") as step:
                champion = _champion(job)
                rows, seed = people.rows.where("lane is null"), job.config.segments.seed
                weights, weighed = weights_for(job, past, people.chosen)
                # The search leaves gaps, as one thread does most of it, and so does the fit: looking back fills them.
                then = submit(partial(one_period_ago, past, people.chosen))
                segments = find_segments(
                    rows,
                    people.chosen,
                    job.config,
                    seed=seed,
                    provisional=provisional,
                    champion=champion,
                    weights=weights,
                    customers=people.totals.assigned_customers,
                )
                judging = submit(lambda: looked_back(job, then.result(), segments.k, weights))
                model = fit_segments(rows, people.chosen, job.config, segments, seed=seed, champion=champion)
                version = bundle.next_version(job.store)
                saving = submit(partial(stage_pipeline, model, job.store, version))
                model = identified(job, rows, model, champion, found.window_start)
                model, more = cards.named(job, rows, model, champion)
                step.rows_in, step.rows_out = people.totals.assigned_customers, model.k
            with job.steps.step("Looking back and ahead"):
                prediction = judging.result()
        gates = judged(job, model, champion, prediction)
        with job.steps.step("Saving the model"):
            saving.result()
            facts = history.facts(
                model, job.config, run_id=job.run_id, created_at=job.started_at, as_of=found.as_of, why=why
            )
            more[REFERENCE] = reference_of(model, found, people, version)
            more |= bundle_files(job, found, people, model, gates, version, why, prediction, weighed)
            facts |= verdict(gates)
            bundle.save(model, job.store, version=version, manifest_extra=facts, more=more, staged=True)
            saved = bundle.load(job.store, version, job.spark)
            job.wrote.append(f"models/{version}")
            job.record["trained"] = version
        with tracked(job, version):
            settle(job, version, gates, why, provisional=provisional)
            _tell_of_champion(job, version, champion, why)
        return saved


def _tell_of_champion(job: Job, version: str, before: LoadedModel | None, why: str) -> None:
    """Tell the audit trail when the new version has become the champion."""
    if bundle.champion(job.store) == version:
        facts = {"run_id": job.run_id, "before": before.version if before else None, "champion": version, "reason": why}
        record(job.store, job.config, "promotion", facts, now=job.started_at, spark=job.spark)


def _champion(job: Job) -> LoadedModel | None:
    """The model in use, whose segments a new one is matched to; None before the first."""
    try:
        version = bundle.champion(job.store)
        return bundle.load(job.store, version, job.spark) if version is not None else None
    except BundleError as error:  # training again is the way out of a damaged champion
        log.warning("segments get new ids, as the champion cannot be read: %s", error)
        return None


def _model(job: Job, version: str | None) -> LoadedModel:
    return bundle.load(job.store, version or bundle.require_champion(job.store), job.spark)


def _score_and_publish(
    job: Job, found: Found, model: LoadedModel, plan: Plan, note: str = "", *, rebuild: bool
) -> Summary:
    with customer_rows(job, found, Chosen(features=model.features, left_out=())) as people:
        if note:
            people = replace(people, warnings=(*people.warnings, note))
        return _publish(job, found, people, model, plan, rebuild=rebuild)


def _publish(job: Job, found: Found, people: Customers, model: LoadedModel, plan: Plan, *, rebuild: bool) -> Summary:
    """Score every customer, build the tables, make them visible together."""
    output = job.config.output
    with job.steps.step("Scoring customers") as step:
        past = past_of(job)
        published = current(output, job.spark) is not None
        previous = read_current(job.spark, output, "customers") if published else None
        rows = scored_rows(job, people.rows, model, past, found.as_of, previous)
        scored = keep(lenses.with_grid(job, rows, model))
        seen = lenses.look(job, found.people, scored.rows, model, trained=plan.train)
        drift, moved = watch_scored(job, scored.rows, model, found, people)
        built = build_tables(
            scored.rows,
            run_facts(job, found, people, model, seen, drift),
            previous_customers=previous,
            past=past,
            rebuild=rebuild,
            sampled=seen.tellings.sample if seen.tellings else None,
        )
        step.rows_in = step.rows_out = built.measures.customers
    try:
        with job.steps.step("Publishing tables") as step:
            publication = publish(
                with_expected_kpis(job, built, found.as_of),
                rows=built.rows,
                output=output,
                spark=job.spark,
                publication_id=job.run_id,
                run_id=job.run_id,
                now=job.started_at,
                as_of=found.as_of,
                model_version=model.version,
                keeps_history=built.keeps_history,
            )
            step.rows_out = built.measures.customers
    finally:
        built.release()
        scored.release()
    job.record |= publication_facts(job.store, publication)
    job.wrote += publication_files(job.store, publication)
    drawn, project = drawn_report(job, publication), draw_powerbi(job, publication)
    noted = (*seen.warnings, *batch.group_warnings(people.rows, model), *built.warnings, *project.warnings, *moved)
    people = replace(people, warnings=(*people.warnings, *noted))
    return summary(
        job, found, people, model=model, plan=plan, publication=publication, drawn=drawn, powerbi=project.powerbi
    )
