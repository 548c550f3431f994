"""Names, descriptions, actions and rules of segments: true when made, kept while true, readable, the same in SQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segengine.errors import ConfigError
from segengine.features.catalog import CATALOG, MIXES, Feature, share_feature
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.model.cards import Worth, action_of, card_of, cards_from, cards_to, describe, rule_text
from segengine.model.naming import HOLD, MINT, Claim, Claims, broken, claims_of, name_segments, render
from segengine.model.rules import Rule, case_sql, found_by, learn_rules, rule_sql
from segengine.model.standing import Difference, Standing, standings
from segengine.model.wording import Wording, wording
from tests.pure.configs import config

FEATURES = {feature.name: feature for feature in CATALOG}
COUNTRY = Feature("country", "attributes", "", "", frozenset(), "categorical", "", "country")
MUCH = share_feature(MIXES[0], "share_tea", "Tea & Coffee")
ALL = {**FEATURES, "country": COUNTRY, "share_tea": MUCH}


def words(**names: str) -> Wording:
    return wording(config(names=names))


def against(**z: float) -> Standing:
    ranked = sorted((Difference(name, "value", None, value) for name, value in z.items()), key=lambda d: -abs(d.z))
    return Standing(tuple(ranked), {name: (10.0 + 5 * np.sign(value), 10.0) for name, value in z.items()}, {})


def named(*standing: Standing, language: str = "en", kept: dict[int, Claims] | None = None) -> tuple[str, ...]:
    vocabulary = words(language=language).vocabulary
    groups = [None] * len(standing)
    claims = name_segments(standing, ALL, vocabulary, groups=groups, kept=kept or {})
    ids = [f"S-{i + 1:03d}" for i in range(len(standing))]
    return render(claims, ALL, vocabulary, groups=groups, ids=ids)


def test_a_name_says_the_largest_differences_in_business_words():
    assert named(against(frequency_orders=1.4, monetary_total=1.2, recency_days=-0.9)) == (
        "Frequent, recent big spenders",
    )
    assert named(against(recency_days=1.6, frequency_orders=-0.8)) == ("Lapsed, occasional customers",)
    assert named(against(average_order_value=1.1, tenure_days=-0.5)) == ("New customers with large baskets",)
    assert named(against(share_tea=0.9)) == ("Customers who buy much Tea & Coffee",)
    assert named(against(recency_days=0.1)) == ("Average customers",)


def test_a_name_says_one_thing_of_a_concept_and_not_more_than_three():
    (name,) = named(against(frequency_orders=2, active_months=1.9, days_between_orders_mean=-1.5, monetary_total=1))
    assert name == "Frequent big spenders"
    vocabulary = words().vocabulary
    many = dict(zip(FEATURES, np.linspace(2, 1, len(FEATURES)), strict=True))
    assert len(claims_of(against(**many), ALL, vocabulary)) == 3


def test_names_speak_the_language_that_is_asked_for():
    assert named(against(frequency_orders=1.4, monetary_total=1.2), language="de") == ("Häufige Großkäufer",)


def test_a_file_of_ones_own_is_laid_over_the_words(tmp_path: Path):
    (tmp_path / "ours.yaml").write_text("noun: members\nfeatures:\n  monetary_total:\n    high: {noun: VIPs}\n")
    vocabulary = words(vocabulary=str(tmp_path / "ours.yaml")).vocabulary
    claims = [
        claims_of(against(monetary_total=2), ALL, vocabulary),
        claims_of(against(recency_days=2), ALL, vocabulary),
    ]
    assert render(claims, ALL, vocabulary, groups=[None] * 2, ids=["a", "b"]) == ("VIPs", "Lapsed members")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wrods: x\n", "wrods is not a known key"),
        ("noun: [a]\n", "noun must be text"),
        ("size: 'They are {people}.'\n", "size has braces"),
        ("features: {recency_days: {low: {infront: x}}}\n", "infront must be text under before, noun or after"),
        ("features: {recency_days: {lable: x}}\n", "lable is not a known key"),
        ("noun: a\nnoun: b\n", "there twice"),
    ],
)
def test_words_that_cannot_be_used_are_refused(tmp_path, text, told):
    (tmp_path / "ours.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        words(vocabulary=str(tmp_path / "ours.yaml"))


def test_a_strong_word_needs_a_large_difference_and_a_weaker_one_makes_it_untrue():
    assert named(against(recency_days=0.9)) == ("Less recent customers",)
    assert named(against(recency_days=1.1)) == ("Lapsed customers",)
    lapsed = claims_of(against(recency_days=1.1), ALL, words().vocabulary)
    assert broken(lapsed, against(recency_days=0.75)) == ()
    assert broken(lapsed, against(recency_days=0.6)) == lapsed


def test_two_segments_never_have_the_same_name():
    same = against(recency_days=1.0)
    more = against(recency_days=1.0, share_tea=0.9, average_order_value=0.8, monetary_total=0.7, tenure_days=0.6)
    assert named(same, same) == ("Lapsed customers (S-001)", "Lapsed customers (S-002)")
    names = named(more, more, more, same)
    assert len({name.casefold() for name in names}) == 4


@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(FEATURES)), st.floats(-3, 3), max_size=8), min_size=1, max_size=6)
)
def test_names_are_unique_and_true_whatever_the_differences(differences):
    standing = [against(**z) for z in differences]
    names = named(*standing)
    assert len({name.casefold() for name in names}) == len(names)
    vocabulary = words().vocabulary
    for one in standing:
        assert broken(claims_of(one, ALL, vocabulary), one) == ()


def test_a_kept_segment_keeps_its_name_while_it_is_true_and_gets_another_one_after_that():
    vocabulary = words().vocabulary
    old = claims_of(against(frequency_orders=0.9, monetary_total=0.8), ALL, vocabulary)
    still = against(frequency_orders=HOLD + 0.01, monetary_total=0.3, average_order_value=2)
    gone = against(frequency_orders=HOLD - 0.01, monetary_total=0.9, average_order_value=2)
    assert named(still, kept={0: old}) == ("Frequent big spenders",)
    assert broken(old, still) == ()
    assert named(gone, kept={0: old}) == ("Big spenders with large baskets",)
    assert [claim.feature for claim in broken(old, gone)] == ["frequency_orders"]


def test_a_new_segment_gives_way_to_a_kept_name():
    vocabulary = words().vocabulary
    kept = claims_of(against(recency_days=1.1), ALL, vocabulary)
    new = against(recency_days=2.0)
    assert named(new, against(recency_days=0.8), kept={1: kept}) == (
        "Lapsed customers (S-001)",
        "Lapsed customers (S-002)",
    )
    richer = against(recency_days=2.0, share_tea=1.0)
    assert named(richer, against(recency_days=0.8), kept={1: kept})[1] == "Lapsed customers"


def test_a_feature_that_is_gone_makes_a_name_untrue():
    assert broken((Claim("high", "gone"),), against(recency_days=1)) == (Claim("high", "gone"),)


# What a segment is like: standardised differences against a plain calculation.


def shop(n: int = 600, seed: int = 5):
    """Raw features of three kinds of customers, and which kind each one is."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    gaps = random.gamma(4, np.array([3, 10, 20])[labels])
    gaps[random.random(n) < 0.1] = np.nan
    return {
        "recency_days": np.round(random.gamma(3, np.array([5, 20, 90])[labels])),
        "frequency_orders": 1.0 + random.poisson(np.array([30, 8, 2])[labels]),
        "monetary_total": random.lognormal(np.array([8, 6, 4])[labels], 0.5),
        "days_between_orders_mean": gaps,
        "country": np.array(["FR", "DE", None], dtype=object)[np.where(random.random(n) < 0.7, labels, 1)],
    }, labels


