"""One row an order line: their columns become ours, with everything that the rules ask about beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.config import Config, TransactionsTable
from segengine.contract.mapping import Mapped, Role, Wanted, decimal_separator, map_columns
from segengine.contract.moments import BEFORE_1900_US, Window
from segengine.contract.rules import DEFECTS, LINE_RULES, Rule, with_own_rules
from segengine.contract.scan import RULE, classify
from segengine.contract.values import canonical_id, moment, money, number, numeric_value, row_hash, was_rounded
from segengine.errors import ConfigError
from segengine.io.source import COUNTED, DEFECT, OURS, Source, quoted
from segengine.privacy import FORGOTTEN

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Lines", "one_part", "read_lines"]

ID = "_segengine_customer_id"
ORDER = "_segengine_order_id"
AT = "_segengine_ordered_at"
AT_US = "_segengine_ordered_us"
VALUE = "_segengine_amount"
E4 = "_segengine_amount_e4"
QUANTITY = "_segengine_quantity"
BAD_QUANTITY = "_segengine_bad_quantity"
PRODUCT = "_segengine_product"
CATEGORY = "_segengine_category"
CHANNEL = "_segengine_channel"
DISCOUNT = "_segengine_discount"
DISCOUNT_E4 = "_segengine_discount_e4"
BAD_DISCOUNT = "_segengine_bad_discount"
RETURN = "_segengine_is_return"
HASH = "_segengine_row_hash"
KNOWN = "_segengine_known"
ROUNDED = "_segengine_rounded"
AMOUNT_MISSING = "_segengine_amount_missing"
AMOUNT_BROKEN = "_segengine_amount_broken"
AT_MISSING = "_segengine_at_missing"
AT_BROKEN = "_segengine_at_broken"

REQUIRED = ("customer_id", "ordered_at", "amount")
ROLES: dict[str, Role] = {"amount": "number", "quantity": "number", "discount": "number", "ordered_at": "time"}


@dataclass(frozen=True)
class Lines:
    """`rows`: their columns and ours, unclassified. `conditions`: rule name -> condition, without those of the window.

    `expressions`: everything that was mapped, by its key below `tables.transactions`.
    """

    rows: DataFrame
    rules: tuple[Rule, ...]
    conditions: dict[str, Column]
    mapped: frozenset[str]
    order_mapped: bool
    expressions: dict[str, Mapped]

    def classified(self, window: Window | None, *, with_after: bool) -> DataFrame:
        """The rows with the position of their rule in `_segengine_rule`.

        Without a window nothing is before the history. `with_after`: whether rows from `as_of` on are ignored as such.
        """
        return self.rows.withColumn(RULE, classify(self.rules, self.asked(window, with_after=with_after)))

    def of_part(self, parts: int) -> Lines:
        """The lines of customers of `one_part`; nothing is worked out for the others."""
        return replace(self, rows=one_part(self.rows, parts, ID))

    def asked(self, window: Window | None, *, with_after: bool) -> dict[str, Column]:
        """rule name -> condition, those of the window among them."""
        conditions = dict(self.conditions)
        if window is not None:
            at = F.col(AT_US)
            if with_after:
                conditions["after_as_of"] = (at >= window.as_of_us) & ~self.conditions["future_date"]
            if window.start_us is not None:
                conditions["before_history"] = at < window.start_us
        return conditions


def one_part(rows: DataFrame, parts: int, column: str = "customer_id") -> DataFrame:
    """The rows of the same customers in every table: of `parts` parts that ids fall into by their hash, the first."""
    return rows if parts == 1 else rows.where(F.pmod(F.xxhash64(F.col(column)), F.lit(parts)) == 0)


def read_lines(source: Source, config: Config, now_us: int, ignored: tuple[str, ...], known: DataFrame | None) -> Lines:
    """Map the columns and set up the rules. InputError as `map_columns` says; ConfigError when one is not mapped."""
    table = config.tables.transactions
    if table is None:
        raise ConfigError("There is no transactions table.", todo="Describe it under tables.transactions.")
    for ours in REQUIRED:
        if ours not in table.columns:
            raise ConfigError(
                f"transactions: '{ours}' is not mapped.",
                where="tables.transactions.columns",
                todo=f"Say which column or expression it is, such as {ours}: their_name.",
            )
    rules = with_own_rules(LINE_RULES, table.rules, "unknown_customer", "tables.transactions.rules")
    staged, mapped = map_columns(source, table, _wanted(table))
    values, conditions = _values(source, config, table, mapped)
    rows = _with_money(staged.select("*", *(column.alias(name) for name, column in values.items())), mapped)
    conditions |= _amount_conditions() | _id_conditions(ignored)
    at = F.col(AT_US)
    conditions |= {
        "ordered_before_1900": at < BEFORE_1900_US,
        "future_date": F.coalesce(at > now_us + 86_400_000_000, F.lit(False)),
    }
    conditions |= {name: ~F.coalesce(mapped[f"rules.{name}"].column, F.lit(False)) for name in table.rules}
    if config.quality.returns == "drop" and table.returns:
        conditions["returned"] = F.col(RETURN)
    if known is not None and config.quality.unknown_customers == "reject":
        # One row an id, whatever was handed in: the join must not multiply lines.
        ids = known.select(F.col("customer_id").alias(ID), F.lit(True).alias(KNOWN)).distinct()
        rows = rows.join(ids, on=ID, how="left")
        conditions["unknown_customer"] = F.col(KNOWN).isNull()
    names = frozenset(table.columns) | (frozenset({"is_return"}) if table.returns else frozenset())
    return Lines(rows, rules, conditions, names, "order_id" in table.columns, mapped)


def _wanted(table: TransactionsTable) -> list[Wanted]:
    wanted = [Wanted(f"columns.{ours}", theirs, ROLES.get(ours, "other")) for ours, theirs in table.columns.items()]
    wanted += [Wanted(f"rules.{name}", text, "condition") for name, text in table.rules.items()]
    return wanted + ([Wanted("returns", table.returns, "condition")] if table.returns else [])


def _values(
    source: Source, config: Config, table: TransactionsTable, mapped: dict[str, Mapped]
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Columns to add to the staged rows, and the conditions on them and on the service columns."""
    where = "tables.transactions.columns"
    decimal = decimal_separator(table)
    amount = numeric_value(mapped["columns.amount"], decimal, f"{where}.amount")
    pattern = table.csv.timestamp_format if table.format == "csv" and table.path else None
    at, missing, broken = moment(
        mapped["columns.ordered_at"], pattern, table.timezone or config.timezone, f"{where}.ordered_at"
    )
    fields = [field for field in source.rows.schema.fields if field.name not in (*OURS, COUNTED)]
    returns = mapped.get("returns")
    values: dict[str, Column] = {
        ID: _canonical(mapped["columns.customer_id"]),
        AT: at,
        AT_MISSING: missing,
        AT_BROKEN: broken,
        VALUE: amount.value,
        AMOUNT_MISSING: amount.missing,
        AMOUNT_BROKEN: amount.broken,
        RETURN: F.lit(False) if returns is None else F.coalesce(returns.column, F.lit(False)),
        HASH: row_hash(fields, [quoted(field.name) for field in fields]),
        ORDER: _canonical(mapped["columns.order_id"]) if "order_id" in table.columns else F.lit(None).cast("string"),
        BAD_QUANTITY: F.lit(False),
    }
    if "quantity" in table.columns:
        quantity = numeric_value(mapped["columns.quantity"], decimal, f"{where}.quantity")
        values |= {QUANTITY: number(quantity), BAD_QUANTITY: quantity.broken}
    if "discount" in table.columns:
        discount = numeric_value(mapped["columns.discount"], decimal, f"{where}.discount")
        usable = F.when(~discount.missing & ~discount.broken, discount.value)
        values |= {DISCOUNT: usable, BAD_DISCOUNT: discount.broken}
    for ours, name in (("product", PRODUCT), ("category", CATEGORY), ("channel", CHANNEL)):
        if ours in table.columns:
            values[name] = _canonical(mapped[f"columns.{ours}"])
    defect = F.col(DEFECT)
    named = [rule.name for rule in DEFECTS if rule.name != "malformed_row"]
    conditions = {name: defect == name for name in named} | {"malformed_row": defect.isNotNull()}
    return values, conditions


