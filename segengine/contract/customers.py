"""Check customers: one row an id, attributes as numbers or categories, and who does not want to be profiled."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window as Windows
from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.config import Config, CustomersTable
from segengine.contract.mapping import Mapped, Wanted, decimal_separator, map_columns
from segengine.contract.private import listed_ids, private
from segengine.contract.quality import QualityRow, check_shares, quality_rows
from segengine.contract.rules import CUSTOMER_RULES, DEFECTS, Rule, with_own_rules
from segengine.contract.scan import (
    RULE,
    Metric,
    classify,
    count_when,
    counts_of,
    presence_metrics,
    present,
    replaced_characters,
    scan,
)
from segengine.contract.values import canonical_id, is_finite
from segengine.errors import ConfigError, InputError
from segengine.io.casts import amount_from_text
from segengine.io.read import check_encoding, check_rows_read
from segengine.io.source import DEFECT, Source, quoted
from segengine.privacy import FORGOTTEN

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["CheckedCustomers", "check_customers"]

log = logging.getLogger(__name__)

ID = "_segengine_customer_id"
OPTED_OUT = "_segengine_opted_out"
UNKNOWN_CONSENT = "_segengine_consent_unknown"
HASH = "_segengine_row_hash"
FIRST = "_segengine_first"
DIFFERENT = "_segengine_different"
GROUP = "_segengine_group"
LEADING_ZERO = r"^[+-]?0[0-9]"
"""Numbers are not written so; codes are, and would lose their zeros."""


@dataclass(frozen=True)
class CheckedCustomers:
    """`customers`: one row is a customer: customer_id string, opted_out boolean (never null), and the attributes.

    Attributes in `numeric` are doubles, those in `categorical` strings; `protected` names those that may describe, and
    never decide. Ignored customers are not in it;
    `ignored_customers` are those of the configured list that occur. Who opted out in a rejected row is in it as opted
    out, without attributes. `quality` needs no completion.
    """

    customers: DataFrame
    quality: tuple[QualityRow, ...]
    rows_read: int
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    warnings: tuple[str, ...]
    protected: tuple[str, ...] = ()
    ignored_customers: tuple[str, ...] = ()
    quarantine: str | None = None


@dataclass(frozen=True)
class _Attribute:
    """An attribute as canonical text. `number`: how it is one; null when its type says that it is a category."""

    name: str
    column: str
    text: Column
    number: Column | None
    by_type: bool


def check_customers(source: Source, config: Config, *, run_id: str, quarantine: str) -> CheckedCustomers:
    """Classify every row, write the rejected ones below the folder `quarantine`, and count, in one scan of the source.

    Rows that repeat another one in every column that is used collapse into one; when they differ, all rows of the id go
    to quarantine. Text attributes of text tables are numbers when all values are; a code with leading zeros is none.
    InputError: a column, expression, file or encoding is not what it should be. QualityError: more rows are rejected
    than quality.max_rejected_share allows, or none is left; the quarantine is kept.
    """
    table = config.tables.customers
    if table is None:
        raise ConfigError("There is no customers table.", todo="Describe it under tables.customers.")
    if "customer_id" not in table.columns:
        raise ConfigError(
            "customers: 'customer_id' is not mapped.", where="tables.customers.columns", todo="customer_id: their_name"
        )
    rules = with_own_rules(CUSTOMER_RULES, table.rules, "conflicting_duplicates", "tables.customers.rules")
    listed = listed_ids(table.ignore_customers, config)
    source = private(source, table, config)
    staged, mapped = map_columns(source, table, _wanted(table))
    attributes = _attributes(source, table, mapped)
    classified = _classified(staged, table, mapped, attributes, rules, listed)
    metrics = _metrics(source, attributes, rules, listed)
    scanned = scan(classified, source, rules, metrics, amount=None, run_id=run_id, quarantine=quarantine, mapped=mapped)
    seen, folder = scanned.counted, scanned.quarantine
    check_rows_read(source, seen["rows"])
    if seen["replaced"]:
        check_encoding(source, seen["replaced"])
    if not seen["rows"]:
        raise InputError(
            "customers: the table has no rows.", where=source.facts.location, todo="Check the path and the export."
        )
    notes: dict[str, tuple[int, int | None]] = {
        n: (seen[n], None) for n in ("identical_duplicate", "opted_out_unknown")
    }
    quality = quality_rows("customers", rules, counts_of(rules, seen, False), notes)
    log.info("customers: %s rows read, run %s", f"{seen['rows']:,}", run_id)
    check_shares(quality, config.quality.max_rejected_share, "customers", folder)
    numeric = tuple(
        a.name for i, a in enumerate(attributes) if _is_numeric(a, seen[f"filled_{i}"], seen[f"numbers_{i}"])
    )
    return CheckedCustomers(
        customers=_customers(classified, attributes, numeric, len(rules), asks_consent=bool(table.opted_out)),
        quality=quality,
        rows_read=seen["rows"],
        numeric=numeric,
        categorical=tuple(a.name for a in attributes if a.name not in numeric),
        warnings=(*source.facts.warnings, *_warnings(attributes, seen)),
        protected=tuple(table.protected),
        ignored_customers=present(listed, seen),
        quarantine=folder,
    )


def _attribute_texts(table: CustomersTable) -> dict[str, tuple[str, str]]:
    """Attribute -> (its key below tables.customers, their column or expression)."""
    parts = (("attributes", table.attributes), ("protected", table.protected))
    return {name: (f"{part}.{name}", text) for part, named in parts for name, text in named.items()}


def _wanted(table: CustomersTable) -> list[Wanted]:
    """Everything to map."""
    wanted = [Wanted("columns.customer_id", table.columns["customer_id"])]
    for name, (key, text) in _attribute_texts(table).items():
        if name.casefold() in ("customer_id", "opted_out"):
            raise ConfigError(
                f"customers: an attribute cannot be called '{name}'.",
                where=f"tables.customers.{key}",
                todo=f"Give it another name, such as their_{name}: {text}.",
            )
        wanted.append(Wanted(key, text))
    wanted += [Wanted(f"rules.{name}", text, "condition") for name, text in table.rules.items()]
    return wanted + ([Wanted("opted_out", table.opted_out, "condition")] if table.opted_out else [])


def _attributes(source: Source, table: CustomersTable, mapped: dict[str, Mapped]) -> list[_Attribute]:
    decimal = decimal_separator(table)
    found = []
    for index, (name, (key, _)) in enumerate(_attribute_texts(table).items()):
        one = mapped[key]
        column = f"_segengine_attribute_{index}"
        text = canonical_id(one.column, one.dtype)
        if isinstance(one.dtype, T.StringType) and source.text_casts:
            number = F.when(~F.col(column).rlike(LEADING_ZERO), amount_from_text(F.col(column), decimal).cast("double"))
            found.append(_Attribute(name, column, text, number, by_type=False))
        elif isinstance(one.dtype, T.NumericType):
            found.append(_Attribute(name, column, one.column.cast("double"), F.col(column), by_type=True))
        else:
            found.append(_Attribute(name, column, text, None, by_type=True))
    return found


def _classified(
    staged: DataFrame,
    table: CustomersTable,
    mapped: dict[str, Mapped],
    attributes: list[_Attribute],
    rules: tuple[Rule, ...],
    listed: tuple[str, ...],
) -> DataFrame:
    """The rows with id, attributes, whether they are the first of their id, and the rule that each one met."""
    one = mapped["columns.customer_id"]
    consent = mapped["opted_out"].column if "opted_out" in mapped else F.lit(False)
    rows = staged.select(
        "*",
        canonical_id(one.column, one.dtype).alias(ID),
        # Unknown is taken as no: who may not want to be profiled is not profiled.
        F.coalesce(consent, F.lit(True)).alias(OPTED_OUT),
        consent.isNull().alias(UNKNOWN_CONSENT),
        *(_finite(a).alias(a.column) for a in attributes),
    )
    defect, identity = F.col(DEFECT), F.col(ID)
    named = [rule.name for rule in DEFECTS if rule.name != "malformed_row"]
    conditions = {name: defect == name for name in named} | {
        "malformed_row": defect.isNotNull(),
        "missing_customer_id": identity.isNull(),
        "forgotten_customer": identity == FORGOTTEN,
    }
    conditions |= {"ignored_customer": identity.isin(*listed)} if listed else {}
    conditions |= {name: ~F.coalesce(mapped[f"rules.{name}"].column, F.lit(False)) for name in table.rules}
    values = (
        F.coalesce(F.col(name).cast("string"), F.lit("\0"))
        for name in (OPTED_OUT, UNKNOWN_CONSENT, *(a.column for a in attributes))
    )
    rows = rows.select("*", classify(rules, conditions).alias(RULE), F.xxhash64(*values).alias(HASH))
    # Rows that already met a rule stand alone, spread over partitions: null ids would all meet in one.
    passed = F.col(RULE) == len(rules)
    spread = F.when(~passed, F.xxhash64(*(F.col(quoted(column)).cast("string") for column in staged.columns)))
    same_id = Windows.partitionBy(ID, GROUP)
    rows = rows.select("*", spread.alias(GROUP)).select(
        "*",
        (F.row_number().over(same_id.orderBy(HASH)) == 1).alias(FIRST),
        (F.min(HASH).over(same_id) != F.max(HASH).over(same_id)).alias(DIFFERENT),
    )
    conflicting = [rule.name for rule in rules].index("conflicting_duplicates")
    return rows.withColumn(RULE, F.when(passed & F.col(DIFFERENT), F.lit(conflicting)).otherwise(F.col(RULE)))


def _finite(attribute: _Attribute) -> Column:
    if attribute.number is None or not attribute.by_type:
        return attribute.text
    return F.when(is_finite(attribute.text), attribute.text)


def _metrics(
    source: Source, attributes: list[_Attribute], rules: tuple[Rule, ...], listed: tuple[str, ...]
) -> dict[str, Metric]:
    used = F.col(RULE) == len(rules)
    metrics = {
        "replaced": replaced_characters(source),
        "identical_duplicate": count_when(used & ~F.col(FIRST)),
        "opted_out_unknown": count_when(used & F.col(UNKNOWN_CONSENT)),
    }
    for index, attribute in enumerate(attributes):
        metrics[f"filled_{index}"] = count_when(used & F.col(attribute.column).isNotNull())
        number = F.lit(None) if attribute.number is None else attribute.number
        metrics[f"numbers_{index}"] = count_when(used & number.isNotNull())
    ignored = [rule.name for rule in rules].index("ignored_customer")
    return metrics | presence_metrics(listed, ID, F.col(RULE) == ignored)


def _is_numeric(attribute: _Attribute, filled: int, numbers: int) -> bool:
    if attribute.by_type:
        return attribute.number is not None
    return 0 < filled == numbers


def _customers(
    classified: DataFrame, attributes: list[_Attribute], numeric: tuple[str, ...], used: int, *, asks_consent: bool
) -> DataFrame:
    """See CheckedCustomers."""
    values = [
        a.number if a.name in numeric and a.number is not None else F.col(a.column).cast("string") for a in attributes
    ]
    good = (F.col(RULE) == used) & F.col(FIRST)
    identity, opted_out = F.col(ID).alias("customer_id"), F.col(OPTED_OUT)
    if not asks_consent:
        named = (value.alias(a.name) for a, value in zip(attributes, values, strict=True))
        return classified.filter(good).select(identity, opted_out.alias("opted_out"), *named)
    # A wish not to be profiled counts even in a row that is rejected; of such a row nothing else is taken.
    wished = (F.col(ID) != FORGOTTEN) & opted_out & (F.col(RULE) != used)
    kept = (F.max(F.when(good, value)).alias(a.name) for a, value in zip(attributes, values, strict=True))
    return classified.filter(good | wished).groupBy(identity).agg(F.max(opted_out).alias("opted_out"), *kept)


def _warnings(attributes: list[_Attribute], seen: dict[str, int]) -> list[str]:
    empty = [a.name for i, a in enumerate(attributes) if not seen[f"filled_{i}"]]
    return [f"customers: attribute '{name}' has no value in any row." for name in empty]
