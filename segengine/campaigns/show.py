"""Campaigns for people: what was exported, what it brought, which there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segengine.campaigns.manifest import OUTCOMES, Campaign
from segengine.campaigns.uplift import Compared, Interval, smallest_share_told

if TYPE_CHECKING:
    from segengine.config import Config
    from segengine.runs.campaign_results import CampaignResult

__all__ = ["show_campaigns", "show_export", "show_result"]

MEASURES: Mapping[str, str] = {
    "share_who_bought": "share who bought",
    "revenue_per_customer": "revenue per customer",
    "revenue_per_customer_adjusted": "the same, adjusted by what they spent before",
}
STYLES = {"more": "green", "less": "red", "too small to tell": "yellow"}


def show_export(
    campaign: Campaign, list_place: str, notes: Sequence[str], config: Config, config_file: str, console: Console
) -> None:
    """Print what became of every customer, where the list is, and what the campaign will be able to tell."""
    table = _table("", *(Text(str(segment["segment_id"])) for segment in campaign.segments), "all")
    for outcome, text in OUTCOMES.items():
        if campaign.counts[outcome] or outcome in ("treated", "holdout", "no_consent"):
            numbers = [int(segment[outcome]) for segment in campaign.segments] + [campaign.counts[outcome]]
            table.add_row(text, *(f"{number:,}" for number in numbers))
    sums = [sum(int(segment[outcome]) for outcome in OUTCOMES) for segment in campaign.segments]
    table.add_row("customers", *(f"{number:,}" for number in (*sums, campaign.customers)), style="bold")
    parts: list[RenderableType] = [table, Text(f"The list: {list_place}")]
    parts.append(Text(f"Columns: {', '.join(campaign.export['columns'])}; {campaign.export['rows']:,} rows"))
    parts.append(Text(_power(campaign)))
    if campaign.consent is None:
        parts.append(Text("Consent was not asked for (--no-consent-check); the audit trail says so.", style="yellow"))
    parts += [Text(f"Note: {note}", style="yellow") for note in notes]
    parts.append(
        Text(f"In {config.campaigns.days} days: segengine campaign result {config_file} {campaign.campaign_id}")
    )
    _panel(
        f"segengine export: campaign {campaign.campaign_id}, segments as of {_day(campaign.as_of, config.timezone)}",
        parts,
        console,
    )


def _power(campaign: Campaign) -> str:
    told = smallest_share_told(campaign.counts["treated"], campaign.counts["holdout"])
    if not campaign.counts["holdout"]:
        return "Nobody is held out: what the campaign brings will not be known."
    if told > 1:
        return (
            "So few customers cannot tell what the campaign brings, whatever they buy: export more, or raise --holdout."
        )
    return (
        f"With this hold-out, {100 * told:.1f} points more or fewer buyers would be found in four of five campaigns; "
        "less than that may be too small to tell."
    )


def show_result(result: CampaignResult, timezone: str, console: Console) -> None:
    """Print both groups, differences with their intervals, and the verdict; days are those of the zone."""
    head = _table("", "customers", "bought", "orders", "revenue")
    for name, group in (("written to", result.treated), ("held out", result.holdout)):
        revenue = f"{group['revenue']:,.2f} {result.currency}"
        head.add_row(name, *(f"{group[key]:,}" for key in ("customers", "buyers", "orders")), revenue)
    parts: list[RenderableType] = [head]
    if result.overall:
        parts += [_compared(result.overall, result.currency), Text(_verdict(result), style="bold")]
    for segment, compared in result.by_segment.items():
        parts += [
            Text(segment, style="bold"),
            _compared(compared, result.currency) if compared else Text("nobody in one group"),
        ]
    if len(result.by_segment) > 1:
        parts.append(Text("Of several segments one may differ by chance: trust the whole first.", style="dim"))
    parts += [Text(f"Note: {note}", style="yellow") for note in result.notes]
    days = (_moment(result.until) - _moment(result.start)).total_seconds() / 86_400
    span = f"{days:.0f} of {result.days} days from {_day(result.start, timezone)}"
    _panel(f"segengine campaign result: {result.campaign_id}, {span}", parts, console)


def _compared(compared: Sequence[Compared], currency: str) -> Table:
    table = _table("", "written to", "held out", "difference (95 %)", "uplift (95 %)", "found from", "verdict")
    for one in compared:
        share = one.measure == "share_who_bought"
        told = "" if one.smallest_told is None else _value(one.smallest_told, share).replace(" %", " pts")
        table.add_row(
            MEASURES[one.measure],
            _value(one.treated, share),
            _value(one.holdout, share),
            _interval(one.difference, share),
            "" if one.uplift is None else _percent(one.uplift),
            told,
            Text(one.verdict, style=STYLES[one.verdict]),
        )
    table.caption = f"found from: a difference that four of five such campaigns would find; money in {currency}"
    table.caption_justify = "left"
    return table


def _verdict(result: CampaignResult) -> str:
    """One sentence, of the most exact measure of money."""
    last = result.overall[-1]
    if last.verdict == "too small to tell":
        return f"Revenue: too small to tell, as {last.why}."
    assert result.brought is not None
    low, high = sorted(abs(end or 0.0) for end in (result.brought.low, result.brought.high))
    word = "brought" if last.verdict == "more" else "cost"
    return f"The campaign {word} {abs(result.brought.value):,.0f} {result.currency} ({low:,.0f} to {high:,.0f})."


def _value(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:,.2f}"


def _interval(one: Interval, share: bool) -> str:
    factor, unit = (100, " pts") if share else (1, "")
    low, high = (0.0 if end is None else end * factor for end in (one.low, one.high))
    digits = 1 if share else 2
    return f"{one.value * factor:+,.{digits}f}{unit} ({low:+,.{digits}f} to {high:+,.{digits}f})"


def _percent(one: Interval) -> str:
    low, high = ("?" if end is None else f"{100 * end:+.0f}" for end in (one.low, one.high))
    return f"{100 * one.value:+.0f} % ({low} to {high})"


def show_campaigns(campaigns: Sequence[Campaign], console: Console) -> None:
    """Print a line a campaign, oldest first."""
    if not campaigns:
        console.print(Text("No campaign has been exported yet."))
        return
    table = _table("campaign", "exported (UTC)", "segments", "on the list", "held out", "consent")
    for one in campaigns:
        ids = ", ".join(str(segment["segment_id"]) for segment in one.segments)
        counts = (f"{one.counts[name]:,}" for name in ("treated", "holdout"))
        asked = "asked" if one.consent is not None else "not asked"
        table.add_row(Text(one.campaign_id), one.created_at[:16].replace("T", " "), ids, *counts, asked)
    console.print(table)


def _table(first: str, *names: str | Text) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(first)
    for name in names:
        table.add_column(name, justify="right")
    return table


def _panel(title: str, parts: Sequence[RenderableType], console: Console) -> None:
    spaced = [item for part in parts for item in (part, Text())][:-1]
    console.print(Panel(Group(*spaced), title=Text(title), title_align="left", border_style="cyan"))


def _day(text: str, timezone: str) -> str:
    """The day of a moment, where days are counted."""
    return f"{_moment(text).astimezone(ZoneInfo(timezone)):%Y-%m-%d}"


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
