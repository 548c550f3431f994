"""What a customers table tells: attributes, what is protected, what is nobody's business, and who does not consent."""

from __future__ import annotations

from dataclasses import dataclass

from segengine.propose.facts import Candidate, Choice, Column, Table
from segengine.propose.lexicon import ID
from segengine.propose.shapes import BOOLEAN_WORDS, looks_personal
from segengine.propose.sql import literal, name_in_sql
from segengine.propose.words import is_personal, name_score, protected_as, words_of

__all__ = ["People", "consent", "sort_out"]

MOST_CATEGORIES = 50
"""A text column with more values than this says something of single customers, not of kinds of them."""
POSITIVE_TEXT = frozenset("granted accepted given allow allowed subscribed optin opt-in".split())
NEGATIVE_TEXT = frozenset("denied refused withdrawn declined unsubscribed optout opt-out".split())


@dataclass(frozen=True)
class People:
    """Columns of a customers table by what becomes of them; `unused` says why."""

    attributes: tuple[Candidate, ...]
    protected: tuple[Candidate, ...]
    unused: tuple[str, ...]


def sort_out(table: Table, taken: set[str]) -> People:
    """Every column that is not `taken`: an attribute, protected, or not used."""
    attributes, protected, unused = [], [], []
    for column in table.columns:
        if column.name in taken:
            continue
        characteristic = protected_as(column.name)
        reason = _why_not(column)
        if reason is not None:
            unused.append(f"{column.name} ({reason})")
        elif characteristic is not None:
            protected.append(Candidate(column.text, (column.name,), 0.9, (f"its name speaks of {characteristic}",)))
        else:
            what = "a number" if column.is_number else f"{column.distinct} values"
            attributes.append(Candidate(column.text, (column.name,), 0.7, (what,)))
    return People(tuple(attributes), tuple(protected), tuple(unused))


def consent(table: Table) -> tuple[Choice | None, str]:
    """(who opted out, as a condition; the column that seems to say it and whose values are not understood, or "").

    Whoever has no clear yes is taken as a no: `segengine.contract` does the same with what is missing.
    """
    for column in table.columns:
        asks = name_score("opt_out", column.name)
        agrees = name_score("consent", column.name)
        if not (asks or agrees) or not column.filled:
            continue
        condition = _condition(column, opted_out=bool(asks))
        if condition is None:
            return None, column.name
        reason = "name says who opted out" if asks else "name says who consented; all others are taken as a no"
        candidate = Candidate(condition, (column.name,), 0.85, (reason,))
        return Choice("opted_out", candidate), ""
    return None, ""


def _condition(column: Column, *, opted_out: bool) -> str | None:
    name = name_in_sql(column.name, nested=column.nested)
    values = {value.strip().casefold() for value in column.values if value is not None and value.strip()}
    if column.kind == "boolean" and not column.is_text:
        return name if opted_out else f"NOT {name}"
    if values <= {"0", "1", "0.0", "1.0"}:
        return f"{name} {'<>' if opted_out else '='} 0"
    known = {value: BOOLEAN_WORDS.get(value) for value in values}
    known |= dict.fromkeys(values & POSITIVE_TEXT, True) | dict.fromkeys(values & NEGATIVE_TEXT, False)
    if None in known.values() or not values:
        return None
    # A yes to consent is the only way in; a yes to opting out and whatever is not a clear no are the way out.
    stay = sorted(value for value, meaning in known.items() if meaning is not opted_out)
    spelled = ", ".join(literal(value) for value in stay) or "''"
    return f"lower(trim({name})) NOT IN ({spelled})"


def _why_not(column: Column) -> str | None:
    """Why a column describes no kind of customers; None when it does."""
    if column.kind == "empty":
        return "no values"
    if column.kind == "nested":
        return "nested"
    if is_personal(column.name) or (column.kind in ("text", "whole") and looks_personal(_filled(column))):
        return "points at one person"
    if column.kind in ("time", "date"):
        protected = protected_as(column.name)
        return "a date; an age in years would be protected" if protected else "a date; days since it would be a number"
    if column.distinct < 2:
        return "one value"
    is_id = bool(set(words_of(column.name)) & set(ID))
    if column.is_number and not (is_id and column.distinct_share > 0.5):
        return None
    if is_id and column.distinct_share > 0.5:
        return "another id"
    return "too many different values" if column.distinct > MOST_CATEGORIES else None


def _filled(column: Column) -> list[str]:
    return [value for value in column.values if value]
