"""What a run tells of itself: the facts it publishes, and the summary at its end."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import segengine
from segengine import contract, features
from segengine.config import Config
from segengine.config.times import local_text
from segengine.job import Job
from segengine.model import bundle, history, promotion
from segengine.model.identity import segment_id
from segengine.model.policy import Plan
from segengine.model.trained import LoadedModel
from segengine.publish.facts import Attribute, RunFacts, SegmentInfo
from segengine.publish.publication import Publication
from segengine.report import summary as told
from segengine.report.facts import Summary
from segengine.runs.customers import Customers
from segengine.runs.lenses import Lenses
from segengine.runs.report import Drawn
from segengine.runs.tables import Found

__all__ = ["run_facts", "summary"]


def run_facts(
    job: Job,
    found: Found,
    people: Customers,
    model: LoadedModel,
    lenses: Lenses,
    drift: tuple[Mapping[str, object], ...] = (),
) -> RunFacts:
    """Everything the published tables tell of the run itself."""
    config, lines = job.config, found.lines
    rows = dict.fromkeys(("used", "rejected", "ignored"), 0)
    main = "transactions" if lines is not None else "customers"
    for row in people.quality:
        if row.table == main and row.outcome in rows:
            rows[row.outcome] += row.rows
    infos = [
        replace(SegmentInfo(key, segment_id(key), name, i, model.group_of(i), stability=stability), **_told(lenses, i))
        for i, (key, name, stability) in enumerate(zip(model.segment_keys, model.names, model.stability, strict=True))
    ]
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
        events=history.event_rows(job.store),
        segments=tuple(infos),
        features=model.features,
        centres=tuple(model.centres_original),
        quality=people.quality,
        rows_read=sum(rows.values()),
        rows_used=rows["used"],
        rows_rejected=rows["rejected"],
        rows_ignored=rows["ignored"],
        rows_before=lines.arrived.rows_before if lines is not None else None,
        rows_late=lines.arrived.rows_late if lines is not None else None,
        amount_read_e4=lines.amount_read_e4 if lines is not None else None,
        inputs=json.dumps([asdict(source.facts) for source in job.sources], sort_keys=True, default=str),
        config_sha256=config.fingerprint(),
        segengine_version=segengine.__version__,
        spark_version=job.spark.version,
        attributes=_attributes(config, found.people),
        differences=lenses.tellings.differences if lenses.tellings else {},
        kpis=config.kpis,
        rfm_cells=lenses.rfm_cells,
        protected_mix=lenses.protected_mix,
        bridge=people.bridge,
        gates=history.gate_rows(job.store, model.version),
        k_candidates=history.candidate_rows(job.store, model.version),
        prediction=history.prediction_rows(job.store, model.version),
        warning=promotion.warning_of(job.store, model.version),
        drift=drift,
    )


def _told(lenses: Lenses, index: int) -> dict[str, Any]:
    return dict(vars(lenses.tellings.told[index])) if lenses.tellings else {}


def _attributes(config: Config, people: contract.CheckedCustomers | None) -> tuple[Attribute, ...]:
    if people is None:
        return ()
    columns = features.attribute_columns(config)
    columns = {name: column for name, column in columns.items() if name not in people.protected}
    return tuple(
        Attribute(name, column, "numeric" if name in people.numeric else "categorical")
        for name, column in columns.items()
    )


def _of_model(job: Job, model: LoadedModel | None) -> tuple[str, ...]:
    """What is to be said of a model that did not pass, or of a newer one that did not."""
    if model is None:
        return ()
    own = promotion.warning_of(job.store, model.version)
    newer = promotion.decided_after(job.store, model.version)
    refused = bundle.manifest(job.store, newer).get("refused_for") if newer else None
    later = f"{newer}, newer than {model.version}, was refused: {refused}." if refused else None
    return tuple(text for text in (own, later) if text)


def summary(
    job: Job,
    found: Found,
    people: Customers,
    *,
    model: LoadedModel | None = None,
    plan: Plan | None = None,
    publication: Publication | None = None,
    drawn: Drawn | None = None,
    powerbi: str | None = None,
) -> Summary:
    """The facts to show at the end of a run; what is published is told as the tables have it."""
    config, total = job.config, people.totals
    segments = told.segment_lines(drawn.facts) if drawn else told.trained_lines(model) if model else ()
    quarantines = [p.quarantine for p in (found.lines, found.people) if p is not None and p.quarantine]
    return Summary(
        command=job.command,
        name=config.name,
        run_id=job.run_id,
        as_of=local_text(found.as_of, config.timezone),
        window_start=local_text(found.window_start, config.timezone) if found.window_start else None,
        currency=config.currency,
        minor_unit=config.minor_unit,
        rows_read=found.lines.rows_read if found.lines else found.people.rows_read if found.people else 0,
        rows=told.rows_lines(people.quality),
        customers=total.customers,
        customers_assigned=total.assigned_customers,
        lanes=tuple((name, lane.customers) for name, lane in total.by_lane.items()),
        bridge=told.published_bridge(drawn.facts) if drawn else told.bridge_lines(people.bridge),
        features=tuple(feature.name for feature in people.chosen.features),
        left_out=tuple(people.chosen.left_out),
        **(told.model_facts(model, segments, history.gate_rows(job.store, model.version)) if model else {}),
        trained=plan is not None and plan.train,
        why_trained=plan.why if plan is not None and plan.train else "",
        why_not_trained=plan.why if plan is not None and not plan.train else "",
        segments=segments,
        publication_id=publication.publication_id if publication else None,
        warnings=(*_of_model(job, model), *people.warnings, *job.notes, *(model.notes if model else ())),
        next_steps=told.next_steps(
            config.output.path,
            publication.folder if publication else None,
            quarantines,
            model.version if model else None,
            published=publication is not None,
            page=drawn.page if drawn else None,
            workbook=drawn.workbook if drawn else None,
            powerbi=powerbi,
        ),
        seconds=sum(step.seconds for step in job.steps.done),
        step_seconds=tuple((step.what, step.seconds) for step in job.steps.done),
    )
