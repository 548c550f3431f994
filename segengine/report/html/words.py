"""Numbers, features and differences in words that need no glossary."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from segengine.report.published import Facts, Profile

__all__ = [
    "ABSENT",
    "bare",
    "count",
    "day",
    "feature_label",
    "level",
    "measured",
    "money",
    "money_number",
    "number",
    "percent",
    "reading",
    "shown_unit",
    "sign",
    "spoken",
]

ABSENT = "\N{EN DASH}"
"""Shown where there is no value."""

LEVELS = ((1.5, "far"), (0.75, "much"), (0.25, "somewhat"))
"""How many standard deviations of all customers a mean is away, and the word for it."""

LABELS = {
    "recency_days": "Days since the last order",
    "frequency_orders": "Orders",
    "monetary_total": "Total spent",
    "average_order_value": "Value of an order",
    "items_per_order": "Items in an order",
    "products_per_order": "Products in an order",
    "tenure_days": "Days since the first order",
    "active_months": "Months with an order",
    "days_between_orders_mean": "Days between orders",
    "days_between_orders_cv": "Irregularity of orders",
    "monetary_trend_90d": "Trend of spend, 90 days",
    "orders_trend_90d": "Trend of orders, 90 days",
    "top_category_share": "Share of the top category",
    "categories_count": "Categories bought from",
    "category_entropy": "Variety of categories",
}
"""Features that most configurations have, in words that need no glossary."""

UNIT_WORDS = ("days", "months")


def count(value: int | None) -> str:
    """A whole number with thousands apart: 12,345."""
    return ABSENT if value is None else f"{value:,}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 0 to 1: 12.3 %."""
    return ABSENT if share is None else f"{100 * share:,.{digits}f} %"


def money(amount: Decimal | None, facts: Facts) -> str:
    """An amount at the currency's minor unit: 12,345.68 GBP."""
    if amount is None:
        return ABSENT
    exact = amount.quantize(Decimal(1).scaleb(-facts.minor_unit), rounding=ROUND_HALF_UP)
    return f"{exact:,} {facts.currency}"


def number(value: float | None) -> str:
    """Three figures or so: 3,150 or 14.2 or 0.31."""
    if value is None:
        return ABSENT
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def day(moment: dt.datetime, timezone: str) -> str:
    """The day of a moment in a zone, with the time of day unless it is midnight."""
    local = moment.astimezone(ZoneInfo(timezone))
    midnight = (local.hour, local.minute, local.second) == (0, 0, 0)
    return local.strftime("%Y-%m-%d") if midnight else local.strftime("%Y-%m-%d %H:%M")


def feature_label(name: str) -> str:
    """A feature's name for people: recency_days -> Days since the last order; others by their own words."""
    if name in LABELS:
        return LABELS[name]
    words = name.replace("_", " ").strip()
    head, _, last = words.rpartition(" ")
    if head and last in UNIT_WORDS:
        words = f"{head} ({last})"
    return words[:1].upper() + words[1:]


def measured(value: float | None, unit: str, facts: Facts) -> str:
    """A value with its unit: 3,150 USD, 12 days, 31 %."""
    if value is None:
        return ABSENT
    if unit.startswith("share"):
        return percent(value, 0)
    return f"{number(value)} {shown_unit(unit, facts)}".strip()


def shown_unit(unit: str, facts: Facts) -> str:
    """A unit as it stands behind a number: nothing for ratios, shares and units of the reader's own."""
    plain = unit.startswith(("ratio", "share")) or unit in ("own", "nats")
    return "" if plain else unit.replace("currency", facts.currency)


def bare(value: float | None, unit: str) -> str:
    """A value whose unit stands elsewhere: 3,150 or 31 %."""
    return percent(value, 0) if value is not None and unit.startswith("share") else number(value)


def money_number(amount: Decimal | None, facts: Facts) -> str:
    """An amount without its currency, which stands elsewhere."""
    return money(amount, facts).removesuffix(f" {facts.currency}")


def level(z: float | None) -> int:
    """-3 to 3: far below, much below, somewhat below, typical, and the same above."""
    if z is None:
        return 0
    steps = sum(abs(z) >= limit for limit, _ in LEVELS)
    return steps if z > 0 else -steps


def reading(z: float | None) -> str:
    """In words how a segment's mean compares with that of all customers."""
    steps = level(z)
    if z is None:
        return "not known"
    if steps == 0:
        return "typical"
    return f"{LEVELS[3 - abs(steps)][1]} {'higher' if steps > 0 else 'lower'}"


def sign(z: float | None) -> str:
    """The same as a sign, so that no colour is needed: ▲▲ is much higher."""
    steps = level(z)
    return ("▲" if steps > 0 else "▼") * abs(steps) or "·"


def spoken(profile: Profile, facts: Facts) -> str:
    """A profile as a phrase: Monetary total: much higher than average (3,150 USD, all customers 1,885 USD)."""
    own, everybody = (measured(value, profile.unit, facts) for value in (profile.mean, profile.overall_mean))
    return f"{feature_label(profile.feature)}: {reading(profile.z)} than average ({own}, all customers {everybody})"