def _canonical(mapped: Mapped) -> Column:
    return canonical_id(mapped.column, mapped.dtype)


def _with_money(rows: DataFrame, mapped: dict[str, Mapped]) -> DataFrame:
    amount = mapped["columns.amount"]
    dtype = T.DecimalType(38, 10) if isinstance(amount.dtype, T.StringType) else amount.dtype
    usable = F.when(~F.col(AMOUNT_MISSING) & ~F.col(AMOUNT_BROKEN), money(VALUE, amount.dtype))
    if "columns.discount" in mapped:
        rows = rows.withColumn(DISCOUNT_E4, money(DISCOUNT, mapped["columns.discount"].dtype))
    return rows.select("*", usable.alias(E4), F.unix_micros(AT).alias(AT_US)).select(
        "*", was_rounded(VALUE, E4, dtype).alias(ROUNDED)
    )


def _amount_conditions() -> dict[str, Column]:
    return {
        "missing_amount": F.col(AMOUNT_MISSING),
        "bad_amount": F.col(AMOUNT_BROKEN),
        "amount_overflow": F.col(E4).isNull(),
        "missing_ordered_at": F.col(AT_MISSING),
        "bad_ordered_at": F.col(AT_BROKEN) | F.col(AT_US).isNull(),
    }


def _id_conditions(ignored: tuple[str, ...]) -> dict[str, Column]:
    conditions = {"missing_customer_id": F.col(ID).isNull(), "forgotten_customer": F.col(ID) == FORGOTTEN}
    return conditions | ({"ignored_customer": F.col(ID).isin(*ignored)} if ignored else {})
