"""What a campaign brought: those written to against those held out, with intervals; pure mathematics on exact sums.

docs/math.md has the formulas with their sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from scipy import stats

__all__ = [
    "CONFIDENCE",
    "FEWEST_BUYERS",
    "FEWEST_CUSTOMERS",
    "Compared",
    "Interval",
    "Sums",
    "compare",
    "difference",
    "ratio",
    "smallest_share_told",
    "wilson",
]

CONFIDENCE = 0.95
POWER = 0.80
FEWEST_CUSTOMERS = 30
FEWEST_BUYERS = 20
"""Fewer in either group, and the mean of mostly zeros is not nearly normal: money is then too small to tell."""

_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
_DETECTED = _Z + float(stats.norm.ppf(POWER))
"""Standard errors that a difference must be away from zero to be found with the power."""


@dataclass(frozen=True)
class Sums:
    """A group added up, exactly: y is the revenue of a customer in the period, x the baseline, both in 1/10,000."""

    customers: int
    buyers: int = 0
    orders: int = 0
    y: int = 0
    yy: int = 0
    x: int = 0
    xx: int = 0
    xy: int = 0

    def __add__(self, other: Sums) -> Sums:
        mine, theirs = vars(self).values(), vars(other).values()
        return Sums(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def spread(self, name: str) -> Fraction:
        """Sum of squared (yy, xx) or multiplied (xy) deviations from the means."""
        first, second = (getattr(self, letter) for letter in name)
        return Fraction(getattr(self, name)) - Fraction(first * second, max(self.customers, 1))


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits; a limit that does not exist is None."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Compared:
    """One measure of both groups. `verdict`: more, less, or too small to tell.

    `uplift` is relative to those held out, None where they did nothing. `smallest_told`: a difference of this size
    would be found in four of five such campaigns; None where not even that can be said.
    """

    measure: str
    treated: float
    holdout: float
    difference: Interval
    uplift: Interval | None
    smallest_told: float | None
    verdict: str
    why: str = ""


def wilson(successes: int, n: int, z: float = _Z) -> Interval:
    """A share with Wilson's score interval. ValueError without a trial."""
    if n < 1:
        raise ValueError("no trials")
    share = successes / n
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def difference(one: Interval, other: Interval) -> Interval:
    """one - other, by recovering variances from the limits of each: Newcombe's interval when they are Wilson's.

    With symmetric limits of a common multiple of the standard error it is Welch's.
    """
    value, (low, high) = one.value - other.value, _limits(one)
    low0, high0 = _limits(other)
    return Interval(
        value,
        value - math.hypot(one.value - low, high0 - other.value),
        value + math.hypot(high - one.value, other.value - low0),
    )


def ratio(one: Interval, other: Interval) -> Interval | None:
    """one / other likewise (Fieller's interval with symmetric limits); None when `other` is not above zero.

    It holds 1 just when the interval of the difference holds 0. A limit that is not bounded is None.
    """
    if other.value <= 0:
        return None
    (low, high), (low0, high0) = _limits(one), _limits(other)
    below = _root(one.value, one.value - low, other.value, high0 - other.value, upper=False)
    above = _root(one.value, high - one.value, other.value, other.value - low0, upper=True) if low0 > 0 else None
    return Interval(one.value / other.value, below, above)


def _limits(one: Interval) -> tuple[float, float]:
    assert one.low is not None
    assert one.high is not None
    return one.low, one.high


def _root(a: float, da: float, b: float, db: float, *, upper: bool) -> float | None:
    """r with a - r b = -+ sqrt(da^2 + r^2 db^2): where the limit of one - r * other is zero."""
    square, rest = b * b - db * db, a * a - da * da
    inside = a * a * b * b - square * rest
    if inside < 0:
        return None
    root = math.sqrt(inside)
    if upper:
        return (a * b + root) / square if square > 0 else None
    if square > 0:
        return (a * b - root) / square
    return rest / (a * b + root) if a * b + root > 0 else None


def smallest_share_told(treated: int, holdout: int) -> float:
    """The largest that the smallest difference of shares can be that would be found: that of shares around a half."""
    return _DETECTED * math.sqrt(0.25 / treated + 0.25 / holdout) if treated and holdout else math.inf


