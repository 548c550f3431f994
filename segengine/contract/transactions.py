"""Check order lines: every row is used, rejected with a reason, or ignored by a named rule, and counted."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from segengine.config import Config
from segengine.config.times import EPOCH, microseconds
from segengine.contract import lines as ours
from segengine.contract.late import Arrived, Published, arrival_metrics, arrived
from segengine.contract.lines import Lines, one_part, read_lines
from segengine.contract.moments import Window, configured_window, latest_window
from segengine.contract.private import listed_ids, private
from segengine.contract.quality import LineTotals, QualityRow, check_shares, quality_rows
from segengine.contract.rules import DEFECTS
from segengine.contract.scan import (
    KNOWN,
    LEFT_OVER,
    RULE,
    SETTLED,
    Metric,
    Seen,
    add_up,
    count_when,
    counts_of,
    name_of,
    presence_metrics,
    present,
    replaced_characters,
    scan,
    sum_when,
    whole,
)
from segengine.errors import InputError
from segengine.io.read import check_encoding, check_rows_read
from segengine.io.source import COUNTED, SOURCE_FILE, Source

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["CheckedLines", "Settled", "check_transactions", "line_totals"]

PARTITION = "_segengine_partition"
log = logging.getLogger(__name__)

DAY_US = 86_400_000_000
NOT_LINES = frozenset(
    {"after_as_of", "missing_customer_id", "forgotten_customer", "ignored_customer", *(rule.name for rule in DEFECTS)}
)


@dataclass(frozen=True)
class CheckedLines:
    """Order lines that can be aggregated, and the account of those that cannot.

    `lines`: one row is an identified line before `as_of`: customer_id string, order_id string (the local day where
    there is none), ordered_at timestamp, amount_e4 and discount_e4 bigint (1/10,000 of the currency unit), quantity
    double, product, category and channel string (discount_e4 and these where mapped), is_return boolean, row_hash
    bigint (of all source columns), status string (used, ignored, rejected) and rule string (null when used). Times and
    amounts of rejected lines may be null. Lines of ignored customers are not in it.
    `quality` is complete once `complete` has added what only a scan of the lines knows. `lines_ignored` and
    `lines_rejected`: how many of them `lines` has; null where `as_of` was not known while counting.
    """

    lines: DataFrame
    ignored_customers: tuple[str, ...]
    as_of: dt.datetime
    window_start: dt.datetime | None
    quality: tuple[QualityRow, ...]
    rows_read: int
    amount_read_e4: int
    mapped: frozenset[str]
    warnings: tuple[str, ...]
    drop_duplicates: bool = False
    latest: bool = False
    quarantine: str | None = None
    lines_ignored: int | None = None
    lines_rejected: int | None = None
    settled: Settled | None = None
    arrived: Arrived = field(default_factory=Arrived)
    part_of_source: Callable[[int], DataFrame] | None = field(default=None, repr=False)
    """What `of_part` gives, straight from the source; None where `lines` are not the source's."""

    def of_part(self, parts: int) -> DataFrame:
        """`lines` of the customers of `one_part`. A filter on `lines` would come after all else was worked out."""
        return one_part(self.lines, parts) if self.part_of_source is None else self.part_of_source(parts)


@dataclass(frozen=True)
class Settled:
    """What a run that others build on has counted for good: everything before `until_us`, in microseconds since 1970.

    `counted` holds the metrics of this run and of those before it; `left_over` the files, as Spark names them, with
    rows from `until_us` on, whose rule may be another one tomorrow; `newest_us` the latest moment of any settled row;
    `rows` how many rows this run has settled.
    """

    counted: dict[str, int]
    until_us: int
    newest_us: int
    left_over: tuple[str, ...]
    rows: int


