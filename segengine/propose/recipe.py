"""The recipe of `segengine init`: locate the tables, look at them, decide, write the configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from segengine.config import parse
from segengine.config.paths import is_uri, overlap
from segengine.errors import ConfigError, SegengineError
from segengine.io.failures import explain_read_failure
from segengine.propose import measure, write
from segengine.propose.currency import currency_of
from segengine.propose.decide import as_customers, as_transactions, is_about_orders, is_about_people
from segengine.propose.facts import Ask, Candidate, Place, Proposal, Proposed
from segengine.propose.lexicon import ROLES
from segengine.propose.locate import is_delta, locate
from segengine.propose.profile import Looked, look
from segengine.propose.words import speaks_of, words_of
from segengine.session import open_session
from segengine.steps import Listener, Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

__all__ = ["init"]

LEAST_OVERLAP = 0.05
"""A customers table that knows a smaller share of the buyers is another table's."""
VAGUE = ("data", "part", "parts", "table", "tables", "lines", "transactions", "orders", "customers", "export", "file")


def init(
    tables: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    force: bool = False,
    spark: SparkSession | None = None,
    listener: Listener | None = None,
    ask: Ask | None = None,
) -> Proposal:
    """Look at tables (paths, globs or catalog names), and write the configuration that reads them to `output`.

    `output` is `<name>.yaml` in the working folder when absent; a file that is there is kept unless `force`. Nothing is
    asked unless `ask` is given. The proposal's `todo` says what is missing where no column fits.
    Raises ConfigError for a file that is there already or would be read as data, InputError for tables that cannot be
    read.
    """
    givens = [os.fspath(table) for table in tables]
    if not givens:
        raise ConfigError("No table is named.", todo="segengine init TABLE..., such as segengine init data/lines.csv")
    name = _name_of(givens)
    file = Path(output) if output is not None else Path(f"{name}.yaml")
    if file.exists() and not force:
        raise ConfigError("The file is there already.", where=str(file), todo="Choose another one with -o, or --force.")
    steps = Steps("init", len(givens) + 2, listener)
    delta = any(is_delta(given) for given in givens)
    with _session(steps, spark, delta) as session, _readable(givens):
        looked: list[Looked] = []
        try:
            looked.extend(_look(session, steps, given) for given in givens)
            with steps.step("Deciding"):
                proposal = _propose(looked, name, ask)
        finally:
            for one in looked:
                one.rows.unpersist()
    return _written(proposal, file)


@contextmanager
def _session(steps: Steps, spark: SparkSession | None, delta: bool) -> Iterator[SparkSession]:
    with steps.step("Starting Spark") if spark is None else nullcontext():
        opened = open_session(None, spark=spark, delta=delta)
        session = opened.__enter__()
    try:
        yield session
    finally:
        opened.__exit__(None, None, None)


@contextmanager
def _readable(givens: Sequence[str]) -> Iterator[None]:
    """Failures of Spark to read a file as one message, as in a run."""
    try:
        yield
    except SegengineError:
        raise
    except Exception as error:
        known = explain_read_failure(error, " or ".join(givens))
        if known is None:
            raise
        raise known from error


def _look(spark: SparkSession, steps: Steps, given: str) -> Looked:
    with steps.step(f"Looking at {given}") as step:
        looked = look(spark, locate(spark, given, given), given)
        step.rows_in = looked.table.rows
    return looked


def _propose(looked: Sequence[Looked], name: str, ask: Ask | None) -> Proposal:
    people = {i: found for i, one in enumerate(looked) if (found := is_about_people(one, _named_for_people(one)))}
    about = {i: is_about_orders(one.table) for i, one in enumerate(looked)}
    lines = _best_lines(about, people)
    transactions = as_transactions(looked[lines], ask) if lines is not None else None
    customers, overlapping, why_not = _customers(looked, people, lines, transactions)
    kept = {lines, customers}
    chosen = as_customers(looked[customers], people[customers]) if customers is not None else None
    not_used = tuple(
        (one.table.place.given, why_not.get(i, "neither the order lines nor the customers"))
        for i, one in enumerate(looked)
        if i not in kept
    )
    currency, why = currency_of([one.table for one in looked], transactions)
    todo, notes = _todo(transactions, chosen), _notes(transactions, chosen, currency)
    return Proposal(name, transactions, chosen, currency, why, notes, todo, not_used, overlapping)


