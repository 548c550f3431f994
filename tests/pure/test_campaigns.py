"""Campaigns without Spark: who is held out, what a campaign brought lists that are safe to open."""

from __future__ import annotations

import csv
import datetime as dt
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segengine.campaigns.holdout import unit
from segengine.campaigns.lists import EXCEL_CHARACTERS, FORMATS, without_customer, write_list
from segengine.campaigns.safe import neutral_text
from segengine.campaigns.uplift import Interval, Sums, compare, difference, ratio, smallest_share_told, wilson
from segengine.errors import ConfigError, InputError
from segengine.io.files import LocalStore
from segengine.runs import export
from tests.pure.configs import TABLES, config, people, refused

MADE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def sums(y: np.ndarray, x: np.ndarray | None = None) -> Sums:
    """Customers with revenue y in the period and x before, in 1/10,000."""
    a = [int(v) for v in y]
    b = [int(v) for v in (np.zeros(len(y)) if x is None else x)]
    bought = sum(v > 0 for v in a)
    return Sums(
        len(a), bought, bought, sum(a), sum(v * v for v in a), sum(b), sum(v * v for v in b),
        sum(v * w for v, w in zip(a, b, strict=True)),
    )  # fmt: skip


def spent(n: int, mean: float, seed: int, share: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.lognormal(math.log(mean), 0.8, n) * (rng.random(n) < share) * 10_000)


def test_the_hold_out_is_as_good_as_drawn_and_another_one_in_every_campaign():
    keys = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 40_000)
    one = np.array([unit("spring", int(key)) for key in keys])
    other = np.array([unit("autumn", int(key)) for key in keys])
    assert stats.kstest(one, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert abs((one < 0.1).mean() - 0.1) < 0.006
    assert unit("spring", -5) == unit("spring", -5)
    assert 0 <= one.min() <= one.max() < 1


def test_newcombes_own_examples():
    """Newcombe, Statistics in Medicine 17 (1998), table II, method 10."""
    for a, m, b, n, low, high in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 20, 0.6791, 1.0),
    ):
        found = difference(wilson(a, m), wilson(b, n))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_wilson_is_scipys():
    for k, n in ((0, 10), (3, 10), (10, 10), (48, 80), (1, 100_000)):
        theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
        mine = wilson(k, n)
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_revenue_per_customer_is_welchs():
    one, other = spent(900, 20, 1), spent(110, 18, 2)
    compared = {c.measure: c for c in compare(sums(one), sums(other))}
    theirs = stats.ttest_ind(one / 10_000, other / 10_000, equal_var=False).confidence_interval(0.95)
    money = compared["revenue_per_customer"]
    assert (money.difference.low, money.difference.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert money.treated == pytest.approx(one.mean() / 10_000)
    assert "revenue_per_customer_adjusted" not in compared  # no baseline, nothing to adjust by


def test_relative_uplift_is_fiellers_and_agrees_with_the_difference():
    one, other = spent(500, 24, 3), spent(400, 20, 4)
    money = compare(sums(one), sums(other))[1]
    a, b = one / 10_000, other / 10_000
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    t = stats.t.ppf(0.975, (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)))
    roots = np.roots([b.mean() ** 2 - t * t * vb, -2 * a.mean() * b.mean(), a.mean() ** 2 - t * t * va])
    assert money.uplift is not None
    assert sorted(roots - 1) == pytest.approx([money.uplift.low, money.uplift.high], rel=1e-9)


@given(st.integers(30, 400), st.integers(30, 400), st.floats(0, 1), st.floats(0, 1))
def test_the_ratio_holds_one_just_when_the_difference_holds_zero(n, m, p, q):
    one, other = wilson(round(p * n), n), wilson(round(q * m), m)
    between, times = difference(one, other), ratio(one, other)
    if times is None or abs(between.low) < 1e-9 or abs(between.high) < 1e-9:
        return
    below, above = (times.low or 0.0), (math.inf if times.high is None else times.high)
    assert (below <= 1 <= above) == (between.low <= 0 <= between.high)
    assert below <= times.value <= above


def test_the_baseline_takes_out_what_it_explains_as_least_squares_do():
    rng = np.random.default_rng(5)
    x = np.round(rng.lognormal(5, 0.8, 2000) * 10_000)
    treated = np.arange(2000) < 1500
    y = np.round(np.maximum(0.3 * x + rng.normal(0, 200_000, 2000) + 60_000 * treated, 0))
    raw, adjusted = compare(sums(y[treated], x[treated]), sums(y[~treated], x[~treated]))[1:]
    design = np.column_stack([np.ones(2000), treated, x])
    slope = np.linalg.lstsq(design, y, rcond=None)[0]
    assert adjusted.difference.value == pytest.approx(slope[1] / 10_000, rel=1e-6)
    assert adjusted.smallest_told < 0.6 * raw.smallest_told
    rest = (y - slope[2] * x) / 10_000
    theirs = stats.ttest_ind(rest[treated], rest[~treated], equal_var=False).confidence_interval(0.95)
    assert (adjusted.difference.low, adjusted.difference.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6)