def compare(treated: Sums, holdout: Sums) -> tuple[Compared, ...]:
    """The share who bought, the revenue per customer, and that adjusted by the baseline where one says anything.

    Money is in currency units. Nothing when a group has nobody.
    """
    if not treated.customers or not holdout.customers:
        return ()
    return tuple(
        one for one in (_share(treated, holdout), _money(treated, holdout), _adjusted(treated, holdout)) if one
    )


def _share(treated: Sums, holdout: Sums) -> Compared:
    one, other = wilson(treated.buyers, treated.customers), wilson(holdout.buyers, holdout.customers)
    error = math.sqrt(sum(s.value * (1 - s.value) / g.customers for s, g in ((one, treated), (other, holdout))))
    told = _DETECTED * error if error > 0 else smallest_share_told(treated.customers, holdout.customers)
    return _judged("share_who_bought", one, other, told, _too_few(treated, holdout, buyers=False))


def _money(treated: Sums, holdout: Sums) -> Compared:
    found = [(float(Fraction(g.y, g.customers * 10_000)), _variance(g, Fraction(0))) for g in (treated, holdout)]
    return _means("revenue_per_customer", found, treated, holdout)


def _adjusted(treated: Sums, holdout: Sums) -> Compared | None:
    """CUPED: what the baseline explains is taken out of both groups alike; None when it explains nothing."""
    xx = treated.spread("xx") + holdout.spread("xx")
    if xx <= 0:
        return None
    theta = (treated.spread("xy") + holdout.spread("xy")) / xx
    if theta == 0:
        return None
    everybody = Fraction(treated.x + holdout.x, treated.customers + holdout.customers)
    found = []
    for group in (treated, holdout):
        mean = Fraction(group.y, group.customers) - theta * (Fraction(group.x, group.customers) - everybody)
        found.append((float(mean / 10_000), _variance(group, theta)))
    return _means("revenue_per_customer_adjusted", found, treated, holdout)


def _variance(group: Sums, theta: Fraction) -> float:
    """Sample variance of y - theta x, in currency units squared."""
    if group.customers < 2:
        return 0.0
    total = group.spread("yy") - 2 * theta * group.spread("xy") + theta * theta * group.spread("xx")
    return max(0.0, float(total / (group.customers - 1) / 10**8))


def _means(measure: str, found: list[tuple[float, float]], treated: Sums, holdout: Sums) -> Compared:
    """Welch's comparison of two means."""
    squared = [variance / group.customers for (_, variance), group in zip(found, (treated, holdout), strict=True)]
    total = sum(squared)
    freedom = 1.0
    if total > 0 and min(treated.customers, holdout.customers) > 1:
        parts = [part / total for part in squared]
        groups = (treated.customers, holdout.customers)
        freedom = 1 / sum(part * part / (n - 1) for part, n in zip(parts, groups, strict=True))
    times = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    one, other = (
        Interval(mean, mean - times * math.sqrt(part), mean + times * math.sqrt(part))
        for (mean, _), part in zip(found, squared, strict=True)
    )
    told = _DETECTED * math.sqrt(total) if total > 0 else None
    return _judged(measure, one, other, told, _too_few(treated, holdout, buyers=True))


def _too_few(treated: Sums, holdout: Sums, *, buyers: bool) -> str:
    """Why nothing is said whatever the interval; empty when the groups are large enough."""
    for group, name in ((treated, "were written to"), (holdout, "were held out")):
        if group.customers < FEWEST_CUSTOMERS:
            return f"{group.customers:,} customers {name}, and {FEWEST_CUSTOMERS} are needed"
    if buyers and min(treated.buyers, holdout.buyers) < FEWEST_BUYERS:
        least = min(treated.buyers, holdout.buyers)
        return f"{least:,} customers of one group bought, and {FEWEST_BUYERS} are needed for money to be compared"
    return ""


def _judged(measure: str, one: Interval, other: Interval, told: float | None, too_few: str) -> Compared:
    between, times = difference(one, other), ratio(one, other)
    low, high = _limits(between)
    verdict = "more" if low > 0 else "less" if high < 0 else "too small to tell"
    why = too_few or ("the interval of the difference holds zero" if low <= 0 <= high else "")
    uplift = None
    if times is not None:
        uplift = Interval(times.value - 1, *(None if end is None else end - 1 for end in (times.low, times.high)))
    verdict = "too small to tell" if too_few else verdict
    return Compared(measure, one.value, other.value, between, uplift, told, verdict, why)
