"""What is known of tables and what is proposed for them: plain objects, no Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Ask",
    "Candidate",
    "Choice",
    "Column",
    "Confidence",
    "Kind",
    "Place",
    "Proposal",
    "Proposed",
    "Table",
    "Values",
]

Kind = Literal["whole", "fraction", "time", "date", "boolean", "text", "nested", "empty"]
Confidence = Literal["high", "medium", "low"]
Values = tuple[str | None, ...]

HIGH, MEDIUM, LEAST = 0.8, 0.55, 0.3
"""Scores from which a choice is called high and medium, and below which nothing is proposed."""


def confidence(score: float) -> Confidence:
    """What a score from 0 to 1 is called."""
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"


@dataclass(frozen=True)
class Column:
    """A column as it was found. Counts are of the rows that were looked at; `distinct` is an estimate.

    `text` is how a configuration names it. `values` are those of the sampled rows, in the same order for every column
    of a table, and stay out of every message: only `propose.samples` decides what may be shown.
    """

    name: str
    text: str
    kind: Kind
    rows: int
    filled: int
    distinct: int
    values: Values = field(default=(), repr=False)
    low: str = ""
    """Least and greatest of numbers and times, as text."""
    high: str = ""
    negative: int = 0
    zero: int = 0
    is_text: bool = False
    """Whether the values are stored as text, whatever they mean."""
    unreadable: int = 0
    """Filled values that are not of `kind`."""
    time_format: str | None = None
    """How a time is written: Spark's pattern, `seconds`, `milliseconds`; None for ISO 8601 and real timestamps."""
    day_or_month: bool = False
    """Whether no value tells days and months apart."""
    strip: str = ""
    """Characters in the text of a number that are neither digits, sign nor decimal separator."""
    nested: bool = False
    """Whether it is a field inside of a struct, named `address.city`."""
    code: bool = False
    """Whether these digits are a code: some have leading zeros."""

    @property
    def missing_share(self) -> float:
        return 1 - self.filled / self.rows if self.rows else 1.0

    @property
    def distinct_share(self) -> float:
        """Different values a filled one, 0 to 1."""
        return min(1.0, self.distinct / self.filled) if self.filled else 0.0

    @property
    def is_number(self) -> bool:
        return self.kind in ("whole", "fraction") and not self.code


@dataclass(frozen=True)
class Place:
    """Where a table is and how its files are written. `decimal` is decided after a look at the values."""

    given: str
    path: str | None
    table: str | None
    format: str
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: str = "."
    why: tuple[str, ...] = ()
    """What was detected, in words."""


@dataclass(frozen=True)
class Table:
    """A table that was looked at. `whole`: every row was counted, not a sample of them."""

    place: Place
    rows: int
    whole: bool
    columns: tuple[Column, ...]
    time_format: str | None = None
    """What csv.timestamp_format is to be; None when times are ISO 8601 or no text."""
    warnings: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Candidate:
    """A column, or an expression of columns, that may play a role. `reasons` are in words and hold no values."""

    text: str
    columns: tuple[str, ...]
    score: float
    reasons: tuple[str, ...]

    @property
    def confidence(self) -> Confidence:
        return confidence(self.score)


@dataclass(frozen=True)
class Choice:
    """A key of the configuration and what is proposed for it; `others` are the next best."""

    key: str
    candidate: Candidate
    samples: tuple[str, ...] = ()
    others: tuple[Candidate, ...] = ()
    required: bool = False


Ask = Callable[[Choice], Candidate | None]
"""Asked about a doubtful choice: the candidate to take, or None to leave the role open."""


@dataclass(frozen=True)
class Proposed:
    """What is proposed for one table. `roles`: ours -> choice; `missing`: required roles that nothing can play."""

    name: Literal["transactions", "customers"]
    table: Table
    roles: dict[str, Choice]
    missing: tuple[str, ...] = ()
    returns: Choice | None = None
    returns_are_negative: bool = True
    opted_out: Choice | None = None
    consent_unclear: str = ""
    """A column that seems to hold consent, and whose values are not understood."""
    attributes: tuple[Candidate, ...] = ()
    protected: tuple[Candidate, ...] = ()
    unused: tuple[str, ...] = ()
    duplicate_rows: int | None = None
    """Rows that repeat another one; None when they were not counted."""
    rule_hints: tuple[tuple[str, str, str], ...] = ()
    """Rules that somebody may want: name, condition, why."""
    rejected_share: float = 0.0
    """Rows that the built-in rules will reject for their id, amount or time, at least; 0 to 1."""


@dataclass(frozen=True)
class Proposal:
    """Everything that is proposed. `todo` says what is missing for the configuration to be accepted."""

    name: str
    transactions: Proposed | None
    customers: Proposed | None
    currency: str
    currency_why: str
    notes: tuple[str, ...] = ()
    todo: tuple[str, ...] = ()
    not_used: tuple[tuple[str, str], ...] = ()
    """Tables that play no part, and why."""
    overlap: str = ""
    file: str = ""
    """Where the configuration was written."""

    @property
    def complete(self) -> bool:
        """Whether `segengine check` will accept the configuration as it is."""
        return not self.todo

    @property
    def tables(self) -> tuple[Proposed, ...]:
        return tuple(one for one in (self.transactions, self.customers) if one is not None)