def check_transactions(
    source: Source,
    config: Config,
    *,
    now: dt.datetime,
    run_id: str,
    quarantine: str,
    known_customers: DataFrame | None = None,
    earlier: Mapping[str, int] | None = None,
    published: Published | None = None,
) -> CheckedLines:
    """Classify every row, write the rejected ones below the folder `quarantine`, and count, in one scan of the source.

    `now` knows its zone. `known_customers` (customer_id) is asked only with quality.unknown_customers: reject.
    `earlier`: what runs before this one counted in other rows (empty for the first of them). The account is then of
    all rows; `lines` are those of this source that are not counted yet, whatever the history window, with a column
    `is_settled` more. `source.rows` must have COUNTED: null, or before which moment the rows of its file are counted.
    `published`: rows before that moment that were not there when it was published are counted in `arrived`.
    InputError: a column, expression, file or encoding is not what it should be. QualityError: more rows are rejected
    than quality.max_rejected_share allows, or none is left; the quarantine is kept.
    """
    table = config.tables.transactions
    listed = listed_ids(table.ignore_customers if table else (), config)
    source = private(source, table, config) if table is not None else source
    found = read_lines(source, config, microseconds(now), listed, known_customers)
    window = configured_window(config)
    until_us = _until_us(window, now)
    metrics = _metrics(found, source, window, listed, nightly=earlier is not None)
    metrics |= arrival_metrics(window.as_of_us if window else until_us, published)
    share = None if earlier is None else _share(until_us)
    scanned = _scan(found, source, metrics, window, share, run_id=run_id, quarantine=quarantine)
    seen, settled = _seen(scanned, source, metrics, earlier, until_us)
    log.info("transactions: %s rows read, run %s", f"{seen['rows']:,}", run_id)
    quality = _quality(found, seen, config, scanned.quarantine)
    here = present(listed, seen)
    known = window or latest_window(seen["newest_us"], config)
    final = window is not None and earlier is None
    asked = (Window(known.as_of, known.start if share is None else None), window is None, share)
    return CheckedLines(
        lines=_lines(found, *asked),
        part_of_source=lambda parts: _lines(found.of_part(parts), *asked),
        ignored_customers=here,
        as_of=known.as_of,
        window_start=known.start,
        quality=quality,
        rows_read=seen["rows"],
        amount_read_e4=seen["amount"],
        mapped=found.mapped,
        warnings=(
            *source.facts.warnings,
            *_warnings(seen, config, known, now, quality[0].rows, len(listed) - len(here)),
        ),
        drop_duplicates=table is not None and table.duplicates == "drop",
        latest=not final,
        quarantine=scanned.quarantine,
        lines_ignored=seen["lines_ignored"] if final else None,
        lines_rejected=seen["lines_rejected"] if final else None,
        settled=settled,
        arrived=arrived(scanned.counted, seen, earlier, published, known.as_of),
    )


def _scan(
    found: Lines,
    source: Source,
    metrics: Mapping[str, Metric],
    window: Window | None,
    share: Column | None,
    *,
    run_id: str,
    quarantine: str,
) -> Seen:
    """The one scan; a run that others build on leaves the beginning of the history open."""
    asked = window if window is None or share is None else Window(window.as_of, None)
    return scan(
        found.classified(asked, with_after=True),
        source,
        found.rules,
        metrics,
        amount=ours.E4,
        run_id=run_id,
        quarantine=quarantine,
        mapped=found.expressions,
        share=share,
    )


def _until_us(window: Window | None, now: dt.datetime) -> int:
    """Rows before this moment meet the same rule in every later run."""
    tomorrow_us = microseconds(now) + DAY_US + 1
    return tomorrow_us if window is None else min(window.as_of_us, tomorrow_us)


def _seen(
    scanned: Seen, source: Source, metrics: Mapping[str, Metric], earlier: Mapping[str, int] | None, until_us: int
) -> tuple[dict[str, int], Settled | None]:
    """What was counted, with earlier runs; refused when rows are missing, their encoding is wrong or there are none."""
    seen, settled = scanned.counted, None
    check_rows_read(source, seen["rows"] + scanned.by_share.get(KNOWN, {"rows": 0})["rows"])
    if seen["replaced"]:
        check_encoding(source, seen["replaced"])
    if earlier is not None:
        mine = scanned.by_share.get(SETTLED, {})
        counted = add_up([earlier, mine], metrics)
        settled = Settled(counted, until_us, counted["newest_row_us"], scanned.left_over, mine.get("rows", 0))
        seen = whole(add_up([counted, scanned.by_share.get(LEFT_OVER, {})], metrics))
    if not seen["rows"]:
        raise InputError(
            "transactions: the table has no rows.", where=source.facts.location, todo="Check the path and the export."
        )
    return seen, settled