def test_intervals_hold_the_truth_as_often_as_they_say_and_nothing_is_found_where_nothing_is():
    rng, held, found = np.random.default_rng(6), 0, 0
    for _ in range(600):
        y = np.round(rng.lognormal(3, 0.6, 700) * (rng.random(700) < 0.4) * 10_000)
        x = np.round(rng.lognormal(3, 0.6, 700) * 10_000)
        last = compare(sums(y[:500], x[:500]), sums(y[500:], x[500:]))[-1]
        held += last.difference.low <= 0 <= last.difference.high
        found += last.verdict != "too small to tell"
    assert 0.92 < held / 600 < 0.98
    assert found / 600 < 0.08


def test_small_groups_are_too_small_to_tell_whatever_they_did():
    few = compare(sums(np.full(25, 10_000.0)), sums(np.zeros(400)))
    assert {c.verdict for c in few} == {"too small to tell"}
    assert "25 customers were written to, and 30 are needed" in few[0].why
    share, money = compare(sums(np.repeat([50_000.0, 0], [60, 40])), sums(np.repeat([50_000.0, 0], [5, 95])))[:2]
    assert share.verdict == "more"
    assert money.verdict == "too small to tell"
    assert "5 customers of one group bought" in money.why
    assert compare(Sums(0), sums(np.ones(50))) == ()


def test_a_difference_of_the_told_size_is_found_four_times_in_five():
    n, rng = 2000, np.random.default_rng(7)
    size, found = smallest_share_told(n, n), 0
    for _ in range(400):
        a, b = rng.binomial(n, 0.5 + size / 2), rng.binomial(n, 0.5 - size / 2)
        between = difference(wilson(a, n), wilson(b, n))
        found += between.low > 0
    assert 0.74 < found / 400 < 0.86


def test_a_ratio_to_nothing_is_none_and_one_without_an_upper_limit_has_none():
    assert ratio(Interval(1, 0.5, 1.5), Interval(0, 0, 0.1)) is None
    open_ended = ratio(Interval(1, 0.5, 1.5), Interval(0.1, -0.1, 0.3))
    assert open_ended.high is None
    assert open_ended.low is not None


FORMULAS = (
    "=1+1", "+1+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\ufeff=1", "\uff1d1", "\uff0b1",
    '=cmd|\' /C calc\'!A0', "+49-171-55", "+1 (30) 5", '"=1"', "-", "\tplain",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_could_take_for_a_formula_starts_with_an_apostrophe(text):
    assert neutral_text(text).startswith("'")
    assert neutral_text(text).replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada",
        "ada@example.org",
        "-5",
        "+4917155512345",
        "-12.50",
        "+49 171 55",
        "1.234.567",
        "O'Neil",
        "a-b",
        "Main St 4, Rome",
    ],
)
def test_what_is_harmless_stays_as_it_is(text):
    assert neutral_text(text) == text


@pytest.mark.parametrize("text", ["a;=1", "a,=1", "a\n=1", "a;; =1", 'a;"=1"', "a|@x", "\t=1"])
def test_a_formula_behind_a_separator_is_none_for_those_who_split_there(text):
    for separator in ",;|\t\n":
        for part in neutral_text(text).split(separator):
            assert not part.strip(' "\r').startswith(("=", "+", "-", "@"))


@given(st.text(alphabet="=+-@\t\r\n ;,|\"'ab1\u00a0\uff1d", max_size=12))
def test_no_text_begins_a_cell_as_a_formula(text):
    import re

    safe = neutral_text(text)
    if not re.fullmatch("[+-]?[0-9]+([. \u00a0][0-9]+)*", text):
        for cell in re.split("[,;|\t\r\n]", safe):
            assert not re.match('[\\s\u00a0"]*[=+\\-@\uff1d]', cell)


NAMES = ("customer_id", "email", "=note")
ROWS = [
    ("007", "ada@example.org", "=HYPERLINK(\"http://x\")"),
    ("42", None, 'several\nlines, "quoted" 7'),
    ("7", "b@example.org", "Main St 42; _x0041_ \x07"),
    ("-7", "c@example.org", ""),
]  # fmt: skip


def batches(rows=ROWS):
    for start in range(0, len(rows), 3):
        part = rows[start : start + 3]
        yield pa.record_batch([pa.array(column, pa.string()) for column in zip(*part, strict=True)], names=list("abc"))