def _best_lines(about: dict[int, float], people: dict[int, Candidate]) -> int | None:
    """The table of order lines: the one that looks most like it; None when there are customers only."""
    others = {i: points for i, points in about.items() if i not in people}
    if others:
        return max(others, key=lambda i: (others[i], -i))
    return next((i for i, points in about.items() if points > 2), None) if len(about) > 1 else None


def _customers(
    looked: Sequence[Looked], people: dict[int, Candidate], lines: int | None, transactions: Proposed | None
) -> tuple[int | None, str, dict[int, str]]:
    """(the customers table, what its ids have to do with the lines', why other tables are none)."""
    if lines is None or transactions is None:
        return next(iter(people), None), "", {}
    if "customer_id" not in transactions.roles:
        return None, "", dict.fromkeys(people, "the order lines have no customer to look up in it")
    customer = transactions.roles["customer_id"].candidate.columns[0]
    best, told, why_not = None, "", {}
    share = LEAST_OVERLAP
    for i, identity in people.items():
        if i == lines:
            continue
        both = measure.overlap(looked[lines], customer, looked[i], identity.columns[0])
        counted = f"{both.both:,} of the {both.transactions:,} customers in the order lines are in it"
        why_not[i] = f"{counted}, too few" if both.share < LEAST_OVERLAP else f"{counted}; another table has more"
        if both.share >= share and (best is None or both.share > share):
            best, told, share = i, f"{counted}; it has {both.customers:,}.", both.share
    return best, told, why_not


def _named_for_people(looked: Looked) -> bool:
    place = looked.table.place
    last = (place.path or place.table or "").rstrip("/").rsplit("/", 1)[-1]
    return speaks_of(
        (*ROLES["customer_id"].what, "people", "person", "crm"), last.split(".")[0] if place.path else last
    )


def _todo(transactions: Proposed | None, customers: Proposed | None) -> tuple[str, ...]:
    todo = []
    if transactions is not None:
        todo += [f"tables.transactions.columns.{role}: no column was found for it" for role in transactions.missing]
    elif customers is None:
        todo.append("tables: none of them has order lines, nor one row for each customer")
    elif not customers.attributes:
        todo.append("tables.customers.attributes: no column was found to segment by")
    return tuple(todo)


def _notes(transactions: Proposed | None, customers: Proposed | None, currency: str) -> tuple[str, ...]:
    notes = []
    for one in (transactions, customers):
        if one is None:
            continue
        for choice in one.roles.values():
            if choice.candidate.confidence == "low":
                notes.append(f"{one.name}.{choice.key}: {choice.candidate.text} is a guess")
            if one.table.column(choice.candidate.columns[0]).day_or_month:
                notes.append(f"{one.name}.{choice.key}: are its dates day first or month first? No value tells")
        if one.consent_unclear:
            notes.append(f"{one.name}: who may be profiled? {one.consent_unclear} is not understood")
        if one.rejected_share > 0.25:
            notes.append(f"{one.name}: {one.rejected_share:.0%} of the rows lack a customer, a time or an amount")
        notes += one.table.warnings
    if currency == "XXX" and transactions is not None:
        notes.append("currency: the tables do not say; write yours")
    return tuple(notes)


def _written(proposal: Proposal, file: Path) -> Proposal:
    folder = file.absolute().parent
    for one in proposal.tables:
        _refuse_inside(file, one.table.place)
    content = write.text(proposal, folder)
    if proposal.complete:
        parse(content, file=str(file), folder=folder)  # what is written is what `check` accepts, or it is a bug of ours
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return replace(proposal, file=str(file))


def _refuse_inside(file: Path, place: Place) -> None:
    """A file inside of a folder that is read would be read as data."""
    if (
        place.path
        and not is_uri(place.path)
        and os.path.isdir(place.path)
        and overlap(place.path, str(file.absolute()))
    ):
        raise ConfigError(
            "The configuration would lie inside of what is read.", where=str(file), todo="Choose another place with -o."
        )


def _name_of(givens: Sequence[str]) -> str:
    """A name that says what is segmented: the first table's, or its folder's where that says nothing."""
    for given in givens:
        is_path = "/" in given or os.path.exists(given)
        parts = [part.split(".")[0] for part in given.split("/")] if is_path else [given.rsplit(".", 1)[-1]]
        for part in reversed(parts):
            words = words_of(part)
            if (
                words
                and not set(words) <= set(VAGUE)
                and not any(c in part for c in "*?[{=")
                and not words[0].isdigit()
            ):
                return write.slug(part)
    return "segments"
