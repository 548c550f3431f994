"""The page: one self-contained file that asks no network for anything and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from segengine.report.bundle import ModelFacts
from segengine.report.html import calculator, data, model, segments, time, words
from segengine.report.html.chart_map import map_section
from segengine.report.html.markup import Markup, tag, trusted
from segengine.report.html.section import Section, drawn
from segengine.report.plane import Plane
from segengine.report.published import Facts

__all__ = ["draw"]

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
UNKNOWN_COLOUR = "#777777"

LEFT_OUT = {
    "moves": ("moves", "Moves"),
    "k": ("k_candidates", "How many segments"),
    "stability": ("gates", "Stability"),
    "predicts": ("prediction", "Does it predict?"),
    "quality": ("quality", "Data quality"),
    "bridge": ("bridge", "Revenue bridge and lanes"),
    "protected": ("protected_mix", "Mix of protected attributes"),
    "drift": ("drift", "Drift"),
}
"""Anchor of a section -> the table that it is drawn from, and its title."""


def draw(facts: Facts, found: ModelFacts | None, plane: Plane | None) -> str:
    """The report as HTML. Nothing in it depends on when or where it is drawn."""
    shown = _sections(facts, found, plane)
    script = files("segengine.report.html").joinpath("calculator.js").read_text(encoding="utf-8")
    style = files("segengine.report.html").joinpath("style.css").read_text(encoding="utf-8")
    numbers = [] if found is None else [calculator.embedded(calculator.model_numbers(facts, found))]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{facts.name}: customer segments as of {words.day(facts.as_of, facts.timezone)}"),
        tag("style", trusted(style + _colours(facts))),
    )
    skip = tag("a", "Skip to the content", href="#main", class_="skip")
    links = [tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section in shown]
    contents = tag("nav", tag("ol", links), aria_label="Sections")
    main = tag("main", [drawn(section) for section in shown], id="main")
    layout = tag("div", contents, main, class_="layout")
    body = tag("body", skip, _header(facts), layout, _footer(facts, shown), numbers, tag("script", trusted(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _sections(facts: Facts, found: ModelFacts | None, plane: Plane | None) -> list[Section]:
    """Every section that there is something to draw for, in the order of the page."""
    made = (
        segments.act(facts),
        map_section(facts, plane),
        segments.profile(facts),
        segments.sizes(facts),
        time.moves(facts),
        time.trends(facts),
        model.chosen(facts, found),
        model.stability(facts),
        model.predicts(facts),
        data.quality(facts),
        data.bridge(facts),
        data.protected(facts),
        time.drift(facts),
        model.card(facts, found),
        calculator.calculator(facts, found),
    )
    return [section for section in made if section is not None]


def _policy(script: str) -> str:
    """No request to anywhere, no script but the one with this hash: what slipped through escaping would not run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"script-src 'sha256-{digest}'"
    return f"default-src 'none'; {scripts}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _colours(facts: Facts) -> str:
    rules = []
    for segment in facts.segments:
        colour = segment.colour if COLOUR.fullmatch(segment.colour) else UNKNOWN_COLOUR
        rules.append(f".s{segment.segment_key}{{--c:{colour}}}")
    return "\n" + "".join(rules)


def _header(facts: Facts) -> Markup:
    run = facts.run
    day = words.day(facts.as_of, facts.timezone)
    tiles = [
        (words.count(run.customers_assigned), f"customers in {len(facts.segments)} segments"),
        (words.count(run.customers_in_lanes), "customers in lanes, with a reason"),
    ]
    if run.amount_assigned is not None:
        tiles.insert(1, (words.money(run.amount_assigned, facts), "their revenue in the window"))
    if facts.run.rows_read:
        tiles.append((words.percent(run.rows_used / run.rows_read), f"of {words.count(run.rows_read)} rows used"))
    listed = tag("ul", [tag("li", tag("strong", value), tag("span", what)) for value, what in tiles], class_="tiles")
    title = tag("h1", facts.name, tag("span", " customer segments"))
    line = tag("p", f"As of {day} ({facts.timezone}). Model {facts.model.model_version}.", class_="sub")
    return tag("header", tag("div", title, line, _mark(facts), listed))


def _mark(facts: Facts) -> Markup | None:
    """What must not be overlooked about the model."""
    status = facts.model.status
    if status in ("champion", "retired", "challenger"):
        return None
    return tag("p", tag("strong", f"This model is {status}. "), "Do not act on it without reading why.", class_="mark")


def _footer(facts: Facts, shown: list[Section]) -> Markup:
    there = {section.anchor for section in shown}
    missing = [f"{title} (no rows in {table})" for anchor, (table, title) in LEFT_OUT.items() if anchor not in there]
    told = tag("p", f"Left out, as there is nothing published to draw: {', '.join(missing)}.") if missing else None
    made = f"Drawn by segengine {facts.run.segengine_version} from publication {facts.publication_id}."
    return tag("footer", tag("div", told, tag("p", made)))
