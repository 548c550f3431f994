"""A model card drawn: as Markdown, and as an HTML page of its own."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from segengine.model.card import Rows, sections

__all__ = ["card_html", "card_markdown"]

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ddd;padding:.35rem .6rem;"
    "text-align:left;vertical-align:top;overflow-wrap:break-word;max-width:26rem}th{background:#f4f4f6}"
    ".refused{color:#a01030;font-weight:600}.warned{color:#7a4b00;font-weight:600}.passed,.chosen{color:#1a6030}"
)


def card_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page of text."""
    lines = [
        f"# Model card: {_cell(card['name'])}, {card['model_version']}",
        "",
        f"As of {card['as_of']}. Trained because {_cell(card['why_trained'])}. Verdict: **{card['verdict']}**.",
    ]
    if card["refused_for"]:
        lines += ["", f"Refused for {_cell(card['refused_for'])}."]
    for section in sections(card):
        lines += ["", f"## {section.title}"]
        for block in section.blocks:
            lines.append("")
            if isinstance(block, Rows):
                lines += _table(block)
            elif isinstance(block, tuple):
                lines += [f"- {_cell(line)}" for line in block]
            else:
                lines.append(_cell(block))
    return "\n".join([*lines, ""])


def _table(block: Rows) -> list[str]:
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in (block.head, *block.rows)]
    return [rows[0], "|" + "---|" * len(block.head), *rows[1:]]


def _cell(text: str) -> str:
    """Text that cannot break a table or make markup."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        plain = plain.replace(mark, "&lt;" if mark == "<" else "\\" + mark)
    return plain


def card_html(card: Mapping[str, Any]) -> str:
    """The card as a page: no script, nothing fetched, every text escaped."""
    title = f"Model card: {_safe(card['name'])}, {_safe(card['model_version'])}"
    verdict = f'<strong class="{_safe(card["verdict"])}">{_safe(card["verdict"])}</strong>'
    parts = [
        f"<h1>{title}</h1>",
        f"<p>As of {_safe(card['as_of'])}. Trained because {_safe(card['why_trained'])}. Verdict: {verdict}.</p>",
    ]
    if card["refused_for"]:
        parts.append(f'<p class="refused">Refused for {_safe(card["refused_for"])}.</p>')
    for section in sections(card):
        parts.append(f"<h2>{_safe(section.title)}</h2>")
        for block in section.blocks:
            if isinstance(block, Rows):
                parts.append(_html_table(block, section.title))
            elif isinstance(block, tuple):
                parts.append(f"<ul>{''.join(f'<li>{_safe(line)}</li>' for line in block)}</ul>")
            else:
                parts.append(f"<p>{_safe(block)}</p>")
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{viewport}<title>{title}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _html_table(block: Rows, title: str) -> str:
    heads = "".join(f'<th scope="col">{_safe(name)}</th>' for name in block.head)
    body = "".join(f"<tr>{''.join(_td(block, row, place) for place in range(len(row)))}</tr>" for row in block.rows)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{_safe(title)}">{table}</div>'


def _td(block: Rows, row: tuple[str, ...], place: int) -> str:
    mark = f' class="{_safe(row[place])}"' if place == block.verdict else ""
    return f"<td{mark}>{_safe(row[place])}</td>"


def _safe(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    return html.escape(plain, quote=True)
