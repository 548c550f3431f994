"""Which column may play which role, and how sure that is: pure functions on profiles, best candidate first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from segengine.propose.facts import LEAST, Candidate, Column, Table
from segengine.propose.sql import name_in_sql, number_in_sql
from segengine.propose.words import denied, is_personal, name_score, protected_as, words_of

__all__ = ["amounts", "bare_id", "categories", "customer_ids", "described", "equal_share", "order_ids", "products",
           "quantities", "times"]  # fmt: skip

NAME_WORTH = {1.0: 0.9, 0.8: 0.75, 0.75: 0.7, 0.7: 0.75, 0.5: 0.45}
"""Score of a name's fit -> what it is worth alone; what the values say is added."""
SAME = 0.95
"""Share of rows in which a total must be quantity * unit price to be called equal."""
HALF_A_CENT = 0.0051


def customer_ids(table: Table) -> list[Candidate]:
    """Who bought. Only columns whose name says so: a wrong customer is worse than none."""

    def judge(column: Column) -> Candidate | None:
        if column.kind not in ("whole", "text") or column.distinct < 2:
            return None
        fit = name_score("customer_id", column.name)
        score, reasons = _by_name(fit)
        if fit and column.missing_share > 0.5:
            score, reasons = score - 0.2, [*reasons, "more than half of the rows have none"]
        if fit and 10 < column.distinct < 0.98 * column.filled:
            score += 0.1
        return _one(column, score, reasons)

    return _ranked(judge, table.columns)


def bare_id(table: Table, named_for_customers: bool) -> Candidate | None:
    """A unique column called `id` and no more, where the table is about people: its name says so, or its columns."""
    about_people = named_for_customers or any(is_personal(c.name) or protected_as(c.name) for c in table.columns)
    for column in table.columns:
        unique = column.filled == column.rows and column.distinct > 0.9 * column.rows and column.rows > 1
        if about_people and unique and words_of(column.name) in (("id",), ("nr",), ("no",), ("key",), ("code",)):
            return _one(column, 0.7, ["the id of a table of people"])
    return None


def order_ids(table: Table, customer: Column | None) -> list[Candidate]:
    """Which order a line belongs to."""

    def judge(column: Column) -> Candidate | None:
        if column.kind not in ("whole", "text") or column.distinct < 2 or column is customer:
            return None
        fit = name_score("order_id", column.name)
        score, reasons = _by_name(fit)
        if fit and customer is not None and column.distinct < 0.5 * customer.distinct:
            score, reasons = score - 0.4, [*reasons, "fewer values than there are customers"]
        return _one(column, score, reasons)

    return _ranked(judge, table.columns)


def times(table: Table) -> list[Candidate]:
    """When somebody bought."""
    of_time = [column for column in table.columns if column.kind in ("time", "date") and column.filled]

    def judge(column: Column) -> Candidate | None:
        fit = name_score("ordered_at", column.name)
        score, reasons = _by_name(fit)
        if fit == 0:
            if len(of_time) > 1 or denied("ordered_at", column.name) or protected_as(column.name):
                return None
            score, reasons = 0.4, ["the only column of times"]
        if column.missing_share > 0.5:
            score, reasons = score - 0.3, [*reasons, "more than half of the rows have none"]
        if column.day_or_month:
            score, reasons = score - 0.3, [*reasons, "no value tells whether days or months come first"]
        return _one(column, score + (0.03 if column.kind == "time" else 0), reasons)

    return _ranked(judge, of_time)


def quantities(table: Table) -> list[Candidate]:
    """How many pieces."""
    return _ranked(lambda column: _numeric("quantity", column), table.columns)


def products(table: Table) -> list[Candidate]:
    """What was bought."""

    def judge(column: Column) -> Candidate | None:
        if column.kind not in ("whole", "text") or column.distinct < 2:
            return None
        return _one(column, *_by_name(name_score("product", column.name)))

    return _ranked(judge, table.columns)


def categories(table: Table) -> list[Candidate]:
    """What kind of thing it is: the coarsest of the columns that say so, but not a handful of brands."""

    def judge(column: Column) -> Candidate | None:
        fit = name_score("category", column.name)
        if column.kind not in ("whole", "text") or not 2 <= column.distinct <= 1000 or column.distinct_share > 0.5:
            return None
        score, reasons = _by_name(fit)
        return _one(column, score + (0.05 if fit and 3 <= column.distinct <= 60 else 0), reasons)

    return _ranked(judge, table.columns)


