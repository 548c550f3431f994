"""What Power BI's measures must show, computed in Spark by each measure's paired SQL, as the table expected_kpis."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from segengine.job import Job
from segengine.publish.build import Built
from segengine.publish.carry import carried_frame
from segengine.publish.frames import frame_of
from segengine.publish.publication import HISTORY, current, read_current
from segengine.publish.shape import Rows, conform_rows, types_of
from segengine.report.powerbi.paired import query, tables_of
from segengine.report.powerbi.project import model_of
from segengine.runs.power_bi import LONG, facts_of, options_of, published_tables
from segengine.tables import EXPECTED_KPIS, by_name

if TYPE_CHECKING:
    import datetime as dt

    from pyspark.sql import DataFrame

__all__ = ["with_expected_kpis"]


def with_expected_kpis(job: Job, built: Built, as_of: dt.datetime) -> Mapping[str, Rows]:
    """The tables, with `expected_kpis` made when it is published: a row a measure, and one a measure and segment."""
    if not job.config.powerbi.enabled:
        return built.tables

    def made() -> pa.Table:
        return conform_rows(_rows(job, built, as_of), EXPECTED_KPIS, job.config.minor_unit, job.run_id)

    return {**built.tables, EXPECTED_KPIS.name: made}


def _rows(job: Job, built: Built, as_of: dt.datetime) -> list[dict[str, object]]:
    small = {name: rows for name, rows in built.tables.items() if isinstance(rows, pa.Table)}
    columns = {name: types_of(built.tables[name]) for name in LONG if name in built.tables and name not in small}
    published = facts_of(small, columns, job.config, as_of)
    measures = tuple(model_of(published, options_of(job.config)).measures.values())
    mark = f"segengine_{secrets.token_hex(4)}_"
    names = {name: mark + name for name in tables_of(measures)}
    text = query(measures, names)
    if text is None:
        return []
    try:
        for name, view in names.items():
            _table(job, built, name, as_of).createOrReplaceTempView(view)
        found = job.spark.sql(text).collect()
    finally:
        for view in names.values():
            job.spark.catalog.dropTempView(view)
    return [{"kpi": row["kpi"], "segment_key": row["segment_key"], "value": row["value"]} for row in found]


def _table(job: Job, built: Built, name: str, as_of: dt.datetime) -> DataFrame:
    """A table as it will be published, the rows that are carried forward included.

    A small one is of one partition, so that nothing the query asks of it needs an exchange, each of which is a job.
    """
    frame = _whole(job, frame_of(job.spark, built.tables[name]), built, name, as_of)
    return frame.coalesce(1) if isinstance(built.tables[name], pa.Table) else frame


def _whole(job: Job, new: DataFrame, built: Built, name: str, as_of: dt.datetime) -> DataFrame:
    table = by_name(name)
    if not table.replaced_by:
        return new
    published = current(job.config.output, job.spark)
    if published is None or name not in published_tables(job.store, published):
        return new
    old = read_current(job.spark, job.config.output, name)
    return old if built.keeps_history and name in HISTORY else carried_frame(new, old, table, as_of)
