"""The report without Spark or a browser: numbers as published, everything escaped, what is not there left out."""

from __future__ import annotations

import html as html_module
import io
import re
from dataclasses import fields
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from segengine.features.prepare_numbers import prepare
from segengine.report import published
from segengine.report import summary as told
from segengine.report.facts import published_facts
from segengine.report.html import draw, words
from segengine.report.html.markup import Markup, join, tag, trusted
from segengine.report.plane import axes, plane
from segengine.report.terminal import show
from segengine.tables import TABLES
from tests import report_shop as shop

LIMIT_BYTES = 6_000_000
ALL_SECTIONS = ("act", "map", "profile", "sizes", "moves", "trends", "k", "stability", "predicts", "quality", "bridge",
                "protected", "drift", "card", "calculator")  # fmt: skip
FIRST_TABLES = ("segments", "segment_profiles", "segment_kpis", "models", "quality", "runs")


class Reader(HTMLParser):
    """The page as elements and text; void elements close themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.stack == [], self.stack

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name not in ("meta", "input", "br", "col", "hr", "link"):
            self.stack.append(name)

    def handle_endtag(self, name):
        assert self.stack.pop() == name

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("script", "style"):
            self.text.append(data)


def page(only=None) -> str:
    facts, model = shop.facts(only=only), shop.model()
    columns = shop.customers()
    keys = np.array(model.segment_keys)[shop.nearest(prepare(model.preparation, columns), model.centres)]
    return draw(facts, model, plane(model, columns, keys))


@pytest.fixture(scope="module")
def whole() -> str:
    return page()


def test_every_section_is_there_once_and_named_in_the_contents(whole):
    read = Reader(whole)
    anchors = [attributes["id"] for name, attributes in read.tags if name == "section"]
    assert anchors == list(ALL_SECTIONS)
    links = [attributes["href"] for name, attributes in read.tags if name == "a"]
    assert links == ["#main", *(f"#{anchor}" for anchor in anchors)]
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert "Left out" not in whole


def test_a_section_without_its_table_is_left_out_and_said_so():
    text = page(only=FIRST_TABLES)
    anchors = [attributes["id"] for name, attributes in Reader(text).tags if name == "section"]
    assert anchors == ["act", "map", "profile", "sizes", "trends", "stability", "quality", "card", "calculator"]
    (line,) = re.findall(r"<p>(Left out.*?)</p>", text)
    for table in ("moves", "k_candidates", "prediction", "bridge", "protected_mix", "drift"):
        assert table in line


def test_names_and_values_of_customers_are_text_only(whole):
    read = Reader(whole)
    scripts = [attributes for name, attributes in read.tags if name == "script"]
    assert scripts == [{"type": "application/json", "id": "model-numbers"}, {}]
    assert not [name for name, _ in read.tags if name in ("img", "b", "iframe", "object", "link", "base")]
    assert not [a for _, attributes in read.tags for a in attributes if a.startswith("on")]
    assert shop.SCRIPT in "".join(read.text)
    assert "\u202e" not in whole
    assert "red;}" not in whole


def test_the_page_asks_nobody_for_anything(whole):
    read = Reader(whole)
    addresses = [a[key] for _, a in read.tags for key in ("src", "href", "action", "data", "srcset") if key in a]
    assert all(address.startswith("#") for address in addresses)
    assert "url(" not in whole and "@import" not in whole
    (policy,) = [a["content"] for name, a in read.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert len(whole.encode()) < LIMIT_BYTES


def test_page_facts_tables_and_terminal_say_the_same_numbers(whole):
    tables, facts = shop.tables(), shop.facts()
    text = " ".join(Reader(whole).text)
    lines = told.segment_lines(facts)
    shown = io.StringIO()
    summary = told.published_summary(facts, command="report", run_id="r", next_steps=(), step_seconds=())
    show(summary, Console(file=shown, width=200))
    by_key = {segment.segment_key: line for segment, line in zip(facts.segments, lines, strict=True)}
    for row in tables["segments"].to_pylist():
        line = by_key[row["segment_key"]]
        assert (line.customers, line.share, line.revenue_share) == (
            row["customers"], row["share"], row["revenue_share"],
        )  # fmt: skip
        assert Decimal(line.revenue_e4) / 10_000 == row["revenue"]
        assert f"{row['customers']:,} customers, {100 * row['share']:.1f} %" in text
        assert f"{row['revenue']:,} GBP" in text
        assert f"{row['customers']:,}" in shown.getvalue()
    bridge = tables["bridge"].to_pylist()
    assert sum(row["amount"] for row in bridge if not row["is_balance"] or row["step"] == 1) == bridge[-1]["amount"]
    assert [Decimal(line.amount_e4) / 10_000 for line in told.published_bridge(facts)] == [r["amount"] for r in bridge]
    for row in bridge:
        assert f"{row['amount']:,} GBP" in text
        assert f"{row['amount']:,} GBP" in shown.getvalue()
    (run,) = tables["runs"].to_pylist()
    assert run["amount_assigned"] == bridge[-1]["amount"]


def test_what_is_read_is_what_the_tables_declare():
    kinds = {
        "segments": published.Segment, "segment_profiles": published.Profile, "segment_kpis": published.Kpi,
        "lanes": published.Lane, "bridge": published.Bridge, "quality": published.Quality, "runs": published.Run,
        "models": published.ModelVersion, "k_candidates": published.Candidate, "gates": published.Gate,
        "prediction": published.Predicted, "moves": published.Move, "segment_events": published.Event,
        "protected_mix": published.Mix,
    }  # fmt: skip
    declared = {table.name: set(table.column_names) for table in TABLES}
    for name, kind in kinds.items():
        if name in declared:
            assert {field.name for field in fields(kind)} <= declared[name], name


def test_the_same_facts_give_the_same_bytes(whole):
    assert page() == whole


def test_groups_are_drawn_one_by_one_and_many_of_them_fit():
    tables = shop.tables(only=FIRST_TABLES)
    first, profiles, kpis = (tables[name].to_pylist() for name in ("segments", "segment_profiles", "segment_kpis"))
    own: dict[str, list[dict[str, Any]]] = {name: [] for name in ("segments", "segment_profiles", "segment_kpis")}
    for group in range(100):
        for name, rows in zip(own, (first, profiles, kpis), strict=True):
            own[name] += [{**row, "segment_key": row["segment_key"] + 10 * group} for row in rows]
        own["segments"][-4:] = [{**row, "group_name": f"G{group}"} for row in own["segments"][-4:]]
    for name, rows in own.items():
        tables[name] = shop.table(name, rows, "p2")
    facts = published_facts(tables, name="many", currency="EUR", minor_unit=2, timezone="UTC")
    text = draw(facts, None, None)
    assert len(facts.segments) == 400
    assert len(text.encode()) < LIMIT_BYTES
    assert text.count("<summary>G") == 200
    Reader(text)


def test_the_run_of_the_publication_is_told_and_not_one_that_another_as_of_kept():
    tables = shop.tables()
    (run,) = tables["runs"].to_pylist()
    older = {**run, "run_id": "r1", "as_of": shop.BEFORE, "publication_id": "p1"}
    tables["runs"] = pa.Table.from_pylist([older, run], schema=tables["runs"].schema)
    facts = published_facts(tables, name="x", currency="GBP", minor_unit=2, timezone="UTC")
    assert facts.run.run_id == "r2"


@given(st.text(), st.text())
def test_any_text_stays_text(text, value):
    element = tag("p", text, title=value)
    inside = element[element.index(">") + 1 : -len("</p>")]
    assert "<" not in inside and '"' not in element[len('<p title="') : element.index(">") - 1]
    back = html_module.unescape(inside)
    assert len(back) == len(text)
    assert all(a == b or b == "\ufffd" for a, b in zip(text, back, strict=True))


def test_markup_is_only_made_by_elements():
    assert join(["<", Markup("<b>"), None, 3]) == "&lt;<b>3"
    assert tag("input", value="a", hidden=False, disabled=True) == '<input value="a" disabled>'
    assert tag("i", class_="x", aria_hidden="true") == '<i class="x" aria-hidden="true"></i>'
    with pytest.raises(ValueError):
        trusted("</script>")


@pytest.mark.parametrize(
    ("z", "word", "sign"),
    [(None, "not known", "·"), (0.24, "typical", "·"), (0.25, "somewhat higher", "▲"), (-0.75, "much lower", "▼▼"),
     (1.5, "far higher", "▲▲▲")],
)  # fmt: skip
def test_differences_are_told_in_words_and_signs(z, word, sign):
    assert (words.reading(z), words.sign(z)) == (word, sign)


def test_money_is_shown_at_the_minor_unit_and_values_with_their_unit():
    facts = shop.facts()
    assert words.money(Decimal("1234.5"), facts) == "1,234.50 GBP"
    assert words.measured(0.314, "share, 0 to 1", facts) == "31 %"
    assert words.measured(12.0, "days", facts) == "12 days"
    assert words.measured(3150.2, "currency", facts) == "3,150 GBP"
    assert words.number(1e-9) == "0.00"


def test_the_plane_is_that_of_the_centres_and_does_not_depend_on_the_order_of_customers():
    model, columns = shop.model(), shop.customers(500)
    points = prepare(model.preparation, columns)
    directions = axes(points, model.centres, np.ones(4))
    assert np.allclose(directions @ directions.T, np.eye(2))
    middle = model.centres - model.centres.mean(axis=0)
    values = np.linalg.eigvalsh(middle.T @ middle)[-2:]
    assert ((middle @ directions.T) ** 2).sum() == pytest.approx(values.sum())
    keys = np.array(model.segment_keys)[shop.nearest(points, model.centres)]
    drawn = plane(model, columns, keys)
    assert sum(hexagon.customers for hexagon in drawn.hexagons) == 500
    assert plane(model, {name: column[:0] for name, column in columns.items()}, keys[:0]) is None


@pytest.mark.parametrize("k", [1, 2, 3])
def test_there_are_two_directions_however_few_the_centres(k):
    points = np.random.default_rng(0).normal(size=(50, 4))
    directions = axes(points, points[:k], np.ones(k))
    assert np.allclose(directions @ directions.T, np.eye(2))


def test_the_map_has_no_more_hexagons_for_more_customers():
    model = shop.model()
    sizes = []
    for n in (2_000, 40_000):
        columns = shop.customers(n)
        keys = np.array(model.segment_keys)[shop.nearest(prepare(model.preparation, columns), model.centres)]
        sizes.append(len(draw(shop.facts(), model, plane(model, columns, keys))))
    assert sizes[1] < 1.6 * sizes[0]