def prepared(columns):
    inputs = [InputColumn(name, "rfm", "categorical" if name == "country" else "numeric") for name in columns]
    return learn(inputs, columns, Options((0.01, 0.99), "auto", "standard", {"rfm": 1.0}))


def test_differences_are_standardised_means_of_prepared_values():
    columns, labels = shop()
    found = standings(prepared(columns), columns, labels, [(0, 3)])
    item = next(i for i in prepared(columns).inputs if i.name == "monetary_total")
    values = np.clip(columns["monetary_total"], *item.cap)
    values = np.log1p(values / item.log_scale) if item.log_scale else values
    for segment in range(3):
        z = (values[labels == segment].mean() - values.mean()) / values.std()
        assert found[segment].z(("monetary_total", "value", None)) == pytest.approx(z, abs=1e-8)
        assert found[segment].medians["monetary_total"] == (
            np.median(columns["monetary_total"][labels == segment]),
            np.median(columns["monetary_total"]),
        )
        sizes = [abs(one.z) for one in found[segment].differences]
        assert sizes == sorted(sizes, reverse=True)
        assert len({d.feature for d in found[segment].ranked_features()}) == len(found[segment].ranked_features())
    assert found[0].shares["country", "FR"][0] > found[0].shares["country", "FR"][1]


