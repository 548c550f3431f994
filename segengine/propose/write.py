"""A proposal as a commented YAML file: what is proposed, how sure that is, and what only a person can know."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

from segengine.config import LINE_ROLES
from segengine.config.paths import is_uri, overlap, resolve
from segengine.propose.facts import Candidate, Choice, Place, Proposal, Proposed
from segengine.propose.samples import shown

__all__ = ["output_path", "scalar", "slug", "text"]

WIDTH = 118
_PLAIN = re.compile(r"(?:[^\W\d]|[./](?=[\w./]))[\w .()/*+<>=%',-]*")
_NOT_PLAIN = re.compile(r": | #|[ :]$|^(?i:null|true|false|yes|no|on|off|y|n|~)$")
STEP = "  "


def text(proposal: Proposal, folder: Path) -> str:
    """The file, to be written into `folder`, where its relative paths start."""
    lines = [*_head(proposal), *_settings(proposal), "tables:"]
    for one in proposal.tables:
        lines += _table(one, proposal, folder)
    lines += _not_used(proposal)
    lines += _quality(proposal)
    lines += ["", "output:", *_comment(1, "A folder of its own: runs write and clean it.")]
    lines += [f"  path: {scalar(output_path(proposal, folder))}"]
    return "\n".join(lines) + "\n"


def scalar(value: str) -> str:
    """A text as a YAML scalar that this text is read back from; `${` is not taken for a variable."""
    value = value.replace("${", "$${")
    if _PLAIN.fullmatch(value) and not _NOT_PLAIN.search(value):
        return value
    if "'" in value and not any(c in value for c in '"\\') and value.isprintable():
        return f'"{value}"'
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    escaped = "".join(_escaped(character) for character in value)
    return f'"{escaped}"'


def slug(name: str) -> str:
    """A name for the segmentation and its files: letters, digits, - and _."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return plain or "segments"


def output_path(proposal: Proposal, folder: Path) -> str:
    """A folder for results that lies outside of everything that is read."""
    paths = [one.table.place.path for one in proposal.tables if one.table.place.path]
    for choice in (f"out/{proposal.name}", f"../segengine-out/{proposal.name}", f"../../segengine-out/{proposal.name}"):
        if not any(overlap(path, resolve(choice, folder)) for path in paths):
            return choice
    return f"{os.path.expanduser('~')}/segengine-out/{proposal.name}"


def _head(proposal: Proposal) -> list[str]:
    told = "; ".join(f"{one.name} are {_told(one)}" for one in proposal.tables)
    lines = [
        *_comment(0, f"Proposed by `segengine init`: {told}."),
        *_comment(
            0,
            "Each choice has its confidence (high, medium, low) and the reasons for it. Read the medium and low ones.",
        ),
    ]
    if proposal.todo:
        lines += ["#", *_comment(0, "TODO: this file is not complete, and `segengine check` refuses it until it is:")]
        lines += [line for todo in proposal.todo for line in _comment(0, f"  - {todo}")]
    if proposal.notes:
        lines += ["#", *_comment(0, "Please look at:")]
        lines += [line for note in proposal.notes for line in _comment(0, f"  - {note}")]
    return [*lines, ""]


def _told(one: Proposed) -> str:
    rows = f"{one.table.rows:,} rows" if one.table.whole else f"{one.table.rows:,} sampled rows"
    return f"{rows} of {shown_place(one.table.place)}"


def shown_place(place: Place) -> str:
    """The place as it was given, on one line."""
    return shown(place.given.rstrip("/").rsplit("/", 1)[-1] if place.path else place.given)


def _settings(proposal: Proposal) -> list[str]:
    lines = [f"name: {scalar(proposal.name)}"]
    lines += ["kind: customers"] if proposal.transactions is None else []
    lines += _comment(0, _when(proposal))
    lines += ["as_of: latest", "history: 24 months"] if proposal.transactions else ["as_of: latest"]
    lines += _comment(0, "Days are counted here, and times without a zone are told in it. The tables do not say: "
                         "write the zone of the shop, such as Europe/Paris.")  # fmt: skip
    lines += ["timezone: UTC", *_comment(0, proposal.currency_why), f"currency: {proposal.currency}", ""]
    return lines


def _when(proposal: Proposal) -> str:
    lines = proposal.transactions
    if lines is None or "ordered_at" not in lines.roles:
        return "latest is the midnight after the newest good row."
    column = lines.table.column(lines.roles["ordered_at"].candidate.columns[0])
    return (
        f"latest is the midnight after the newest good row; the rows are from {column.low[:10]} to {column.high[:10]}."
    )


def _table(one: Proposed, proposal: Proposal, folder: Path) -> list[str]:
    lines = [f"  {one.name}:", *_place(one, folder)]
    if one.name == "customers" and proposal.overlap:
        lines += _comment(2, proposal.overlap)
    lines += [*_comment(2, "ours: theirs, an exact column name or else a SQL expression"), "    columns:"]
    known = LINE_ROLES if one.name == "transactions" else ("customer_id",)
    for role in known:
        if role in one.roles:
            lines += _choice(3, f"{role}: ", one.roles[role])
        elif role in one.missing:
            lines += _comment(3, f"TODO {role}: no column was found for it; name one, or write an expression.")
        else:
            lines += _comment(3, f"{role}: not found; optional")
    lines += _customers_part(one) if one.name == "customers" else _lines_part(one)
    if one.unused:
        lines += _comment(2, f"Not used: {', '.join(shown_column(name) for name in one.unused)}.")
    return lines