def read(form: str, path: Path) -> list[tuple[str, ...]]:
    """Header and rows as another program sees them; nothing is an empty text."""
    if form == "csv":
        with open(path, newline="", encoding="utf-8") as stream:
            return [tuple(row) for row in csv.reader(stream)]
    if form == "parquet":
        table = pq.read_table(path)
        return [tuple(table.column_names), *(tuple(v or "" for v in row.values()) for row in table.to_pylist())]
    from segengine.campaigns.lists import SHEET, _sheet_rows

    with zipfile.ZipFile(path) as archive, archive.open(SHEET) as sheet:
        return [tuple(v or "" for v in [*row, *[None] * (3 - len(row))]) for row in _sheet_rows(sheet)]


@pytest.mark.parametrize("form", FORMATS)
def test_lists_hold_what_was_handed_in(form, tmp_path):
    path = tmp_path / f"list.{form}"
    assert write_list(form, str(path), NAMES, batches(), MADE) == 4
    safe = neutral_text if form == "csv" else (lambda text: text)
    assert read(form, path) == [tuple(safe(v or "") for v in row) for row in (NAMES, *ROWS)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("gone", ["42", "7", "-7", "nobody"])
def test_a_list_without_a_customer_keeps_everybody_else(form, gone, tmp_path):
    path, after = tmp_path / f"list.{form}", tmp_path / f"after.{form}"
    write_list(form, str(path), NAMES, batches(), MADE)
    removed = without_customer(form, str(path), str(after), gone, MADE)
    assert removed == sum(row[0] == gone for row in ROWS)
    assert read(form, after) == [row for row in read(form, path) if row[0] != gone]
    if form == "csv":
        assert removed or after.read_bytes() == path.read_bytes()


def test_a_workbook_holds_no_formula_and_no_link_and_is_the_same_every_time(tmp_path):
    paths = [tmp_path / name for name in ("one.xlsx", "two.xlsx")]
    for path in paths:
        write_list("xlsx", str(path), NAMES, batches(), MADE)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert sheet.count('t="inlineStr"') == 3 + sum(value is not None for row in ROWS for value in row)


@pytest.mark.parametrize("character", ["x", "\N{GRINNING FACE}"])
def test_a_value_that_no_cell_holds_is_refused(tmp_path, character):
    most = EXCEL_CHARACTERS // (len(character.encode("utf-16-le")) // 2)
    rows = [("1", character * most, None)]
    write_list("xlsx", str(tmp_path / "list.xlsx"), NAMES, batches(rows), MADE)
    rows = [("1", character * (most + 1), None)]
    with pytest.raises(InputError, match="characters"):
        write_list("xlsx", str(tmp_path / "list.xlsx"), NAMES, batches(rows), MADE)


def test_a_file_put_into_a_store_is_whole_and_its_owners_only(tmp_path):
    local = tmp_path / "local"
    local.write_bytes(b"x" * 100_000)
    store = LocalStore(str(tmp_path / "store"))
    store.put_file("a/list.csv", str(local))
    store.put_file("a/list.csv", str(local))
    assert store.read_bytes("a/list.csv") == local.read_bytes()
    assert os.stat(tmp_path / "store/a/list.csv").st_mode & 0o077 == 0
    store.fetch_file("a/list.csv", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert [entry.path for entry in store.walk()] == ["a/list.csv"]


def test_wrong_sections_are_refused_with_what_to_write():
    assert "campaigns.contact needs a customers table" in refused(campaigns={"contact": ["email"]})
    assert "campaigns.consent needs a customers table" in refused(campaigns={"consent": "newsletter = 1"})
    assert "segment is a column that lists have anyway" in refused(tables=people(), campaigns={"contact": ["segment"]})
    assert "cannot be used as SQL" in refused(tables=people(), campaigns={"consent": "rand() > 0.5"})
    assert "did you mean" in refused(tables=people(), campaigns={"contacts": ["email"]}).lower()
    taken = config(tables=people(), campaigns={"contact": ["email", {"phone": "tel"}], "consent": "ok"}).campaigns
    assert dict(taken.contact) == {"email": "email", "phone": "tel"}
    assert (taken.holdout_share, taken.days) == (0.1, 28)


def asked(campaigns, tables=None, **options):
    return export(config(tables=tables or people(), campaigns=campaigns), **{"segments": ["S-001"], **options})


def test_exports_that_cannot_be_asked_for_are_refused_before_anything_starts():
    whole = {"contact": ["email"], "consent": "newsletter = 1"}
    for words, campaigns, options in (
        ("--no-consent-check", {"contact": ["email"]}, {}),
        ("allowed: email", whole, {"columns": ["email", "salary"]}),
        ("One of csv, xlsx, parquet", whole, {"form": "xls"}),
        ("share from 0, below 1", whole, {"holdout_share": 1.0}),
        ("letters, digits, - and _", whole, {"campaign": "../x"}),
        ("--segment S-003", whole, {"segments": []}),
        ("must not start with ~", whole, {"to": "~/list.csv"}),
    ):
        with pytest.raises(ConfigError) as caught:
            asked(campaigns, **options)
        assert words in str(caught.value)
    with pytest.raises(ConfigError, match="no customers table"):
        asked({}, tables=TABLES)
