"""Does a recipe predict anything? Its segments as of a moment in the past, and what the same customers did next.

A bounded sample of customers, chosen by a hash of their id: their lines are read once more and kept, their features
are computed as of T - 90 days, and the next 90 days are measured. Only when a model is trained.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from segengine.config import History
from segengine.config.models import DEFAULT_WEIGHTS
from segengine.config.times import EPOCH, local_text, microseconds
from segengine.contract.lines import one_part
from segengine.errors import ModelError
from segengine.features import CATALOG, Chosen, customer_rows
from segengine.features.prepare import input_columns, options_of
from segengine.features.prepare_sample import Sample, hash_sample
from segengine.kept import keep
from segengine.model.ahead import judge_recipe, weigh
from segengine.model.prediction import Behaviour, Prediction

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.config import Config
    from segengine.contract import CheckedCustomers, CheckedLines
    from segengine.features.catalog import Feature
    from segengine.features.prepare_fit import InputColumn
    from segengine.job import Job
    from segengine.runs.customers import Customers
    from segengine.runs.tables import Found

__all__ = [
    "AHEAD_DAYS",
    "Past",
    "Then",
    "behaviours_of",
    "in_any_window",
    "looked_back",
    "looking_back",
    "one_period_ago",
    "weights_for",
]

Floats = NDArray[np.float64]

AHEAD_DAYS = 90
MOST_CUSTOMERS = 20_000
MOST_LINES = 2_000_000
"""Customers and lines that are looked at, about; a hash of the id says whose."""

FEWEST_CUSTOMERS = 200
"""Fewer customers tell nothing: the interval of an eta squared would be as wide as the number itself."""

RFM = ("recency_days", "frequency_orders", "monetary_total")


def in_any_window(lines: DataFrame, config: Config) -> DataFrame:
    """Checked lines, those from before the history window judged as if they were in it."""
    from pyspark.sql import functions as F

    back = F.coalesce(F.col("is_return"), F.lit(False)) & F.lit(config.quality.returns == "drop")
    early = F.coalesce(F.col("rule") == "before_history", F.lit(False))
    status = F.when(early & ~back, F.lit("used")).otherwise(F.col("status"))
    rule = F.when(early, F.when(back, F.lit("returned"))).otherwise(F.col("rule"))
    return lines.withColumns({"status": status, "rule": rule})


@dataclass(frozen=True)
class Then:
    """Customers as they were at a moment, and what they did in the AHEAD_DAYS after it, row for row."""

    day: str
    """The moment in the configured zone, as people are told it."""
    sample: Sample
    inputs: tuple[InputColumn, ...]
    """The features of the recipe: the sample has RFM as well."""
    behaviours: tuple[Behaviour, ...]


@dataclass(frozen=True)
class Past:
    """Lines of some customers, persisted, from which any earlier moment can be looked back from."""

    job: Job
    found: Found
    lines: DataFrame
    people: CheckedCustomers | None
    first_order: dt.datetime
    as_of: dt.datetime

    def before(self, periods: int) -> dt.datetime:
        """The moment so many periods of AHEAD_DAYS before T, on the calendar of the configured zone."""
        span = History(days=AHEAD_DAYS * periods, timezone=self.job.config.timezone)
        return cast(dt.datetime, span.start(self.as_of))

    def why_not(self, periods: int) -> str | None:
        """Why customers cannot be looked at as they were so many periods ago: their history is too short."""
        wanted = self.before(periods + 1)
        if self.first_order <= wanted:
            return None
        days = (self.as_of - self.first_order).days
        return f"there are {days} days of orders, and {AHEAD_DAYS * (periods + 1)} are needed"

    def then(self, periods: int, chosen: Chosen) -> Then:
        """Customers as of so many periods ago with these features and RFM, and the period that followed."""
        at, until = self.before(periods), self.before(periods - 1) if periods > 1 else self.as_of
        own, rfm = _unfitted(chosen.features)
        rows = customer_rows(self._checked(at), self.people, replace(chosen, features=(*own, *rfm)), self.job.config)
        kept = keep(rows.rows.where("lane is null"))
        try:
            sample = hash_sample(kept.rows, input_columns(rows.features), MOST_CUSTOMERS)
        finally:
            rows.unpersist()
            kept.release()
        inputs = input_columns(feature for feature in rows.features if feature not in rfm)
        return Then(local_text(at, self.job.config.timezone), sample, inputs, self._behaviours(sample, at, until))

    def _checked(self, at: dt.datetime) -> CheckedLines:
        """The lines before a moment, judged as a run as of that moment would."""
        from pyspark.sql import functions as F

        lines, config = cast("CheckedLines", self.found.lines), self.job.config
        rows = self.lines.where(F.unix_micros("ordered_at") < microseconds(at))
        return replace(
            lines,
            lines=in_any_window(rows, config),
            part_of_source=None,
            as_of=at,
            window_start=config.history_window.start(at),
            ignored_customers=(),
            rows_read=MOST_LINES,
        )

    def _behaviours(self, sample: Sample, at: dt.datetime, until: dt.datetime) -> tuple[Behaviour, ...]:
        """What the sampled customers did from `at` until `until`, in the order of the sample."""
        mapped = cast("CheckedLines", self.found.lines).mapped
        frame = _next(self.lines, at, until, mapped).toPandas().set_index("customer_id")
        did = frame.reindex(sample.ids.astype(str)).fillna(0.0)
        return behaviours_of({str(name): did[name].to_numpy(dtype=np.float64) for name in did.columns})


def behaviours_of(did: Mapping[str, Floats]) -> tuple[Behaviour, ...]:
    """The panel, from sums of the period: revenue (1/10,000), orders, late_orders, varieties, discount.

    The logarithm of revenue is of 1 + money over a thousandth of what the median buyer spent: like log(1 + dollars)
    at a grocer's, and the same in another currency.
    """
    money, orders = np.maximum(did["revenue"], 0.0), did["orders"]
    buyers = (orders > 0) & (money > 0)
    scale = float(np.median(money[buyers])) / 1000 if buyers.any() else 1.0
    average = np.where(buyers, np.log(np.where(buyers, money, 1.0) / np.where(buyers, orders, 1.0)), np.nan)
    panel = [
        Behaviour("log_revenue", np.log1p(money / scale)),
        Behaviour("active_later", (did["late_orders"] > 0).astype(np.float64)),
        Behaviour("log_order_value", average),
    ]
    if "varieties" in did:
        panel.append(Behaviour("log_variety", np.where(orders > 0, np.log(np.maximum(did["varieties"], 1.0)), np.nan)))
    if "discount" in did:
        full = money + did["discount"]
        share = np.where(buyers, did["discount"] / np.where(full > 0, full, 1.0), np.nan)
        panel.append(Behaviour("discount_share", share))
    return (*panel, Behaviour("revenue", money, is_judged=False))


def _next(lines: DataFrame, at: dt.datetime, until: dt.datetime, mapped: frozenset[str]) -> DataFrame:
    """One row is a customer with a line in the period: revenue, orders, late_orders and what is mapped beside."""
    from pyspark.sql import functions as F

    start, stop = microseconds(at), microseconds(until)
    when = F.unix_micros("ordered_at")
    used = lines.where((F.col("status") == "used") & (when >= start) & (when < stop))
    bought = ~F.coalesce(F.col("is_return"), F.lit(False))
    late = bought & (when >= (start + stop) // 2)
    sums = {
        "revenue": F.sum("amount_e4"),
        "orders": F.count_distinct(F.when(bought, F.col("order_id"))),
        "late_orders": F.count_distinct(F.when(late, F.col("order_id"))),
    }
    variety = next((name for name in ("category", "product") if name in mapped), None)
    if variety is not None:
        sums["varieties"] = F.count_distinct(F.when(bought, F.col(variety)))
    if "discount" in mapped:
        sums["discount"] = F.sum(F.when(bought, F.abs("discount_e4")))
    return used.groupBy("customer_id").agg(
        *(F.coalesce(column, F.lit(0)).cast("double").alias(name) for name, column in sums.items())
    )


def _unfitted(features: tuple[Feature, ...]) -> tuple[tuple[Feature, ...], tuple[Feature, ...]]:
    """The features without what was learnt from later lines, and those of RFM that are not among them."""
    own = tuple(replace(feature, argument="") if feature.family == "clv" else feature for feature in features)
    known = {feature.name for feature in own}
    return own, tuple(feature for feature in CATALOG if feature.name in RFM and feature.name not in known)


def weights_for(job: Job, past: Past | str, chosen: Chosen) -> tuple[Mapping[str, float] | None, dict[str, Any]]:
    """The weights that prepare.weights: auto comes to, picked two periods back; None for those of the configuration.

    With them what is told of it: the weights in use, how they came about, every trial.
    """
    prepare = job.config.prepare
    if prepare.weights != "auto":
        return None, {"weights": dict(prepare.weights), "picked": "by the configuration"}
    why = past if isinstance(past, str) else past.why_not(2)
    if why is not None or isinstance(past, str):
        return None, {"weights": dict(DEFAULT_WEIGHTS), "picked": f"by default, not automatically: {why}"}
    then = past.then(2, chosen)
    if len(then.sample.frame) < FEWEST_CUSTOMERS:
        return None, {"weights": dict(DEFAULT_WEIGHTS), "picked": f"by default: {_too_few(then)}"}
    k = job.config.k_values[len(job.config.k_values) // 2]
    found = weigh(then.sample, then.behaviours, then.inputs, options_of(prepare), k, seed=job.config.segments.seed)
    told = {
        "weights": dict(found.weights),
        "picked": f"automatically, as of {then.day} with {k} segments, by what those customers did in the "
        f"{AHEAD_DAYS} days after",
        "trials": [{"weights": dict(weights), "mean_eta_squared": value} for weights, value in found.trials],
    }
    return found.weights, told


def one_period_ago(past: Past | str, chosen: Chosen) -> Then | str:
    """Customers as they were one period ago, and what followed; or why that is not known. It needs no model."""
    why = past if isinstance(past, str) else past.why_not(1)
    if why is not None or isinstance(past, str):
        return str(why)
    then = past.then(1, Chosen(chosen.features))
    return then if len(then.sample.frame) >= FEWEST_CUSTOMERS else _too_few(then)


def looked_back(job: Job, then: Then | str, k: int, weights: Mapping[str, float] | None) -> Prediction | str:
    """How far the recipe of a model of k segments, as of then, separates what followed; or why that is not known."""
    if isinstance(then, str):
        return then
    limits = job.config.segments
    try:
        return judge_recipe(
            then.sample,
            then.behaviours,
            then.inputs,
            options_of(job.config.prepare, weights),
            k,
            restarts=limits.restarts,
            seed=limits.seed,
        )
    except ModelError as error:
        return f"the recipe finds no segments {AHEAD_DAYS} days before: {error.what}"


def _too_few(then: Then) -> str:
    return f"there were {len(then.sample.frame):,} customers on {then.day}, and {FEWEST_CUSTOMERS} are needed"


@contextmanager
def looking_back(job: Job, found: Found, people: Customers) -> Iterator[Past | str]:
    """The lines of some customers, kept while the block runs; or why there is nothing to look back on."""
    config, lines = job.config, found.lines
    if lines is None:
        yield "there are no transactions"
        return
    if config.segments.by is not None:
        yield "with segments.by each group would need baselines of its own, for which most groups are too small"
        return
    if found.night is not None:
        yield "an incremental run reads new lines only, and looking back takes all of them"
        return
    if people.totals.assigned_customers < FEWEST_CUSTOMERS:
        yield f"there are {people.totals.assigned_customers:,} customers, and {FEWEST_CUSTOMERS} are needed"
        return
    if people.totals.first_order_us is None:
        yield "there are no orders"
        return
    parts = _parts(people.totals.assigned_customers, people.totals.lines_used)
    kept = keep(lines.of_part(parts))
    known = None if found.people is None else replace(found.people, customers=one_part(found.people.customers, parts))
    try:
        first = EPOCH + dt.timedelta(microseconds=people.totals.first_order_us)
        yield Past(job, found, kept.rows, known, first, found.as_of)
    finally:
        kept.release()


def _parts(customers: int, lines: int) -> int:
    """Into how many parts customers fall by their hash; one of them is looked at."""
    return max(1, math.ceil(customers / MOST_CUSTOMERS), math.ceil(lines / MOST_LINES))
