"""What `init` decides of the columns of a table, and the file that it writes."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from segengine.config import parse
from segengine.progress import ProgressBar
from segengine.propose import people, returns, score, write
from segengine.propose.currency import currency_of
from segengine.propose.facts import Candidate, Choice, Column, Place, Proposal, Proposed, Table, confidence
from segengine.propose.measure import Group
from segengine.propose.samples import samples_of
from segengine.propose.show import ask_on
from segengine.propose.sql import config_text, name_in_sql
from segengine.propose.words import currency_in


def column(name: str, kind="text", *, rows=1000, filled=None, distinct=100, values=(), **more) -> Column:
    filled = rows if filled is None else filled
    return Column(name, name, kind, rows, filled, distinct, tuple(values), **more)


def table(*columns: Column, **place) -> Table:
    return Table(Place("lines.csv", "/data/lines.csv", None, "csv", **place), columns[0].rows, True, columns)


def test_the_best_customer_is_the_id_and_never_a_name_or_a_time():
    found = score.customer_ids(
        table(
            column("customer_name"), column("CustomerID", "whole"), column("client"), column("customer_since", "time")
        )
    )
    assert [one.text for one in found] == ["CustomerID", "client"]
    assert found[0].confidence == "high"
    assert score.customer_ids(table(column("a"), column("b", "whole"))) == []


def test_an_order_with_fewer_values_than_customers_is_doubted():
    customer = column("customer_id", distinct=500)
    found = score.order_ids(table(customer, column("order_id", distinct=90)), customer)
    assert found[0].confidence == "low"


def test_the_only_column_of_times_is_a_guess_and_a_birth_date_is_none():
    assert score.times(table(column("wann", "time")))[0].confidence == "low"
    assert score.times(table(column("birth_date", "date"))) == []
    assert score.times(table(column("wann", "time"), column("wo", "time"))) == []


def priced(totals: list[str]) -> Table:
    quantity = column("qty", "whole", values=[str(n % 5 + 1) for n in range(20)])
    price = column("unit_price", "fraction", values=["2.50"] * 20)
    return table(quantity, price, column("line_total", "fraction", values=totals))


def test_a_total_that_equals_quantity_times_price_is_preferred_and_says_so():
    tab = priced([f"{(n % 5 + 1) * 2.5:.2f}" for n in range(20)])
    best = score.amounts(tab, tab.column("qty"), None)[0]
    assert best.text == "line_total"
    assert best.reasons[-1] == "equals quantity * unit price in 100 % of sampled rows"


def test_without_a_total_the_amount_is_quantity_times_price():
    tab = table(column("Qty sold", "whole"), column("UnitPrice", "fraction"), column("discount", "fraction"))
    assert [one.text for one in score.amounts(tab, tab.column("Qty sold"), None)] == ["`Qty sold` * UnitPrice"]


def test_the_total_of_an_order_on_each_of_its_lines_is_doubted():
    order = column("order_id", distinct=300)
    tab = table(order, column("order_total", "fraction"), column("amount", "fraction"))
    best, second = score.amounts(tab, None, order)
    assert (best.text, second.text) == ("amount", "order_total")
    assert "repeated on each of its lines" in second.reasons[-1]


def test_discounts_taxes_and_costs_are_no_amounts():
    tab = table(column("retail_disc", "fraction"), column("tax", "fraction"), column("cost", "fraction"))
    assert score.amounts(tab, None, None) == []


def test_what_the_values_say_is_put_into_words():
    text = score.described(column("CustomerID", rows=541_909, filled=406_829, distinct=4_400), 4_372)
    assert text == "4,372 distinct of 541,909; 25 % missing"
    assert score.described(column("x", rows=1000, distinct=123)) == "about 120 distinct of 1,000"
    assert [confidence(value) for value in (0.95, 0.6, 0.4)] == ["high", "medium", "low"]


def test_letters_before_the_order_number_are_returns_only_when_their_lines_are_negative():
    order = column("InvoiceNo", is_text=True)
    found = returns.by_prefix(order, [Group("", 900, 10), Group("C", 90, 90), Group("A", 3, 1)])
    assert found.text == "InvoiceNo LIKE 'C%'"
    assert returns.by_prefix(order, [Group("", 900, 0), Group("W", 90, 0)]) is None
    assert returns.by_prefix(order, [Group("C", 90, 90)]) is None


def test_a_status_with_a_word_for_returns_is_a_condition_and_positive_amounts_are_told():
    status = column("status", distinct=3)
    found, negative = returns.by_status(
        status, [Group("paid", 80, 0), Group("Returned", 9, 0), Group("refunded", 1, 0)]
    )
    assert found.text == "status IN ('Returned', 'refunded')"
    assert not negative
    assert returns.by_status(status, [Group("paid", 80, 0), Group("open", 9, 0)]) is None


def test_negative_amounts_are_returns_where_nothing_else_tells():
    assert returns.by_sign(column("amount", "fraction", negative=20)).text == "amount < 0"
    assert returns.by_sign(column("amount", "fraction")) is None
    assert returns.by_sign(column("balance", "fraction", negative=800)) is None


@pytest.mark.parametrize(
    ("name", "kind", "values", "is_text", "condition"),
    [
        ("consent", "boolean", ["true", "false"], False, "NOT consent"),
        ("opt_out", "boolean", ["true"], False, "opt_out"),
        ("consent", "boolean", ["Ja", "nein"], True, "lower(trim(consent)) NOT IN ('ja')"),
        ("opt-out", "boolean", ["yes", "no"], True, "lower(trim(`opt-out`)) NOT IN ('no')"),
        ("consent", "whole", ["0", "1"], True, "consent = 0"),
        ("opt_out", "whole", ["0", "1"], False, "opt_out <> 0"),
        ("consent", "text", ["granted", "withdrawn"], True, "lower(trim(consent)) NOT IN ('granted')"),
    ],
)
def test_consent_becomes_a_condition_for_who_opted_out(name, kind, values, is_text, condition):
    choice, unclear = people.consent(table(column(name, kind, values=values, is_text=is_text)))
    assert choice.candidate.text == condition
    assert unclear == ""


def test_consent_that_is_not_understood_is_said_and_not_guessed():
    assert people.consent(table(column("consent", values=["A", "B7"], is_text=True))) == (None, "consent")


def test_columns_of_people_are_sorted_into_attributes_protected_and_unused():
    sorted_out = people.sort_out(
        table(
            column("id"),
            column("plan", distinct=3),
            column("visits", "whole", distinct=60),
            column("gender", distinct=2),
            column("email", distinct=1000),
            column("contact", values=["a@example.org"], distinct=9),
            column("remark", distinct=800),
            column("partner_id", distinct=990),
            column("birth_date", "date"),
            column("constant", distinct=1),
        ),
        {"id"},
    )
    assert [one.text for one in sorted_out.attributes] == ["plan", "visits"]
    assert [one.text for one in sorted_out.protected] == ["gender"]
    assert len(sorted_out.unused) == 6


def test_samples_are_shown_of_money_and_products_and_never_of_people_or_orders():
    money = [column("qty", "whole", values=["6", None, "2"]), column("price", "fraction", values=["2.55", "1", "3.0"])]
    assert samples_of("amount", money) == ("6 * 2.55", "2 * 3.0")
    assert samples_of("customer_id", [column("customer_id", values=["17850"])]) == ()
    assert samples_of("order_id", [column("order_id", values=["536365"])]) == ()
    assert samples_of("product", [column("item", values=["a@example.org"])]) == ()
    assert samples_of("category", [column("aisle", values=["bad\nline\x1b[31m" + "x" * 99])])[0].isprintable()


def test_a_currency_is_taken_from_a_column_a_name_or_a_sign_and_else_not_known():
    assert currency_in("amount_eur") == currency_in("€ 12") == "EUR"
    assert currency_in("eur_usd_rate") is None

    def found(*columns, amount="amount"):
        tab = table(*columns)
        choice = Choice("amount", Candidate(amount, (amount,), 1, ()))
        return currency_of([tab], Proposed("transactions", tab, {"amount": choice}))[0]

    amount = column("amount", "fraction")
    assert found(amount, column("currency", values=["GBP", "gbp"])) == "GBP"
    assert found(amount, column("currency", values=["GBP", "EUR"])) == "XXX"
    assert found(column("betrag_chf", "fraction"), amount="betrag_chf") == "CHF"
    assert found(amount) == "XXX"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_every_text_is_read_back_from_the_scalar_it_is_written_as(value):
    written = write.scalar(value)
    assert "\n" not in written
    assert yaml.safe_load(f"key: {written}")["key"].replace("$${", "${") == value.replace("$${", "${") or _is_typed(
        value
    )


def _is_typed(value: str) -> bool:
    """Our reader keeps the text of every scalar; PyYAML makes dates and numbers of plain ones."""
    return not isinstance(yaml.safe_load(f"key: {value}")["key"], str)


def test_names_are_put_in_backticks_where_sql_needs_it():
    assert name_in_sql("UnitPrice") == "UnitPrice"
    assert name_in_sql("Unit Price") == "`Unit Price`"
    assert name_in_sql("date") == "`date`"
    assert name_in_sql("a`b") == "`a``b`"
    assert config_text("Client No") == "Client No"
    assert config_text("a -- b") == "`a -- b`"


AWKWARD = ["no", "a: b", "x # y", "Kunden-Nr.", "${env:HOME}", "'quoted'", "{a}", "null", "123", "年齢", "tab\there"]


@pytest.mark.parametrize("name", AWKWARD)
def test_columns_with_awkward_names_are_written_so_that_the_config_means_them(name, tmp_path):
    tab = table(column(name))
    text = config_text(name)
    choice = Choice("customer_id", Candidate(text, (name,), 0.9, ("name matches",)), required=True)
    lines = Proposed(
        "transactions", tab, dict.fromkeys(("customer_id", "ordered_at", "amount"), choice), unused=(name,)
    )
    written = write.text(Proposal("shop", lines, None, "XXX", "unknown"), tmp_path)
    if "\t" in name:
        assert parse(written, folder=tmp_path).tables.transactions.columns["amount"] == name
        return
    assert parse(written, folder=tmp_path, environ={}).tables.transactions.columns["amount"] in (name, text)


def test_a_missing_role_is_a_todo_and_no_column(tmp_path):
    tab = table(column("CustomerID"))
    choice = Choice("customer_id", Candidate("CustomerID", ("CustomerID",), 0.9, ("name matches",)))
    lines = Proposed("transactions", tab, {"customer_id": choice}, missing=("ordered_at", "amount"))
    written = write.text(Proposal("shop", lines, None, "XXX", "unknown", todo=("amount",)), tmp_path)
    assert re.findall(r"# TODO (\w+):", written) == ["ordered_at", "amount"]
    assert set(yaml.safe_load(written)["tables"]["transactions"]["columns"]) == {"customer_id"}


def test_results_go_to_a_folder_outside_of_what_is_read(tmp_path):
    tab = Table(Place(".", str(tmp_path), None, "csv"), 1, True, (column("a", rows=1),))
    proposal = Proposal("shop", Proposed("transactions", tab, {}), None, "XXX", "")
    assert write.output_path(proposal, Path(tmp_path)).startswith("../")


@pytest.mark.parametrize(("typed", "expected"), [("2\n", "second"), ("\n", "first"), ("9\n0\n", None)])
def test_somebody_at_a_terminal_chooses_among_the_candidates_or_none_of_them(monkeypatch, typed, expected):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    printed = io.StringIO()
    console = Console(file=printed, width=80)
    first, second = (Candidate(name, (name,), 0.4, ("a guess",)) for name in ("first", "second"))
    answer = ask_on(console, ProgressBar(console))(Choice("ordered_at", first, others=(second,)))
    assert (answer.text if answer else None) == expected
    assert "ordered_at: not sure which column this is." in printed.getvalue()
