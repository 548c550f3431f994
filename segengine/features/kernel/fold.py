"""Lines to what each order adds up to, cut where the windows of features begin, or at the days of the calendar."""

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
    by_pair,
    changes,
    counted,
    exact_sums,
    half_up,
    local,
    numbers,
)
from segengine.features.kernel.plan import BEFORE_HISTORY, DROPPED_RETURN, HOUSE, IGNORED, REJECTED, RETURN, SALE, Plan

__all__ = ["DAY_US", "ENTRY_SUMS", "Entries", "Spend", "folded", "spend_by_category"]

DAY_US = 86_400_000_000
MILLION = 1_000_000
LARGEST_QUANTITY = 1e12
"""A quantity that is larger cannot be summed in millionths; it counts as not known."""

Spend = tuple[Integers, pa.Array, Integers]
"""Position of an entry or a customer, value (text) and money, of shape (pairs,) each."""

ENTRY_SUMS = (
    "lines_used",
    "lines_ignored",
    "lines_rejected",
    "lines_before_history",
    "before_history_e4",
    "duplicates",
    "duplicates_e4",
    "house_lines",
    "revenue_e4",
    "purchased_e4",
    "lines_purchased",
    "quantity_millionths",
    "quantities",
    "products",
    "lines_returned",
    "returned_e4",
    "discount_e4",
    "lines_discounted",
)


@dataclass(frozen=True)
class Entries:
    """One entry is an order between two cuts. Arrays have shape (entries,) and are sorted by customer and order.

    `ids` has a customer each; `customer` is the position in it. `at_us` is the earliest moment of any line (MISSING
    where none has one), `first_us` and `last_us` are those of purchases (NEVER and MISSING where there are none).
    """

    ids: pa.Array
    customer: Integers
    order: Integers
    at_us: Integers
    first_us: Integers
    last_us: Integers
    sums: dict[str, Integers]
    spend: dict[str, Spend]


@dataclass(frozen=True)
class _Lines:
    """Lines sorted by order and cut; every array has shape (lines,)."""

    customer: Integers
    order: Integers
    starts: Marks
    """The first line of an entry."""
    at_us: Integers
    amount_e4: Integers
    kind: NDArray[np.int8]
    quantity: NDArray[np.float64]
    discount_e4: Integers
    repeats: Marks
    """Another line is the same row of the same order: of equal rows all but one."""
    new_product: Marks
    """A purchase of its product in the order, one of each."""
    rows: Integers
    """Where the line stands in the table."""


def folded(lines: pa.Table, plan: Plan) -> Entries:
    """Entries of these lines (at least one); all lines of an order have to be among them."""
    ids = lines["customer_id"].combine_chunks().dictionary_encode()
    line = _sorted(lines, ids.indices.to_numpy().astype(np.int64), len(ids.dictionary), plan)
    dropped = line.repeats if plan.drop_duplicates else np.zeros_like(line.repeats)
    purchase = (line.kind == SALE) & ~dropped
    starts = np.flatnonzero(line.starts)
    sums = {name: exact_sums(values, starts) for name, values in _line_sums(line, dropped, purchase).items()}
    timed = line.at_us != MISSING
    return Entries(
        ids=ids.dictionary,
        customer=line.customer[starts],
        order=line.order[starts],
        at_us=_or_missing(np.minimum.reduceat(np.where(timed, line.at_us, NEVER), starts)),
        first_us=np.minimum.reduceat(np.where(purchase, line.at_us, NEVER), starts),
        last_us=np.maximum.reduceat(np.where(purchase, line.at_us, MISSING), starts),
        sums=sums,
        spend={name: _spend(line, lines[column], purchase) for column, name in plan.mixes},
    )


def _or_missing(moments_us: Integers) -> Integers:
    return np.where(moments_us == NEVER, MISSING, moments_us)


def _sorted(lines: pa.Table, customer: Integers, customers: int, plan: Plan) -> _Lines:
    order = numbers(lines, "order_hash", 0)
    by = by_pair(customer, customers, order)
    customer, order = customer[by], order[by]
    at_us, kind = numbers(lines, "at_us", MISSING)[by], lines["kind"].to_numpy()[by]
    starts = changes(customer) | changes(order)
    piece = _piece(at_us, plan)
    cut = changes(piece) & ~starts
    place = np.cumsum(starts) - 1
    if cut.any():  # nearly all orders have one piece
        again = np.lexsort((piece, place))
        by, at_us, kind, customer, order = by[again], at_us[again], kind[again], customer[again], order[again]
        cut = changes(piece[again]) & ~starts
    repeats, new_product = _marks(lines, by, kind, place, place[cut], plan)
    return _Lines(
        customer=customer,
        order=order,
        starts=starts | cut,
        at_us=at_us,
        amount_e4=numbers(lines, "amount_e4", 0)[by],
        kind=kind,
        quantity=lines["quantity"].to_numpy()[by] if plan.quantity else np.full(len(by), np.nan),
        discount_e4=np.abs(numbers(lines, "discount_e4", 0)[by]) if plan.discount else np.zeros_like(order),
        repeats=repeats,
        new_product=new_product,
        rows=by,
    )


