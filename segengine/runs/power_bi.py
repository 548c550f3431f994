"""The Power BI project of a publication: read what it is drawn from, draw it, keep what analysts changed."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from segengine import features
from segengine.config import Config
from segengine.errors import ConfigError
from segengine.io.files import Store
from segengine.job import Job
from segengine.publish.kpis import KPI
from segengine.publish.lock import publication_lock
from segengine.publish.publication import read_current
from segengine.publish.read_back import small_tables
from segengine.publish.record import GOLD, Publication
from segengine.publish.shape import published_names, types_of
from segengine.report import powerbi
from segengine.report.powerbi.deploy import Deployed, deploy, stage
from segengine.report.powerbi.facts import KINDS
from segengine.report.powerbi.keep import Written, write_project
from segengine.report.powerbi.names import kept_kind
from segengine.report.powerbi.project import OWN_FILE, PBIP
from segengine.tables import CUSTOMERS, TABLES, Kind, by_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


__all__ = [
    "Reported",
    "check_deployable",
    "deployed",
    "draw_powerbi",
    "facts_of",
    "options_of",
    "published_facts",
    "published_tables",
]

PNG = b"\x89PNG\r\n\x1a\n"
LONG = ("assignments", "customers", "membership")
"""Tables as long as the customers: only their columns are looked at."""


@dataclass(frozen=True)
class Reported:
    """What was drawn, and where."""

    powerbi: str | None
    """The file to open, a path below the output; None where the configuration wants none."""
    files: Written
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Files that analysts changed, which were left as they are."""
        kept = self.files.kept
        if not kept:
            return ()
        some = ", ".join(kept[:3]) + (", ..." if len(kept) > 3 else "")
        return (f"Power BI: files changed since they were drawn are kept: {len(kept)} ({some}); ours: *.new.",)


def draw_powerbi(job: Job, publication: Publication) -> Reported:
    """Write the Power BI project of a publication; files that somebody changed stay as they are."""
    if not job.config.powerbi.enabled:
        return Reported(None, Written())
    with job.steps.step("Drawing the Power BI project") as step:
        facts = published_facts(job.store, job.spark, job.config, publication)
        drawn = powerbi.project(facts, options_of(job.config))
        written = write_project(job.store, powerbi.FOLDER, drawn.files, theirs=frozenset({OWN_FILE}))
        step.rows_out = len(drawn.files)
    where = f"{powerbi.FOLDER}/{PBIP}"
    return Reported(where, written, drawn.left_out)


def check_deployable(config: Config) -> None:
    """ConfigError when the project is not one that the Power BI Service can refresh."""
    if not config.powerbi.enabled:
        raise ConfigError(
            "There is no Power BI project to deploy.", where="powerbi.enabled", todo="Set it to true, or leave it out."
        )
    if config.powerbi.source == "any":
        raise ConfigError(
            "A project with a choice of connectors asks for the credentials of all of them in the Service.",
            where="powerbi.source",
            found="any",
            todo=f"Name one of {', '.join(kind for kind in KINDS)}.",
        )


def deployed(job: Job, workspace: str) -> Deployed:
    """Put the drawn project into a workspace of Fabric and have it refreshed there."""
    with job.steps.step(f"Deploying to {workspace}") as step, tempfile.TemporaryDirectory() as scratch:
        with publication_lock(job.store, run_id=job.run_id):
            stage(job.store, Path(scratch), job.config.name)
        done = deploy(Path(scratch), workspace, job.config.name)
        step.rows_out = 2
    if job.config.powerbi.source.startswith("local"):
        job.notes.append("The Service refreshes files of this machine only through a gateway that sees the same path.")
    return done


def published_tables(store: Store, publication: Publication) -> set[str]:
    """The names of the tables that a publication has."""
    if publication.format == "parquet":
        return {entry.name for entry in store.list(f"{GOLD}/{publication.folder}")}
    return {*publication.table_versions, "publications"}


def published_facts(store: Store, spark: SparkSession, config: Config, publication: Publication) -> powerbi.Published:
    """What a publication holds, as far as it is drawn."""
    names = [table.name for table in TABLES if table.name not in LONG]
    columns = {
        name: types_of(read_current(spark, config.output, name))
        for name in LONG
        if name in published_tables(store, publication)
    }
    return facts_of(small_tables(store, spark, publication, names), columns, config, publication.as_of)


