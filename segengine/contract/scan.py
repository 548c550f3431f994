"""One pass over classified rows: counts every rule and writes the rejected rows to quarantine, in the same job."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import Observation
from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.contract.mapping import Mapped
from segengine.contract.rules import DEFECTS, USED, Rule
from segengine.errors import InfrastructureError, InputError, SegengineError
from segengine.io.failures import explain_read_failure
from segengine.io.files import store_for
from segengine.io.source import DEFECT, DEFECT_TEXT, SOURCE_FILE, Source, quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = [
    "RULE",
    "classify",
    "count_when",
    "counts_of",
    "name_of",
    "presence_metrics",
    "present",
    "replaced_characters",
    "rule_metrics",
    "scan",
    "sum_when",
]

log = logging.getLogger(__name__)

RULE = "_segengine_rule"
"""int: position in the rules of the rule that the row met, their number for rows that are used."""

WITHOUT_AMOUNT = frozenset({*(rule.name for rule in DEFECTS), "missing_amount", "bad_amount", "amount_overflow"})
"""Rules that are asked when there is no amount to sum."""

_BITS = 62
"""Bits of a bigint that are used to tell ids apart."""

REPLACEMENT = "\ufffd"
_RAISED = re.compile(
    r"\[((?:DIVIDE_BY_ZERO|REMAINDER_BY_ZERO|CAST_INVALID_INPUT|CAST_OVERFLOW|ARITHMETIC_OVERFLOW|BINARY_ARITHMETIC_OVERFLOW|"
    r"NUMERIC_VALUE_OUT_OF_RANGE|NUMERIC_OUT_OF_SUPPORTED_RANGE|CANNOT_PARSE_[A-Z]+|INVALID_ARRAY_INDEX|INVALID_FRACTION_OF_SECOND|"
    r"DATETIME_[A-Z_]+|INTERVAL_[A-Z_]+|INVALID_PARAMETER_VALUE|USER_RAISED_EXCEPTION|MAP_KEY_DOES_NOT_EXIST|"
    r"INCONSISTENT_BEHAVIOR_CROSS_VERSION)[A-Z_.]*)"
)
"""Conditions of Spark that an expression raises on a value."""


def classify(rules: Sequence[Rule], conditions: Mapping[str, Column]) -> Column:
    """The one classification: the position of the first rule whose condition is true, else their number (used).

    A rule without a condition does not apply. Conditions that are null count as false.
    """
    asked = [(index, conditions[rule.name]) for index, rule in enumerate(rules) if rule.name in conditions]
    chain = F.when(asked[0][1], F.lit(asked[0][0]))
    for index, condition in asked[1:]:
        chain = chain.when(condition, F.lit(index))
    return chain.otherwise(F.lit(len(rules)))


def name_of(rules: Sequence[Rule]) -> Column:
    """string: the name of the rule a row met, null for used rows."""
    return F.get(F.array(*(F.lit(rule.name) for rule in rules)), F.col(RULE))


def count_when(condition: Column) -> Column:
    """How many rows a condition is true for; an aggregate."""
    return F.sum(F.when(condition, F.lit(1)).otherwise(F.lit(0)))


def sum_when(condition: Column, amount: str) -> Column:
    """The exact sum of a bigint column where a condition is true; an aggregate that 64 bits do not limit."""
    return F.sum(F.when(condition, F.col(amount).cast("decimal(20,0)")))


def rule_metrics(rules: Sequence[Rule], asked: Collection[str], amount: str | None) -> dict[str, Column]:
    """Aggregates: rows and amount of every rule that is asked, of the used rows, and of all."""
    metrics = {"rows": F.count(F.lit(1))}
    if amount:
        metrics["amount"] = sum_when(F.lit(True), amount)
    for index, name in enumerate([*(rule.name for rule in rules), USED]):
        if name != USED and name not in asked:
            continue
        metrics[f"rows_{index}"] = count_when(F.col(RULE) == index)
        if amount and name not in WITHOUT_AMOUNT:
            metrics[f"amount_{index}"] = sum_when(F.col(RULE) == index, amount)
    return metrics


def counts_of(rules: Sequence[Rule], seen: Mapping[str, int], with_amount: bool) -> dict[str, tuple[int, int | None]]:
    """rule name -> (rows, amount_e4) of what `rule_metrics` counted; 0 for rules that were not asked."""
    names = [*(rule.name for rule in rules), USED]
    return {
        n: (seen.get(f"rows_{i}", 0), seen.get(f"amount_{i}", 0) if with_amount else None) for i, n in enumerate(names)
    }


def presence_metrics(names: Sequence[str], identity: str, where: Column) -> dict[str, Column]:
    """Aggregates: which of a list of ids occur where a condition is true, a bit for each."""
    metrics = {}
    for start in range(0, len(names), _BITS):
        first, *others = names[start : start + _BITS]
        bit = F.when(F.col(identity) == first, F.lit(1))
        for index, name in enumerate(others, start=1):
            bit = bit.when(F.col(identity) == name, F.lit(1 << index))
        metrics[f"present_{start // _BITS}"] = F.bit_or(F.when(where, bit.cast("bigint")))
    return metrics


def present(names: Sequence[str], seen: Mapping[str, int]) -> tuple[str, ...]:
    """The ids of the list that `presence_metrics` saw."""
    return tuple(name for index, name in enumerate(names) if seen[f"present_{index // _BITS}"] >> (index % _BITS) & 1)


def replaced_characters(source: Source) -> Column:
    """How many rows of a text table hold U+FFFD, which stands where bytes were no valid text; an aggregate."""
    texts = [
        F.col(quoted(f.name))
        for f in source.rows.schema.fields
        if isinstance(f.dataType, T.StringType) and f.name not in (SOURCE_FILE, DEFECT)
    ]
    if not source.text_casts or not texts:
        return F.sum(F.lit(0))
    return count_when(F.concat_ws("", *texts).contains(REPLACEMENT))


def scan(
    classified: DataFrame,
    source: Source,
    rules: Sequence[Rule],
    metrics: Mapping[str, Column],
    *,
    run_id: str,
    quarantine: str,
    mapped: Mapping[str, Mapped],
) -> tuple[dict[str, int], str | None]:
    """Run the pass; (what the metrics counted, nulls as 0; the quarantine folder, null when nothing was rejected).

    Rejected rows lie in `<quarantine>/table=<name>` as Parquet: run_id, rule, source_file, row (JSON of their columns
    as read, or the raw text of a defective row). InputError when a file cannot be read, or one of the `mapped`
    expressions fails on a value.
    """
    observation = Observation(f"segengine_{source.name}")
    rejected = [index for index, rule in enumerate(rules) if rule.outcome == "rejected"]
    as_json = F.to_json(F.struct(*(F.col(quoted(name)) for name in source.columns)), {"ignoreNullFields": "false"})
    rows = (
        classified.observe(observation, *(column.alias(name) for name, column in metrics.items()))
        .filter(F.col(RULE).isin(rejected))
        .select(
            F.lit(run_id).alias("run_id"),
            name_of(rules).alias("rule"),
            F.col(SOURCE_FILE).alias("source_file"),
            F.coalesce(F.col(DEFECT_TEXT), as_json).alias("row"),
        )
    )
    folder = f"table={source.name}"
    store = store_for(quarantine, classified.sparkSession)
    try:
        rows.write.mode("overwrite").parquet(store.uri(folder))
        seen = observation.get
    except Exception as error:  # py4j and pyspark raise many types here; those that are not explained go on as they are
        store.delete(folder)
        explained = _explained(error, source, mapped)
        if explained is None:
            raise
        raise explained from error
    numbers = {name: _whole(seen.get(name)) for name in metrics}
    if any(numbers.get(f"rows_{index}") for index in rejected):
        return numbers, store.uri(folder)
    store.delete(folder)
    if not store.list():
        store.delete("")
    return numbers, None


def _whole(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, (int, Decimal)):
        return int(value)
    raise InfrastructureError(f"Spark returned a metric of type {type(value).__name__} where a number was expected.")


def _explained(error: Exception, source: Source, mapped: Mapping[str, Mapped]) -> SegengineError | None:
    unreadable = explain_read_failure(error, source.name)
    if unreadable is not None:
        return unreadable
    text = "\n".join(_messages(error))
    raised = _RAISED.search(text)
    if raised is None:
        return None
    said = re.sub(r"\s+", "", text)
    written = [one for one in mapped.values() if one.sql]
    likely = [one for one in written if re.sub(r"\s+", "", one.sql) in said] or written
    return InputError(
        f"{source.name}: an expression of the configuration fails on a value of the table.",
        where="; ".join(f"tables.{source.name}.{one.key}: {one.text}" for one in likely),
        found=f"Spark says {raised[1]}",
        todo="Make it give null instead: try_cast(x as double), try_divide(a, b), try_to_timestamp(x, 'yyyy').",
    )


def _messages(error: BaseException) -> list[str]:
    found = []
    current: BaseException | None = error
    for _ in range(20):
        if current is None:
            break
        found.append(str(current))
        java = getattr(current, "_stackTrace", None)
        if isinstance(java, str):
            found.append(java)
        if isinstance(current, PySparkException):
            found.append(current.getCondition() or "" if hasattr(current, "getCondition") else "")
        current = current.__cause__ or getattr(current, "cause", None)
    return found
