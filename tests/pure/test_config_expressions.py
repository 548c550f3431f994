"""SQL of a configuration sees its row and is repeatable; names of columns are not taken for code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.config.expressions import identifiers, why_refused, why_refused_aggregate


@pytest.mark.parametrize(
    "text",
    [
        "reflect('java.lang.Runtime', 'getRuntime')",
        "REFLECT('java.lang.System', 'exit', 1)",
        "Reflect\n\t ('a', 'b')",
        "`reflect`('a', 'b')",
        "`ReFlect` ('a', 'b')",
        "system.builtin.reflect('a', 'b')",
        "`system`.`builtin`.`reflect`('a', 'b')",
        "java_method('a', 'b')",
        "try_reflect('a', 'b')",
        "amount + length(java_method('a', 'b'))",
        "reflect/**/('a', 'b')",
        "reflect--x\n('a', 'b')",
        "'\\' || reflect('a', 'b') || '\\'",
        "r'\\' || reflect('a', 'b') || ''",
        '"\\" || reflect("a", "b") || "\\"',
        "''|| reflect('a', 'b')",
        "(select max(x) from t)",
        "amount > (SELECT 1)",
        "id in (select id from other)",
        "exists(select 1)",
        "((  select 1))",
        "(with x as (select 1) select * from x)",
        "(from t select x)",
        "id in (table other)",
        "amount; drop table t",
        "amount -- comment",
        "amount /* comment */",
        "ai_query('model', 'prompt')",
        "AI_Gen('x')",
        "http_request('GET', 'x')",
        "secret('scope', 'key')",
        "now()",
        "current_date",
        "current_date()",
        "Current_Timestamp",
        "datediff(CURRENT_DATE, ordered_at)",
        "`current_date`()",
        "unix_timestamp()",
        "rand()",
        "RANDN(3)",
        "uuid()",
        "shuffle(array(1, 2))",
        "monotonically_increasing_id()",
        "spark_partition_id()",
        "current_user()",
        "session_user",
        "date 'now'",
        "timestamp' Today '",
        'DATE\n"tomorrow"',
        "date 'n\\ow'",
        "date r'now'",
        "cast('now' as date)",
        "try_cast( 'Today' AS timestamp)",
        "'yesterday'::date",
        "to_date('now')",
        "try_to_timestamp('now')",
        "identifier('reflect')('java.lang.Math', 'random')",
        "`IDENTIFIER`('ref' || 'lect')('a', 'b')",
        "version()",
        "",
        "  ",
        "a" * 6000,
        "(" * 101 + "1" + ")" * 101,
        "a\x00b",
    ],
)
def test_what_reaches_out_or_changes_is_refused(text: str) -> None:
    assert why_refused(text) is not None
    assert why_refused(text, may_be_name=True) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Quantity * UnitPrice",
        "InvoiceNo LIKE 'C%'",
        "note = 'please select; reflect(now()) -- all /* of */ it'",
        'note = "select reflect(1)"',
        "note = 'it''s now()'",
        "note = 'it\\'s'",
        "`Customer reflect ID`",
        "`select`",
        "`a; b -- c`",
        "`current_date`",
        "`reflect(x)`",
        "Customer reflect ID",
        "Sold now",
        "select",
        "rand",
        "uuid",
        "user",
        "address.current_date",
        "reflection(x)",
        "first_order_date",
        "unix_timestamp(ordered_at)",
        "CASE WHEN kind = 'R' THEN -price ELSE price END",
        "avg(cast(hour(ordered_at) >= 22 as int))",
        "date '2024-01-01' <= ordered_at",
        "input_file_name()",
        "价格 * 数量",
        "filter(items, x -> x > 0)[0]",
        "tags['now']",
        "status = 'today'",
        "when_to_call IN ('now', 'today')",
        "to_date('2024-01-01')",
        "cast('2024-01-01' as date)",
        "timestamp'-0044-03-15'",
        "if(brand = 'now', 1, 0)",
        "quantity - -1",
    ],
)
def test_ordinary_expressions_and_names_pass(text: str) -> None:
    assert why_refused(text, may_be_name=True) is None


def test_a_name_with_an_open_quote_passes_where_a_name_is_expected() -> None:
    assert why_refused("Customer's ID", may_be_name=True) is None
    assert "not closed" in (why_refused("Customer's ID") or "")


@pytest.mark.parametrize(
    "text", ["first(product)", "LAST(amount)", "any_value(x)", "`first_value` (x)", "approx_percentile(x, 0.5)"]
)
def test_aggregates_that_depend_on_the_order_of_lines_are_refused(text: str) -> None:
    assert why_refused_aggregate(text) is not None
    assert why_refused(text) is None


@pytest.mark.parametrize(
    "text", ["max_by(product, ordered_at)", "sum(amount)", "median(amount)", "count(distinct product)"]
)
def test_aggregates_that_do_not_are_fine(text: str) -> None:
    assert why_refused_aggregate(text) is None


def test_identifiers_are_found_in_any_spelling_but_not_in_literals() -> None:
    assert {"age", "birth year", "floor"} <= identifiers("floor(AGE) + `Birth Year` + 'income'")
    assert "income" not in identifiers("floor(AGE) + 'income'")


BLANKS = st.text(" \t\r\n", max_size=3)
NAMES = st.sampled_from(["reflect", "java_method", "now", "rand", "uuid", "current_date", "ai_query"])


@given(NAMES, BLANKS, st.data(), st.booleans())
def test_no_spelling_of_a_refused_function_passes(name: str, blanks: str, data: st.DataObject, quoted: bool) -> None:
    cased = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    call = f"`{cased}`{blanks}()" if quoted else f"{cased}{blanks}()"
    assert why_refused(f"1 + {call}") is not None


@given(NAMES, st.sampled_from(["'", '"']))
def test_a_refused_function_in_a_literal_or_a_quoted_name_passes(name: str, quote: str) -> None:
    assert why_refused(f"note = {quote}{name}(){quote}") is None
    assert why_refused(f"`{name}()` > 0") is None


@given(st.text(max_size=100))
def test_any_text_gets_an_answer_that_does_not_hold_it(text: str) -> None:
    reason = why_refused(text)
    why_refused_aggregate(text)
    identifiers(text)
    assert reason is None or len(text) < 12 or text not in reason
