"""One row of features per customer, from checked lines and customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from segengine.config import Config
from segengine.contract.values import canonical_text
from segengine.errors import SegengineError
from segengine.features.catalog import MIXES, Chosen, Feature
from segengine.features.custom import CUSTOM, check_custom, custom_rows
from segengine.features.lanes import lane
from segengine.features.lifetime import fitted_features, lifetime_value
from segengine.features.measures import HOUSE_STATUS, Scope, kept_lines, measure, narrow_lines
from segengine.features.names import attribute_columns
from segengine.features.overflow import clear_overflow
from segengine.features.shares import share_features, top_values

if TYPE_CHECKING:
    from segengine.contract import CheckedCustomers, CheckedLines

__all__ = ["COUNTS", "CustomerRows", "attribute_results", "attribute_values", "customer_rows", "with_house_lines"]

ATTRIBUTE = "__attribute_"
"""Set before the names of attributes until the measures, whose names they may have, are gone."""

COUNTS = [
    "revenue_e4",
    "orders",
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_dropped",
    "dropped_e4",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
]


@dataclass(frozen=True)
class CustomerRows:
    """`rows`: one row is a customer found anywhere, with `features` and a lane (null: it gets a segment)."""

    rows: DataFrame
    features: tuple[Feature, ...]
    persisted: DataFrame | None = None

    def unpersist(self) -> None:
        """Free what was kept to build the rows. Without it (or before rows are persisted) they are computed again."""
        if self.persisted is not None:
            self.persisted.unpersist()


Standing = Callable[[Scope, Sequence[str]], DataFrame]
"""Measures of all lines, from what runs before this one kept of them; told the scope and ignored customers that
occur."""


def customer_rows(
    checked: CheckedLines,
    customers: CheckedCustomers | None,
    chosen: Chosen,
    config: Config,
    standing: Standing | None = None,
) -> CustomerRows:
    """Aggregate the lines, with one Exchange of them, and join the customers table.

    Columns: customer_id; each feature (double, or string for categorical attributes); attribute columns; lane;
    is_known; first_ordered_at, last_ordered_at; bigint counts of lines, `orders`, and money in 1/10,000 of the currency
    unit. `standing` gives the measures where runs build on each other. Every value is the same for any order and
    partitioning of the lines. It runs a job only when shares of the top categories are asked for.
    ConfigError: a custom feature cannot be computed. InputError: money overflows.
    """
    _check_zone(checked.lines, config)
    custom = [feature for feature in chosen.features if feature.family == "custom"]
    check_custom(checked.lines, custom)
    measures = _measures(checked, customers, chosen, custom, config, standing)
    features, persisted = chosen.features, None
    if chosen.top or any(feature.family == "clv" and not feature.argument for feature in features):
        measures = persisted = measures.persist()
    for mix in MIXES:
        if mix.family in chosen.top:
            with clear_overflow():
                top = top_values(measures, mix, chosen.top[mix.family])
            features = (*features, *share_features(mix, top, chosen.exclude))
    known = _known_customers(customers, config)
    everybody = measures.withColumn("is_known", F.lit(None).cast("boolean"))
    if known is not None:
        everybody = measures.join(known, on="customer_id", how="full")
        everybody = everybody.withColumn("is_known", F.coalesce(F.col("is_known"), F.lit(False)))
    facts = _facts(everybody, checked, customers, config)
    features = fitted_features(features, facts)
    return CustomerRows(_finish(facts, features, config), features, persisted)


def _measures(
    checked: CheckedLines,
    customers: CheckedCustomers | None,
    chosen: Chosen,
    custom: Sequence[Feature],
    config: Config,
    standing: Standing | None,
) -> DataFrame:
    transactions = config.tables.transactions
    drops = transactions is not None and transactions.duplicates == "drop"
    shares = [share_features(mix, ["any"], ()) for mix in MIXES if mix.family in chosen.top]
    wanted = [*chosen.features, *(feature for some in shares for feature in some)]
    scope = Scope.of(
        wanted,
        checked.lines.columns,
        as_of=checked.as_of,
        window_start=checked.window_start,
        timezone=config.timezone,
        drop_duplicates=drops,
    )
    house = sorted({*checked.ignored_customers, *(customers.ignored_customers if customers else ())})
    if standing is not None:
        return _with_dropped(standing(scope, house), drops)
    lines = with_house_lines(checked.lines, house)
    if not custom:
        narrow = _by_customer(narrow_lines(lines, scope), checked.rows_read)
        return _with_dropped(measure(narrow, scope), drops)
    lines = _by_customer(lines, checked.rows_read)
    # Both readers below must see the same columns, or Spark would prune them apart and exchange the lines again.
    # The filter is true on every row; as it is not deterministic, no column that it names can be pruned before it.
    lines = lines.where((F.spark_partition_id() >= 0) | (F.xxhash64(*lines.columns) == 0))
    measures = _with_dropped(measure(narrow_lines(lines, scope), scope), drops)
    return _beside(measures, custom_rows(kept_lines(lines, drop_duplicates=drops), custom))


LINES_PER_PARTITION = 1_000_000
MOST_PARTITIONS = 20_000


def _by_customer(lines: DataFrame, rows: int) -> DataFrame:
    """The lines of a customer in one partition; in more partitions than the session's when there are many lines."""
    wanted = min(MOST_PARTITIONS, -(-rows // LINES_PER_PARTITION))
    if wanted > int(lines.sparkSession.conf.get("spark.sql.shuffle.partitions", "200") or 200):
        return lines.repartition(wanted, "customer_id")
    return lines.repartition("customer_id")


def _beside(measures: DataFrame, more: DataFrame) -> DataFrame:
    """Join on customer_id; both are partitioned by it already, and sorting a row per customer is cheap."""
    return measures.join(more.hint("merge"), on="customer_id", how="left")


def with_house_lines(lines: DataFrame, house: Sequence[str]) -> DataFrame:
    """Lines, and for each ignored customer one line of status HOUSE_STATUS, so that it gets a row."""
    if not house:
        return lines
    ids = lines.sparkSession.range(1).select(F.explode(F.array(*(F.lit(name) for name in house))).alias("customer_id"))
    given = {"customer_id": F.col("customer_id"), "status": F.lit(HOUSE_STATUS), "is_return": F.lit(False)}
    types = dict(lines.dtypes)
    stand_ins = ids.select(*(given.get(name, F.lit(None)).cast(types[name]).alias(name) for name in lines.columns))
    return lines.unionByName(stand_ins)


def _with_dropped(measures: DataFrame, drops: bool) -> DataFrame:
    nothing = F.lit(0).cast("bigint")
    return measures.withColumn("lines_dropped", F.col("duplicates") if drops else nothing).withColumn(
        "dropped_e4", F.col("duplicates_e4") if drops else nothing
    )


def _known_customers(customers: CheckedCustomers | None, config: Config) -> DataFrame | None:
    """customer_id, is_known, opted_out and attribute columns of the customers table."""
    if customers is None:
        return None
    return customers.customers.select(
        "customer_id",
        F.lit(True).alias("is_known"),
        "opted_out",
        *attribute_values(customers, config),
    )


def attribute_values(customers: CheckedCustomers, config: Config) -> list[Column]:
    """Attributes as ATTRIBUTE + column: numbers as doubles (null when not finite), the others as text."""
    return [
        (_finite(quoted(name)) if name in customers.numeric else quoted(name).cast("string")).alias(ATTRIBUTE + column)
        for name, column in attribute_columns(config).items()
    ]


def attribute_results(rows: DataFrame) -> list[Column]:
    """The columns of `attribute_values` under the names they have in customer rows."""
    return [F.col(name).alias(name.removeprefix(ATTRIBUTE)) for name in rows.columns if name.startswith(ATTRIBUTE)]


def quoted(name: str) -> Column:
    """A column by its exact name, whatever characters are in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def _finite(value: Column) -> Column:
    number = value.cast("double")
    return F.when(F.abs(number) < float("inf"), number)


def _facts(
    everybody: DataFrame, checked: CheckedLines, customers: CheckedCustomers | None, config: Config
) -> DataFrame:
    """Measures as the expressions of features and lanes read them: counts without nulls, local days, spend."""
    house_known = list(customers.ignored_customers) if customers else []
    scope_day = Scope.of(
        (), (), as_of=checked.as_of, window_start=None, timezone=config.timezone, drop_duplicates=False
    )
    zero = F.lit(0).cast("bigint")
    counted = [F.coalesce(F.col(name), zero).alias(name) for name in (*COUNTS, "house_lines", "lines_returned")]
    rest = [
        F.col(name) for name in everybody.columns if name not in (*COUNTS, "house_lines", "lines_returned", "is_known")
    ]
    known = F.col("is_known") | F.col("customer_id").isin(house_known) if house_known else F.col("is_known")
    facts = everybody.select(*counted, *rest, known.alias("is_known")).withColumns(
        {
            "as_of_day": F.lit(scope_day.as_of_day),
            "first_day": F.to_date("first_ordered_at"),
            "last_day": F.to_date("last_ordered_at"),
            "is_house": _is_house(config),
            "opted_out": F.coalesce(F.col("opted_out"), F.lit(False)) if customers else F.lit(False),
        }
    )
    for mix in MIXES:
        if mix.spend in facts.columns:
            spent = F.aggregate(mix.spend, zero, lambda sum_, entry: sum_ + entry["amount_e4"])
            facts = facts.withColumn(f"{mix.spend}_e4", spent)
    return facts


def _finish(facts: DataFrame, features: Sequence[Feature], config: Config) -> DataFrame:
    return facts.select(
        "customer_id",
        *(_value(feature) for feature in features if feature.family != "attributes"),
        *attribute_results(facts),
        lane(config.lanes).alias("lane"),
        *COUNTS,
        "first_ordered_at",
        "last_ordered_at",
        "is_known",
    )


def _is_house(config: Config) -> Column:
    tables = (config.tables.transactions, config.tables.customers)
    listed = sorted({canonical_text(name) for table in tables if table is not None for name in table.ignore_customers})
    return (F.col("house_lines") > 0) | F.col("customer_id").isin(listed) if listed else F.col("house_lines") > 0


def _value(feature: Feature) -> Column:
    if feature.family == "clv":
        return _finite(lifetime_value(feature)).alias(feature.name)
    if feature.family == "custom":
        return _finite(F.col(CUSTOM + feature.name)).alias(feature.name)
    mix = next((mix for mix in MIXES if mix.family == feature.family), None)
    if mix is not None and feature.argument:
        spent = F.filter(mix.spend, lambda entry: entry["value"] == F.lit(feature.argument))
        amount = F.coalesce(F.get(spent["amount_e4"], F.lit(0)), F.lit(0))
        return (amount / F.nullif(F.col(f"{mix.spend}_e4"), F.lit(0))).cast("double").alias(feature.name)
    return F.expr(feature.expression).cast("double").alias(feature.name)


def _check_zone(rows: DataFrame, config: Config) -> None:
    zone = rows.sparkSession.conf.get("spark.sql.session.timeZone")
    if zone != config.timezone:
        raise SegengineError(
            f"The session's time zone is {zone}, and days have to be counted in {config.timezone}.",
            where="spark.sql.session.timeZone",
            todo="Open the session with segengine.session.open_session(config).",
        )