def test_customers_in_another_order_are_ranked_alike():
    columns, labels = shop()
    order = np.random.default_rng(1).permutation(len(labels))
    preparation = prepared(columns)
    plain = standings(preparation, columns, labels, [(0, 3)])
    mixed = standings(preparation, {k: v[order] for k, v in columns.items()}, labels[order], [(0, 3)])
    assert [s.differences for s in plain] == [s.differences for s in mixed]


def test_groups_are_compared_with_themselves_and_empty_segments_stand_nowhere():
    columns, labels = shop()
    found = standings(prepared(columns), columns, np.where(labels == 2, 3, labels), [(0, 2), (2, 4)])
    assert found[2] == Standing((), {}, {})
    assert all(one.z == 0 for one in found[3].differences)


# Cards


def test_a_description_is_two_sentences_with_figures_that_agree_with_the_name():
    standing = against(monetary_total=1.5, recency_days=-0.8)
    vocabulary = words().vocabulary
    claims = claims_of(standing, ALL, vocabulary)
    text = describe(standing, claims, Worth(412, 0.182, 0.47, "1,960.00 USD"), ALL, vocabulary, "USD")
    assert text == (
        "Typically 15 USD spent (all: 10) and 5 days since the last purchase (all: 10). They are 412 customers, "
        "18% of all, and bring 47% of the revenue, 1,960.00 USD each."
    )
    assert describe(standing, claims, Worth(412, 0.182, None, None), ALL, vocabulary, "").endswith("18% of all.")


def test_a_figure_that_says_otherwise_than_the_name_is_not_shown():
    odd = replace(against(monetary_total=1.5), medians={"monetary_total": (5.0, 10.0)})
    text = describe(odd, claims_of(odd, ALL, words().vocabulary), Worth(1, 1, None, None), ALL, words().vocabulary, "")
    assert text.startswith("No number tells them apart")


def test_a_figure_that_is_the_same_as_that_of_all_is_shown_only_where_there_is_no_difference():
    equal = {"recency_days": (9.0, 9.0)}
    vocabulary = words().vocabulary
    for z, shown in ((0.9, False), (0.1, True)):
        standing = replace(against(recency_days=z), medians=equal)
        text = describe(standing, claims_of(standing, ALL, vocabulary), Worth(1, 1, None, None), ALL, vocabulary, "")
        assert ("(all: 9)" in text) == shown


def test_numbers_are_written_as_the_language_does():
    english, german = words().vocabulary, words(language="de").vocabulary
    assert [english.number(v) for v in (1234567.8, 12.34, 0.456, -0.001, 100)] == [
        "1,234,568",
        "12.3",
        "0.46",
        "0",
        "100",
    ]
    assert german.number(1234.5) == "1.234" or german.number(1234.5) == "1.235"
    assert german.number(0.357, percent=True) == "36 %"
    assert english.exact(0.35, percent=True) == "35%"
    assert english.exact(1200.0) == "1,200"


