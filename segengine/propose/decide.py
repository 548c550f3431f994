"""From profiles to a proposal for each table: what it is, which column is what, and what has to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segengine.propose import measure, people, returns, score
from segengine.propose.facts import Ask, Candidate, Choice, Column, Proposed, Table
from segengine.propose.profile import Looked
from segengine.propose.samples import samples_of
from segengine.propose.sql import literal, name_in_sql
from segengine.propose.words import name_score, words_of

__all__ = ["as_customers", "as_transactions", "is_about_orders", "is_about_people"]

UNIQUE = 0.98
ROLES = ("customer_id", "order_id", "ordered_at", "amount", "quantity", "product", "category")
REQUIRED = ("customer_id", "ordered_at", "amount")
MOST_COUNTED = 20_000_000
"""Rows up to which different ids and repeated rows are counted exactly."""


def is_about_orders(table: Table) -> float:
    """How much a table looks like order lines: from 0 to 3, one for each of customer, time and money."""
    times, money = score.times(table), score.amounts(table, _quantity(table), None)
    named = [one for one in (*score.customer_ids(table)[:1], *times[:1], *money[:1]) if one.score > 0.4]
    return sum(one.score for one in named)


def is_about_people(looked: Looked, named_for_customers: bool) -> Candidate | None:
    """The column that identifies customers in a table with one row for each; None when it is no such table."""
    table = looked.table
    for candidate in (*score.customer_ids(table), score.bare_id(table, named_for_customers)):
        if candidate is None:
            continue
        column = table.column(candidate.columns[0])
        if column.distinct_share < 0.85 or column.filled < UNIQUE * table.rows:
            continue
        if measure.distinct(looked, [column.name])[column.name] >= UNIQUE * column.filled:
            return candidate
    return None


def as_transactions(looked: Looked, ask: Ask | None) -> Proposed:
    """What to propose for a table of order lines; asks about doubtful choices where there is somebody to ask."""
    table = looked.table
    ranked = _ranked_roles(table)
    roles: dict[str, Choice] = {}
    for role in ROLES:
        choice = _chosen(role, ranked[role], role in REQUIRED, ask)
        if choice is not None:
            roles[role] = choice
    roles = _explained(looked, roles)
    taken = {name for choice in roles.values() for name in choice.candidate.columns}
    signed = returns.signed_column(table, roles)
    found = returns.propose(looked, roles, signed)
    if found is not None:
        taken |= set(found[0].candidate.columns)
    return Proposed(
        name="transactions",
        table=replace(table, time_format=_csv_time_format(table, roles)),
        roles=_with_times(table, roles),
        missing=tuple(role for role in REQUIRED if role not in roles),
        returns=found[0] if found else None,
        returns_are_negative=found[1] if found else True,
        unused=tuple(f"{c.name} ({_what(c)})" for c in table.columns if c.name not in taken),
        duplicate_rows=measure.repeated_rows(looked) if _countable(table) else None,
        rule_hints=_rule_hints(looked, roles),
        rejected_share=_rejected(table, roles),
    )


def as_customers(looked: Looked, identity: Candidate) -> Proposed:
    """What to propose for a table with one row a customer."""
    table = looked.table
    choice = _explained(looked, {"customer_id": Choice("customer_id", identity, required=True)})["customer_id"]
    opted_out, unclear = people.consent(table)
    taken = {*identity.columns, *(opted_out.candidate.columns if opted_out else ()), unclear}
    sorted_out = people.sort_out(table, taken)
    return Proposed(
        name="customers",
        table=table,
        roles={"customer_id": choice},
        opted_out=opted_out,
        consent_unclear=unclear,
        attributes=sorted_out.attributes,
        protected=sorted_out.protected,
        unused=sorted_out.unused,
        rejected_share=table.column(identity.columns[0]).missing_share,
    )


def _ranked_roles(table: Table) -> dict[str, list[Candidate]]:
    customers = score.customer_ids(table)
    customer = table.column(customers[0].columns[0]) if customers else None
    orders = score.order_ids(table, customer)
    order = table.column(orders[0].columns[0]) if orders else None
    return {
        "customer_id": customers,
        "order_id": orders,
        "ordered_at": score.times(table),
        "amount": score.amounts(table, _quantity(table), order),
        "quantity": score.quantities(table),
        "product": score.products(table),
        "category": score.categories(table),
    }


def _quantity(table: Table) -> Column | None:
    found = score.quantities(table)
    return table.column(found[0].columns[0]) if found else None


def _chosen(role: str, ranked: Sequence[Candidate], required: bool, ask: Ask | None) -> Choice | None:
    if not ranked:
        return None
    choice = Choice(role, ranked[0], others=tuple(ranked[1:4]), required=required)
    if ask is None or choice.candidate.confidence != "low":
        return choice
    answer = ask(choice)
    return None if answer is None else replace(choice, candidate=answer)


def _explained(looked: Looked, roles: Mapping[str, Choice]) -> dict[str, Choice]:
    """The choices with what their values say, and samples where these may be shown."""
    table, explained = looked.table, {}
    counted = ("customer_id", "order_id", "product") if _countable(table) else ()
    ids = [roles[role].candidate.columns[0] for role in counted if role in roles]
    exact = measure.distinct(looked, list(dict.fromkeys(ids)))
    for role, choice in roles.items():
        columns = [table.column(name) for name in choice.candidate.columns]
        reasons = list(choice.candidate.reasons)
        if len(columns) == 1:
            reasons.append(score.described(columns[0], exact.get(columns[0].name)))
        if role == "order_id" and "customer_id" in roles:
            share = measure.one_customer_share(looked, columns[0].name, roles["customer_id"].candidate.columns[0])
            reasons.append(f"{score.percent(share)} of the orders have one customer")
            choice = replace(choice, candidate=_doubted(choice.candidate, share))
        candidate = replace(choice.candidate, reasons=tuple(reasons))
        explained[role] = replace(choice, candidate=candidate, samples=samples_of(role, columns))
    return explained


def _doubted(candidate: Candidate, share: float) -> Candidate:
    """An order whose lines belong to several customers is hardly an order."""
    return candidate if share >= 0.9 else replace(candidate, score=candidate.score - 0.5 * (0.9 - share) - 0.1)


def _with_times(table: Table, roles: Mapping[str, Choice]) -> dict[str, Choice]:
    """The time of the order as an expression where it is neither a time, ISO text, nor text of a CSV file."""
    if "ordered_at" not in roles:
        return dict(roles)
    choice = roles["ordered_at"]
    column = table.column(choice.candidate.columns[0])
    text = _time_expression(column, table.place.format)
    if text is None:
        return dict(roles)
    reasons = (*choice.candidate.reasons, f"written as {column.time_format}")
    return {**roles, "ordered_at": replace(choice, candidate=replace(choice.candidate, text=text, reasons=reasons))}


def _time_expression(column: Column, kind: str) -> str | None:
    name = name_in_sql(column.name, nested=column.nested)
    if column.time_format is None or (kind == "csv" and column.time_format not in ("seconds", "milliseconds")):
        return None
    if column.time_format == "seconds":
        return f"timestamp_seconds(cast({name} as bigint))"
    if column.time_format == "milliseconds":
        return f"timestamp_millis(cast({name} as bigint))"
    text = name if column.is_text else f"cast({name} as string)"
    pattern = f'"{column.time_format}"' if "'" in column.time_format else literal(column.time_format)
    return f"to_timestamp({text}, {pattern})"


def _csv_time_format(table: Table, roles: Mapping[str, Choice]) -> str | None:
    """csv.timestamp_format: how the time of the order is written in a CSV file, when it is not ISO 8601."""
    if table.place.format != "csv" or "ordered_at" not in roles:
        return None
    written = table.column(roles["ordered_at"].candidate.columns[0]).time_format
    return None if written in ("seconds", "milliseconds") else written


def _rejected(table: Table, roles: Mapping[str, Choice]) -> float:
    """Rows without a customer, a time or money that can be read, at most all of them."""
    columns = {name for role in REQUIRED if role in roles for name in roles[role].candidate.columns}
    shares = []
    for column in (table.column(name) for name in columns):
        bad = column.unreadable if column.kind in ("fraction", "time", "date") else 0
        shares.append(column.missing_share + bad / max(column.rows, 1))
    return min(1.0, sum(shares))


def _rule_hints(looked: Looked, roles: Mapping[str, Choice]) -> tuple[tuple[str, str, str], ...]:
    """Rules somebody may want: money of zero is a gift in one shop and an error in another."""
    if "amount" not in roles or "customer_id" not in roles:
        return ()
    name = roles["amount"].candidate.columns[-1]
    column = looked.table.column(name)
    if not column.zero or column.strip:
        return ()
    rows = measure.zero_rows(looked, name, roles["customer_id"].candidate.columns[0])
    if not rows:
        return ()
    what = "price" if len(roles["amount"].candidate.columns) > 1 or name_score("price", name) else "amount"
    sql = name_in_sql(name, nested=column.nested)
    # Returns may have a price above zero and an amount below it.
    condition = f"{sql} > 0" if what == "price" else f"{sql} <> 0"
    article = "a" if what == "price" else "an"
    told = f"{rows:,} rows of known customers have {article} {what} of 0 (gifts? samples? errors?)"
    return ((f"{what}_positive" if what == "price" else f"{what}_not_zero", condition, told),)


def _countable(table: Table) -> bool:
    return table.whole and table.rows <= MOST_COUNTED


def _what(column: Column) -> str:
    """What an unused column is, for the comment that lists it."""
    if column.kind == "empty":
        return "no values"
    if column.kind in ("nested", "boolean", "date", "time"):
        return {"nested": "nested", "boolean": "true or false"}.get(column.kind, "a time")
    if name_score("order_id", column.name) or "id" in words_of(column.name):
        return "another id"
    if column.is_number:
        return "a number"
    return f"text, about {column.distinct:,} values"