def _share(until_us: int) -> Column:
    at, counted = F.col(ours.AT_US), F.col(COUNTED)
    known = counted.isNotNull() & F.coalesce(at < counted, F.lit(True))
    again = (at >= until_us) & F.col(SOURCE_FILE).isNotNull()  # rows that are in no file cannot be read again
    return F.when(known, F.lit(KNOWN)).when(again, F.lit(LEFT_OVER)).otherwise(F.lit(SETTLED))


def _metrics(
    found: Lines, source: Source, window: Window | None, listed: tuple[str, ...], *, nightly: bool
) -> dict[str, Metric]:
    """What is counted beside the rules: notes, the newest used row, encoding, and which ignored customers occur."""
    used = F.col(RULE) == len(found.rules)
    rounded, bad_quantity = used & F.col(ours.ROUNDED), used & F.col(ours.BAD_QUANTITY)
    metrics = {
        "replaced": replaced_characters(source),
        "amount_rounded": count_when(rounded),
        **sum_when(rounded, ours.E4, "amount_rounded_e4"),
        "bad_quantity": count_when(bad_quantity),
        **sum_when(bad_quantity, ours.E4, "bad_quantity_e4"),
    }
    if "discount" in found.mapped:
        bad_discount = used & F.col(ours.BAD_DISCOUNT)
        metrics |= {"bad_discount": count_when(bad_discount), **sum_when(bad_discount, ours.E4, "bad_discount_e4")}
    if found.order_mapped:
        without = used & F.col(ours.ORDER).isNull()
        metrics |= {"missing_order_id": count_when(without), **sum_when(without, ours.E4, "missing_order_id_e4")}
    if window is None:
        at = F.col(ours.AT)
        seconds = F.hour(at) * 3600 + F.minute(at) * 60 + F.second(at)
        metrics["newest_us"] = Metric(F.max(F.when(used, F.col(ours.AT_US))), merge="max")
        metrics["day_seconds"] = Metric(F.sum(F.when(used, seconds)))
    elif not nightly:
        kept = _is_line(found, window)
        for outcome in ("ignored", "rejected"):
            metrics[f"lines_{outcome}"] = count_when(kept & F.col(RULE).isin(*_positions(found, outcome)))
    if nightly:
        metrics["newest_row_us"] = Metric(F.max(ours.AT_US), merge="max")
    ignored = F.col(RULE) == [rule.name for rule in found.rules].index("ignored_customer")
    metrics |= presence_metrics(listed, ours.ID, ignored)
    return metrics


def _positions(found: Lines, outcome: str) -> list[int]:
    return [index for index, rule in enumerate(found.rules) if rule.outcome == outcome]


def _is_line(found: Lines, window: Window) -> Column:
    """Whether a classified row is an identified line before `as_of`."""
    outside = [i for i, rule in enumerate(found.rules) if rule.name in NOT_LINES]
    return ~F.col(RULE).isin(*outside) & F.coalesce(F.col(ours.AT_US) < window.as_of_us, F.lit(True))


