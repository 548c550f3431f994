"""The closing summary of a run, for a terminal of any width; without colours it is plain text."""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segengine.report.facts import Summary

__all__ = ["as_json", "money", "show"]

BAR = 16
WIDE = 100
"""Columns from which on bars are drawn beside names."""
NAME = 16
MOST_GROUPS = 12
"""Groups that are shown; the others are counted."""
MOST_SEGMENTS = 24
"""Segments that are shown, all or none: beyond it the groups alone."""


def show(summary: Summary, console: Console) -> None:
    """Print the summary: rows, bridge, segments, the choice of k, and what to open next."""
    parts: list[RenderableType] = [_rows(summary)]
    if summary.bridge:
        parts.append(_bridge(summary))
    if summary.groups:
        parts.append(_groups(summary))
    if summary.segments and len(summary.segments) <= MOST_SEGMENTS:
        parts.append(_segments(summary, console.width))
    if summary.decision and not summary.groups:
        parts.append(_decision(summary))
    if summary.gates:
        parts.append(_gates(summary))
    if summary.why_trained or summary.why_not_trained:
        parts.append(_model(summary))
    if summary.left_out:
        names = ", ".join(f"{name} ({reason})" for name, reason in summary.left_out)
        parts.append(Text(f"Features left out: {names}", style="dim"))
    parts.extend(Text(f"Note: {warning}", style="yellow") for warning in summary.warnings)
    if summary.next_steps:
        parts.append(_next(summary))
    console.print(Panel(Group(*_spaced(parts)), title=_title(summary), title_align="left", border_style="cyan"))


def _model(summary: Summary) -> Text:
    """Which model, and why it was trained or kept."""
    if summary.trained:
        return Text(f"Trained {summary.model_version}, as {summary.why_trained}.")
    return Text(f"Scored with {summary.model_version}; not trained: {summary.why_not_trained}.")


def money(amount_e4: int | None, minor_unit: int, currency: str) -> str:
    """1/10,000 units as text at the minor unit, rounded half up: 123456789 -> '12,345.68 GBP'."""
    if amount_e4 is None:
        return ""
    step = 10 ** (4 - minor_unit)
    sign = "-" if amount_e4 < 0 else ""
    minor = (abs(amount_e4) + step // 2) // step
    whole, rest = divmod(minor, 10**minor_unit)
    decimals = f".{rest:0{minor_unit}d}" if minor_unit else ""
    return f"{sign}{whole:,}{decimals} {currency}"


def as_json(summary: Summary) -> str:
    """The summary as JSON, for programs."""
    return json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False)


def _title(summary: Summary) -> str:
    return f"segengine {summary.command}: {escape(summary.name)}, as of {summary.as_of}"


def _spaced(parts: list[RenderableType]) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for part in parts:
        if spaced:
            spaced.append(Text())
        spaced.append(part)
    return spaced


