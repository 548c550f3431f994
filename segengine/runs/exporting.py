"""Export a campaign: a list of whom to write to, with consent asked anew, and the cohort kept to compare with."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine import io, privacy
from segengine.campaigns.lists import EXCEL_ROWS, FORMATS, Format, write_list
from segengine.campaigns.manifest import OUTCOMES, Campaign, cohort_of, folder_of, listed, save_campaign
from segengine.config import Config, load
from segengine.config.paths import OWN_FOLDERS, resolve
from segengine.contract.contacts import Contacts, read_contacts
from segengine.errors import ConfigError, InputError, PublicationError, QualityError
from segengine.io.files import Store, store_for
from segengine.io.snapshot import working_folder
from segengine.job import Job, open_job
from segengine.mlops.audit import files_below
from segengine.publish.lock import publication_lock
from segengine.publish.publication import Publication, current
from segengine.publish.read_back import small_tables
from segengine.runs.campaign_rows import batches, cohort, stage
from segengine.runs.oversight import open_output

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.steps import Listener

__all__ = ["export", "list_campaigns"]

HEAD = ("customer_id",)
TAIL = ("segment_id", "segment")


@dataclass(frozen=True)
class _Asked:
    """What was asked for, checked. `contact`: name -> column or SQL of the customers table."""

    segments: tuple[str, ...]
    campaign: str | None
    form: Format
    to: str | None
    holdout_share: float
    contact: Mapping[str, str]
    consent: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        return (*HEAD, *self.contact, *TAIL)


def export(
    config: Config | str | Path,
    *,
    segments: Sequence[str],
    campaign: str | None = None,
    form: str = "csv",
    to: str | None = None,
    holdout_share: float | None = None,
    columns: Sequence[str] | None = None,
    check_consent: bool = True,
    spark: SparkSession | None = None,
    now: dt.datetime | None = None,
    listener: Listener | None = None,
) -> tuple[Campaign, tuple[str, ...]]:
    """Write the customers of some segments, as published now, to a list; hold a share out; keep the cohort.

    The real id and the contact columns come from the customers table as it is now, where consent is asked anew.
    `campaign`: its name; made of the first segment and the date when absent. `to`: the file to write, which must not be
    there yet; below the output's campaigns when absent. `columns`: some of campaigns.contact, the address first; all
    when absent. When anything fails there is neither list nor campaign. With the campaign comes what is to be noted.
    Raises ConfigError for what cannot be asked, InputError when nobody is left to write to, QualityError when customers
    do not add up.
    """
    if not isinstance(config, Config):
        config = load(config)
    asked = _asked(config, segments, campaign, form, to, holdout_share, columns, check_consent=check_consent)
    with (
        open_job("export", config, steps=4, spark=spark, as_of=None, now=now, listener=listener) as job,
        publication_lock(job.store, run_id=job.run_id),
    ):
        return _export(job, asked), tuple(job.notes)


def _export(job: Job, asked: _Asked) -> Campaign:
    """The steps of an export, under the lock."""
    publication = _publication(job)
    chosen = _chosen(job, publication, asked.segments)
    campaign_id = asked.campaign or f"{chosen[0]['segment_id']}-{job.started_at:%Y-%m-%d}"
    store, name = _target(job, asked, campaign_id)
    with working_folder(job.store, f"{job.run_id}-list"):
        with job.steps.step("Asking the customers table") as step:
            contacts = _contacts(job, asked)
            step.rows_in = contacts.rows_read
        with job.steps.step("Choosing customers") as step:
            counts = stage(
                job,
                contacts,
                [int(row["segment_key"]) for row in chosen],
                campaign_id,
                holdout_share=asked.holdout_share,
                columns=len(asked.contact),
            )
            step.rows_in = sum(sum(found.values()) for found in counts.values())
        _refuse(asked, counts, contacts)
        with job.steps.step("Writing the list") as step, _undone(job.store, campaign_id, store, name):
            made = _write(job, asked, publication, chosen, counts, campaign_id, store, name)
            step.rows_out = made.counts["treated"]
    if contacts.unreadable:
        job.notes.append(f"{contacts.unreadable:,} rows of the customers table cannot be read.")
    told = "campaign_id publication_id segments customers counts holdout_share consent export".split()
    job.record["campaign"] = {key: getattr(made, key) for key in told}
    job.wrote += [f"{folder_of(campaign_id)}/manifest.json", *made.cohort_files]
    job.wrote += [name] if store is job.store else []
    return made


def list_campaigns(config: Config | str | Path, *, spark: SparkSession | None = None) -> list[Campaign]:
    """All campaigns of an output, the oldest first."""
    if not isinstance(config, Config):
        config = load(config)
    with open_output(config, spark) as (store, _):
        return listed(store)


def _asked(
    config: Config,
    segments: Sequence[str],
    campaign: str | None,
    form: str,
    to: str | None,
    holdout_share: float | None,
    columns: Sequence[str] | None,
    *,
    check_consent: bool,
) -> _Asked:
    own = config.campaigns
    if campaign is not None:
        folder_of(campaign)
    if config.tables.customers is None:
        raise ConfigError(
            "There is no customers table to take contacts and consent from.",
            where="tables.customers",
            todo="Describe the table; campaigns.contact and campaigns.consent name columns of it.",
        )
    if check_consent and own.consent is None:
        raise ConfigError(
            "Nothing says who agreed to be written to.",
            where="campaigns.consent",
            todo="Write a condition over the customers table, such as campaigns: {consent: newsletter = 'yes'}; or, "
            "for a list that needs no consent, export with --no-consent-check, which the audit trail records.",
        )
    if not segments:
        raise ConfigError("No segment is named.", todo="Name one or more: --segment S-003.")
    if form not in FORMATS:
        raise ConfigError(
            "A list cannot be written so.", where="--format", found=form, todo=f"One of {', '.join(FORMATS)}."
        )
    share = own.holdout_share if holdout_share is None else holdout_share
    if not 0 <= share < 1:
        raise ConfigError(
            "The hold-out is a share from 0, below 1.", where="--holdout", found=str(share), todo="Write 0.1."
        )
    wanted = list(own.contact) if columns is None else list(dict.fromkeys(columns))
    unknown = [name for name in wanted if name not in own.contact]
    if unknown:
        raise ConfigError(
            "A list may hold the columns of campaigns.contact only.",
            where="--columns",
            found=f"{', '.join(unknown)}; allowed: {', '.join(own.contact) or 'none'}",
            todo="Add the column to campaigns.contact, or leave it out.",
        )
    try:
        place = None if to is None else resolve(to, Path.cwd())
    except ValueError as error:
        raise ConfigError(f"The place of the list {error}.", where="--to", found=str(to)) from error
    contact = {name: own.contact[name] for name in wanted}
    chosen: Format = next(one for one in FORMATS if one == form)
    return _Asked(tuple(segments), campaign, chosen, place, share, contact, own.consent if check_consent else None)


def _publication(job: Job) -> Publication:
    found = current(job.config.output, job.spark)
    if found is None:
        raise PublicationError(
            "Nothing is published yet.", where=job.config.output.path, todo="Run `segengine run CONFIG` first."
        )
    return found


def _chosen(job: Job, publication: Publication, asked: Sequence[str]) -> list[dict[str, Any]]:
    """The published segments of these ids, in the order of their keys. ConfigError for one that there is not."""
    table = small_tables(job.store, job.spark, publication, ["segments"])["segments"]
    known = {str(row["segment_id"]).lower(): row for row in table.to_pylist()}
    unknown = [one for one in asked if one.strip().lower() not in known]
    if unknown:
        there = "; ".join(f"{row['segment_id']} {row['name']}" for row in list(known.values())[:20])
        raise ConfigError(
            "There is no such segment.", where="--segment", found=", ".join(unknown), todo=f"One of: {there}."
        )
    rows = {row["segment_key"]: row for row in (known[one.strip().lower()] for one in asked)}
    for row in rows.values():
        if row.get("warning"):
            job.notes.append(f"The segments are provisional: {row['warning']}")
            break
    return [rows[key] for key in sorted(rows)]


def _target(job: Job, asked: _Asked, campaign_id: str) -> tuple[Store, str]:
    """The folder and the name of the file to write; refused when the campaign, or the file, is there already."""
    folder = folder_of(campaign_id)
    if job.store.exists(f"{folder}/manifest.json"):
        raise ConfigError(
            "There is a campaign of that name already.",
            where=job.store.uri(folder),
            found=campaign_id,
            todo="Give this one another name: --campaign NAME.",
        )
    job.store.delete(folder)  # what an export that was killed left
    if asked.to is None:
        return job.store, f"{folder}/export.{asked.form}"
    above, _, name = asked.to.rpartition("/")
    store, root = store_for(above or "/", job.spark), job.store.root.rstrip("/")
    found = "a folder" if not name else "something is there already" if store.exists(name) else ""
    if asked.to.startswith(f"{root}/"):  # the audit trail and `forget` know it by its place below the output
        store, name = job.store, asked.to.removeprefix(f"{root}/")
        found = found or ("a folder that runs write and clean" if name.split("/")[0] in OWN_FOLDERS else "")
    if found:
        raise ConfigError(
            "The list cannot be written there.", where=f"--to {asked.to}", found=found, todo="Name a new file."
        )
    return store, name


def _contacts(job: Job, asked: _Asked) -> Contacts:
    config = job.config
    assert config.tables.customers is not None
    source = io.read_table(job.spark, config.tables.customers, "customers", config, work=job.work)
    job.add_source(source)
    return read_contacts(source, config, asked.contact, asked.consent)


def _refuse(asked: _Asked, counts: Mapping[int, Mapping[str, int]], contacts: Contacts) -> None:
    treated = sum(found["treated"] for found in counts.values())
    if not treated:
        totals = {name: sum(found[name] for found in counts.values()) for name in OUTCOMES}
        told = ", ".join(f"{totals[name]:,} {text}" for name, text in OUTCOMES.items() if totals[name])
        raise InputError(
            "Nobody is left to write to.",
            found=f"{told or 'no customer in the segments'}; {contacts.rows_read:,} rows in the customers table",
            todo="Look at campaigns.consent and campaigns.contact, and at the customers table.",
        )
    if asked.form == "xlsx" and treated >= EXCEL_ROWS:
        raise ConfigError(
            f"Excel holds {EXCEL_ROWS:,} rows, the header among them.",
            where="--format xlsx",
            found=f"{treated:,} customers",
            todo="Export csv or parquet, or fewer segments.",
        )


@contextmanager
def _undone(store: Store, campaign_id: str, target: Store, name: str) -> Iterator[None]:
    """Take list and cohort away again when the block fails."""
    try:
        yield
    except BaseException:
        target.delete(name)
        store.delete(folder_of(campaign_id))
        raise


def _write(
    job: Job,
    asked: _Asked,
    publication: Publication,
    chosen: Sequence[Mapping[str, Any]],
    counts: Mapping[int, Mapping[str, int]],
    campaign_id: str,
    target: Store,
    name: str,
) -> Campaign:
    """The cohort, then the list, and last the manifest, with which the campaign exists."""
    ids = {int(row["segment_key"]): (str(row["segment_id"]), str(row["name"])) for row in chosen}
    cohort(job, ids).write.parquet(job.store.uri(cohort_of(campaign_id)))
    for entry in job.store.list(cohort_of(campaign_id)):
        if not entry.name.endswith(".parquet"):
            job.store.delete(entry.path)
    totals = {outcome: sum(found[outcome] for found in counts.values()) for outcome in OUTCOMES}
    written = _write_list(job, asked, ids, totals["treated"], target, name)
    campaign = Campaign(
        campaign_id=campaign_id,
        name=job.config.name,
        created_at=job.started_at.astimezone(dt.UTC).isoformat(timespec="seconds"),
        run_id=job.run_id,
        publication_id=publication.publication_id,
        model_version=publication.model_version,
        as_of=publication.as_of.astimezone(dt.UTC).isoformat(),
        currency=job.config.currency,
        segments=tuple(
            {"segment_key": key, "segment_id": ids[key][0], "name": ids[key][1], **counts[key]} for key in sorted(ids)
        ),
        customers=sum(totals.values()),
        counts=totals,
        holdout_share=asked.holdout_share,
        consent=asked.consent,
        pseudonym_check=privacy.check_of(privacy.key_of(job.config)) if job.config.privacy.pseudonymise else None,
        export=written,
        cohort_files=files_below(job.store, [cohort_of(campaign_id)]),
    )
    save_campaign(job.store, campaign)
    return campaign


def _write_list(
    job: Job, asked: _Asked, ids: Mapping[int, tuple[str, str]], treated: int, target: Store, name: str
) -> dict[str, Any]:
    """Write the list on this machine and put it where it belongs; what the manifest says of it."""
    with tempfile.TemporaryDirectory(prefix="segengine-list-") as folder:
        local = os.path.join(folder, f"list.{asked.form}")
        listed_rows = batches(job, asked.columns, len(asked.contact), ids, folder)
        rows = write_list(asked.form, local, asked.columns, listed_rows, job.started_at)
        if rows != treated:
            raise QualityError(
                "The list does not have the rows it should have.", found=f"{rows:,} rows", todo="Run again."
            )
        target.put_file(name, local)
        return {
            "folder": None if target is job.store else target.root,
            "file": name,
            "format": asked.form,
            "columns": list(asked.columns),
            "rows": rows,
            "bytes": os.path.getsize(local),
            "sha256": target.sha256(name),
        }
