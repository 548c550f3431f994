"""The workbook without Spark: numbers as published, text that is only text, tables that everybody can read."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.report.excel import draw_workbook
from segengine.report.excel.book import Book, Column
from tests import report_shop as shop
from tests.workbooks import Read

SHEETS = ["Overview", "Segments", "What to do", "Profile", "Profile details", "History", "Moves", "Data quality",
          "Revenue bridge", "Lanes", "Definitions"]  # fmt: skip
FIRST_TABLES = ("segments", "segment_profiles", "segment_kpis", "models", "quality", "runs")


@pytest.fixture(scope="module")
def whole() -> bytes:
    return draw_workbook(shop.facts(), shop.model())


def figures(read: Read) -> dict[str, object]:
    return {row["Figure"]: row["Value"] for row in read.tables["key_figures"]}


def test_every_sheet_is_there_in_the_order_of_the_contents(whole):
    read = Read(whole)
    assert list(read.sheets) == SHEETS
    assert [row["Sheet"] for row in read.tables["sheets"]] == SHEETS[1:]
    assert all(row["Rows"] > 0 for row in read.tables["sheets"])


def test_figures_are_those_of_the_facts(whole):
    facts, read = shop.facts(), Read(whole)
    shown = figures(read)
    assert shown["Customers"] == facts.run.customers
    assert shown["Customers in a segment"] == facts.run.customers_assigned
    assert shown["Customers in a lane"] == facts.run.customers_in_lanes
    assert shown["Revenue of the segments (GBP)"] == float(facts.run.amount_assigned)
    assert shown["Revenue in the source (GBP)"] == float(facts.run.amount_read)
    assert (shown["Publication"], shown["Model"]) == (facts.publication_id, facts.run.model_version)
    assert shown["Customers active in the last 90 days"] == 160
    for row, segment in zip(read.tables["segments"], facts.segments, strict=True):
        assert (row["Id"], row["Customers"]) == (segment.segment_id, segment.customers)
        assert row["Share of customers"] == pytest.approx(segment.share, abs=1e-12)
        assert row["Revenue (GBP)"] == float(segment.revenue)
    assert sum(row["Customers"] for row in read.tables["segments"]) == shown["Customers in a segment"]
    assert [row["Amount (GBP)"] for row in read.tables["revenue_bridge"]] == [float(s.amount) for s in facts.bridge]
    assert [row["Customers"] for row in read.tables["lanes"]] == [lane.customers for lane in facts.lanes]
    assert sum(row["Customers"] for row in read.tables["moves"]) == sum(move.customers for move in facts.moves)
    assert [row["Rows"] for row in read.tables["data_quality"]] == [line.rows for line in facts.quality]


def test_medians_stand_in_their_own_units_segment_by_segment(whole):
    facts, rows = shop.facts(), Read(whole).tables["profile"]
    medians = {(p.segment_key, p.feature): p.median for p in facts.profiles}
    (days,) = [row for row in rows if row["Feature"] == "Days since the last order"]
    assert days["Unit"] == "days"
    values = [value for title, value in days.items() if title not in ("Feature", "Unit")]
    assert values == [medians[segment.segment_key, "recency_days"] for segment in facts.segments]
    assert [title[-6:-1] for title in list(days)[2:]] == [segment.segment_id for segment in facts.segments]


def test_nothing_in_it_is_a_formula_a_link_or_a_macro(whole):
    read = Read(whole)
    parts = read.every_part()
    assert "<f>" not in parts and "<f " not in parts
    assert "hyperlink" not in parts.replace("HYPERLINK", "") and 'TargetMode="External"' not in parts
    assert not [name for name in read.names if "vba" in name or "external" in name.casefold()]
    assert {row["Segment"] for row in read.tables["segments"]} >= {shop.FORMULA, shop.SCRIPT}
    assert any(row["What to do"] == shop.FORMULA for row in read.tables["what_to_do"])


def test_text_that_looks_like_a_formula_stays_text_when_its_cell_is_edited(whole):
    assert 'quotePrefix="1"' in Read(whole).every_part()


def test_the_same_facts_give_the_same_bytes(whole):
    assert draw_workbook(shop.facts(), shop.model()) == whole


def test_sheets_of_what_is_not_published_are_left_out():
    read = Read(draw_workbook(shop.facts(only=FIRST_TABLES), shop.model()))
    left_out = {"Moves", "Revenue bridge", "Lanes"}
    assert list(read.sheets) == [name for name in SHEETS if name not in left_out]


def test_without_money_there_are_no_columns_of_money():
    facts = shop.facts()
    bare = replace(
        facts,
        run=replace(facts.run, amount_read=None, amount_assigned=None),
        segments=tuple(replace(s, revenue=None, revenue_share=None, average_order_value=None) for s in facts.segments),
        kpis=tuple(replace(k, revenue=None, revenue_per_customer=None, average_order_value=None) for k in facts.kpis),
        bridge=(),
    )
    read = Read(draw_workbook(bare, shop.model()))
    titles = {title for name in ("segments", "history", "moves", "lanes") for title in read.tables[name][0]}
    assert not [title for title in titles if "GBP" in title]
    assert not [figure for figure in figures(read) if "GBP" in str(figure)]


def test_a_warning_of_the_model_is_on_the_first_sheet(whole):
    assert str(Read(whole).sheets["Overview"]["A3"]).startswith("Warning: ")


def test_every_sheet_has_a_title_and_every_column_a_header_of_its_own(whole):
    read = Read(whole)
    assert all(cells["A1"] for cells in read.sheets.values())
    for rows in read.tables.values():
        titles = list(rows[0])
        assert all(titles) and len({title.casefold() for title in titles}) == len(titles)


def test_the_chart_is_told_in_words(whole):
    read = Read(whole)
    drawing = read.zip.read("xl/drawings/drawing1.xml").decode()
    assert 'descr="Share of customers and of revenue by segment. Customers: ' in drawing


def test_two_hundred_segments_with_one_name_are_told_apart():
    facts = shop.facts()
    (first, *_) = facts.segments
    many = tuple(replace(first, segment_key=key, segment_id=f"S-{key:03d}", name="x" * 300) for key in range(1, 201))
    read = Read(draw_workbook(replace(facts, segments=many), shop.model()))
    assert len(read.tables["segments"]) == 200
    assert len(read.tables["profile"][0]) == 202


def written(value: object, kind: str = "text") -> object:
    book = Book("A book", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), 2)
    sheet = book.sheet("One", "Title", "", "")
    sheet.table("one", [Column("Value", kind)], [[value]])  # type: ignore[arg-type, list-item]  # any, on purpose
    return Read(book.finished()).tables["one"][0]["Value"]


CONTROLS = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)}


@given(st.text(max_size=40))
def test_any_text_comes_back_as_it_was_but_for_what_cannot_be_read(text):
    readable = "".join("\N{REPLACEMENT CHARACTER}" if c in CONTROLS else c for c in text.replace("\r\n", "\n"))
    assert (written(text) or "") == readable


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (Decimal("12345678901.23"), "money", 12345678901.23),
        (float("nan"), "number", None),
        (float("inf"), "number", None),
        (None, "count", None),
        ("1e5", "text", "1e5"),
        ("https://example.invalid", "text", "https://example.invalid"),
        ("x" * 40_000, "text", "x" * 15_999 + "…"),
        (dt.datetime(2024, 3, 1), "day", 45352.0),
    ],
)
def test_values_come_back_as_what_they_are(value, kind, found):
    assert written(value, kind) == found
