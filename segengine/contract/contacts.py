"""The customers table as it is now: who agrees to be written to, under which real id, and by which columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine import privacy
from segengine.config import Config, CustomersTable
from segengine.contract.mapping import Mapped, Wanted, exact_column, map_columns
from segengine.contract.private import private
from segengine.contract.values import canonical_id
from segengine.errors import ConfigError, InputError
from segengine.io.read import check_rows_read
from segengine.io.source import DEFECT, Source, quoted
from segengine.privacy import FORGOTTEN

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Contacts", "contact_column", "read_contacts"]

REAL = "_segengine_real_id"
ID = "_segengine_customer_id"
MOST_FORGOTTEN = 1_000_000
"""Ids of the erased that are held in memory; whoever is beyond them is told as no longer in the table, and as little on
the list."""
AT = "tables.customers."


@dataclass(frozen=True)
class Contacts:
    """`customers`: one row is a customer who is in the table now.

    published_id string, as published tables have it; real_id string, null where the customer was erased; agrees
    boolean: consent in every row, and no row that opted out (unknown is no); is_sound boolean: no row fails a rule and
    all say the same; is_forgotten boolean; the contact columns as text under `contact_column`, null where blank.
    `unreadable`: rows that cannot be parsed.
    """

    customers: DataFrame
    rows_read: int
    unreadable: int


def contact_column(place: int) -> str:
    """What the contact column at a place is called until it is written."""
    return f"contact_{place}"


def read_contacts(source: Source, config: Config, contact: Mapping[str, str], consent: str | None) -> Contacts:
    """Read the customers table for a list. `contact`: name -> column or SQL; `consent`: a condition, None: not asked.

    opted_out is asked whatever `consent` is. InputError for columns and expressions that cannot be used, and files that
    are damaged.
    """
    table = config.tables.customers
    if table is None:
        raise ConfigError(
            "A list needs the customers table.", where="tables.customers", todo="Describe it: consent is in it."
        )
    hidden = private(_with_real_id(source, table), table, config)
    staged, mapped = _mapped(hidden, table, contact, consent)
    no, one = F.lit(False), mapped["columns.customer_id"]
    values = [
        canonical_id(mapped[f"campaigns.contact.{n}"].column, mapped[f"campaigns.contact.{n}"].dtype) for n in contact
    ]
    agrees = [F.coalesce(mapped["campaigns.consent"].column, no)] if consent else []
    agrees += [~F.coalesce(mapped["opted_out"].column, F.lit(True))] if table.opted_out else []
    passes = [F.coalesce(mapped[f"rules.{name}"].column, no) for name in table.rules]
    identity = canonical_id(one.column, one.dtype)
    rows = staged.select(
        identity.alias(ID),
        (F.col(REAL) if REAL in staged.columns else identity).alias(REAL),
        _all(agrees).alias("agrees"),
        _all(passes).alias("is_sound"),
        F.col(DEFECT).isNotNull().alias("is_unreadable"),
        *(value.alias(contact_column(place)) for place, value in enumerate(values)),
    )
    seen = rows.agg(F.count(F.lit(1)), F.count_if("is_unreadable")).collect()[0]
    check_rows_read(source, int(seen[0]))
    gone = _forgotten(rows, config)
    customers = _by_customer(rows.where(F.col(ID) != FORGOTTEN), len(values)).unionByName(
        gone, allowMissingColumns=True
    )
    return Contacts(customers, int(seen[0]), int(seen[1]))


def _with_real_id(source: Source, table: CustomersTable) -> Source:
    """The id once more, before a pseudonym takes its place; an expression is never replaced."""
    name = exact_column(table.columns["customer_id"], source)
    if name is None:
        return source
    real = canonical_id(F.col(quoted(name)), source.rows.schema[name].dataType)
    return replace(source, rows=source.rows.withColumn(REAL, real))


def _mapped(
    source: Source, table: CustomersTable, contact: Mapping[str, str], consent: str | None
) -> tuple[DataFrame, dict[str, Mapped]]:
    wanted = [Wanted("columns.customer_id", table.columns["customer_id"])]
    wanted += [Wanted(f"campaigns.contact.{name}", text) for name, text in contact.items()]
    wanted += [Wanted("campaigns.consent", consent, "condition")] if consent else []
    wanted += [Wanted("opted_out", table.opted_out, "condition")] if table.opted_out else []
    wanted += [Wanted(f"rules.{name}", text, "condition") for name, text in table.rules.items()]
    try:
        return map_columns(source, table, wanted)
    except InputError as error:
        if error.where.startswith(f"{AT}campaigns."):
            error.where = error.where.removeprefix(AT)
        raise


def _all(conditions: list[Column]) -> Column:
    whole = F.lit(True)
    for condition in conditions:
        whole = whole & condition
    return whole


def _by_customer(rows: DataFrame, contacts: int) -> DataFrame:
    """One row a customer; see Contacts."""
    names = [contact_column(place) for place in range(contacts)]
    said = F.xxhash64(*(part for name in names for part in (F.col(name), F.col(name).isNull()))) if names else F.lit(0)
    return (
        rows.withColumn("said", said)
        .groupBy(F.col(ID).alias("published_id"))
        .agg(
            F.min(REAL).alias("real_id"),
            F.min("agrees").alias("agrees"),
            (F.min("is_sound") & (F.min("said") == F.max("said"))).alias("is_sound"),
            F.lit(False).alias("is_forgotten"),
            *(F.min(name).alias(name) for name in names),
        )
    )


def _forgotten(rows: DataFrame, config: Config) -> DataFrame:
    """Those of the table who were erased, as published tables would know them; the ids are in no plan."""
    found = rows.where(F.col(ID) == FORGOTTEN).select(REAL).distinct().limit(MOST_FORGOTTEN).collect()
    ids = [str(row[0]) for row in found if row[0] is not None]
    if config.privacy.pseudonymise:
        key = privacy.key_of(config)
        ids = [privacy.pseudonym(key, one) for one in ids]
    local = rows.sparkSession.createDataFrame(
        [(one, True) for one in sorted(ids)], "published_id string, is_forgotten boolean"
    )
    return local.withColumns({"agrees": F.lit(False), "is_sound": F.lit(True)})
