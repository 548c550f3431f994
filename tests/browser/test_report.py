"""The report in a real Chromium: it shows, prints, asks nobody, reads aloud, and its calculator is the scorer."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from segengine.features.prepare_numbers import prepare
from segengine.report.html import draw
from segengine.report.plane import plane
from tests import report_shop as shop
from tests.browser.calculator import fill_calculator
from tests.chromium import Page, chromium, open_page

COMMAND = chromium()
if COMMAND is None:
    pytest.skip("there is no Chromium on PATH (Debian: apt install chromium)", allow_module_level=True)

AXE_HERE = f"{sys.prefix}/share/segengine/servers/axe/node_modules/axe-core/axe.min.js"
AXE = Path(os.environ.get("SEGENGINE_AXE", AXE_HERE))
SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wide": (2200, 1200)}
VISIBLE = """
[...document.querySelectorAll("section")].filter((section) => {
  const box = section.getBoundingClientRect();
  const first = section.querySelector("h2").getBoundingClientRect();
  return box.height < 40 || box.width < 200 || first.height === 0 || getComputedStyle(section).visibility !== "visible";
}).map((section) => section.id)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with open_page(str(COMMAND), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The page of a shop whose names are hostile."""
    model, columns = shop.model(), shop.customers()
    keys = np.array(model.segment_keys)[shop.nearest(prepare(model.preparation, columns), model.centres)]
    file: Path = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(draw(shop.facts(), model, plane(model, columns, keys)), encoding="utf-8")
    return file


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [*SIZES, "print"])
def test_every_section_shows_and_nothing_is_asked_or_complained_of(browser, report, size, dark):
    browser.console.clear()
    browser.requests.clear()
    width, height = SIZES.get(size, (794, 1123))
    browser.show(report, width=width, height=height, dark=dark, media="print" if size == "print" else "")
    assert browser.evaluate(VISIBLE) == []
    assert browser.evaluate("document.querySelectorAll('section').length") == 15
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.console == []
    assert browser.requests == [report.as_uri()]


def test_what_customers_are_called_stays_text(browser, report):
    browser.show(report)
    assert browser.evaluate("window.broken === undefined")
    assert browser.evaluate("document.querySelectorAll('main img, main b, main script').length") == 0
    texts = browser.evaluate("[...document.querySelectorAll('.card h3 span')].map((span) => span.textContent)")
    assert shop.SCRIPT in texts and shop.FORMULA in texts
    assert browser.evaluate("document.querySelectorAll('#f-3 option')[1].textContent") == shop.SCRIPT


def test_all_but_the_calculator_is_there_without_javascript(browser, report):
    browser.show(report, script=False)
    try:
        assert browser.evaluate("document.querySelectorAll('section').length") == 15
        assert browser.evaluate("document.getElementById('calculator-form').hidden")
        assert browser.evaluate("document.querySelector('noscript').textContent.includes('needs JavaScript')")
    finally:
        browser.show(report)


def test_it_prints_on_a_few_pages(browser, report):
    browser.show(report)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert 3 <= pdf.count(b"/Type /Page\n") <= 20


def test_the_calculator_puts_200_customers_where_the_model_does(browser, report):
    model, columns = shop.model(), shop.customers(200, seed=11)
    columns["monetary_total"][:3] = [-1e6, 1e12, 0.0]
    points = prepare(model.preparation, columns)
    distances = np.sqrt(((points[:, None, :] - model.centres[None, :, :]) ** 2).sum(axis=2))
    ranked = np.sort(distances, axis=1)
    rows = [typed(model, columns, i) for i in range(200)]
    browser.show(report)
    answers = fill_calculator(browser, rows)
    assert [int(a[0]) for a in answers] == shop.nearest(points, model.centres).tolist()
    assert np.allclose([a[1] for a in answers], ranked[:, 0], rtol=1e-12)
    assert np.allclose([a[2] for a in answers], 1 - ranked[:, 0] / ranked[:, 1], rtol=1e-9, atol=1e-12)
    assert len({a[0] for a in answers}) == 4


def typed(model, columns, place: int) -> list[str]:
    """What a reader would put into the fields for a customer."""
    row = []
    for item in model.preparation.inputs:
        value = columns[item.name][place]
        if item.kind == "numeric":
            row.append("" if math.isnan(value) else repr(float(value)))
        else:
            row.append("" if value is None else f"={value}" if value in item.levels else "other")
    return row


def test_the_calculator_answers_a_button_and_says_why(browser, report):
    browser.show(report)
    browser.evaluate("document.querySelectorAll('[data-fill]')[2].click()")
    assert browser.evaluate("document.getElementById('answer').textContent").endswith("S-005")
    why = browser.evaluate("document.getElementById('why').textContent")
    assert "away from the middle of its segment" in why and "Speaks for" in why


def test_it_can_be_read_with_the_keyboard_alone(browser, report):
    browser.show(report, width=390, height=844)
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.evaluate("document.activeElement.className") == "skip"
    cut = "[...document.querySelectorAll('*')].filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && "
    cut += "['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0).length"
    assert browser.evaluate(cut) == 0


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed (python tools/setup.py --with axe)")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "laptop"])
def test_axe_finds_nothing_serious(browser, report, size, dark):
    width, height = SIZES[size]
    browser.show(report, width=width, height=height, dark=dark)
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.evaluate(
        "axe.run().then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes.slice(0, 3).map((n) => n.html)]))"
    )
    assert [v for v in found if v[0] in ("serious", "critical")] == [], found


@pytest.mark.parametrize(
    ("name", "size", "dark", "anchor"),
    [("top", "laptop", False, None), ("map", "laptop", False, "map"), ("profile", "laptop", True, "profile"),
     ("calculator", "laptop", False, "calculator"), ("phone", "phone", True, None)],
)  # fmt: skip
def test_pictures_are_taken(browser, report, tmp_path, name, size, dark, anchor):
    """Those of the docs: SEGENGINE_REPORT names the page, SEGENGINE_PICTURES the folder they go to."""
    page = Path(os.environ.get("SEGENGINE_REPORT", report)).resolve()
    folder = Path(os.environ.get("SEGENGINE_PICTURES", tmp_path))
    width, height = SIZES[size]
    browser.show(page, width=width, height=height, dark=dark)
    clip = [0, 0, width, height if size == "phone" else 900]
    if anchor is not None:
        box = f"(() => {{ const b = document.getElementById('{anchor}').getBoundingClientRect(); "
        box += "return [b.x + scrollX - 12, b.y + scrollY - 12, b.width + 24, Math.min(b.height + 24, 900)]; })()"
        clip = browser.evaluate(box)
    file = folder / f"report-{name}.png"
    browser.screenshot(file, clip=clip, scale=0.75)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 8_000
