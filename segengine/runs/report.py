"""What is drawn from the current publication: the HTML report, the workbook of Excel, and Power BI."""

from __future__ import annotations

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segengine.config import Config, load
from segengine.errors import PublicationError
from segengine.features.prepare_numbers import NumericInput
from segengine.job import Job, open_job
from segengine.publish.lock import publication_lock
from segengine.publish.publication import Publication, current
from segengine.publish.read_back import customer_sample, small_tables
from segengine.report import summary as told
from segengine.report.bundle import ModelFacts, read_model
from segengine.report.excel import FILE, draw_workbook
from segengine.report.facts import Facts, NextStep, Summary, published_facts
from segengine.report.html import draw
from segengine.report.plane import Plane, plane
from segengine.report.published import READ
from segengine.runs.power_bi import check_deployable, deployed, draw_powerbi

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.steps import Listener

__all__ = ["Drawn", "draw_report", "drawn_report"]

MAP_CUSTOMERS = 20_000
"""Customers on the map: more would change no hexagon that can be seen."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn, and the facts it was drawn from; `page` and `workbook` are paths below the output."""

    facts: Facts
    page: str
    workbook: str | None
    """None where XlsxWriter is missing."""


def draw_report(
    config: Config | str | Path,
    *,
    spark: SparkSession | None = None,
    deploy: str | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Draw the report, the workbook and the Power BI project of what is published now.

    `deploy`: name or id of a workspace of Fabric that the project is put into and refreshed in. Raises
    PublicationError when nothing is published or the workspace does not take it, and ConfigError when the project is
    not one for the Service.
    """
    config = config if isinstance(config, Config) else load(config)
    if deploy is not None:
        check_deployable(config)
    steps = 3 if deploy is None else 4
    with open_job("report", config, steps=steps, spark=spark, as_of=None, now=now, listener=listener) as job:
        publication = current(job.config.output, job.spark)
        if publication is None:
            raise PublicationError(
                "Nothing is published yet.", where=job.store.uri("gold"), todo="Run `segengine run CONFIG` first."
            )
        drawn = drawn_report(job, publication)
        with publication_lock(job.store, run_id=job.run_id):
            project = draw_powerbi(job, publication)
        next_steps = told.report_steps(job.config.output.path, drawn.page, drawn.workbook, project.powerbi)
        if deploy is not None:
            next_steps += (NextStep("online", deployed(job, deploy).address),)
        return told.published_summary(
            drawn.facts,
            command=job.command,
            run_id=job.run_id,
            next_steps=next_steps,
            step_seconds=tuple((step.what, step.seconds) for step in job.steps.done),
            warnings=(*job.notes, *project.warnings),
        )


def drawn_report(job: Job, publication: Publication) -> Drawn:
    """Draw page and workbook of a publication into `reports/<run_id>`; drawn again, they are replaced."""
    with job.steps.step("Drawing the report") as step:
        tables = small_tables(job.store, job.spark, publication, READ)
        config = job.config
        facts = published_facts(
            tables,
            name=config.name,
            currency=config.currency,
            minor_unit=config.minor_unit,
            timezone=config.timezone,
        )
        model = read_model(job.store, facts.run.model_version)
        folder = f"reports/{publication.run_id}"
        page = f"{folder}/index.html"
        job.store.write_atomic(page, draw(facts, model, _plane(job, facts, model)).encode())
        job.wrote.append(page)
        workbook = _workbook(job, facts, model, f"{folder}/{FILE}")
        step.rows_out = len(facts.segments)
    return Drawn(facts, page, workbook)


def _workbook(job: Job, facts: Facts, model: ModelFacts, path: str) -> str | None:
    """Write the workbook; a note and None where it cannot be drawn: what is published is not lost for its sake."""
    if importlib.util.find_spec("xlsxwriter") is None:
        job.notes.append("There is no Excel workbook: XlsxWriter is not installed here (pip install XlsxWriter).")
        return None
    job.store.write_atomic(path, draw_workbook(facts, model))
    job.wrote.append(path)
    return path


def _plane(job: Job, facts: Facts, model: ModelFacts) -> Plane | None:
    """The map of a sample of the published customers."""
    inputs = model.preparation.inputs
    names = [str(feature["name"]) for feature in model.features]
    customers = facts.run.customers_assigned
    rows = customer_sample(
        job.spark, job.config.output, names, [item.name for item in inputs], customers, MAP_CUSTOMERS
    )
    columns = {
        item.name: rows[item.name].to_numpy(dtype=np.float64 if isinstance(item, NumericInput) else object)
        for item in inputs
    }
    return plane(model, columns, rows["segment_key"].to_numpy(dtype=np.int64))
