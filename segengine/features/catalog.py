"""What each feature is: name, family, unit, a sentence, what it needs, and the SQL that computes it from measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "CATALOG",
    "EXPECTED_DAYS",
    "MEASURES",
    "MIXES",
    "TREND_DAYS",
    "VALUE_DAYS",
    "Attributes",
    "Chosen",
    "Feature",
    "Mix",
    "catalog_names",
    "share_feature",
]

EXPECTED_DAYS = 90
VALUE_DAYS = 365
"""How far the features of the family clv look ahead."""

TREND_DAYS = 90
"""Both halves of a trend. A quarter: long enough for a monthly buyer to have three orders in it."""


@dataclass(frozen=True)
class Feature:
    """A column of customer rows that segments are found with.

    `needs` are the columns of the checked lines without which it cannot be computed (`is_return`: a rule for returns).
    `expression` is SQL over MEASURES, or says how where no SQL can. `argument` is what a feature that is not in the
    catalog is about: the category of a share, the name of an attribute, the SQL of a custom feature, the parameters
    that a lifetime value was fitted with.
    """

    name: str
    family: str
    unit: str
    text: str
    needs: frozenset[str]
    kind: Literal["numeric", "categorical"]
    expression: str
    argument: str = ""


@dataclass(frozen=True)
class Attributes:
    """Attributes of the customers table by kind, protected ones included or not."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """The features of a run, and those that were asked for but cannot be had, with the reason.

    `top`: family -> how many of its values get a share of their own once the data is known, but for `exclude`.
    """

    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    top: Mapping[str, int] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Mix:
    """How a customer's spend is spread over the values of a column of the lines.

    `spend` names the measure: an array of (value, amount_e4). `prefix` begins the names of the shares of its values.
    """

    family: str
    column: str
    spend: str
    prefix: str


MIXES = (
    Mix("category_mix", "category", "categories", "share_"),
    Mix("channel_mix", "channel", "channels", "channel_share_"),
)

MEASURES: tuple[tuple[str, str], ...] = (
    ("as_of_day", "local day of the as-of moment"),
    ("orders", "different order ids with at least one purchase line"),
    ("revenue_e4", "sum of the used lines, 1/10,000 of the currency unit; with `returns: net` returns are in it"),
    ("purchased_e4", "sum of the purchase lines, returns not in it"),
    ("first_day, last_day", "local days of the first and the last purchase line"),
    ("quantity_millionths", "sum of the quantities of the purchase lines; null when none has one"),
    ("products", "sum over the orders of the different products in each"),
    ("order_months", "different local months with an order; an order is dated by its first purchase line"),
    (
        "gaps, gap_days, gap_days_squared",
        "gaps between successive local days with an order: count, sum, sum of squares",
    ),
    (
        "last_e4, previous_e4",
        f"revenue_e4 of the last {TREND_DAYS} days before the as-of moment, and of the {TREND_DAYS} before those",
    ),
    ("last_orders, previous_orders", "orders of the same two spans"),
    ("lines_purchased, lines_returned", "purchase lines; return lines in the window, whether used or dropped"),
    ("orders_returned, orders_touched", "different order ids with a return line; with a purchase or a return line"),
    ("returned_e4", "sum of the return lines' amounts without their sign"),
    ("weekend_orders", "orders of Saturdays and Sundays; an order is dated by its first purchase line"),
    (
        "morning_orders, evening_orders, night_orders",
        "orders from 5 to 12, from 17 to 22, and from 22 to 5 o'clock on the local wall clock",
    ),
    ("discount_e4", "sum of the discounts of the purchase lines, 1/10,000 of the currency unit, without their sign"),
    ("first_day_e4", "purchases of the first day with an order; gaps and gap_days are the repeats and recency of clv"),
    ("orders_discounted", "different order ids with a purchase line with a discount"),
    (
        "categories, channels",
        "value and amount_e4 (at least 0) of the purchase lines that have a category, or a channel; sorted",
    ),
    ("categories_e4, channels_e4", "sum of amount_e4 over `categories`, and over `channels`"),
)
"""What is known of a customer after the aggregation, for the reader of an expression. Sums are exact integers."""


def _numeric(name: str, family: str, unit: str, text: str, expression: str, *needs: str) -> Feature:
    return Feature(name, family, unit, text, frozenset(needs), "numeric", expression)


def _trend(last: str, previous: str) -> str:
    last, previous = f"greatest({last}, 0)", f"greatest({previous}, 0)"
    return f"coalesce(({last} - {previous}) / nullif({last} + {previous}, 0), 0)"


def _mix_features(family: str, top: str, entropy: str, count: str) -> tuple[Feature, ...]:
    mix = next(mix for mix in MIXES if mix.family == family)
    spend, total, one = mix.spend, f"{mix.spend}_e4", mix.column
    return (
        _numeric(
            top,
            family,
            "share, 0 to 1",
            f"Share of the {one} with most spend, of the spend in all {spend}.",
            f"array_max(transform({spend}, c -> c.amount_e4)) / nullif({total}, 0)",
            one,
        ),
        _numeric(
            entropy,
            family,
            "nats",
            f"Shannon entropy of the spend over {spend} (natural logarithm); 0 when all is spent in one.",
            f"CASE WHEN {total} > 0 THEN 0D - aggregate(filter({spend}, c -> c.amount_e4 > 0), 0D, "
            f"(sum, c) -> sum + c.amount_e4 / {total} * ln(c.amount_e4 / {total})) END",
            one,
        ),
        _numeric(
            count,
            family,
            spend,
            f"Different {spend} bought from.",
            f"coalesce(size({spend}), 0)",
            one,
        ),
    )


_TREND_TEXT = (
    f"{{}} in the last {TREND_DAYS} days against the {TREND_DAYS} before: (last - previous) / (last + previous); "
    "0 when there was none."
)

CATALOG: tuple[Feature, ...] = (
    _numeric(
        "recency_days",
        "rfm",
        "days",
        "Whole local days from the last purchase to the as-of day; 0 on the day itself.",
        "datediff(as_of_day, last_day)",
    ),
    _numeric(
        "frequency_orders",
        "rfm",
        "orders",
        "Orders in the window, the first one included.",
        "orders",
    ),
    _numeric(
        "monetary_total",
        "rfm",
        "currency",
        "Total spent in the window; below zero when more went back than was bought.",
        "revenue_e4 / 10000",
    ),
    _numeric(
        "average_order_value",
        "basket",
        "currency per order",
        "Total spent divided by orders.",
        "revenue_e4 / (10000 * nullif(orders, 0))",
    ),
    _numeric(
        "items_per_order",
        "basket",
        "items per order",
        "Items bought divided by orders; returned items are not taken off.",
        "quantity_millionths / (1000000 * nullif(orders, 0))",
        "quantity",
    ),
    _numeric(
        "products_per_order",
        "basket",
        "products per order",
        "Different products in an order, on average.",
        "products / nullif(orders, 0)",
        "product",
    ),
    _numeric(
        "tenure_days",
        "tenure",
        "days",
        "Whole local days from the first purchase in the window to the as-of day.",
        "datediff(as_of_day, first_day)",
    ),
    _numeric(
        "active_months",
        "tenure",
        "months",
        "Calendar months with an order.",
        "order_months",
    ),
    _numeric(
        "days_between_orders_mean",
        "rhythm",
        "days",
        "Mean days between successive days with an order; missing with fewer than two such days.",
        "gap_days / nullif(gaps, 0)",
    ),
    _numeric(
        "days_between_orders_cv",
        "rhythm",
        "ratio",
        "Sample standard deviation of the days between orders by their mean; missing with fewer than three days.",
        "CASE WHEN gaps >= 2 THEN sqrt((gaps * gap_days_squared - gap_days * gap_days) / (gaps * (gaps - 1)))"
        " * gaps / gap_days END",
    ),
    _numeric(
        f"monetary_trend_{TREND_DAYS}d",
        "trend",
        "ratio, -1 to 1",
        _TREND_TEXT.format("Money spent"),
        _trend("last_e4", "previous_e4"),
    ),
    _numeric(
        f"orders_trend_{TREND_DAYS}d",
        "trend",
        "ratio, -1 to 1",
        _TREND_TEXT.format("Orders"),
        _trend("last_orders", "previous_orders"),
    ),
    _numeric(
        "return_share_orders",
        "returns",
        "share, 0 to 1",
        "Orders with a return line, of the orders with a purchase or a return line.",
        "orders_returned / nullif(orders_touched, 0)",
        "is_return",
    ),
    _numeric(
        "return_share_lines",
        "returns",
        "share, 0 to 1",
        "Return lines, of the purchase and return lines.",
        "lines_returned / nullif(lines_purchased + lines_returned, 0)",
        "is_return",
    ),
    _numeric(
        "returned_amount_share",
        "returns",
        "share, 0 to 1",
        "Money of the returns by money of the purchases; at most 1, though older goods can come back too.",
        "least(returned_e4 / nullif(greatest(purchased_e4, 0), 0), 1)",
        "is_return",
    ),
    *_mix_features("category_mix", "top_category_share", "category_entropy", "categories_count"),
    *_mix_features("channel_mix", "top_channel_share", "channel_entropy", "channels_count"),
    _numeric(
        "weekend_share_orders",
        "timing",
        "share, 0 to 1",
        "Orders of Saturdays and Sundays, of all orders; local days.",
        "weekend_orders / nullif(orders, 0)",
    ),
    *(
        _numeric(
            f"{part}_share_orders",
            "timing",
            "share, 0 to 1",
            f"Orders {hours}, of all orders; local wall clock. Of no use where times are dates only.",
            f"{part}_orders / nullif(orders, 0)",
        )
        for part, hours in (
            ("morning", "from 5 to 12 o'clock"),
            ("evening", "from 17 to 22 o'clock"),
            ("night", "from 22 to 5 o'clock"),
        )
    ),
    _numeric(
        "discount_share_amount",
        "discount",
        "share, 0 to 1",
        "Money taken off the purchases, of what they would have cost without it.",
        "discount_e4 / nullif(greatest(purchased_e4, 0) + discount_e4, 0)",
        "discount",
    ),
    _numeric(
        "discount_share_orders",
        "discount",
        "share, 0 to 1",
        "Orders with something taken off, of all orders.",
        "orders_discounted / nullif(orders, 0)",
        "discount",
    ),
    _numeric(
        "probability_active",
        "clv",
        "share, 0 to 1",
        "Chance that the customer still buys, after BG/NBD; 1 with a single day of orders, as the model has it.",
        "segengine.features.clv.probability_active",
    ),
    _numeric(
        f"expected_order_days_{EXPECTED_DAYS}d",
        "clv",
        "days",
        f"Days with an order to be expected in the next {EXPECTED_DAYS} days, after BG/NBD.",
        "segengine.features.clv.expected_transactions",
    ),
    _numeric(
        f"lifetime_value_{VALUE_DAYS}d",
        "clv",
        "currency",
        f"Money to be expected in the next {VALUE_DAYS} days, not discounted: BG/NBD for how often, Gamma-Gamma for "
        "how much a day with an order is worth.",
        "segengine.features.clv.expected_transactions * segengine.features.clv.expected_value",
    ),
)


def catalog_names() -> tuple[str, ...]:
    """Names of the features that are there whatever the data; shares, attributes and custom features come on top."""
    return tuple(feature.name for feature in CATALOG)


def share_feature(mix: Mix, name: str, value: str) -> Feature:
    """The share of one of the values of a mix with most revenue."""
    return Feature(
        name=name,
        family=mix.family,
        unit="share, 0 to 1",
        text=f"Share of {mix.column} '{value}', of the spend in all {mix.spend}.",
        needs=frozenset({mix.column}),
        kind="numeric",
        expression=f"amount_e4 of the {mix.column} in {mix.spend}, 0 when absent / nullif({mix.spend}_e4, 0)",
        argument=value,
    )
