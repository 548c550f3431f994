"""The account of rows and money: what each rule did, how much may be rejected, proof that nothing went missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from segengine.contract.rules import USED, Outcome, Rule, rule
from segengine.errors import QualityError

__all__ = [
    "LineTotals",
    "QualityRow",
    "Scanned",
    "check_shares",
    "complete",
    "quality_rows",
    "reconcile",
]


@dataclass(frozen=True)
class QualityRow:
    """What a rule did to the rows of a table: how many, and the sum of their amounts (1/10,000 of the currency unit).

    `amount_e4` is null for tables without amounts. Rows that are used, rejected or ignored add up to the rows read;
    `noted` rows are among the used ones.
    """

    table: str
    rule: str
    outcome: Outcome
    rows: int
    amount_e4: int | None
    text: str


@dataclass(frozen=True)
class LineTotals:
    """What a scan of the checked lines saw. Amounts are in 1/10,000 of the currency unit.

    `used` and `duplicates`: lines with status `used`, before exact duplicates are taken out, and how many of them
    repeat an earlier one. `ignored` includes `before_history`.
    """

    used_rows: int
    used_amount_e4: int
    before_history_rows: int
    before_history_amount_e4: int
    ignored_rows: int
    rejected_rows: int
    duplicates: int
    duplicates_amount_e4: int


class Scanned(Protocol):
    """The part of CheckedLines that is numbers."""

    @property
    def quality(self) -> tuple[QualityRow, ...]: ...
    @property
    def rows_read(self) -> int: ...
    @property
    def amount_read_e4(self) -> int: ...
    @property
    def drop_duplicates(self) -> bool: ...
    @property
    def latest(self) -> bool: ...
    @property
    def lines_ignored(self) -> int | None: ...
    @property
    def lines_rejected(self) -> int | None: ...


def quality_rows(
    table: str,
    rules: Iterable[Rule],
    counts: dict[str, tuple[int, int | None]],
    notes: dict[str, tuple[int, int | None]],
) -> tuple[QualityRow, ...]:
    """The used rows first, then every rule that met a row, in the order of asking, then the notes that did."""
    used = QualityRow(table, USED, "used", *counts[USED], "The row passed every rule.")
    met = [QualityRow(table, r.name, r.outcome, *counts[r.name], r.text) for r in rules if counts[r.name][0]]
    noted = [QualityRow(table, name, "noted", *found, rule(name).text) for name, found in notes.items() if found[0]]
    return (used, *met, *noted)


def check_shares(quality: Sequence[QualityRow], limit: float, table: str, quarantine: str | None) -> None:
    """QualityError when no row is used, or when more than `limit` (0 to 1) of the rows that were asked is rejected.

    Rows that are ignored before they are judged (after the as-of moment, ignored customers, dropped returns) do not
    count. Rows before the history window do: they are judged first.
    """
    rejected = sum(row.rows for row in quality if row.outcome == "rejected")
    used = sum(row.rows for row in quality if row.outcome == "used")
    judged = rejected + used + sum(row.rows for row in quality if row.rule == "before_history")
    where = f"quarantine: {quarantine}" if quarantine else ""
    if not used:
        raise QualityError(
            f"{table}: no row is left to use.",
            where=where,
            found=_reasons(quality, ("rejected", "ignored")),
            todo="Look at the rows in quarantine, at as_of and at history, and correct the mapping or the rules.",
        )
    if rejected > limit * judged:
        raise QualityError(
            f"{table}: {rejected:,} of {judged:,} rows are rejected, {rejected / judged:.1%}; "
            f"the limit is {limit:.1%}.",
            where=where,
            found=_reasons(quality, ("rejected",)),
            todo="Correct the table, the mapping or the rules, or raise quality.max_rejected_share.",
        )


def _reasons(quality: Sequence[QualityRow], outcomes: tuple[str, ...]) -> str:
    worst = sorted(
        (row for row in quality if row.outcome in outcomes and row.rows), key=lambda row: (-row.rows, row.rule)
    )
    return "; ".join(f"{row.rule} {row.rows:,} rows ({row.outcome})" for row in worst[:5])


def complete(checked: Scanned, totals: LineTotals) -> tuple[QualityRow, ...]:
    """The quality rows with what only the second scan knows: lines before the history window, and exact duplicates."""
    rows = list(checked.quality)
    if checked.latest and totals.before_history_rows:
        rows = _move_from_used(rows, "before_history", totals.before_history_rows, totals.before_history_amount_e4)
    if totals.duplicates and checked.drop_duplicates:
        rows = _move_from_used(rows, "exact_duplicate", totals.duplicates, totals.duplicates_amount_e4)
    elif totals.duplicates:
        text = rule("exact_duplicate").text
        amount = totals.duplicates_amount_e4
        rows.append(QualityRow(rows[0].table, "exact_duplicate", "noted", totals.duplicates, amount, text))
    order = {"used": 0, "rejected": 1, "ignored": 1, "noted": 2}
    return tuple(sorted(rows, key=lambda row: order[row.outcome]))


def _move_from_used(rows: Sequence[QualityRow], name: str, moved: int, amount_e4: int) -> list[QualityRow]:
    left = [
        replace(row, rows=row.rows - moved, amount_e4=(row.amount_e4 or 0) - amount_e4) if row.rule == USED else row
        for row in rows
    ]
    return [*left, QualityRow(rows[0].table, name, "ignored", moved, amount_e4, rule(name).text)]


def reconcile(checked: Scanned, quality: Sequence[QualityRow], totals: LineTotals) -> None:
    """Rows in = used + rejected + ignored, money too, and the second scan saw what the first one saw.

    `quality` is what `complete` returned. QualityError with both numbers otherwise.
    """
    placed = [row for row in quality if row.outcome != "noted"]
    table = placed[0].table
    _same(f"{table}: rows", "read", checked.rows_read, "used, rejected and ignored", sum(row.rows for row in placed))
    money = sum(row.amount_e4 or 0 for row in placed)
    _same(f"{table}: money", "read", checked.amount_read_e4, "used, rejected and ignored", money)

    def first(name: str) -> tuple[int, int]:
        rows = [row for row in checked.quality if row.rule == name]
        return sum(row.rows for row in rows), sum(row.amount_e4 or 0 for row in rows)

    then_rows, then_money = (a + b for a, b in zip(first(USED), first("before_history"), strict=True))
    scans = ("seen when the rows were checked", "seen when the features were built")
    changed = (
        "The table changed while it was read: run again, and read a Delta table or a folder that nobody writes to."
    )
    now_rows = totals.used_rows + totals.before_history_rows
    now_money = totals.used_amount_e4 + totals.before_history_amount_e4
    _same(f"{table}: used rows", scans[0], then_rows, scans[1], now_rows, changed)
    _same(f"{table}: used money", scans[0], then_money, scans[1], now_money, changed)
    if checked.lines_ignored is not None:
        _same(f"{table}: ignored lines", scans[0], checked.lines_ignored, scans[1], totals.ignored_rows, changed)
    if checked.lines_rejected is not None:
        _same(f"{table}: rejected lines", scans[0], checked.lines_rejected, scans[1], totals.rejected_rows, changed)


def _same(what: str, one: str, first: int, other: str, second: int, todo: str = "") -> None:
    if first != second:
        raise QualityError(
            f"{what} do not reconcile.",
            found=f"{first:,} {one}, {second:,} {other}, a difference of {second - first:,}"
            + (" (1/10,000 of the currency unit)" if "money" in what else ""),
            todo=todo or "This is an error in segengine: please report it with the quality table of the run.",
        )
