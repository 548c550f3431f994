"""Choosing features, naming what comes from data, and the page about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.config import Config, parse
from segengine.errors import ConfigError
from segengine.features import CATALOG, Attributes, attribute_columns, choose
from segengine.features.names import is_plain, share_names, slug
from segengine.features.reference import markdown

LINES = "tables: {transactions: {path: lines, columns: {customer_id: c, ordered_at: t, amount: a}}}"
ALL = frozenset({"customer_id", "order_id", "ordered_at", "amount", "quantity", "product", "category"}) | {
    "channel",
    "discount",
}


def config(features: str = "", tables: str = LINES, more: str = "") -> Config:
    text = f"name: shop\n{tables}\noutput: {{path: out}}\n" + (f"features: {features}\n" if features else "") + more
    return parse(text, folder=Path("somewhere"), environ={})


def customers(columns: str, kind: str = "customers") -> str:
    return f"kind: {kind}\ntables: {{customers: {{path: people, columns: {{customer_id: c}}, {columns}}}}}"


def names(chosen) -> list[str]:
    return [feature.name for feature in chosen.features]


def test_every_feature_has_a_sentence_a_unit_and_a_name_of_its_own():
    assert len({feature.name for feature in CATALOG}) == len(CATALOG)
    for feature in CATALOG:
        assert feature.text.endswith(".") and feature.unit and feature.expression and is_plain(feature.name)


def test_default_families_give_the_features_that_the_tables_support():
    chosen = choose(config(), ALL, None)
    assert names(chosen)[:3] == ["recency_days", "frequency_orders", "monetary_total"]
    assert {feature.family for feature in chosen.features} == {"rfm", "basket", "tenure", "rhythm", "trend"}
    assert chosen.left_out == () and not chosen.top


def test_what_the_tables_cannot_support_is_left_out_with_a_reason():
    chosen = choose(config("{include: [rfm, basket, category_mix, returns]}"), frozenset({"amount"}), None)
    reasons = dict(chosen.left_out)
    assert "items_per_order" not in names(chosen) and "quantity" in reasons["items_per_order"]
    assert "product" in reasons["products_per_order"] and "category" in reasons["share_<category>"]
    assert "tables.transactions.returns" in reasons["return_share_lines"]
    assert not chosen.top


def test_a_history_shorter_than_both_spans_of_the_trend_leaves_it_out():
    assert "history" in dict(choose(config(more="history: 5 months\n"), ALL, None).left_out)["orders_trend_90d"]
    assert "orders_trend_90d" in names(choose(config(more="history: 180 days\n"), ALL, None))


def test_single_features_families_and_exclusions_combine():
    chosen = choose(config("{include: [rfm, category_entropy], exclude: [frequency_orders]}"), ALL, None)
    assert names(chosen) == ["recency_days", "monetary_total", "category_entropy"]
    assert not chosen.top


def test_category_mix_asks_for_the_shares_of_the_top_categories():
    assert choose(config("{include: [category_mix], top_categories: 3}"), ALL, None).top == {"category_mix": 3}
    assert choose(config("{include: [category_mix], top_categories: 0}"), ALL, None).top == {}
    assert choose(config("{include: [category_mix], exclude: [share_bread]}"), ALL, None).exclude == {"share_bread"}


def test_channel_mix_asks_for_the_shares_of_the_top_channels():
    chosen = choose(config("{include: [channel_mix], top_channels: 2, exclude: [channel_share_web]}"), ALL, None)
    assert chosen.top == {"channel_mix": 2} and chosen.exclude == {"channel_share_web"}
    without = choose(config("{include: [rfm, channel_mix, discount]}"), frozenset({"amount"}), None)
    assert {"channel_share_<channel>", "discount_share_amount"} <= set(dict(without.left_out))


@pytest.mark.parametrize("features", ["{include: [recency_day]}", "{include: [rfm], exclude: [recency_day]}"])
def test_an_unknown_name_is_refused_with_the_nearest_one(features):
    with pytest.raises(ConfigError) as error:
        choose(config(features), ALL, None)
    assert "recency_days" in str(error.value)


def test_excluding_everything_is_refused():
    with pytest.raises(ConfigError, match="No feature is left"):
        choose(config("{include: [recency_days], exclude: [rfm]}"), ALL, None)


def test_customers_only_takes_every_attribute_that_is_not_protected():
    tables = customers("attributes: [spend, plan], protected: [age]")
    chosen = choose(config(tables=tables), frozenset(), Attributes(("spend", "age"), ("plan",)))
    assert [(f.name, f.kind, f.argument) for f in chosen.features] == [
        ("spend", "numeric", "spend"),
        ("plan", "categorical", "plan"),
    ]


def test_a_protected_attribute_can_not_be_asked_for():
    tables = customers("attributes: [spend], protected: [age]")
    with pytest.raises(ConfigError, match="protected"):
        choose(config("{include: [attributes.age]}", tables), frozenset(), Attributes(("spend", "age"), ()))


def test_one_attribute_can_be_asked_for_by_name():
    tables = customers("attributes: [spend, plan]")
    chosen = choose(config("{include: [attributes.plan]}", tables), frozenset(), Attributes(("spend",), ("plan",)))
    assert names(chosen) == ["plan"]


@pytest.mark.parametrize("name", ["recency_days", "lane", "Night", "share_of_night", "orders", "rfm"])
def test_custom_features_need_a_name_that_is_free(name):
    with pytest.raises(ConfigError, match=name):
        choose(config(f"{{custom: {{{name}: 'avg(amount)'}}}}"), ALL, None)


def test_attributes_get_plain_names_that_clash_with_nothing():
    tables = customers('attributes: [Plan, "plan type", lane, "größe", "价格", orders, "2nd"]')
    columns = attribute_columns(config(tables=tables))
    assert columns["Plan"] == "Plan" and columns["plan type"] == "plan_type"
    assert columns["lane"] == "attribute_lane" and columns["orders"] == "attribute_orders"
    assert columns["2nd"] == "attribute_2nd"
    assert all(is_plain(column) for column in columns.values())
    assert len({column.lower() for column in columns.values()}) == len(columns)


@given(st.lists(st.text(min_size=1), unique=True, max_size=8), st.randoms())
def test_share_names_are_plain_unique_and_do_not_depend_on_the_order(categories, random):
    found = share_names(categories, "share_")
    shuffled = random.sample(categories, len(categories))
    assert share_names(shuffled, "share_") == found
    assert len(set(found.values())) == len(categories)
    assert all(is_plain(name) and name.startswith("share_") for name in found.values())


def test_equal_slugs_are_told_apart_by_a_hash():
    assert slug("Fruit & Veg") == slug("fruit veg") == "fruit_veg"
    found = share_names(["Fruit & Veg", "fruit veg", "bread"], "share_")
    assert found["bread"] == "share_bread" and found["Fruit & Veg"] != found["fruit veg"]


def test_the_page_about_features_is_current(repository):
    assert (repository / "docs" / "features.md").read_text(encoding="utf-8") == markdown()


def test_asking_for_features_imports_no_spark():
    import subprocess
    import sys

    code = "import sys, segengine.features; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
