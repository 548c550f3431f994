"""Which columns an expression uses as numbers, and what it becomes so that no value can make it raise."""

from __future__ import annotations

import pytest

from segengine.contract.expressions import read, rewrite

COLUMNS = ("Quantity", "UnitPrice", "kind", "Unit Price", "address", "consent", "x", "end", "count")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Quantity * UnitPrice", {"quantity", "unitprice"}),
        ("quantity*-1", {"quantity"}),
        ("`Unit Price` > 0", {"unit price"}),
        ("(Quantity) >= -(UnitPrice)", {"quantity", "unitprice"}),
        ("0 < x AND kind LIKE 'C%'", {"x"}),
        ("x BETWEEN 1 AND 9", {"x"}),
        ("x NOT IN (1, 2)", {"x"}),
        ("x IN ('1', '2')", set()),
        ("kind = 'x * 2' -- x * 2", set()),
        ("kind = \"x\" /* x * 2 */ OR kind = 'it''s x'", set()),
        ("coalesce(x, 0) = kind", {"x"}),
        ("coalesce(x, 'none') = 'none'", set()),
        ("abs(x) > UnitPrice", {"x", "unitprice"}),
        ("address.price * 2 > 1", {"address.price"}),
        ("count(x) = x", set()),
        ("x + INTERVAL 1 DAY", set()),
        ("concat(x, kind) = 'a1'", set()),
        ("x || '1' = kind", set()),
        ("cast(x as int) > 3", set()),
        ("x = UnitPrice AND UnitPrice > 3", {"x", "unitprice"}),
    ],
)
def test_a_column_is_a_number_where_it_is_used_as_one(text: str, numbers: set[str]):
    assert {name for name, use in read(text, COLUMNS).uses.items() if use == "number"} == numbers


def test_a_column_that_is_the_result_is_a_number_where_one_is_wanted():
    text = "CASE WHEN kind = 'R' THEN -x ELSE UnitPrice END"
    assert dict(read(text, COLUMNS, wants_number=True).uses) == {"kind": "text", "x": "number", "unitprice": "number"}
    assert read(text, COLUMNS).uses["unitprice"] == "text"


@pytest.mark.parametrize("text", ["consent = false", "TRUE <> consent", "consent IS NOT TRUE"])
def test_a_column_compared_with_a_truth_is_a_boolean(text: str):
    assert dict(read(text, COLUMNS).uses) == {"consent": "boolean"}


def test_the_order_of_two_texts_is_reported_as_unclear_unless_one_is_known_to_be_a_number():
    assert read("x > kind", COLUMNS).unclear == (("x", "kind"),)
    assert read("x = kind", COLUMNS).unclear == ()
    assert read("x > kind", COLUMNS, numeric=["kind"]).unclear == ()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a / b", "a / nullif( b, 0)"),
        ("a / 2", "a / 2"),
        ("a / (b / f(c))", "a / nullif( ( b / nullif( f ( c ), 0) ), 0)"),
        ("a % -b", "a % nullif( - b, 0)"),
        ("a / int(b)", "a / nullif( try_cast( ( b ) as int), 0)"),
        ("cast(a as decimal(10, 2))", "try_cast ( a as decimal ( 10 , 2 ) )"),
        ("to_date(a, 'dd.MM.yyyy')", "cast(try_to_timestamp ( a , 'dd.MM.yyyy' ) as date)"),
        ("to_timestamp(a) > date '2020-01-01'", "try_to_timestamp ( a ) > date '2020-01-01'"),
        ("a <=> b", "a <=> b"),
    ],
)
def test_what_may_raise_becomes_what_gives_null(text: str, safe: str):
    assert rewrite(text, {}) == safe


def test_columns_are_replaced_whole_and_nothing_else_is():
    replaced = {"x": "N0", "address.price": "N1", "unit price": "N2"}
    text = "x + address.price + `Unit Price` + address.x + x(1) + 'x' + X"
    assert rewrite(text, replaced) == "N0 + N1 + N2 + address . x + x ( 1 ) + 'x' + N0"
