"""In which currency amounts are, where a name, a sign or a column of the tables says so."""

from __future__ import annotations

from collections.abc import Sequence

from segengine.propose.facts import Proposed, Table
from segengine.propose.words import currency_in, name_score

__all__ = ["UNKNOWN", "currency_of"]

UNKNOWN = "XXX"
"""ISO 4217's code for no currency: better than the name of a wrong one."""


def currency_of(tables: Sequence[Table], transactions: Proposed | None) -> tuple[str, str]:
    """(ISO 4217 code, why); `UNKNOWN` when nothing tells, or when several things are told."""
    if transactions is not None:
        column = next((c for c in transactions.table.columns if name_score("currency", c.name) and c.filled), None)
        if column is not None:
            values = {value.strip().upper() for value in column.values if value and value.strip()}
            codes = {code for value in values if (code := currency_in(value) or _as_code(value)) is not None}
            if len(codes) == 1 and len(values) == 1:
                return codes.pop(), f"high: every value of {column.name} says so"
            return UNKNOWN, (
                f"LOOK HERE: {column.name} has {len(values)} values. Amounts are not converted: write an amount in one "
                "currency, or read one currency's rows."
            )
        money = transactions.roles.get("amount")
        for name in money.candidate.columns if money else ():
            found = currency_in(name) or currency_in(transactions.table.column(name).strip)
            if found is not None:
                return found, f"medium: the amounts' name or sign says so ({name})"
    found_in_names = {code for table in tables for c in table.columns if (code := currency_in(c.name)) and c.is_number}
    if len(found_in_names) == 1:
        return found_in_names.pop(), "low: a column's name says so"
    return (
        UNKNOWN,
        "The tables do not say. XXX stands for none: write the currency of the amounts, such as EUR (ISO 4217).",
    )


def _as_code(value: str) -> str | None:
    return value if len(value) == 3 and value.isascii() and value.isalpha() else None
