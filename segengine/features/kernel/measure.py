"""Sorted lines to sums a customer: marks of lines, orders, days with an order, money by category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segengine.features.kernel.arrays import (
    MISSING,
    NEVER,
    Integers,
    Marks,
    changes,
    counted,
    exact_sums,
    half_up,
    numbers,
)
from segengine.features.kernel.plan import BEFORE_HISTORY, DROPPED_RETURN, HOUSE, IGNORED, REJECTED, RETURN, SALE, Plan

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MILLION = 1_000_000
LARGEST_QUANTITY = 1e12
"""A quantity that is larger cannot be summed in millionths; it counts as not known."""


Spend = tuple[Integers, pa.Array, Integers]
"""Customer position, value (text) and money, of shape (pairs,) each."""


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


@dataclass(frozen=True)
class _Lines:
    """Lines sorted by customer, order, product and row; every array has shape (lines,)."""

    customer: Integers
    new_order: Marks
    at_us: Integers
    amount_e4: Integers
    kind: NDArray[np.int8]
    quantity: NDArray[np.float64] | None
    discount_e4: Integers
    mixes: dict[str, pa.DictionaryArray]
    repeats: Marks
    """The line before is the same row of the same order."""
    new_product: Marks
    """The first purchase of its product in the order."""


def measured(lines: pa.Table, plan: Plan) -> Measured:
    """Measures of the customers of these lines (at least one); all lines of an order have to be among them."""
    ids = lines["customer_id"].combine_chunks().dictionary_encode()
    line = _sorted(lines, ids.indices.to_numpy().astype(np.int64), plan)
    dropped = line.repeats if plan.drop_duplicates else np.zeros_like(line.repeats)
    sale, used = line.kind == SALE, line.kind <= RETURN
    purchase = sale & ~dropped
    came_back = (line.kind == RETURN) | (line.kind == DROPPED_RETURN)
    earliest = MISSING + 1 if plan.window_start_us is None else plan.window_start_us
    returned = came_back & (line.at_us >= earliest) & ~dropped
    starts = np.flatnonzero(changes(line.customer))
    of_lines = _line_sums(line, used & ~dropped, purchase, returned, used & line.repeats, plan)
    sums = {name: exact_sums(values, starts) for name, values in of_lines.items()}
    of_orders, first_us, last_us, days = _orders(line, purchase, returned, plan)
    spend = {name: _spend(line, values, purchase) for name, values in line.mixes.items()}
    return Measured(
        ids.dictionary.take(pa.array(line.customer[starts])), sums | of_orders, first_us, last_us, days, spend
    )


def _sorted(lines: pa.Table, customer: Integers, plan: Plan) -> _Lines:
    order, row = numbers(lines, "order_hash", 0), numbers(lines, "row_hash", 0)
    kind = lines["kind"].to_numpy()
    product = known = None
    if plan.products:
        product = numbers(lines, "product_hash", 0)
        known = (kind == SALE) & lines["product_hash"].is_valid().to_numpy()
        product[~known] = 0
    by = np.lexsort((row, order, customer) if product is None else (row, product, order, customer))
    customer, order, row = customer[by], order[by], row[by]
    new_order = changes(customer) | changes(order)
    new_product = np.zeros(len(by), dtype=np.bool_)
    if product is not None and known is not None:
        known = known[by]
        before = np.concatenate(([False], known[:-1]))
        new_product = known & (new_order | ~before | changes(product[by]))
    return _Lines(
        customer=customer,
        new_order=new_order,
        at_us=numbers(lines, "at_us", MISSING)[by],
        amount_e4=numbers(lines, "amount_e4", 0)[by],
        kind=kind[by],
        quantity=lines["quantity"].to_numpy()[by] if plan.quantity else None,
        discount_e4=np.abs(numbers(lines, "discount_e4", 0)[by]) if plan.discount else np.zeros_like(order),
        mixes={name: _encoded(lines[column], by) for column, name in plan.mixes},
        repeats=~new_order & ~changes(row),
        new_product=new_product,
    )


def _line_sums(
    line: _Lines, kept: Marks, purchase: Marks, returned: Marks, copy: Marks, plan: Plan
) -> dict[str, Integers]:
    """What lines add to the measures of their customer."""
    kind, at, amount = line.kind, line.at_us, line.amount_e4
    nothing = np.zeros_like(amount)
    before = kind == BEFORE_HISTORY
    countable, millionths = purchase & False, nothing
    if line.quantity is not None:
        with np.errstate(invalid="ignore"):
            countable = purchase & (np.abs(line.quantity) < LARGEST_QUANTITY)
        millionths = half_up(np.where(countable, line.quantity, 0.0) * MILLION)
    return {
        "lines_used": counted(kept),
        "lines_ignored": counted((kind == IGNORED) | (kind == DROPPED_RETURN) | before),
        "lines_rejected": counted(kind == REJECTED),
        "lines_before_history": counted(before),
        "before_history_e4": np.where(before, amount, 0),
        "duplicates": counted(copy),
        "duplicates_e4": np.where(copy, amount, 0),
        "house_lines": counted(kind == HOUSE),
        "revenue_e4": np.where(kept, amount, 0),
        "purchased_e4": np.where(purchase, amount, 0),
        "lines_purchased": counted(purchase),
        "quantity_millionths": millionths,
        "quantities": counted(countable),
        "products": counted(line.new_product),
        "last_e4": np.where(kept & (at >= plan.last_us), amount, 0),
        "previous_e4": np.where(kept & (at >= plan.previous_us) & (at < plan.last_us), amount, 0),
        "lines_returned": counted(returned),
        "returned_e4": np.where(returned, np.abs(amount), 0),
        "discount_e4": np.where(purchase, line.discount_e4, 0),
    }


def _orders(
    line: _Lines, purchase: Marks, returned: Marks, plan: Plan
) -> tuple[dict[str, Integers], Integers, Integers, tuple[Integers, Integers, Integers]]:
    """What orders add to the measures; first and last purchase; customer position, day and purchases of orders.

    An order is dated by its first purchase line; one without a purchase has no date.
    """
    starts = np.flatnonzero(line.new_order)
    bought, gave_back = np.logical_or.reduceat(purchase, starts), np.logical_or.reduceat(returned, starts)
    first = np.minimum.reduceat(np.where(purchase, line.at_us, NEVER), starts)
    last = np.maximum.reduceat(np.where(purchase, line.at_us, MISSING), starts)
    new_customer = changes(line.customer[starts])
    position = np.cumsum(new_customer) - 1
    by_customer = np.flatnonzero(new_customer)
    counts = {
        "orders": bought,
        "orders_returned": gave_back,
        "orders_touched": bought | gave_back,
        "last_orders": bought & (first >= plan.last_us),
        "previous_orders": bought & (first >= plan.previous_us) & (first < plan.last_us),
        "orders_discounted": np.logical_or.reduceat(purchase & (line.discount_e4 > 0), starts),
        **_day_parts(bought, np.where(bought, first, 0), plan),
    }
    sums = {name: exact_sums(counted(marks), by_customer) for name, marks in counts.items()}
    money = exact_sums(np.where(purchase, line.amount_e4, 0), starts)
    days = position[bought], _local(first[bought], plan) // DAY_US, money[bought]
    return sums, np.minimum.reduceat(first, by_customer), np.maximum.reduceat(last, by_customer), days


def _day_parts(bought: Marks, first_us: Integers, plan: Plan) -> dict[str, Marks]:
    """Orders of Saturdays and Sundays, of the morning (5 to 12), the evening (17 to 22) and the night, local time."""
    local = _local(first_us, plan)
    weekday, hour = (local // DAY_US + 3) % 7, local % DAY_US // HOUR_US  # 1970-01-01 was a Thursday
    return {
        "weekend_orders": bought & (weekday >= 5),
        "morning_orders": bought & (hour >= 5) & (hour < 12),
        "evening_orders": bought & (hour >= 17) & (hour < 22),
        "night_orders": bought & ((hour >= 22) | (hour < 5)),
    }


def _spend(line: _Lines, category: pa.DictionaryArray, purchase: Marks) -> Spend:
    """Customer position, category and money of the purchases that have a category."""
    marked = purchase & category.is_valid().to_numpy(zero_copy_only=False)
    position = (np.cumsum(changes(line.customer)) - 1)[marked]
    code = category.indices.fill_null(0).to_numpy()[marked].astype(np.int64)
    return spend_by_category(position, code, line.amount_e4[marked], category.dictionary)


def spend_by_category(position: Integers, code: Integers, money: Integers, names: pa.Array) -> Spend:
    """Money by customer position and category code, sorted by both."""
    by = np.lexsort((code, position))
    position, code = position[by], code[by]
    starts = np.flatnonzero(changes(position) | changes(code))
    return position[starts], names.take(pa.array(code[starts])), exact_sums(money[by], starts)


def _encoded(texts: pa.ChunkedArray, by: Integers) -> pa.DictionaryArray:
    whole: pa.DictionaryArray = texts.combine_chunks().dictionary_encode().take(pa.array(by))
    return whole


def _local(moments_us: Integers, plan: Plan) -> Integers:
    """Microseconds since 1970 on the wall clock of the zone."""
    span = np.searchsorted(plan.changes_us, moments_us, side="right") - 1
    local: Integers = moments_us + plan.offsets_us[np.maximum(span, 0)]
    return local
