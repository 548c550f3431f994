"""What orders add up to, to sums a customer: those of the windows of a run, orders, days with an order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from segengine.features.kernel.arrays import MISSING, NEVER, Integers, Marks, changes, counted, exact_sums, local
from segengine.features.kernel.fold import DAY_US, Entries, Spend, folded, spend_by_category
from segengine.features.kernel.plan import SUMS, Plan

__all__ = ["Measured", "measured", "summed"]

HOUR_US = 3_600_000_000


@dataclass
class Measured:
    """Customers (ids, one each), their sums and first and last purchase (shape (customers,) each), and pairs of
    customer position, day with an order and money; what was spent on which value of each mix."""

    ids: pa.Array
    sums: dict[str, Integers]
    first_us: Integers
    last_us: Integers
    days: tuple[Integers, Integers, Integers]
    spend: dict[str, Spend]


def measured(lines: pa.Table, plan: Plan) -> Measured:
    """Measures of the customers of these lines (at least one); all lines of an order have to be among them."""
    return summed(folded(lines, plan), plan)


def summed(entries: Entries, plan: Plan) -> Measured:
    """Measures of the customers of these entries, which no window of the plan begins amid.

    An order whose entries lie on both sides of the beginning of the history counts with what is inside; how many
    products it has is then only known from its lines.
    """
    inside = _inside(entries, plan)
    starts = np.flatnonzero(changes(entries.customer))
    found = _entry_sums(entries, inside, plan)
    of_orders, first_us, last_us, days = _orders(entries, inside, starts, plan)
    sums = {name: exact_sums(found[name], starts) for name in SUMS if name in found} | of_orders
    position = np.cumsum(changes(entries.customer)) - 1
    return Measured(
        ids=entries.ids.take(pa.array(entries.customer[starts])),
        sums=sums,
        first_us=first_us,
        last_us=last_us,
        days=days,
        spend={name: _of_customers(spend, position, inside) for name, spend in entries.spend.items()},
    )


def _inside(entries: Entries, plan: Plan) -> Marks:
    """Which entries are in the history; one without a moment holds nothing that the history is asked about."""
    if plan.window_start_us is None:
        return np.ones(len(entries.customer), dtype=np.bool_)
    marks: Marks = (entries.at_us >= plan.window_start_us) | (entries.at_us == MISSING)
    return marks


def _entry_sums(entries: Entries, inside: Marks, plan: Plan) -> dict[str, Integers]:
    """What entries add to the measures of their customer. Used lines before the history are not used any more."""
    found = dict(entries.sums)
    copies = (found["duplicates"], found["duplicates_e4"]) if plan.drop_duplicates else (0, 0)
    if not inside.all():
        left = np.where(inside, 0, found["lines_used"] + copies[0])
        money = np.where(inside, 0, found["revenue_e4"] + copies[1])
        found["lines_before_history"] = found["lines_before_history"] + left
        found["before_history_e4"] = found["before_history_e4"] + money
        kept = ("lines_ignored", "lines_rejected", "lines_before_history", "before_history_e4", "house_lines")
        found = {name: values if name in kept else np.where(inside, values, 0) for name, values in found.items()}
    found["lines_ignored"] = found["lines_ignored"] + found["lines_before_history"]
    lately = entries.at_us >= plan.last_us
    before = (entries.at_us >= plan.previous_us) & ~lately
    found["last_e4"] = np.where(lately, found["revenue_e4"], 0)
    found["previous_e4"] = np.where(before, found["revenue_e4"], 0)
    return found


def _orders(
    entries: Entries, inside: Marks, by_customer_entry: Integers, plan: Plan
) -> tuple[dict[str, Integers], Integers, Integers, tuple[Integers, Integers, Integers]]:
    """What orders add to the measures; first and last purchase; customer position, day and purchases of orders.

    An order is dated by its first purchase line; one without a purchase has no date.
    """
    new_customer = changes(entries.customer)
    starts = np.flatnonzero(new_customer | changes(entries.order))
    purchase, came_back = inside & (entries.sums["lines_purchased"] > 0), inside & (entries.sums["lines_returned"] > 0)
    bought, gave_back = np.logical_or.reduceat(purchase, starts), np.logical_or.reduceat(came_back, starts)
    discounted = purchase & (entries.sums["lines_discounted"] > 0)
    first_of_entry = np.where(purchase, entries.first_us, NEVER)
    first = np.minimum.reduceat(first_of_entry, starts)
    by_customer = np.flatnonzero(new_customer[starts])
    position = np.cumsum(new_customer[starts]) - 1
    counts = {
        "orders": bought,
        "orders_returned": gave_back,
        "orders_touched": bought | gave_back,
        "last_orders": bought & (first >= plan.last_us),
        "previous_orders": bought & (first >= plan.previous_us) & (first < plan.last_us),
        "orders_discounted": np.logical_or.reduceat(discounted, starts),
        **_day_parts(bought, np.where(bought, first, 0), plan),
    }
    sums = {name: exact_sums(counted(marks), by_customer) for name, marks in counts.items()}
    money = exact_sums(np.where(purchase, entries.sums["purchased_e4"], 0), starts)
    days = position[bought], local(first[bought], plan) // DAY_US, money[bought]
    last_of_entry = np.where(purchase, entries.last_us, MISSING)
    return (
        sums,
        np.minimum.reduceat(first_of_entry, by_customer_entry),
        np.maximum.reduceat(last_of_entry, by_customer_entry),
        days,
    )


def _day_parts(bought: Marks, first_us: Integers, plan: Plan) -> dict[str, Marks]:
    """Orders of Saturdays and Sundays, of the morning (5 to 12), the evening (17 to 22) and the night, local time."""
    moment = local(first_us, plan)
    weekday, hour = (moment // DAY_US + 3) % 7, moment % DAY_US // HOUR_US  # 1970-01-01 was a Thursday
    return {
        "weekend_orders": bought & (weekday >= 5),
        "morning_orders": bought & (hour >= 5) & (hour < 12),
        "evening_orders": bought & (hour >= 17) & (hour < 22),
        "night_orders": bought & ((hour >= 22) | (hour < 5)),
    }


def _of_customers(spend: Spend, position: Integers, inside: Marks) -> Spend:
    """What entries spent on values, as what their customers did."""
    entry, values, money = spend
    kept = np.flatnonzero(inside[entry])
    encoded = values.take(pa.array(kept)).dictionary_encode()
    code = encoded.indices.to_numpy().astype(np.int64)
    return spend_by_category(position[entry[kept]], code, money[kept], encoded.dictionary)
