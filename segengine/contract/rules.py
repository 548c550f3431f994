"""The rules rows are classified by: their order, what they do to a row, and the table of them in docs/quality.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segengine.errors import ConfigError

__all__ = ["CUSTOMER_RULES", "LINE_RULES", "NOTES", "USED", "Outcome", "Rule", "markdown", "with_own_rules"]

Outcome = Literal["used", "rejected", "ignored", "noted"]

USED = "used"


@dataclass(frozen=True)
class Rule:
    """A named reason. `rejected` rows go to quarantine; `ignored` ones are left out; `noted` ones are used."""

    name: str
    outcome: Outcome
    text: str


DEFECTS = (
    Rule("short_row", "rejected", "The row has fewer fields than the header."),
    Rule("long_row", "rejected", "The row has more fields than the header."),
    Rule("unclosed_quote", "rejected", "A quote is opened and not closed on its line."),
    Rule("malformed_row", "rejected", "The row cannot be parsed."),
)

LINE_RULES: tuple[Rule, ...] = (
    *DEFECTS,
    Rule("after_as_of", "ignored", "The order is at or after the moment the run looks back from."),
    Rule("missing_customer_id", "rejected", "The customer id is null, empty, or blanks and invisible characters only."),
    Rule("forgotten_customer", "ignored", "The customer was erased with segengine forget."),
    Rule("ignored_customer", "ignored", "The customer is listed in ignore_customers."),
    Rule("returned", "ignored", "The line is a return, and quality.returns is drop; with net, returns are used."),
    Rule("missing_amount", "rejected", "The amount is null or blank."),
    Rule("bad_amount", "rejected", "The amount, or text it is computed from, is not a finite number."),
    Rule("amount_overflow", "rejected", "The amount is 1,000,000,000,000 or more, or as far below zero."),
    Rule("missing_ordered_at", "rejected", "The time of the order is null or blank."),
    Rule("bad_ordered_at", "rejected", "The time of the order cannot be read as a time."),
    Rule("ordered_before_1900", "rejected", "The order is from before 1900."),
    Rule("future_date", "rejected", "The order is more than a day later than now."),
    Rule(
        "unknown_customer", "rejected", "The customers table has no such id, and quality.unknown_customers is reject."
    ),
    Rule("before_history", "ignored", "The order is from before the history window."),
)
"""Order lines, first match wins. The configuration's own rules are asked just before `unknown_customer`."""

CUSTOMER_RULES: tuple[Rule, ...] = (
    *DEFECTS,
    Rule("missing_customer_id", "rejected", "The customer id is null, empty, or blanks and invisible characters only."),
    Rule("forgotten_customer", "ignored", "The customer was erased with segengine forget."),
    Rule("ignored_customer", "ignored", "The customer is listed in ignore_customers."),
    Rule("conflicting_duplicates", "rejected", "Several rows have this customer id, and they do not say the same."),
)
"""Customers, first match wins. The configuration's own rules are asked just before `conflicting_duplicates`."""

NOTES: tuple[Rule, ...] = (
    Rule(
        "exact_duplicate",
        "noted",
        "A used line repeats another one in every column; with duplicates: drop it is ignored instead.",
    ),
    Rule("amount_rounded", "noted", "The amount had more than four decimals and was rounded, half up."),
    Rule("missing_order_id", "noted", "The line has no order id; its local day stands in for it."),
    Rule("bad_quantity", "noted", "The quantity is not a finite number, and is taken as unknown."),
    Rule("bad_discount", "noted", "The discount is not a finite number, and is taken as none."),
    Rule("identical_duplicate", "noted", "A customer row repeats another one in every column that is used."),
    Rule("opted_out_unknown", "noted", "Whether the customer opted out is not known, so the customer is not profiled."),
)

_BY_NAME = {rule.name: rule for rule in (*LINE_RULES, *CUSTOMER_RULES, *NOTES)}


def rule(name: str) -> Rule:
    """A built-in rule or note by its name."""
    return _BY_NAME[name]


def with_own_rules(builtin: tuple[Rule, ...], own: Mapping[str, str], before: str, where: str) -> tuple[Rule, ...]:
    """The built-in rules with the configuration's own put before the rule named `before`.

    ConfigError when one of them has the name of a built-in rule: two rules of one name could not be told apart.
    """
    taken = sorted(name for name in own if name in _BY_NAME or name == USED)
    if taken:
        raise ConfigError(
            f"Rule '{taken[0]}' has the name of a built-in rule.",
            where=f"{where}.{taken[0]}",
            todo=f"Give it another name, such as 'own_{taken[0]}'.",
        )
    at = next(index for index, rule in enumerate(builtin) if rule.name == before)
    mine = tuple(Rule(name, "rejected", f"Not true of the row: {condition}") for name, condition in own.items())
    return builtin[:at] + mine + builtin[at:]


def markdown() -> str:
    """The tables of docs/quality.md, in the order in which rows are asked."""
    parts = (
        ("Order lines", LINE_RULES, "unknown_customer"),
        ("Customers", CUSTOMER_RULES, "conflicting_duplicates"),
        ("Counted, and used all the same", NOTES, ""),
    )
    return "\n\n".join(f"### {title}\n\n{_table(rules, before)}" for title, rules, before in parts) + "\n"


def _table(rules: tuple[Rule, ...], own_before: str) -> str:
    lines = ["| rule | outcome | a row ends here when |", "| --- | --- | --- |"]
    for one in rules:
        if one.name == own_before:
            lines.append("| *your own rules* | rejected | The condition is false, or null (unknown). |")
        lines.append(f"| `{one.name}` | {one.outcome} | {one.text} |")
    return "\n".join(lines)