def _piece(at_us: Integers, plan: Plan) -> Integers:
    """Between which cuts a moment is; a line without one comes before the first."""
    if not plan.by_day:
        return np.searchsorted(plan.cuts_us, at_us, side="right")
    return np.where(at_us == MISSING, MISSING, local(at_us, plan) // DAY_US)


def _marks(
    lines: pa.Table, by: Integers, kind: NDArray[np.int8], place: Integers, cut: Integers, plan: Plan
) -> tuple[Marks, Marks]:
    """Lines that repeat the row of another one of their order, and the first purchases of a product in an order.

    `place` numbers the orders of the lines, which stand in the order `by`. Which of equal lines is marked is of no
    account, but in the orders `cut` in pieces: there it is the one with the least row.
    """
    row = numbers(lines, "row_hash", 0)[by]
    repeats = _later(place, row)
    new_product = np.zeros(len(by), dtype=np.bool_)
    if not plan.products:
        return repeats, new_product
    product = numbers(lines, "product_hash", 0)[by]
    bought = np.flatnonzero((kind == SALE) & lines["product_hash"].is_valid().to_numpy()[by])
    new_product[bought] = ~_later(place[bought], product[bought])
    if len(cut):
        bought = bought[np.isin(place[bought], cut)]
        bought = bought[np.lexsort((row[bought], product[bought], place[bought]))]
        new_product[bought] = changes(place[bought]) | changes(product[bought])
    return repeats, new_product


def _later(place: Integers, value: Integers) -> Marks:
    """Of the elements with the same place and value all but one; places rise."""
    later = np.zeros(len(place), dtype=np.bool_)
    if len(place):
        by = by_pair(place, int(place[-1]) + 1, value)
        later[by] = ~changes(place[by]) & ~changes(value[by])
    return later


def _line_sums(line: _Lines, dropped: Marks, purchase: Marks) -> dict[str, Integers]:
    """What lines add to their entry, in the order of ENTRY_SUMS."""
    kind, amount = line.kind, line.amount_e4
    used, before = kind <= RETURN, kind == BEFORE_HISTORY
    kept, copy = used & ~dropped, used & line.repeats
    returned = ((kind == RETURN) | (kind == DROPPED_RETURN)) & ~dropped
    with np.errstate(invalid="ignore"):
        countable = purchase & (np.abs(line.quantity) < LARGEST_QUANTITY)
    return {
        "lines_used": counted(kept),
        "lines_ignored": counted((kind == IGNORED) | (kind == DROPPED_RETURN)),
        "lines_rejected": counted(kind == REJECTED),
        "lines_before_history": counted(before),
        "before_history_e4": np.where(before, amount, 0),
        "duplicates": counted(copy),
        "duplicates_e4": np.where(copy, amount, 0),
        "house_lines": counted(kind == HOUSE),
        "revenue_e4": np.where(kept, amount, 0),
        "purchased_e4": np.where(purchase, amount, 0),
        "lines_purchased": counted(purchase),
        "quantity_millionths": half_up(np.where(countable, line.quantity, 0.0) * MILLION),
        "quantities": counted(countable),
        "products": counted(line.new_product),
        "lines_returned": counted(returned),
        "returned_e4": np.where(returned, np.abs(amount), 0),
        "discount_e4": np.where(purchase, line.discount_e4, 0),
        "lines_discounted": counted(purchase & (line.discount_e4 > 0)),
    }


def _spend(line: _Lines, texts: pa.ChunkedArray, purchase: Marks) -> Spend:
    """Entry, value and money of the purchases that have a value."""
    values = texts.combine_chunks().dictionary_encode().take(pa.array(line.rows))
    marked = purchase & values.is_valid().to_numpy(zero_copy_only=False)
    entry = (np.cumsum(line.starts) - 1)[marked]
    code = values.indices.fill_null(0).to_numpy()[marked].astype(np.int64)
    return spend_by_category(entry, code, line.amount_e4[marked], values.dictionary)


def spend_by_category(position: Integers, code: Integers, money: Integers, names: pa.Array) -> Spend:
    """Money by position and category code, sorted by both."""
    by = np.lexsort((code, position))
    position, code = position[by], code[by]
    starts = np.flatnonzero(changes(position) | changes(code))
    return position[starts], names.take(pa.array(code[starts])), exact_sums(money[by], starts)
