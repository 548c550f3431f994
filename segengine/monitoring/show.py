"""What monitoring found, for a terminal of any width, or as JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segengine.config.times import local_text
from segengine.monitoring.judge import LOOK_FIRST, Reading

__all__ = ["as_json", "show"]

MOST = 20
STYLES = {"alarm": "bold red", "watch": "yellow", "ok": "dim"}


def show(
    name: str,
    as_of: dt.datetime,
    model_version: str,
    readings: Sequence[Reading],
    against: Mapping[str, dt.datetime],
    timezone: str,
    console: Console,
) -> None:
    """Print the verdict, and every comparison that is more than chance and small change."""
    counts = {verdict: sum(r.verdict == verdict for r in readings) for verdict in ("alarm", "watch", "ok")}
    alarms = [r for r in readings if r.verdict == "alarm"]
    if not alarms:
        said = "No alarm: customers are what the model was trained on."
    elif all(r.measure in LOOK_FIRST for r in alarms):
        said = "Look at the data: the alarms are about values and rows that are missing."
    else:
        said = "A retrain is called for."
    compared = "; ".join(f"{_words(base)} as of {local_text(moment, timezone)}" for base, moment in against.items())
    head = Text(said, style="bold red" if alarms else "bold green")
    numbers = f"{len(readings):,} comparisons: {counts['alarm']} alarm, {counts['watch']} watch, {counts['ok']} ok."
    parts = [head, Text(f"{numbers} Compared with {compared}.")]
    told = [r for r in readings if r.verdict != "ok"][:MOST]
    title = f"segengine monitor: {name}, as of {local_text(as_of, timezone)}, model {model_version}"
    body = Group(*parts, Text(), _table(told)) if told else Group(*parts)
    console.print(Panel(body, title=Text(title), title_align="left", border_style="red" if alarms else "cyan"))


def _table(readings: Sequence[Reading]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column, justify in (
        ("", "left"),
        ("what", "left"),
        ("measure", "left"),
        ("value", "right"),
        ("alarm", "right"),
    ):
        table.add_column(column, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    table.add_column("in words")
    for r in readings:
        limit = "" if r.alarm_limit == float("inf") else f"{r.alarm_limit:.3f}"
        cells = (Text(t) for t in (r.verdict, r.subject, r.measure, f"{r.value:.3f}", limit, r.text))
        table.add_row(*cells, style=STYLES[r.verdict])
    return table


def as_json(as_of: dt.datetime, model_version: str, readings: Sequence[Reading], reasons: Sequence[str]) -> str:
    """Everything that was compared, for programs."""
    rows = [{**asdict(r), "alarm_limit": None if r.alarm_limit == float("inf") else r.alarm_limit} for r in readings]
    told = {"as_of": as_of.isoformat(), "model_version": model_version, "call": bool(reasons), "reasons": list(reasons)}
    return json.dumps({**told, "readings": rows}, indent=2, ensure_ascii=False)


def _words(base: str) -> str:
    return {"training": "the training", "year_ago": "a year ago"}.get(base, base)