def _lines(found: Lines, window: Window, latest: bool, share: Column | None) -> DataFrame:
    """The lines that features are built from; see CheckedLines."""
    classified = found.classified(window, with_after=not latest)
    outcome = F.get(F.array(*(F.lit(rule.outcome) for rule in found.rules)), F.col(RULE))
    day = F.date_format(F.col(ours.AT), "yyyy-MM-dd")
    optional = (
        ("quantity", "quantity", ours.QUANTITY),
        ("product", "product", ours.PRODUCT),
        ("category", "category", ours.CATEGORY),
        ("channel", "channel", ours.CHANNEL),
        ("discount", "discount_e4", ours.DISCOUNT_E4),
    )
    # Spark would move the filter below the projections and compute all that it names a second time, but not below one
    # that is not deterministic.
    is_line = _is_line(found, window) & (F.lit(True) if share is None else share != KNOWN)
    here = classified.withColumn(PARTITION, F.spark_partition_id())
    return here.filter(is_line | (F.col(PARTITION) < 0)).select(
        F.col(ours.ID).alias("customer_id"),
        F.coalesce(F.col(ours.ORDER), day, F.lit("")).alias("order_id"),
        F.col(ours.AT).alias("ordered_at"),
        F.col(ours.E4).alias("amount_e4"),
        *(F.col(column).alias(name) for role, name, column in optional if role in found.mapped),
        F.col(ours.RETURN).alias("is_return"),
        F.col(ours.HASH).alias("row_hash"),
        F.coalesce(outcome, F.lit("used")).alias("status"),
        name_of(found.rules).alias("rule"),
        *(() if share is None else ((share == SETTLED).alias("is_settled"),)),
    )


def _quality(found: Lines, seen: dict[str, int], config: Config, quarantine: str | None) -> tuple[QualityRow, ...]:
    """The account of rows. QualityError when more are rejected than the configuration allows."""
    quality = quality_rows("transactions", found.rules, counts_of(found.rules, seen, True), _notes(seen))
    check_shares(quality, config.quality.max_rejected_share, "transactions", quarantine)
    return quality


def _notes(seen: dict[str, int]) -> dict[str, tuple[int, int | None]]:
    names = ("amount_rounded", "missing_order_id", "bad_quantity", "bad_discount")
    return {name: (seen[name], seen[f"{name}_e4"]) for name in names if name in seen}


def _warnings(
    seen: dict[str, int], config: Config, window: Window, now: dt.datetime, used: int, absent: int
) -> tuple[str, ...]:
    warnings = []
    if window.as_of > now:
        warnings.append(
            f"as_of, {window.as_of:%Y-%m-%d %H:%M} UTC, is later than now: orders up to then are still to come."
        )
    if config.as_of == "latest" and used:
        newest = (EPOCH + dt.timedelta(microseconds=seen["newest_us"])).astimezone(ZoneInfo(config.timezone))
        mean = int(seen["day_seconds"] / used)  # of all used orders, in seconds since midnight
        if newest.hour * 3600 + newest.minute * 60 + newest.second < mean:
            warnings.append(
                f"The last day looks incomplete: its newest order, at {newest:%H:%M} on {newest:%Y-%m-%d}, is earlier "
                f"than the mean time of all orders, {mean // 3600:02}:{mean // 60 % 60:02}. "
                "Set as_of to leave that day out."
            )
    if absent:
        warnings.append(f"{absent} of the ignore_customers of transactions do not occur in the table.")
    return tuple(warnings)


def line_totals(checked: CheckedLines) -> LineTotals:
    """One scan of the lines, for when no features are built: what they hold, and how many are exact duplicates."""
    amount, status = F.col("amount_e4"), F.col("status")
    keys = ("customer_id", "order_id", "row_hash")
    before = F.col("rule").eqNullSafe("before_history")
    grouped = checked.lines.groupBy(*keys, "status", before.alias("before")).agg(
        F.count(F.lit(1)).alias("rows"),
        F.first(amount).alias("amount_e4"),
        F.sum(amount.cast("decimal(20,0)")).alias("amounts"),
    )
    rows, used = F.col("rows"), status == "used"
    money = F.col("amounts")
    sums = {
        "used_rows": F.when(used, rows),
        "used_amount_e4": F.when(used, money),
        "before_history_rows": F.when(F.col("before"), rows),
        "before_history_amount_e4": F.when(F.col("before"), money),
        "ignored_rows": F.when(status == "ignored", rows),
        "rejected_rows": F.when(status == "rejected", rows),
        "duplicates": F.when(used, rows - 1),
        "duplicates_amount_e4": F.when(used, money - amount),
    }
    found = grouped.agg(*(F.sum(column).alias(name) for name, column in sums.items())).first()
    return LineTotals(**{name: int((found[name] if found else None) or 0) for name in sums})