def _table(*columns: tuple[str, str], title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    return table


def _rows(summary: Summary) -> Table:
    table = _table(("", "left"), ("rows", "right"), ("amount", "right"), ("", "left"), title="Rows")
    for line in summary.rows:
        amount = money(line.amount_e4, summary.minor_unit, summary.currency)
        plain = line.rule == line.outcome
        what = f"{line.table}: {line.outcome}" + ("" if plain else f", {line.rule}")
        table.add_row(what, f"{line.rows:,}", amount, Text("" if plain else line.text, style="dim"))
    return table


def _bridge(summary: Summary) -> Table:
    table = _table(("", "left"), ("customers", "right"), ("amount", "right"), title="Revenue bridge, adds up exactly")
    for number, step in enumerate(summary.bridge):
        last = number in (0, len(summary.bridge) - 1)
        customers = "" if step.customers is None else f"{step.customers:,}"
        amount = money(step.amount_e4, summary.minor_unit, summary.currency)
        table.add_row(step.name, customers, amount, style="bold" if last else "")
    return table


def _segments(summary: Summary, width: int) -> Table:
    readings = [name for name, _ in summary.segments[0].readings]
    with_revenue = any(segment.revenue_share is not None for segment in summary.segments)
    with_lifetime = any(segment.lifetime_value_e4 is not None for segment in summary.segments)
    with_bar = not with_lifetime and width >= WIDE  # there is no room for both, and names come first
    columns = [("segment", "left"), ("customers", "right"), ("share", "right")]
    columns += [("revenue\nshare", "right")] if with_revenue else []
    columns += [("", "left")] if with_bar else [("expected", "right")] if with_lifetime else []
    title = "Segments" + (", with medians of their customers" if readings and with_revenue else "")
    title += f"; expected: money of the next 365 days, {summary.currency}" if with_lifetime else ""
    # Names are long and may take two lines; numbers are never cut.
    table = _table(*columns, *(("\n".join(name.rsplit("_", 1)), "right") for name in readings), title=title)
    table.columns[0].min_width = NAME
    if with_bar:
        table.columns[len(columns) - 1].min_width = BAR
    for segment in summary.segments:
        cells = [f"{segment.segment_id} {escape(segment.name)}", f"{segment.customers:,}", f"{segment.share:.1%}"]
        part = segment.revenue_share if with_revenue else segment.share
        if with_revenue:
            cells.append("" if part is None else f"{part:.1%}")
        bar = Text("█" * round(BAR * max(part or 0.0, 0.0)), style="cyan")
        lifetime = money(segment.lifetime_value_e4, 0, "").strip()
        values = [_number(value) for _, value in segment.readings]
        table.add_row(*cells, *([bar] if with_bar else [lifetime] if with_lifetime else []), *values)
    for lane, customers in summary.lanes:
        if customers:
            table.add_row(f"lane: {lane}", f"{customers:,}", style="dim")
    return table


def _groups(summary: Summary) -> RenderableType:
    """The groups in the order of the model, the first ones; and how many segments there are in all."""
    with_revenue = any(group.revenue_share is not None for group in summary.groups)
    columns = [("group", "left"), ("customers", "right"), ("share", "right")]
    columns += [("revenue share", "right")] if with_revenue else []
    table = _table(
        *columns, ("k", "right"), ("macro silhouette", "right"), title=f"Groups: model {summary.model_version}"
    )
    for group in summary.groups[:MOST_GROUPS]:
        cells = [escape(group.name), f"{group.customers:,}", f"{group.share:.1%}"]
        cells += ["" if group.revenue_share is None else f"{group.revenue_share:.1%}"] if with_revenue else []
        silhouette = "" if group.macro_silhouette is None else f"{group.macro_silhouette:.3f}"
        table.add_row(*cells, str(group.k), silhouette)
    more = summary.groups[MOST_GROUPS:]
    if more:
        told = f"and {len(more):,} more"
        customers, share = sum(group.customers for group in more), sum(group.share for group in more)
        table.add_row(told, f"{customers:,}", f"{share:.1%}", style="dim")
    return Group(table, Text(summary.decision))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _decision(summary: Summary) -> RenderableType:
    table = _table(
        ("k", "right"), ("macro silhouette", "right"), ("stability", "right"), ("smallest", "right"),
        ("largest", "right"), ("", "left"),
        title=f"How many segments: model {summary.model_version}",
    )  # fmt: skip
    for line in summary.candidates:
        table.add_row(
            str(line.k),
            "" if line.macro_silhouette is None else f"{line.macro_silhouette:.3f}",
            "" if line.jaccard_min is None else f"{line.jaccard_min:.2f}",
            "" if line.smallest_share is None else f"{line.smallest_share:.1%}",
            "" if line.largest_share is None else f"{line.largest_share:.1%}",
            line.reason,
            style="bold green" if line.verdict == "chosen" else "",
        )
    return Group(table, Text(summary.decision))


def _gates(summary: Summary) -> Table:
    table = _table(("gate", "left"), ("value", "right"), ("verdict", "left"), ("", "left"), title="Gates of the model")
    styles = {"refused": "bold red", "warned": "yellow", "not_judged": "dim"}
    for gate in summary.gates:
        value = "" if gate.value is None else f"{gate.value:.3f}"
        table.add_row(gate.gate, value, gate.verdict, Text(gate.text), style=styles.get(gate.verdict, ""))
    return table


def _next(summary: Summary) -> Table:
    table = Table(title="Open next", title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for step in summary.next_steps:
        table.add_row(step.what, Text(step.how, style="cyan"))
    return table
