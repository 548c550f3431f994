"""What `init` makes of names and of values: words, shapes of text, dialects, encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.propose.dialect import delimiter_of, encoding_of, is_data
from segengine.propose.facts import Column, Place, Table
from segengine.propose.lexicon import ROLES
from segengine.propose.shapes import counted_time, decimal_separator, looks_personal, shape_of
from segengine.propose.words import is_personal, name_score, protected_as, words_of


def column(name: str, kind="text", *, rows=1000, filled=None, distinct=100, values=(), **more) -> Column:
    filled = rows if filled is None else filled
    return Column(name, name, kind, rows, filled, distinct, tuple(values), **more)


def table(*columns: Column, **place) -> Table:
    return Table(Place("lines.csv", "/data/lines.csv", None, "csv", **place), columns[0].rows, True, columns)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("InvoiceNo", ("invoice", "no")),
        ("invoice_no", ("invoice", "no")),
        ("CLIENTId", ("client", "id")),
        ("Numéro de commande", ("numero", "de", "commande")),
        ("顧客番号", ("顧客番号",)),
        ("#", ()),
    ],
)
def test_names_of_any_style_become_words(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("customer_id", "CustomerID household_key household_id cliente client_id KUNDENNR Kundennummer 顧客番号"),
        ("order_id", "InvoiceNo basket_id Belegnummer customer_order_id NUMERO_COMMANDE pedido 注文番号"),
        ("ordered_at", "InvoiceDate transaction_timestamp Bestelldatum order_date Date fecha created_at 注文日"),
        ("total", "sales_value Betrag Gesamtpreis order_total montant importe valor_total 金額 total_price"),
        ("price", "UnitPrice Einzelpreis price prix_unitaire 単価"),
        ("quantity", "Quantity qty Menge cantidad quantité 数量"),
        ("product", "StockCode product_id Artikelnummer SKU EAN"),
        ("category", "department Warengruppe product_category catégorie"),
        ("consent", "marketing_consent opt_in Einwilligung"),
        ("opt_out", "opt_out OptedOut Werbesperre do_not_contact"),
    ],
)  # fmt: skip
def test_names_in_several_languages_and_styles_fit_their_role(role, names):
    for name in names.split():
        assert name_score(role, name) >= 0.7, name


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("customer_id", "customer_name client_email KundenTyp household_size store_id note order_customer_count"),
        ("order_id", "InvoiceDate order_total order_line_id order_status salesperson_id bonus_rate"),
        ("ordered_at", "birth_date updated_at ship_date Lieferdatum week valid_until"),
        ("total", "UnitPrice retail_disc tax_amount shipping_total total_cost Einzelpreis total_quantity"),
        ("quantity", "Country discount price"),
        ("product", "product_category num_items product_name_length_price"),
    ],
)
def test_names_that_say_something_else_do_not_fit(role, names):
    for name in names.split():
        assert name_score(role, name) == 0, name


@given(st.sampled_from(sorted(ROLES)), st.text(max_size=30))
def test_any_name_at_all_has_a_score_from_0_to_1(role, name):
    assert 0 <= name_score(role, name) <= 1


@pytest.mark.parametrize(
    ("name", "what"),
    [("Geschlecht", "gender"), ("age", "age"), ("AlterJahre", "age"), ("Geburtsdatum", "age"), ("income", "income"),
     ("Familienstand", "marital status"), ("religion", "religion"), ("ethnicity", "ethnicity"), ("page", None),
     ("average", None), ("storage", None), ("性別", "gender"), ("plan", None), ("agent", None)],
)  # fmt: skip
def test_what_is_protected_is_known_by_name_and_nothing_else_is(name, what):
    assert protected_as(name) == what


def test_columns_that_point_at_one_person_are_known_by_name_or_value():
    assert all(map(is_personal, ["e-mail", "Email", "Vorname", "first_name", "phone_number", "PLZ", "IBAN", "Strasse"]))
    assert not any(map(is_personal, ["plan", "visits", "country", "segment"]))
    assert looks_personal(["x", "a.b@example.org"])
    assert looks_personal(["+49 (0)30 1234567"])
    assert not looks_personal(["4006381333931", "2024-03-01", "12.50", "85123A"])


@pytest.mark.parametrize(
    ("values", "pattern", "kind"),
    [
        (["2024-03-01", "2024-03-02"], None, "date"),
        (["2024-03-01T10:00:00Z", "2024-03-02 11:30"], None, "time"),
        (["31.12.2023 08:05", "01.01.2024 09:10"], "dd.MM.yyyy HH:mm", "time"),
        (["12/1/2010 8:26", "12/31/2010 13:05"], "M/d/yyyy H:mm", "time"),
        (["13/01/2024", "02/12/2024"], "dd/MM/yyyy", "date"),
        (["1/13/24", "2/2/24"], "M/d/yy", "date"),
        (["2024/03/01 10:00:00", "2024/12/31 10:00:00"], "yyyy/MM/dd HH:mm:ss", "time"),
        (["3/4/2024 8:05:00 AM", "3/24/2024 1:05:00 PM"], "M/d/yyyy h:mm:ss a", "time"),
        (["01-Mar-2024", "15-Dec-2024"], "dd-MMM-yyyy", "date"),
    ],
)
def test_times_are_recognised_with_their_pattern(values, pattern, kind):
    shape = shape_of(values)
    assert (shape.kind, shape.time_format, shape.day_or_month) == (kind, pattern, False)


def test_days_and_months_that_cannot_be_told_apart_are_said_to_be_so():
    assert shape_of(["03/04/2024", "05/06/2024", "01/06/2024"]).day_or_month
    assert not shape_of(["03.04.2024", "05.06.2024"]).day_or_month  # points are written day first


def test_whole_numbers_may_be_times():
    assert counted_time(["20240301", "20241231"]) == "yyyyMMdd"
    assert counted_time(["20241301"]) is None
    assert counted_time(["20240301101500"]) == "yyyyMMddHHmmss"
    assert counted_time(["1700000000", "1700000500"]) == "seconds"
    assert counted_time(["1700000000000"]) == "milliseconds"
    assert counted_time(["85123", "1700000000"]) is None


@pytest.mark.parametrize(
    ("values", "decimal", "kind", "strip"),
    [
        (["1.50", "-2", ".5"], ".", "fraction", ""),
        (["12", "7"], ".", "whole", ""),
        (["1234,50", "7"], ",", "fraction", ""),
        (["1.234,50", "7,00"], ",", "fraction", "."),
        (["€ 12.00", "€ 1,234.50"], ".", "fraction", " ,€"),
        (["12abc", "x"], ".", "text", ""),
    ],
)
def test_numbers_are_recognised_with_what_has_to_be_stripped(values, decimal, kind, strip):
    shape = shape_of(values, decimal)
    assert (shape.kind, shape.strip) == (kind, strip)


def test_digits_with_leading_zeros_are_a_code_and_no_number():
    assert shape_of(["00042", "12345"]).code
    assert not shape_of(["42", "0", "0.5"]).code


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([["1,50", "2,75"], ["x", "y"]], ","),
        ([["1.50", "2.75"]], "."),
        ([["1,234.50", "17.00"]], "."),
        ([["1.234,50", "17,00"]], ","),
        ([["01.02.2024", "03.02.2024"], ["1,5", "2,5"]], ","),
        ([["1,234"]], "."),
        ([], "."),
    ],
)
def test_the_decimal_separator_is_told_from_all_columns_of_a_table(columns, expected):
    assert decimal_separator(columns) == expected


@given(st.lists(st.text(max_size=12), max_size=30))
def test_any_values_have_a_shape(values):
    filled = [value for value in values if value.strip()]
    assert shape_of(filled, decimal_separator([filled])).kind in (
        "whole",
        "fraction",
        "time",
        "date",
        "boolean",
        "text",
        "empty",
    )


def test_the_delimiter_is_the_one_that_cuts_lines_alike_even_where_commas_are_decimals():
    assert delimiter_of(["a;b;c", "1,5;2,5;3", "1,0;2;3"]).delimiter == ";"
    assert delimiter_of(["a,b", '"x;y;z",1', "2;3,4"]).delimiter == ","
    assert delimiter_of(["a\tb", "1\t2"]).delimiter == "\t"
    assert delimiter_of(["a|b|c", "1|2|3"]).delimiter == "|"
    assert delimiter_of(["only", "one"]).fields == 1
    assert delimiter_of(["a,b", "'x,y',1"]).quote == "'"


def test_encodings_are_told_from_bytes():
    assert encoding_of("a;ü".encode()) == ("utf-8", "every byte fits")
    assert encoding_of("ü".encode()[:1] + b"")[0] == "utf-8"  # a character that was cut is no other encoding
    assert encoding_of("Käse".encode("cp1252"))[0] == "cp1252"
    assert encoding_of("\ufeffa".encode("utf-16-le"))[0] == "utf-16"
    assert encoding_of("abcd".encode("utf-16-le"))[0] == "utf-16-le"
    assert encoding_of(b"\x81abc")[0] == "iso-8859-1"


def test_a_row_is_told_from_a_header():
    assert is_data(["C1", "17", "9.90"])
    assert not is_data(["customer", "2nd price", "amount"])