def amounts(table: Table, quantity: Column | None, order: Column | None) -> list[Candidate]:
    """What a line is worth: a total, above all one that equals quantity * unit price, else that product."""
    numbers = [column for column in table.columns if column.is_number and column.filled and column is not quantity]
    prices = [column for column in numbers if name_score("price", column.name)]
    price = max(prices, key=lambda column: name_score("price", column.name), default=None)
    found = [one for column in numbers if (one := _total(column, table, quantity, price, order)) is not None]
    if price is not None and quantity is not None:
        sure = name_score("price", price.name) == 1 and name_score("quantity", quantity.name) == 1
        score = 0.85 if sure else 0.7
        why = (
            "there is a unit price and a quantity"
            if sure
            else "there are a price, which may be a unit's, and a quantity"
        )
        text = f"{number_in_sql(quantity)} * {number_in_sql(price)}"
        found.append(Candidate(text, (quantity.name, price.name), score, (why,)))
    if not found:
        left = [c for c in numbers if c.kind == "fraction" and not denied("total", c.name) and not is_personal(c.name)]
        if len(left) == 1 and left[0] is not price:
            found = [Candidate(_money_text(left[0]), (left[0].name,), 0.35, ("the only column of fractions",))]
    return sorted((one for one in found if one.score >= LEAST), key=lambda one: -one.score)


def equal_share(total: Column, quantity: Column, price: Column, decimal: str) -> float | None:
    """Share of sampled rows in which total is quantity * price, to half a cent; None with fewer than 10 to compare."""
    rows = zip(total.values, quantity.values, price.values, strict=True)
    parsed = [[as_number(value, decimal) for value in row] for row in rows]
    whole = [(t, q, p) for t, q, p in parsed if t is not None and q is not None and p is not None]
    if len(whole) < 10:
        return None
    return sum(abs(t - q * p) <= HALF_A_CENT + 1e-9 * abs(t) for t, q, p in whole) / len(whole)


def as_number(value: str | None, decimal: str) -> float | None:
    """The number in a sampled value; None when there is none."""
    if value is None:
        return None
    kept = "".join(c for c in value if c in "0123456789+-eE" or c == decimal).replace(decimal, ".")
    try:
        return float(kept)
    except ValueError:
        return None


def described(column: Column, distinct: int | None = None) -> str:
    """What the values of a column say, in words, such as `4,372 distinct of 541,909; 25 % missing`.

    `distinct` where it was counted and not estimated.
    """
    many = f"{distinct:,}" if distinct is not None else f"about {_rounded(column.distinct):,}"
    if column.kind in ("time", "date"):
        parts = [f"from {column.low[:10]} to {column.high[:10]}"]
    elif column.kind == "fraction":
        parts = [f"from {column.low} to {column.high}"]
    else:
        parts = [f"{many} distinct of {column.rows:,}"]
    if column.negative and column.is_number:
        parts.append(f"{percent(column.negative / column.rows)} below 0")
    if column.missing_share > 0:
        parts.append(f"{percent(column.missing_share)} missing")
    if column.unreadable and column.kind in ("fraction", "time", "date"):
        parts.append(f"{percent(column.unreadable / column.rows)} cannot be read")
    return "; ".join(parts)


def percent(share: float) -> str:
    """A share as a whole percentage: `25 %`, and `under 1 %` for what would be 0."""
    return "under 1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def _total(
    column: Column, table: Table, quantity: Column | None, price: Column | None, order: Column | None
) -> Candidate | None:
    fit = name_score("total", column.name)
    score, reasons = _by_name(fit)
    if fit == 0:
        return None
    if fit == 0.5 and column is not price:
        score += 0.15
    if column is price and quantity is None:
        score, reasons = 0.6, ["a price, and there is no quantity to multiply it by"]
    if quantity is not None and price is not None and column is not price:
        share = equal_share(column, quantity, price, table.place.decimal)
        if share is not None and share >= SAME:
            score, reasons = 0.98, [*reasons, f"equals quantity * unit price in {percent(share)} of sampled rows"]
    of_order = {"order", "basket", "invoice", "grand", "cart"} & set(words_of(column.name))
    if of_order and order is not None and order.distinct < 0.9 * order.filled:
        score, reasons = score - 0.35, [*reasons, "it may be the total of the order, repeated on each of its lines"]
    return Candidate(_money_text(column), (column.name,), min(score, 1.0), tuple(reasons))


def _money_text(column: Column) -> str:
    return number_in_sql(column) if column.strip else column.text


def _numeric(role: str, column: Column) -> Candidate | None:
    if not column.is_number or not column.filled:
        return None
    score, reasons = _by_name(name_score(role, column.name))
    text = (
        f"translate({name_in_sql(column.name, nested=column.nested)}, '{column.strip}', '')"
        if column.strip
        else column.text
    )
    return Candidate(text, (column.name,), score, tuple(reasons))


def _by_name(fit: float) -> tuple[float, list[str]]:
    if fit == 0:
        return 0.0, []
    return NAME_WORTH[fit], ["name matches" if fit == 1 else "name fits" if fit > 0.5 else "name hints at it"]


def _one(column: Column, score: float, reasons: Iterable[str]) -> Candidate:
    return Candidate(column.text, (column.name,), min(score, 1.0), tuple(reasons))


def _ranked(judge: Callable[[Column], Candidate | None], columns: Iterable[Column]) -> list[Candidate]:
    """Candidates that reach the least score, best first; of equals the one that comes first in the table."""
    found = [one for column in columns if (one := judge(column)) is not None and one.score >= LEAST]
    return sorted(found, key=lambda one: -one.score)


def _rounded(count: int) -> int:
    """An estimate to two digits."""
    return int(float(f"{count:.2g}"))
