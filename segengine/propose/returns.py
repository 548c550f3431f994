"""Which lines are returns: a letter before the order's number, a status, or money below zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segengine.propose import measure
from segengine.propose.facts import Candidate, Choice, Column, Table
from segengine.propose.lexicon import RETURN
from segengine.propose.measure import Group
from segengine.propose.profile import Looked
from segengine.propose.score import percent
from segengine.propose.sql import literal, name_in_sql
from segengine.propose.words import name_score, speaks_of

__all__ = ["by_prefix", "by_sign", "by_status", "propose", "signed_column"]

MOSTLY = 0.95
NOT_STATUS = ("whole", "fraction", "time", "date", "nested", "empty")


def signed_column(table: Table, roles: Mapping[str, Choice]) -> Column | None:
    """The column whose sign says that goods came back: the amount, or the quantity it is computed from."""
    if "amount" not in roles:
        return None
    return table.column(roles["amount"].candidate.columns[0])


def propose(looked: Looked, roles: Mapping[str, Choice], signed: Column | None) -> tuple[Choice, bool] | None:
    """(the condition for returns, whether their amounts are below zero); None when nothing points at any."""
    if signed is None:
        return None
    if "order_id" in roles and signed.negative:
        order = looked.table.column(roles["order_id"].candidate.columns[0])
        if order.is_text:
            groups = measure.negative_by(looked, order.name, signed.name, prefix=True)
            found = by_prefix(order, groups)
            if found is not None:
                return Choice("returns", found), True
    for column in looked.table.columns:
        if name_score("return", column.name) and column.kind not in NOT_STATUS and column.distinct <= 30:
            groups = measure.negative_by(looked, column.name, signed.name, prefix=False)
            status = by_status(column, groups)
            if status is not None:
                return Choice("returns", status[0]), status[1]
    by_amount = by_sign(signed)
    return (Choice("returns", by_amount), True) if by_amount is not None else None


def by_prefix(order: Column, groups: Sequence[Group]) -> Candidate | None:
    """Credit notes: orders whose number starts with letters, and nearly all of whose lines are negative."""
    marked = [g for g in groups if g.value and g.rows >= 2 and g.negative >= MOSTLY * g.rows]
    others = [g for g in groups if g not in marked]
    if not marked or not others or sum(g.negative for g in others) > 0.2 * sum(g.rows for g in others):
        return None
    name = name_in_sql(order.name, nested=order.nested)
    text = " OR ".join(f"{name} LIKE {literal(g.value + '%')}" for g in marked)
    told = [f"{g.rows:,} rows start with {g.value}, {percent(g.negative / g.rows)} of them negative" for g in marked]
    return Candidate(text, (order.name,), 0.9, tuple(told))


def by_status(column: Column, groups: Sequence[Group]) -> tuple[Candidate, bool] | None:
    """A yes-or-no column, or a status with a word for returns; and whether the amounts of these rows are negative."""
    name = name_in_sql(column.name, nested=column.nested)
    if column.kind == "boolean":
        if name_score("return", column.name) <= 0.5:
            return None
        marked = [g for g in groups if g.value.strip().casefold() in ("true", "t", "yes", "y", "ja", "oui", "si", "1")]
        spelled = ", ".join(literal(g.value) for g in marked)
        text = f"{name} IN ({spelled})" if column.is_text else name
    else:
        marked = [g for g in groups if speaks_of(RETURN.what, g.value) and "'" not in g.value and "\\" not in g.value]
        text = f"{name} IN ({', '.join(literal(g.value) for g in marked)})"
    if not marked or len(marked) == len(groups):
        return None
    rows, negative = sum(g.rows for g in marked), sum(g.negative for g in marked)
    reasons = (f"name fits; {rows:,} rows, {percent(negative / rows)} of them negative",)
    return Candidate(text, (column.name,), 0.75, reasons), negative >= MOSTLY * rows


def by_sign(signed: Column) -> Candidate | None:
    """Negative amounts, where nothing else tells returns."""
    if not signed.negative or signed.strip:
        return None
    share = signed.negative / max(signed.filled, 1)
    if share > 0.5:
        return None
    reason = f"{signed.negative:,} rows ({percent(share)}) are negative, and no letter or status marks them"
    return Candidate(f"{name_in_sql(signed.name, nested=signed.nested)} < 0", (signed.name,), 0.7, (reason,))
