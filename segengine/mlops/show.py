"""The audit trail for people: what happened, and whether it is still true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segengine.mlops.audit import Entry
from segengine.mlops.verify import Verified

__all__ = ["show_history", "show_verified"]

STYLES = {"tampered": "bold red", "erased": "yellow", "expired": "dim", "intact": ""}
MOST = 40


def show_history(entries: Sequence[Entry], console: Console) -> None:
    """Print a line a record, oldest first."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("#", "when (UTC)", "what", "by", "in words"):
        table.add_column(name, justify="right" if name == "#" else "left", no_wrap=name != "in words")
    for entry in entries:
        content = entry.content or {}
        when = str(content.get("at", "")).replace("T", " ").removesuffix("+00:00")
        style = "red" if str(content.get("state", "")).startswith("failed") else ""
        cells = (str(entry.n), when, _what(entry), _by(content), _words(entry))
        table.add_row(*(Text(cell) for cell in cells), style=style)
    console.print(table if entries else Text("Nothing has happened here yet."))


def show_verified(verified: Verified, console: Console) -> None:
    """Print the verdict, what the anchor says, and every finding that is not plainly intact."""
    counts = {state: verified.count(state) for state in STYLES}
    bad = counts["tampered"]
    said = "Nothing was tampered with." if not bad else f"{bad} signs of tampering."
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in sorted(verified.findings, key=lambda f: list(STYLES).index(f.state))[:MOST]:
        table.add_row(Text(finding.state), Text(finding.what), Text(finding.text), style=STYLES[finding.state])
    parts = (
        Text(said, style="bold red" if bad else "bold green"),
        Text(verified.anchor),
        Text(f"Head: {verified.head}"),
    )
    title = f"segengine verify: {verified.records:,} records"
    console.print(
        Panel(Group(*parts, Text(), table), title=title, title_align="left", border_style="red" if bad else "cyan")
    )


def _what(entry: Entry) -> str:
    content = entry.content
    if content is None:
        return "(no record)"
    return str(content.get("command", "")) if entry.kind == "run" else entry.kind.replace("_", " ")


def _by(content: Mapping[str, Any]) -> str:
    """Who, and what the name is worth."""
    source = {"claimed": " (claimed)", "ci_environment": " (CI)"}.get(str(content.get("by_is")), "")
    return f"{content.get('by', '')}{source}"


def _words(entry: Entry) -> str:
    content = entry.content or {}
    if entry.kind == "config_change":
        changed = content.get("changed") or []
        return f"changed: {', '.join(changed)}" if changed else "the first configuration that is known"
    if entry.kind in ("promotion", "rollback"):
        return f"{content.get('before') or 'nothing'} -> {content.get('champion')}: {content.get('reason')}"
    if entry.kind == "erasure":
        return f"a customer was erased: {content.get('rows', 0):,} rows in {content.get('files', 0):,} files"
    parts = [str(content.get("state", ""))]
    parts += [f"read {_read(content)}"] if content.get("inputs") else []
    parts += [f"trained {content['trained']}"] if content.get("trained") else []
    parts += (
        [f"published {content['publication_id']} by {content.get('model_version')}"]
        if "publication_id" in content
        else []
    )
    parts += [_campaign(content["campaign"])] if isinstance(content.get("campaign"), dict) else []
    monitored = content.get("monitoring") or {}
    parts += [f"{monitored['alarms']} alarms"] if monitored.get("alarms") else []
    outputs = content.get("outputs") or {}
    return "; ".join([*parts, f"{len(outputs):,} files written"])


def _campaign(campaign: Mapping[str, Any]) -> str:
    counts = campaign.get("counts") or {}
    numbers = f", {counts.get('treated', 0):,} written to, {counts.get('holdout', 0):,} held out" if counts else ""
    asked = "" if not counts or campaign.get("consent") else ", consent not asked"
    return f"campaign {campaign.get('campaign_id')}{numbers}{asked}"


def _read(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{i.get('name')} ({i.get('files') or 0:,} files)" for i in content["inputs"] if isinstance(i, dict)
    )