def _place(one: Proposed, folder: Path) -> list[str]:
    place = one.table.place
    lines = _comment(2, f"{'; '.join(place.why)}." if place.why else "")
    if place.table:
        return [*lines, f"    table: {scalar(place.table)}"]
    lines += [f"    path: {scalar(_relative(place, folder))}", f"    format: {place.format}"]
    if place.format != "csv":
        return lines
    delimiter = r"\t" if place.delimiter == "\t" else place.delimiter
    lines += ["    csv:", f"      delimiter: {_quoted(delimiter)}"]
    lines += [f"      quote: {_quoted(place.quote)}"] if place.quote != '"' else []
    lines += [f"      encoding: {place.encoding}", f"      decimal: {_quoted(place.decimal)}"]
    if one.table.time_format:
        lines += [f"      timestamp_format: {scalar(one.table.time_format)}"]
    return lines


def _lines_part(one: Proposed) -> list[str]:
    lines: list[str] = []
    if one.returns is not None:
        lines += _choice(2, "returns: ", one.returns)
    if one.duplicate_rows:
        told = (
            f"{one.duplicate_rows:,} rows repeat another one in every column. Two of the same in a basket, or an export"
        )
        lines += _comment(2, f"{told} that wrote them twice? Write drop for the latter.")
    lines += ["    duplicates: keep"]
    for name, condition, why in one.rule_hints:
        lines += _comment(2, f"{why}; to put such rows into quarantine:")
        lines += ["    # rules:", f"    #   {name}: {scalar(condition)}"]
    return lines


def _customers_part(one: Proposed) -> list[str]:
    lines: list[str] = []
    if one.attributes:
        lines += [
            *_comment(2, "described per segment; features only where features.include says so"),
            "    attributes:",
        ]
        lines += [line for candidate in one.attributes for line in _attribute(candidate)]
    if one.protected:
        lines += [*_comment(2, "never features, whatever anybody includes: only their mix per segment is reported"),
                  "    protected:"]  # fmt: skip
        lines += [line for candidate in one.protected for line in _attribute(candidate)]
    if one.opted_out is not None:
        lines += _choice(2, "opted_out: ", one.opted_out)
    if one.consent_unclear:
        told = (
            f"LOOK HERE: {shown_column(one.consent_unclear)} seems to say who may be profiled, and its values are not"
        )
        lines += _comment(2, f"{told} understood. Write which ones mean no:")
        lines += ["    # opted_out: "]
    return lines


def _attribute(candidate: Candidate) -> list[str]:
    name, written = candidate.columns[0], candidate.text
    label = f"their_{name}" if name.casefold() in ("customer_id", "opted_out") else name
    item = scalar(label) if label == written else f"{{{_quoted(label)}: {_quoted(written)}}}"
    return [f"      - {item:<24} # {'; '.join(candidate.reasons)}"]


def _choice(depth: int, key: str, choice: Choice) -> list[str]:
    samples = f"; such as {', '.join(choice.samples)}" if choice.samples else ""
    others = f"; or {', '.join(shown_column(other.text) for other in choice.others)}" if choice.others else ""
    told = f"{choice.candidate.confidence}: {'; '.join(choice.candidate.reasons)}{samples}{others}"
    return [*_comment(depth, told), f"{STEP * depth}{key}{scalar(choice.candidate.text)}"]


def _not_used(proposal: Proposal) -> list[str]:
    return [line for given, why in proposal.not_used for line in _comment(1, f"Not used: {shown(given)}: {why}.")]


def _quality(proposal: Proposal) -> list[str]:
    lines: list[str] = []
    worst = max((one.rejected_share for one in proposal.tables), default=0.0)
    if worst > 0.25:
        allowed = min(1.0, -(-(worst + 0.05) * 20 // 1) / 20)
        told = f"{worst:.0%} of the rows lack a customer, a time or an amount; the default of 0.30 is meant for fewer."
        lines += _comment(1, f"{told} Is that as it should be?")
        lines += [f"  max_rejected_share: {allowed:.2f}"]
    if proposal.transactions is not None and proposal.transactions.returns is not None:
        if proposal.transactions.returns_are_negative:
            lines += [*_comment(1, "net: returns are below zero and reduce what was spent; drop: they are ignored"),
                      "  returns: net"]  # fmt: skip
        else:
            lines += [*_comment(1, "drop: the amounts of returns are not below zero, so that netting would add them"),
                      "  returns: drop"]  # fmt: skip
    return ["", "quality:", *lines] if lines else []


def _relative(place: Place, folder: Path) -> str:
    """The path as it was meant: relative to the file when it was given so, else whole."""
    path = place.path or ""
    return path if is_uri(path) or os.path.isabs(place.given) else os.path.relpath(path, folder)


def shown_column(name: str) -> str:
    """A column's name on one line."""
    plain = "".join(character if character.isprintable() else " " for character in name)
    return plain if len(plain) <= 80 else plain[:77] + "..."


def _comment(depth: int, told: str) -> list[str]:
    if not told:
        return []
    start = f"{STEP * depth}# "
    inner = "    " if told.startswith("  - ") else ""
    return textwrap.wrap(
        told,
        WIDTH,
        initial_indent=start,
        subsequent_indent=start + inner,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _quoted(value: str) -> str:
    """A scalar in quotes, for places where a plain one could be misread."""
    written = scalar(value)
    return written if written[:1] in "'\"" else f'"{written}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if character.isprintable():
        return character
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"
