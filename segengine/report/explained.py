"""Why a customer is in its segment, for a terminal: shares of the margin, and what would move it."""

from __future__ import annotations

import decimal
import math

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segengine.scoring.explain import Change, Explanation, Value

__all__ = ["outwards", "show_explanation"]

BAR = 12
MOST = 8
"""Changes that are shown."""


def show_explanation(
    explanation: Explanation | None,
    console: Console,
    *,
    customer_id: str,
    as_of: str,
    lane: str | None,
    assigned_key: int | None,
) -> None:
    """Print it. A customer in a lane has none: the lane says why."""
    title = f"segengine explain: customer {escape(customer_id)}, as of {as_of}"
    if explanation is None:
        console.print(Panel(Text(f"In no segment: lane {lane}."), title=title, title_align="left", border_style="cyan"))
        return
    parts: list[RenderableType] = [Text(_place(explanation))]
    if assigned_key != explanation.segment_key:
        parts.append(Text(f"It is published in segment {assigned_key}: kept there, near the border.", style="yellow"))
    if explanation.shares:
        parts += [Text(), _shares(explanation), Text(), _changes(explanation)]
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style="cyan"))


SMALLEST = 1e-300
"""Below it numbers have fewer digits than are shown."""


def outwards(value: Value, to: float, digits: int = 3) -> float:
    """`to` with few digits, rounded away from `value`: a shown change still moves the customer."""
    if abs(to) < SMALLEST or not math.isfinite(to):
        return to
    start = value if isinstance(value, float) else 0.0
    rounding = decimal.ROUND_CEILING if to >= start else decimal.ROUND_FLOOR
    return float(decimal.Context(prec=digits, rounding=rounding).create_decimal(decimal.Decimal(to)))


def _place(one: Explanation) -> str:
    own = f"{one.segment_id} {one.segment_name}"
    if one.runner_up_id is None:
        return f"{own}: the only segment of its group, at distance {one.distance:.3f}; model {one.model_version}."
    outlier = " It is an outlier of its segment." if one.is_outlier else ""
    return (
        f"{own}, at distance {one.distance:.3f}. Runner-up: {one.runner_up_id} {one.runner_up_name}, at "
        f"{one.runner_up_distance:.3f}. Margin {one.margin:.2f} (0 on the border, 1 on the centre); model "
        f"{one.model_version}.{outlier}"
    )


def _shares(one: Explanation) -> Table:
    table = Table(
        title=f"Why {one.segment_id} and not {one.runner_up_id}: shares of the margin, which add up to 100%",
        title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for name in ("feature", "customer", f"centre of {one.segment_id}", f"centre of {one.runner_up_id}", "share", ""):
        table.add_column(name, justify="left" if name in ("feature", "") else "right", no_wrap=True)
    for share in one.shares:
        part = share.share or 0.0
        bar = Text("█" * min(BAR, round(BAR * abs(part))), style="cyan" if part > 0 else "red")
        told = "" if share.share is None else f"{share.share:.1%}"
        table.add_row(escape(share.feature), *(_shown(v) for v in (share.value, share.own, share.runner_up)), told, bar)
    return table


def _changes(one: Explanation) -> RenderableType:
    if not one.changes:
        return Text("No change of a single feature would move the customer.")
    table = Table(
        title="What would move it, one feature at a time, smallest first", title_justify="left", title_style="bold",
        box=None, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for name in ("feature", "now", "would have to be", "standard deviations", "then in"):
        table.add_column(name, justify="left" if name in ("feature", "then in") else "right")
    for change in one.changes[:MOST]:
        then = escape(change.segment_name)
        table.add_row(escape(change.feature), _shown(change.value), _to(change), f"{change.size:.2f}", then)
    return table


def _to(change: Change) -> str:
    if isinstance(change.to, str):
        return escape(change.to)
    return f"{outwards(change.value, change.to, 4):,.6g}" if change.to != round(change.to) else f"{change.to:,.0f}"


def _shown(value: Value) -> str:
    if value is None:
        return "missing"
    if isinstance(value, str):
        return escape(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
