"""A proposal for a terminal: what is proposed and how sure that is, what to look at, and the next command."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from segengine.propose.facts import Ask, Candidate, Choice, Proposal, Proposed

__all__ = ["ask_on", "show"]

COLOURS = {"high": "green", "medium": "yellow", "low": "red"}


def show(proposal: Proposal, console: Console) -> None:
    """Print the mapping, notes and what to run next."""
    parts: list[RenderableType] = []
    for one in proposal.tables:
        parts += [_mapping(one), Text()]
    parts += [Text(f"Not used: {given}: {why}", style="dim") for given, why in proposal.not_used]
    parts += [Text(f"Look at: {note}", style="yellow") for note in proposal.notes]
    parts += [Text(f"Missing: {todo}", style="red") for todo in proposal.todo]
    following = (
        f"segengine check {proposal.file}" if proposal.complete else f"edit {proposal.file}, then segengine check it"
    )
    parts += [
        Text(),
        Text.assemble("Written  ", (proposal.file, "cyan")),
        Text.assemble("Next     ", (following, "cyan")),
    ]
    console.print(Panel(Group(*parts), title=f"segengine init: {escape(proposal.name)}", title_align="left",
                        border_style="cyan"))  # fmt: skip


class Pausable(Protocol):
    """A progress bar that makes room for a question."""

    def paused(self) -> AbstractContextManager[None]: ...


def ask_on(console: Console, bar: Pausable) -> Ask:
    """A function that asks about one doubtful choice on this console."""

    def ask(choice: Choice) -> Candidate | None:
        with bar.paused():
            return _answer(console, choice)

    return ask


def _answer(console: Console, choice: Choice) -> Candidate | None:
    options = [choice.candidate, *choice.others]
    console.print(Text(f"{choice.key}: not sure which column this is."))
    for number, option in enumerate(options, 1):
        console.print(Text(f"  {number}  {option.text}  ({option.confidence}: {'; '.join(option.reasons)})"))
    console.print(Text("  0  none of them"))
    answers = [str(number) for number in range(len(options) + 1)]
    number = int(Prompt.ask("Which one", console=console, choices=answers, default="1"))
    return options[number - 1] if number else None


def _mapping(one: Proposed) -> Table:
    rows = f"{one.table.rows:,} rows" + ("" if one.table.whole else " looked at")
    title = f"{one.name}: {escape(one.table.place.given)}, {rows}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None,
                  padding=(0, 2, 0, 0))  # fmt: skip
    for name in ("ours", "yours", "sure", "why"):
        table.add_column(name, overflow="fold", ratio=3 if name == "why" else None)
    for role, choice in one.roles.items():
        _add(table, role, choice)
    for missing in one.missing:
        table.add_row(missing, "?", Text("missing", style="red"), "no column was found for it")
    for more in (one.returns, one.opted_out):
        if more is not None:
            _add(table, more.key, more)
    for name, candidates in (("attributes", one.attributes), ("protected", one.protected)):
        if candidates:
            table.add_row(name, Text(", ".join(c.columns[0] for c in candidates)), "", "")
    return table


def _add(table: Table, key: str, choice: Choice) -> None:
    sure = choice.candidate.confidence
    table.add_row(
        key, Text(choice.candidate.text), Text(sure, style=COLOURS[sure]), Text("; ".join(choice.candidate.reasons))
    )