def facts_of(
    small: Mapping[str, pa.Table],
    columns: Mapping[str, Mapping[str, str]],
    config: Config,
    as_of: dt.datetime,
) -> powerbi.Published:
    """What is drawn from: small tables whole, of the long ones their columns and Spark types."""
    tables: dict[str, dict[str, Kind]] = {}
    for name, rows in small.items():
        kinds = {c: kept_kind(kind) for c, kind in types_of(rows).items()}
        kinds |= {c.name: c.kind for c in by_name(name).columns if c.name in kinds}
        # Keys are what tables are related by: those of a first run's moves, which come from nowhere, are all null.
        tables[name] = {c: kinds[c] for c in rows.column_names if c.endswith("_key") or _has_values(rows, c)}
    absent = _absent(config)
    for name, types in columns.items():
        tables[name] = {c: kept_kind(kind) for c, kind in types.items() if (name, c) not in absent}
    runs = small["runs"].sort_by("as_of").to_pylist() if "runs" in small else []
    segments = small["segments"].to_pylist() if "segments" in small else []
    cards = [
        powerbi.Card(
            row["segment_key"], row["segment_id"], row["name"], row.get("description") or "", row.get("action") or ""
        )
        for row in sorted(segments, key=lambda row: row["rank"])
    ]
    expected = small["expected_kpis"].to_pylist() if "expected_kpis" in small else []
    customers = runs[-1]["customers"] if runs else 0
    return powerbi.Published(
        tables,
        customers,
        as_of,
        tuple(cards),
        tuple(powerbi.Expected(row["kpi"], row["segment_key"] or None, row["value"]) for row in expected),
    )


def _has_values(rows: pa.Table, column: str) -> bool:
    """Whether a column has a value at all; an empty table keeps its columns."""
    return bool(rows.num_rows == 0 or rows.column(column).null_count < rows.num_rows)


def _absent(config: Config) -> set[tuple[str, str]]:
    """Columns of the long tables that hold nothing with this configuration."""
    absent: set[tuple[str, str]] = set()
    if config.tables.transactions is None:
        absent |= {("assignments", "revenue"), ("assignments", "orders")}
        absent |= {("customers", "first_ordered_at"), ("customers", "last_ordered_at")}
    if config.tables.customers is None or config.tables.transactions is None:
        absent.add(("customers", "is_known"))
    return absent


def options_of(config: Config) -> powerbi.Options:
    """What the configuration says of the Power BI project."""
    section = config.powerbi
    customers = config.tables.customers
    names = published_names(features.attribute_columns(config), CUSTOMERS, "_attribute") if customers else {}
    source = section.source
    return powerbi.Options(
        name=config.name,
        currency=config.currency,
        minor_unit=config.minor_unit,
        timezone=config.timezone,
        source=source,
        source_kind=KINDS[source] if source != "any" else _source_kind(config),
        data_root=section.data_root if section.data_root is not None else _data_root(config.output.path),
        max_customers=section.max_customers,
        stale_days=section.stale_days,
        rls_attribute=names.get(section.rls_attribute or ""),
        rls_roles=section.rls_roles,
        rls_users=section.rls_users,
        kpis=tuple(name + KPI for name in config.kpis),
        logo=_logo(config),
        colours=config.report.brand.colours,
        labels={published: name for name, published in names.items()},
        protected=tuple(_named(names, customers.protected)) if customers else (),
    )


def _logo(config: Config) -> bytes | None:
    """The picture of `report.brand.logo`; ConfigError when there is none or it is no PNG."""
    path = config.report.brand.logo
    if path is None:
        return None
    try:
        found = Path(path.removeprefix("file://")).read_bytes()
    except OSError as error:
        raise ConfigError(
            "The logo cannot be read.",
            where="report.brand.logo",
            found=f"{path}: {error.strerror}",
            todo="Name a PNG file that is where segengine runs.",
        ) from error
    if not found.startswith(PNG):
        raise ConfigError(
            "The logo is not a PNG file.",
            where="report.brand.logo",
            found=path,
            todo="Give a PNG file, or leave the logo out.",
        )
    return found


def _named(names: Mapping[str, str], wanted: Iterable[str]) -> list[str]:
    return [names[name] for name in wanted if name in names]


def _source_kind(config: Config) -> str:
    where = "adls" if config.output.path.startswith(("abfs://", "abfss://")) else "local"
    return KINDS[f"{where}_{config.output.format}"]


def _data_root(path: str) -> str:
    """The folder gold as Power BI is told of it: of ADLS Gen2 the container's address, a semicolon and the path."""
    scheme, _, rest = path.rpartition("://")
    if scheme in ("abfs", "abfss") and "@" in rest:
        container, _, place = rest.partition("@")
        account, _, folder = place.partition("/")
        return f"https://{account}/{container};{folder.strip('/')}/{GOLD}".replace(";/", ";")
    return f"{path.removeprefix('file://').rstrip('/')}/{GOLD}"
