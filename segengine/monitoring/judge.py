"""Compare today's profile with that of the training and that of a year ago, and say what is an alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from segengine.monitoring.profile import DISTANCE, RECENT_DAYS, Bins, Profile
from segengine.monitoring.statistics import chance_psi, chance_share, jensen_shannon, median_of, psi, share_above

__all__ = ["ALPHA", "Compared", "Reading", "calls", "judge"]

Verdict = Literal["ok", "watch", "alarm"]
Base = Literal["training", "year_ago", "month_before"]

ALPHA = 0.01
"""Probability that chance alone raises any alarm in a run, all its comparisons together (Bonferroni)."""

PSI_LIMITS = {"training": (0.25, 0.50), "year_ago": (0.10, 0.25)}
"""Watch and alarm. 0.10 and 0.25 are the field's (Siddiqi 2006). Between a training and another month of the year lies
a season as well: on the make-believe shop with its Christmas it alone makes 0.26, and the weekday 0.22."""
RATIO_LIMITS = {"training": (1.50, 1.80), "year_ago": (1.25, 1.50)}
"""Of medians. The season alone makes 1.47 of days since the last order; what doubles has 2."""
SHARE_LIMITS = (0.05, 0.10)
"""Of missing values and lanes: so much of all customers more or less than before."""
REJECTED_LIMITS = (0.02, 0.05)
FAR_LIMITS = (0.01, 0.02)
NATS_TO_JS_BITS = 1 / (8 * np.log(2))
SEASONAL = frozenset({"trend"})
"""Families that compare two spans within a year: without a year to compare with, their season is never an alarm."""
LOOK_FIRST = frozenset({"missing_share", "rejected_share"})
"""Alarms of these are about the data, and to train on them would teach the fault: they call for a look."""
VANISHED_LIMIT, USUAL_LEAST, NEW_LEAST = 0.10, 30, 0.10


@dataclass(frozen=True)
class Reading:
    """One comparison. `limit` is what makes it an alarm, chance counted in; `before` and `now` are for the reader."""

    measure: str
    subject: str
    compared_with: Base
    value: float
    watch_limit: float
    alarm_limit: float
    verdict: Verdict
    text: str
    before: float | None = None
    now: float | None = None


@dataclass(frozen=True)
class Compared:
    """Two profiles in the same bins, and what the earlier one stands for."""

    base: Base
    before: Profile
    now: Profile


def judge(
    compared: Sequence[Compared], recent: Mapping[str, Sequence[Mapping[str, int]]] | None = None
) -> list[Reading]:
    """Every comparison of today's customers, alarms first.

    What differs from the same month a year ago is an alarm only when it differs from the training as well: a model that
    was trained since knows it. `recent`: `count_recent`'s counts.
    """
    pending = [make for one in compared for make in _comparisons(one)]
    alpha = ALPHA / max(len(pending), 1)
    readings = _known_to_the_model([make(alpha) for make in pending]) + _recent(recent or {})
    order = {"alarm": 0, "watch": 1, "ok": 2}
    return sorted(readings, key=lambda r: (order[r.verdict], r.measure, r.subject, r.compared_with))


def calls(readings: Sequence[Reading]) -> list[Reading]:
    """The alarms that call for a retrain."""
    return [r for r in readings if r.verdict == "alarm" and r.measure not in LOOK_FIRST]


Pending = Callable[[float], Reading]


def _comparisons(one: Compared) -> list[Pending]:
    """What is to be compared; the probability of chance that each is allowed comes later, as it depends on how many."""
    pending: list[Pending] = []
    for name, bins in one.now.columns.items():
        before = one.before.columns.get(name)
        if before is None or before.known + before.missing == 0 or bins.known + bins.missing == 0:
            continue
        if len(bins.counts) > 1 and before.known and bins.known:
            # Distances have a reading of their own, which knows that nearer is no fault.
            told = name == DISTANCE or (one.base == "training" and before.family in SEASONAL)
            pending.append(_psi("psi", name, one.base, before.counts, bins.counts, told_only=told))
            pending.append(_js(name, one.base, before.counts, bins.counts, told_only=told))
        if _positive(before) and bins.known:
            pending.append(_ratio(name, one.base, before, bins))
        if name != DISTANCE:
            pending.append(_missing(name, one.base, before, bins))
    same_model = one.before.model_version == one.now.model_version
    if same_model and one.now.segments and one.before.segments:
        pending.append(_psi("segment_psi", "shares of the segments", one.base, one.before.segments, one.now.segments))
    if same_model and one.before.far is not None and one.now.far is not None and one.now.customers:
        pending.append(_far(one))
    pending += _lanes(one)
    if one.before.rows_read and one.now.rows_read:
        pending.append(_rejected(one))
    return pending


def _verdict(value: float, watch: float, alarm: float) -> Verdict:
    return "alarm" if value > alarm else "watch" if value > watch else "ok"


def _psi(
    measure: str, subject: str, base: Base, before: Sequence[int], now: Sequence[int], *, told_only: bool = False
) -> Pending:
    def make(alpha: float) -> Reading:
        chance = chance_psi(sum(before), sum(now), len(before), alpha)
        watch, alarm = (max(limit, chance) for limit in PSI_LIMITS[base])
        alarm = float("inf") if told_only else alarm
        value = psi(before, now)
        text = f"PSI {value:.3f} against {_words(base)}"
        return Reading(measure, subject, base, value, watch, alarm, _verdict(value, watch, alarm), text)

    return make


def _js(subject: str, base: Base, before: Sequence[int], now: Sequence[int], *, told_only: bool) -> Pending:
    def make(alpha: float) -> Reading:
        chance = chance_psi(sum(before), sum(now), len(before), alpha)
        watch, alarm = (max(limit, chance) * NATS_TO_JS_BITS for limit in PSI_LIMITS[base])
        alarm = float("inf") if told_only else alarm
        value = jensen_shannon(before, now)
        text = f"Jensen-Shannon divergence {value:.3f} bits against {_words(base)}"
        return Reading("jensen_shannon", subject, base, value, watch, alarm, _verdict(value, watch, alarm), text)

    return make


def _positive(bins: Bins) -> bool:
    return bins.kind == "numeric" and bins.low >= 0 and bins.known > 0 and bins.high > bins.low


def _ratio(subject: str, base: Base, before: Bins, now: Bins) -> Pending:
    """The larger median over the smaller: what doubles, or halves, even where customers differ more than that."""

    def make(alpha: float) -> Reading:
        first = median_of(before.edges, before.counts, before.low, before.high) or 0.0
        second = median_of(now.edges, now.counts, before.low, before.high) or 0.0
        measure = "distance_growth" if subject == DISTANCE else "median_ratio"
        watch, alarm = RATIO_LIMITS[base]
        ratio = max(first, second) / min(first, second) if min(first, second) > 0 else 1.0
        if subject == DISTANCE and second < first:
            ratio = 1.0  # customers nearer to their centres than before are no fault
        middle = (len(before.counts) + 1) // 2
        (high, of), (now_high, now_of) = share_above(before.counts, middle), share_above(now.counts, middle)
        by_chance = abs(high / of - now_high / now_of) <= chance_share(high, of, now_of, alpha)
        verdict = "ok" if by_chance else _verdict(ratio, watch, alarm)
        text = f"median {second:.4g} where {_words(base)} had {first:.4g}"
        return Reading(measure, subject, base, ratio, watch, alarm, verdict, text, first, second)

    return make


def _share(
    measure: str, subject: str, base: Base, before: tuple[int, int], now: tuple[int, int],
    limits: tuple[float, float], what: str, *, only_more: bool = False,
) -> Pending:  # fmt: skip
    """A change of a share, in points: limits are the larger of what matters and what chance does."""

    def make(alpha: float) -> Reading:
        first, second = before[0] / before[1], now[0] / now[1]
        chance = chance_share(before[0], before[1], now[1], alpha)
        watch, alarm = (max(limit, chance) for limit in limits)
        value = second - first if only_more else abs(second - first)
        text = f"{what}: {second:.2%} where {_words(base)} had {first:.2%}"
        return Reading(measure, subject, base, value, watch, alarm, _verdict(value, watch, alarm), text, first, second)

    return make


def _missing(subject: str, base: Base, before: Bins, now: Bins) -> Pending:
    sizes = [(bins.missing, bins.missing + bins.known) for bins in (before, now)]
    return _share("missing_share", subject, base, sizes[0], sizes[1], SHARE_LIMITS, "customers without a value")


def _far(one: Compared) -> Pending:
    before, now = ((p.far or 0, max(p.customers, 1)) for p in (one.before, one.now))
    what = "customers far from every centre (a new segment is forming when they become many)"
    return _share("far_share", "all segments", one.base, before, now, FAR_LIMITS, what, only_more=True)


def _lanes(one: Compared) -> list[Pending]:
    totals = [sum(p.segments) + sum(p.lanes.values()) for p in (one.before, one.now)]
    if not all(totals):
        return []
    names = sorted({name for p in (one.before, one.now) for name, number in p.lanes.items() if number})
    return [
        _share(
            "lane_share", name, one.base, (one.before.lanes.get(name, 0), totals[0]),
            (one.now.lanes.get(name, 0), totals[1]), SHARE_LIMITS, f"customers in the lane {name}",
        )
        for name in names
    ]  # fmt: skip


def _rejected(one: Compared) -> Pending:
    before, now = ((p.rows_rejected or 0, p.rows_read or 1) for p in (one.before, one.now))
    return _share(
        "rejected_share", "rows", one.base, before, now, REJECTED_LIMITS, "rows in quarantine", only_more=True
    )


def _known_to_the_model(readings: Sequence[Reading]) -> list[Reading]:
    """Alarms against the year before are something to watch when the training does not differ by as much as that."""
    trained = {(r.measure, r.subject): r.value for r in readings if r.compared_with == "training"}

    def known(r: Reading) -> bool:
        return r.compared_with == "year_ago" and trained.get((r.measure, r.subject), float("inf")) <= r.watch_limit

    return [replace(r, verdict="watch") if r.verdict == "alarm" and known(r) else r for r in readings]


def _recent(recent: Mapping[str, Sequence[Mapping[str, int]]]) -> list[Reading]:
    """What the customers of the last month no longer buy with, or newly do: a year ago, else the month before."""
    bought = recent.get("", ({}, {}, {}))
    now, month, year = (period.get("", 0) for period in bought)
    base: Base = "year_ago" if year >= USUAL_LEAST else "month_before"
    of, place = (year, 2) if base == "year_ago" else (month, 1)
    readings: list[Reading] = []
    if not of or not now:
        return readings
    for column, (current, *earlier) in ((c, p) for c, p in recent.items() if c):
        usual = earlier[place - 1]
        for value in sorted({*current, *usual}):
            first, second = usual.get(value, 0) / of, current.get(value, 0) / now
            readings += _appeared(f"{column}: {value}", base, first, second, of, now)
    return readings


def _appeared(subject: str, base: Base, first: float, second: float, of: int, now: int) -> list[Reading]:
    text = f"{second:.2%} of the customers of the last {RECENT_DAYS} days where {_words(base)} had {first:.2%}"
    expected = first * now
    if expected >= USUAL_LEAST:
        value = 1 - second / first
        watch, alarm = 0.5, 1 - VANISHED_LIMIT
        return [
            Reading("vanished", subject, base, value, watch, alarm, _verdict(value, watch, alarm), text, first, second)
        ]
    if first == 0 and second >= NEW_LEAST and of >= USUAL_LEAST:
        return [Reading("appeared", subject, base, second, NEW_LEAST, float("inf"), "watch", text, first, second)]
    return []


def _words(base: Base) -> str:
    return {
        "training": "the training",
        "year_ago": "the same month a year ago",
        "month_before": "the month before",
    }[base]
