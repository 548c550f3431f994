"""One pass over classified rows: counts what every rule met and puts the rejected rows into quarantine."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine.contract.mapping import Mapped
from segengine.contract.rules import USED, Rule
from segengine.errors import InputError, SegengineError
from segengine.io.failures import explain_read_failure
from segengine.io.files import store_for
from segengine.io.source import DEFECT, DEFECT_TEXT, SOURCE_FILE, Source, quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = [
    "RULE",
    "Metric",
    "classify",
    "count_when",
    "counts_of",
    "name_of",
    "presence_metrics",
    "present",
    "replaced_characters",
    "scan",
    "sum_when",
]

log = logging.getLogger(__name__)

RULE = "_segengine_rule"
"""int: position in the rules of the rule that the row met, their number for rows that are used."""

_BITS = 62
"""Bits of a bigint that are used to tell ids apart."""

REPLACEMENT = "\ufffd"
_RAISED = re.compile(
    r"\[((?:DIVIDE_BY_ZERO|REMAINDER_BY_ZERO|CAST_INVALID_INPUT|CAST_OVERFLOW|ARITHMETIC_OVERFLOW|BINARY_ARITHMETIC_OVERFLOW|"
    r"NUMERIC_VALUE_OUT_OF_RANGE|NUMERIC_OUT_OF_SUPPORTED_RANGE|CANNOT_PARSE_[A-Z]+|INVALID_ARRAY_INDEX|INVALID_FRACTION_OF_SECOND|"
    r"DATETIME_[A-Z_]+|INTERVAL_[A-Z_]+|INVALID_PARAMETER_VALUE|USER_RAISED_EXCEPTION|MAP_KEY_DOES_NOT_EXIST|"
    r"INCONSISTENT_BEHAVIOR_CROSS_VERSION)[A-Z_.]*)|org\.apache\.spark\.(SparkDateTimeException)"
)
"""Conditions of Spark that an expression raises on a value. Spark 3.5 has none for dates that do not exist."""


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


@dataclass(frozen=True)
class Metric:
    """A number to count over rows: an aggregate of bigint, and how those of two groups of rows become one."""

    column: Column
    merge: Literal["sum", "max", "bit_or"] = "sum"


_LOW_BITS = 24
_LOW_MASK = (1 << _LOW_BITS) - 1


def count_when(condition: Column) -> Metric:
    """How many rows a condition is true for."""
    return Metric(F.count(F.when(condition, F.lit(1))))


def sum_when(condition: Column, amount: str, name: str) -> dict[str, Metric]:
    """The exact sum of a bigint column where a condition is true, in two parts that `whole` puts together.

    The parts are sums of 64 bits, which Spark adds up ten times faster than decimals; together they hold 87 bits.
    """
    value = F.when(condition, F.col(amount))
    high, low = F.shiftright(value, _LOW_BITS), value.bitwiseAND(F.lit(_LOW_MASK))
    return {f"{name}{_HIGH}": Metric(F.sum(high)), f"{name}{_LOW}": Metric(F.sum(low))}


_HIGH, _LOW = ".high", ".low"


def whole(seen: dict[str, int]) -> dict[str, int]:
    """What was counted, with the two parts of sums as one number."""
    numbers = {name: value for name, value in seen.items() if not name.endswith((_HIGH, _LOW))}
    for name, high in seen.items():
        if name.endswith(_HIGH):
            numbers[name.removesuffix(_HIGH)] = (high << _LOW_BITS) + seen[name.removesuffix(_HIGH) + _LOW]
    return numbers


def counts_of(rules: Sequence[Rule], seen: Mapping[str, int], with_amount: bool) -> dict[str, tuple[int, int | None]]:
    """rule name -> (rows, amount_e4) of what `scan` counted; 0 for rules that no row met."""
    names = [*(rule.name for rule in rules), USED]
    return {
        n: (seen.get(f"rows_{i}", 0), seen.get(f"amount_{i}", 0) if with_amount else None) for i, n in enumerate(names)
    }


def presence_metrics(names: Sequence[str], identity: str, where: Column) -> dict[str, Metric]:
    """Aggregates: which of a list of ids occur where a condition is true, a bit for each."""
    metrics = {}
    for start in range(0, len(names), _BITS):
        first, *others = names[start : start + _BITS]
        bit = F.when(F.col(identity) == first, F.lit(1))
        for index, name in enumerate(others, start=1):
            bit = bit.when(F.col(identity) == name, F.lit(1 << index))
        bits = F.bit_or(F.when(where, bit.cast("bigint")))
        metrics[f"present_{start // _BITS}"] = Metric(bits, merge="bit_or")
    return metrics


def present(names: Sequence[str], seen: Mapping[str, int]) -> tuple[str, ...]:
    """The ids of the list that `presence_metrics` saw."""
    return tuple(name for index, name in enumerate(names) if seen[f"present_{index // _BITS}"] >> (index % _BITS) & 1)


def replaced_characters(source: Source) -> Metric:
    """How many rows of a text table hold U+FFFD, which stands where bytes were no valid text."""
    texts = [
        F.col(quoted(f.name))
        for f in source.rows.schema.fields
        if isinstance(f.dataType, T.StringType) and f.name not in (SOURCE_FILE, DEFECT)
    ]
    if not source.text_casts or not texts:
        return Metric(F.sum(F.lit(0)))
    return count_when(F.concat_ws("", *texts).contains(REPLACEMENT))


@dataclass(frozen=True)
class Seen:
    """What a scan counted. `counted`: of all rows that count; `by_share`: of each share of them that was asked about.

    `left_over`: the files, as Spark names them, that rows of the share LEFT_OVER are in.
    """

    counted: dict[str, int]
    by_share: dict[int, dict[str, int]]
    left_over: tuple[str, ...]
    quarantine: str | None


KNOWN, SETTLED, LEFT_OVER = range(3)
"""Shares of the rows: counted by an earlier run; counted for good; to be looked at again by a later run."""


def scan(
    classified: DataFrame,
    source: Source,
    rules: Sequence[Rule],
    metrics: Mapping[str, Metric],
    *,
    amount: str | None,
    run_id: str,
    quarantine: str,
    mapped: Mapping[str, Mapped],
    share: Column | None = None,
) -> Seen:
    """Read the rows once; what was counted, nulls as 0, and the quarantine folder, null when nothing was rejected.

    Counted are the metrics, `rows`, and `rows_<i>` for the rule at position i; with an `amount` column also `amount`
    and `amount_<i>`. Rows fold into one a rule at once, but for rejected ones, which keep their text; those lie in
    `<quarantine>/table=<name>` as Parquet: run_id, rule, source_file, row (JSON of their columns as read, or the raw
    text of a defective row). `share` (int) divides the rows: those that are KNOWN are counted apart, and are
    not put into quarantine again. InputError: a file cannot be read, or one of the `mapped` expressions fails.
    """
    rejected = [index for index, rule in enumerate(rules) if rule.outcome == "rejected"]
    wanted = {"rows": Metric(F.count(F.lit(1))), **metrics}
    wanted |= sum_when(F.lit(True), amount, "amount") if amount else {}
    shared = F.lit(SETTLED) if share is None else share
    folded = _folded(classified, source, rejected, wanted, shared).persist()
    folder = f"table={source.name}"
    store = store_for(quarantine, classified.sparkSession)
    try:
        by_share = _added_up(folded, wanted)
        counted = add_up([numbers for one, numbers in by_share.items() if one != KNOWN], wanted)
        left_over: tuple[str, ...] = ()
        if LEFT_OVER in by_share:
            files = folded.where(F.col(_SHARE) == LEFT_OVER).select(_FILE).distinct().collect()
            left_over = tuple(sorted(str(row[0]) for row in files if row[0] is not None))
        if not any(counted.get(f"rows_{index}") for index in rejected):
            return Seen(whole(counted), by_share, left_over, None)
        rows = _unfolded(folded.where(F.col(_TEXT).isNotNull())).select(
            F.lit(run_id).alias("run_id"),
            name_of(rules).alias("rule"),
            F.col(_FILE).alias("source_file"),
            F.col(_TEXT).alias("row"),
        )
        rows.write.mode("overwrite").parquet(store.uri(folder))
    except Exception as error:  # py4j and pyspark raise many types here; those that are not explained go on as they are
        store.delete(folder)
        explained = _explained(error, source, mapped)
        if explained is None:
            raise
        raise explained from error
    finally:
        folded.unpersist()
    return Seen(whole(counted), by_share, left_over, store.uri(folder))


_TEXT, _FILE, _SHARE = "_segengine_text", "_segengine_file", "_segengine_share"


def _folded(
    classified: DataFrame, source: Source, rejected: Sequence[int], metrics: Mapping[str, Metric], share: Column
) -> DataFrame:
    """A row for each rule and share, and for each different rejected row, with its metrics."""
    as_json = F.to_json(F.struct(*(F.col(quoted(name)) for name in source.columns)), {"ignoreNullFields": "false"})
    is_rejected = F.col(RULE).isin(*rejected) & (share != KNOWN) if rejected else F.lit(False)
    text = F.when(is_rejected, F.coalesce(F.col(DEFECT_TEXT), as_json, F.lit("")))
    file = F.when(is_rejected | (share == LEFT_OVER), F.col(SOURCE_FILE))
    keys = (F.col(RULE), share.alias(_SHARE), text.alias(_TEXT), file.alias(_FILE))
    return classified.groupBy(*keys).agg(*(one.column.alias(name) for name, one in metrics.items()))


_REPEATED = 65_536


def _unfolded(folded: DataFrame) -> DataFrame:
    """Every row as often as `rows` says, through arrays of bounded length: equal rows can be many millions."""
    columns = [F.col(quoted(name)) for name in folded.columns]
    starts = F.explode(F.sequence(F.lit(0), F.col("rows") - 1, F.lit(_REPEATED))).alias("start")
    parts = folded.select(*columns, starts)
    repeated = F.explode(F.sequence(F.lit(1), F.least(F.col("rows") - F.col("start"), F.lit(_REPEATED))))
    return parts.select(*columns, repeated.alias("number"))


def _added_up(folded: DataFrame, metrics: Mapping[str, Metric]) -> dict[int, dict[str, int]]:
    """The metrics over the rows of each share, and rows and amount of each rule; sums in two parts."""
    merges = {"sum": F.sum, "max": F.max, "bit_or": F.bit_or}
    by_rule = folded.groupBy(_SHARE, RULE).agg(
        *(merges[one.merge](F.col(quoted(name))).alias(name) for name, one in metrics.items())
    )
    found: dict[int, list[dict[str, int]]] = {}
    for row in by_rule.collect():
        values = {name: int(row[name]) for name in metrics if row[name] is not None}
        counted = {name for name in ("rows", f"amount{_HIGH}", f"amount{_LOW}") if name in values}
        of_rule = {
            name.replace("rows", f"rows_{row[RULE]}").replace("amount", f"amount_{row[RULE]}"): values[name]
            for name in counted
        }
        found.setdefault(int(row[_SHARE]), []).append(values | of_rule)
    return {share: add_up(parts, metrics) for share, parts in found.items()}


def add_up(parts: Sequence[Mapping[str, int]], metrics: Mapping[str, Metric]) -> dict[str, int]:
    """What several scans, or shares of one, counted, as if one had counted all; metrics nobody met are 0."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            merge = metrics[name].merge if name in metrics else "sum"
            total[name] = _merged(merge, total[name], value) if name in total else value
    return dict.fromkeys(metrics, 0) | total


def _merged(merge: str, one: int, other: int) -> int:
    return {"sum": one + other, "max": max(one, other), "bit_or": one | other}[merge]


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
        found=f"Spark says {raised[1] or raised[2]}",
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
