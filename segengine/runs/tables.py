"""The tables of a run: read, every row judged, rejected ones in quarantine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from segengine import contract, features, io
from segengine.config import Config
from segengine.job import Job
from segengine.model.wording import wording
from segengine.state import Night, check_night

__all__ = ["Found", "read_and_check", "read_lines", "read_people"]


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


def read_and_check(job: Job) -> Found:
    """Read the configured tables and judge every row; rejected ones go to quarantine."""
    config, people = job.config, None
    wording(config)  # words and playbook that cannot be used stop a run before it reads anything
    if config.tables.customers is not None:
        with job.steps.step("Checking customers") as step:
            people = read_people(job)
            step.rows_in = people.rows_read
    if config.tables.transactions is None:
        return Found(None, people, features.moment(config, job.started_at), None)
    with job.steps.step("Checking transactions") as step:
        night, read = check_night(job) if config.incremental else (None, "")
        lines = night.checked if night else read_lines(job, people, config)
        step.rows_in = lines.rows_read
    return Found(lines, people, lines.as_of, lines.window_start, night, read)


def read_people(job: Job) -> contract.CheckedCustomers:
    """Read the configured table of customers and judge every row."""
    config = job.config
    assert config.tables.customers is not None
    source = io.read_table(job.spark, config.tables.customers, "customers", config, work=job.work)
    job.add_source(source)
    people = contract.check_customers(source, config, run_id=job.run_id, quarantine=job.quarantine)
    io.check_rows_read(source, people.rows_read)
    return people


def read_lines(job: Job, people: contract.CheckedCustomers | None, config: Config) -> contract.CheckedLines:
    """Read the configured table of transactions and judge every row; `config` may have another `as_of` than the job."""
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
        published=job.published,
    )
