"""Why no model was accepted: what was tried, what failed, three changes to try; as Markdown and as an HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Refusal", "refusal_html", "refusal_markdown"]

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.4rem .6rem;"
    "text-align:left;vertical-align:top}th{background:#f4f4f6}.refused{color:#a01030;font-weight:600}"
    "pre{background:#f4f4f6;padding:.6rem;overflow:auto}h1{font-size:1.6rem}"
)


@dataclass(frozen=True)
class Refusal:
    """A model that was refused. `candidates` and `gates` are rows of text, in the order of the heads below."""

    name: str
    run_id: str
    as_of: str
    what: str
    found: str
    candidates: Sequence[tuple[str, ...]]
    gates: Sequence[tuple[str, ...]]
    advice: Sequence[tuple[str, str]]
    """Why, and the lines to write."""
    customers: str


K_HEAD = ("k", "macro silhouette", "smallest share", "largest share", "verdict", "why")
GATE_HEAD = ("gate", "value", "refused beyond", "verdict", "what was found")
NEXT = (
    "Nothing was published, and what was published before is unchanged. To publish all the same, with a warning in "
    "every summary and table: `segengine run CONFIG --provisional`."
)


def refusal_markdown(refusal: Refusal) -> str:
    """The report as Markdown."""
    lines = [
        f"# No model for {_cell(refusal.name)}",
        "",
        f"As of {refusal.as_of}, run {refusal.run_id}, {refusal.customers}.",
        "",
        f"**{_cell(refusal.what)}**",
    ]
    if refusal.gates:
        lines += ["", "## Gates", "", *_table(GATE_HEAD, refusal.gates)]
    if refusal.candidates:
        lines += ["", "## Every number of segments", "", *_table(K_HEAD, refusal.candidates)]
    if refusal.found and not refusal.candidates and not refusal.gates:
        lines += ["", _cell(refusal.found)]
    lines += ["", "## Three changes to try", ""]
    for number, (why, write) in enumerate(refusal.advice, start=1):
        lines += [f"{number}. {_cell(why)} `{write}`"]
    return "\n".join([*lines, "", NEXT, ""])


def refusal_html(refusal: Refusal) -> str:
    """The report as a page of its own: no script, nothing fetched, every text escaped."""
    parts = [
        f"<h1>No model for {_safe(refusal.name)}</h1>",
        f"<p>As of {_safe(refusal.as_of)}, run {_safe(refusal.run_id)}, {_safe(refusal.customers)}.</p>",
        f'<p class="refused">{_safe(refusal.what)}</p>',
    ]
    if refusal.gates:
        parts += ["<h2>Gates</h2>", _html_table(GATE_HEAD, refusal.gates, 3)]
    if refusal.candidates:
        parts += ["<h2>Every number of segments</h2>", _html_table(K_HEAD, refusal.candidates, 4)]
    if refusal.found and not refusal.candidates and not refusal.gates:
        parts.append(f"<p>{_safe(refusal.found)}</p>")
    items = "".join(f"<li>{_safe(why)}<pre>{_safe(write)}</pre></li>" for why, write in refusal.advice)
    parts += ["<h2>Three changes to try</h2>", f"<ol>{items}</ol>", f"<p>{_safe(NEXT.replace('`', ''))}</p>"]
    head = f"<title>No model for {_safe(refusal.name)}</title><style>{STYLE}</style>"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    opened = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{viewport}{head}</head>'
    return f"{opened}\n<body>\n{body}\n</body></html>\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    drawn = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *drawn]


def _html_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], verdict: int) -> str:
    heads = "".join(f'<th scope="col">{_safe(name)}</th>' for name in head)
    body = ""
    for row in rows:
        mark = ' class="refused"' if row[verdict] == "refused" else ""
        body += (
            "<tr>"
            + "".join(f"<td{mark if i == verdict else ''}>{_safe(cell)}</td>" for i, cell in enumerate(row))
            + "</tr>"
        )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


def _cell(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    for mark in ("\\", "|", "`", "*", "["):
        plain = plain.replace(mark, "\\" + mark)
    return plain.replace("<", "&lt;")