def test_the_first_play_that_holds_is_suggested_and_the_last_one_always_does(tmp_path: Path):
    book = words().playbook
    assert action_of(against(recency_days=1, monetary_total=1), "x", book).startswith("Win back")
    assert action_of(against(recency_days=0.1), "x", book) == book[-1].action
    assert action_of(Standing(), "x", book) == book[-1].action
    (tmp_path / "plays.yaml").write_text(
        "plays:\n- {when: {name: Big spenders}, action: call}\n- {when: {recency_days: middle}, action: wait}\n"
        "- {action: write}\n"
    )
    own = words(playbook=str(tmp_path / "plays.yaml")).playbook
    assert action_of(against(recency_days=1), "Big spenders", own) == "call"
    assert action_of(against(recency_days=0.1), "Others", own) == "wait"
    assert action_of(against(monetary_total=1), "Others", own) == "write"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plays: []\n", "must be a list of plays"),
        ("plays: [{when: {recency_days: high}, action: a}]\n", "it is the last one"),
        ("plays: [{when: {recency_days: huge}, action: a}, {action: b}]\n", "must be low, middle, high"),
        ("plays: [{acton: a}]\n", "must have an action"),
    ],
)
def test_a_playbook_that_leaves_somebody_out_or_is_misspelt_is_refused(tmp_path, text, told):
    (tmp_path / "plays.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        words(playbook=str(tmp_path / "plays.yaml"))


def test_the_example_of_a_playbook_is_the_one_that_is_used_without_any(repository):
    packaged = repository / "segengine" / "model" / "words" / "playbook.en.yaml"
    assert (repository / "conf" / "names" / "playbook.yaml").read_text() == packaged.read_text()


def test_both_languages_have_the_same_texts_and_values():
    english, german = words().vocabulary, words(language="de").vocabulary
    assert english.texts.keys() == german.texts.keys()
    assert english.families.keys() == german.families.keys()
    assert german.features.keys() <= english.features.keys() <= {f.name for f in CATALOG}
    for name, entry in german.features.items():
        assert entry["concept"] == english.features[name]["concept"]


# Rules


def test_rules_find_most_of_their_segment_and_exclude_each_other():
    columns, labels = shop()
    rules = learn_rules(columns, labels, 3)
    found = found_by(rules, columns, len(labels))
    for segment in range(3):
        ruled, own = found == segment, labels == segment
        assert (ruled & own).sum() / ruled.sum() > 0.8
        assert (ruled & own).sum() / own.sum() > 0.7
    for one in range(3):
        alone = [rule if i == one else Rule() for i, rule in enumerate(rules)]
        inside = found_by(alone, columns, len(labels)) == one
        assert (found[inside] == one).all()


def test_thresholds_are_readable():
    columns, labels = shop()
    rules = learn_rules(columns, labels, 3)
    for rule in rules:
        for leaf in rule.leaves:
            for condition in leaf:
                for number in (condition.low, condition.high):
                    assert number is None or len(f"{number:.15g}".strip("0.").replace(".", "")) <= 3


def test_sql_of_rules_agrees_with_numpy_in_duckdb_and_null_is_missing():
    duckdb = pytest.importorskip("duckdb")
    import pandas as pd

    columns, labels = shop()
    rules = learn_rules(columns, labels, 3)
    names = {name: name for name in columns}
    case = case_sql(rules, ["0", "1", "2"], names)
    people = pd.DataFrame(columns)
    connection = duckdb.connect()
    connection.register("frame", people)
    connection.execute("CREATE TABLE people AS SELECT * FROM frame")
    connection.execute("UPDATE people SET days_between_orders_mean = NULL WHERE isnan(days_between_orders_mean)")
    found = [row[0] for row in connection.execute(f"SELECT coalesce({case}, -1) FROM people").fetchall()]
    assert found == found_by(rules, columns, len(labels)).tolist()
    assert "NOT" not in case.replace("IS NOT NULL", "")


def test_features_that_need_quotes_are_in_no_rule():
    columns, labels = shop()
    odd = {"order": columns["frequency_orders"], "my column": columns["monetary_total"]}
    assert learn_rules(odd, labels, 3) == (Rule(),) * 3
    texts = {"plan": np.array(["a'b", "c\\d", "x"], dtype=object)[labels]}
    told = [rule_sql(rule, {"plan": "plan"}) for rule in learn_rules(texts, labels, 3)]
    assert told[2] == "plan = 'x'"
    assert not any("'b" in (text or "") or "\\" in (text or "") for text in told)


def test_a_rule_is_told_in_words():
    columns, labels = shop()
    rules = learn_rules({"recency_days": columns["recency_days"]}, labels, 3)
    text = rule_text(rules[2], ALL, words().vocabulary)
    assert text.startswith("days since the last purchase more than ")
    assert rule_text(Rule(), ALL, words().vocabulary) is None


def test_cards_come_back_from_their_file():
    columns, labels = shop()
    standing = standings(prepared(columns), columns, labels, [(0, 3)])
    rules = learn_rules(columns, labels, 3)
    vocabulary = words().vocabulary
    cards = [card_of(claims_of(s, ALL, vocabulary), r, s) for s, r in zip(standing, rules, strict=True)]
    back = cards_from(cards_to(cards, [4, 5, 9], ["a", "b", "c"]))
    assert [back[key] for key in (4, 5, 9)] == cards


def test_a_claim_is_made_later_than_it_is_given_up():
    assert MINT > HOLD > 0
