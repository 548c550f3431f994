"""The model card: data, protected attributes, limits and gates, alike in Markdown and HTML; nobody's markup runs."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from segengine.model.card import card, sections
from segengine.model.card_text import card_html, card_markdown
from segengine.model.gates import Gate

EVIL = "<script>alert(1)</script> | [x](y) `z`"
TITLES = (
    "Gates", "Segments", "Data", "Protected attributes", "Limits", "How many segments", "Does it predict anything?",
    "Features",
)  # fmt: skip


def made(name: str = "shop", **more: Any) -> dict[str, Any]:
    """A card of two segments, with a gate that warned and one that was not judged."""
    tried = {"verdict": "chosen", "reason": "best", "k": 2, "macro_silhouette": 0.3}
    measures = "micro_silhouette squared_silhouette calinski_harabasz davies_bouldin gap gap_error prediction_strength"
    unknown = dict.fromkeys([*measures.split(), "jaccard_min", "smallest_share", "largest_share"])
    model: Any = SimpleNamespace(
        names=[name, "others"],
        sizes=[30, 70],
        stability=[0.9, None],
        features=[SimpleNamespace(name="recency_days")],
        metrics={"macro_silhouette": 0.3},
        seed=7,
        decision=SimpleNamespace(
            sentence="2 it is.", rule="the best.", to_dict=lambda: {"candidates": [{**tried, **unknown}]}
        ),
    )
    gates = (
        Gate("macro_silhouette", 0.05, 0.1, 0.03, "warned", "next to no separation"),
        Gate("moved_by_model", None, 0.2, 0.5, "not_judged", "there is no earlier model"),
    )
    table = {"name": "transactions", "format": "delta", "files": 3, "size_bytes": 4096, "version": 7}
    rows = {"rule": "price_positive", "outcome": "rejected", "amount_e4": None, "text": "price is 0"}
    data = {
        "as_of": "2024-01-01", "window_start": "2023-01-01", "timezone": "UTC", "currency": "EUR",
        "customers": 120, "in_segments": 100, "lanes": {"too_new": 20, "opted_out": 0},
        "tables": [{**table, "fingerprint": "ab12"}],
        "rows": [{**rows, "table": "transactions", "rows": 5}, {**rows, "table": "customers", "rows": 0}],
    }  # fmt: skip
    told = {
        "data": data, "protected": {"attributes": ["age"], "min_cell": 10}, "prediction": {"why_not": "too few"},
        "weights": {"weights": {"rfm": 1.0}, "picked": "by hand"},
    } | more  # fmt: skip
    as_of = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return card(model, gates, name=name, version="v0001", as_of=as_of, why="asked for", more=told)


class Page(HTMLParser):
    """What a browser would make of it: text, tags, and whether every tag that opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_tells_data_protected_attributes_limits_and_gates_in_both_forms():
    markdown, page = card_markdown(made()).replace("\\", ""), Page(card_html(made()))
    assert tuple(section.title for section in sections(made())) == TITLES
    assert page.open == []
    for text in (
        *TITLES,
        "What happened from 2023-01-01 before 2024-01-01 (UTC), money in EUR. 120 customers, 100 of them in segments; in no segment: 20 too_new.",  # noqa: E501  one sentence of the card
        "ab12",
        "price_positive",
        "age: never features.",
        "fewer than 10 customers",
        "Not meant for decisions about single people",
        "It says nothing of 20 customers who are in no segment.",
        "What happened before 2023-01-01 is not looked at.",
        "Not judged: moved_by_model (there is no earlier model).",
        "Passed with a warning: macro_silhouette (next to no separation).",
        "Not measured: too few.",
    ):
        assert text in markdown, text
        assert text in page.text, text
    assert "| transactions | price_positive | rejected | 5 |" in markdown
    assert "| customers | price_positive" not in markdown  # a rule that caught nothing


def test_protected_attributes_that_nobody_declared_are_said_to_be_unknown():
    text = card_markdown(made(protected={"attributes": [], "min_cell": 10}))
    assert "None is declared" in text


def test_the_page_fetches_nothing_and_runs_nothing():
    page = Page(card_html(made(EVIL)))
    assert {tag for tag, _ in page.tags} <= set(
        "html head meta title style body main h1 h2 p ul li div table thead tbody tr th td strong".split()
    )
    assert not [name for _, attributes in page.tags for name in attributes if name in ("href", "src", "onclick")]
    assert "<script>" not in card_html(made(EVIL))
    assert "alert(1)" in page.text  # shown, not run
    assert not re.search(r"url\(|@import|https?:", card_html(made()))
    for line in card_markdown(made(EVIL)).splitlines():
        assert "<" not in line
        assert not re.search(r"(?<!\\)\[x", line)


@pytest.mark.parametrize("refused", ["", "stability: 0.3"])
def test_why_a_model_was_refused_stands_at_the_top(refused):
    told = {**made(), "refused_for": refused}
    for text in (card_markdown(told), Page(card_html(told)).text):
        assert ("Refused for stability: 0.3." in text) == bool(refused)
