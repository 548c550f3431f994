"""Which values of a column may be shown as samples: never ids of people or orders, never what looks like an address."""

from __future__ import annotations

from collections.abc import Sequence

from segengine.propose.facts import Column
from segengine.propose.shapes import looks_personal
from segengine.propose.words import is_personal, name_score, protected_as

__all__ = ["MOST", "samples_of", "shown"]

MOST = 3
LONGEST = 24
SHOWABLE = ("ordered_at", "amount", "quantity", "product", "category")


def samples_of(role: str, columns: Sequence[Column]) -> tuple[str, ...]:
    """Up to three sampled values, of one row each; those of a product of columns as `6 * 2.55`."""
    if role not in SHOWABLE or any(_is_private(column) for column in columns):
        return ()
    rows = zip(*(column.values for column in columns), strict=True)
    found: list[str] = []
    for row in rows:
        if any(value is None or not value.strip() for value in row):
            continue
        text = " * ".join(shown(str(value)) for value in row)
        if text not in found:
            found.append(text)
        if len(found) == MOST:
            break
    return tuple(found)


def shown(text: str) -> str:
    """A value on one line, short, and of printable characters only."""
    plain = "".join(character if character.isprintable() else " " for character in text).strip()
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 3] + "..."


def _is_private(column: Column) -> bool:
    named = name_score("customer_id", column.name) or is_personal(column.name) or protected_as(column.name)
    return bool(named) or (
        column.kind in ("text", "whole") and looks_personal(value for value in column.values if value)
    )
