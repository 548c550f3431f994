"""The card of every segment: name, two sentences, an action, a rule, and what tells it apart. No Spark here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segengine.config.document import printable
from segengine.features.catalog import Feature
from segengine.model.naming import HOLD, Claim, Claims
from segengine.model.rules import Condition, Rule
from segengine.model.standing import Difference, Standing
from segengine.model.wording import FeatureWords, Play, Vocabulary

__all__ = ["FILE", "Card", "Worth", "action_of", "card_of", "cards_from", "cards_to", "describe", "rule_text"]

FILE = "cards.json"
"""The file of a model version with claims, rules and differences of its segments."""
FORMAT = 1
FIGURES = 3
SHOWN = 8
"""Differences of a card that the file of a model version holds."""


@dataclass(frozen=True)
class Card:
    """What is learnt of a segment with the model: what its name claims, its rule, its largest differences."""

    claims: Claims
    rule: Rule
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Worth:
    """How many customers a segment has, which share that is, and of the revenue; money as text."""

    customers: int
    share: float
    revenue_share: float | None
    each: str | None


def card_of(claims: Claims, rule: Rule, standing: Standing) -> Card:
    return Card(claims, rule, tuple(standing.ranked_features()[:SHOWN]))


def cards_to(cards: Sequence[Card], keys: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """The cards as FILE holds them; `names` are for people who open it."""
    told = [
        {
            "segment_key": key,
            "name": name,
            "claims": [claim.to_dict() for claim in card.claims],
            "rule": card.rule.to_dict(),
            "differences": [dict(vars(one)) for one in card.differences],
        }
        for card, key, name in zip(cards, keys, names, strict=True)
    ]
    return {"format": FORMAT, "cards": told}


def cards_from(data: Mapping[str, Any]) -> dict[int, Card]:
    """Cards by segment key."""
    return {
        one["segment_key"]: Card(
            tuple(Claim.from_dict(claim) for claim in one["claims"]),
            Rule.from_dict(one["rule"]),
            tuple(Difference(**difference) for difference in one["differences"]),
        )
        for one in data["cards"]
    }


def describe(
    standing: Standing,
    claims: Claims,
    worth: Worth,
    features: Mapping[str, Feature],
    vocabulary: Vocabulary,
    currency: str,
) -> str:
    """Two sentences: what is typical of a segment, with figures, and what it is worth."""
    order = [claim.feature for claim in claims if claim.feature]
    ranked = [one.feature for one in standing.ranked_features()]
    figures: list[str] = []
    for name in dict.fromkeys([*order, *ranked]):
        told = _figure(features[name], standing, vocabulary, currency) if name in features else None
        figures += [told] if told is not None and len(figures) < FIGURES else []
    key = "no_figures" if not figures else "in_the_middle" if claims[0].direction == "middle" else "stands_out"
    first = vocabulary.text(key, **({"figures": vocabulary.listed(figures)} if figures else {}))
    values = {
        "customers": vocabulary.number(float(worth.customers)),
        "share": vocabulary.number(worth.share, percent=True),
    }
    if worth.revenue_share is None or worth.each is None:
        return f"{first} {vocabulary.text('size', **values)}"
    values |= {"revenue_share": vocabulary.number(worth.revenue_share, percent=True), "each": worth.each}
    return f"{first} {vocabulary.text('worth', **values)}"


def _figure(feature: Feature, standing: Standing, vocabulary: Vocabulary, currency: str) -> str | None:
    words = vocabulary.of(feature)
    if feature.kind == "categorical":
        return _level_figure(feature, words, standing, vocabulary)
    middle = (standing.medians or {}).get(feature.name)
    z = standing.z((feature.name, "value", None))
    if middle is None or z is None:
        return None
    own, overall = middle
    if abs(z) >= HOLD and (own - overall) * z <= 0:
        return None  # the middle customer does not say what the mean says: no figure to show
    percent = feature.unit.startswith("share")
    value, all_ = (vocabulary.number(number, percent=percent) for number in (own, overall))
    said = words.says.replace("{value}", value).replace("{currency}", currency)
    return vocabulary.text("figure", said=said, overall=all_)


def _level_figure(feature: Feature, words: FeatureWords, standing: Standing, vocabulary: Vocabulary) -> str | None:
    top = next((one for one in standing.differences if one.feature == feature.name and one.part == "level"), None)
    if top is None or top.level is None or top.z <= 0:
        return None
    own, overall = (standing.shares or {})[feature.name, top.level]
    return vocabulary.text(
        "level_figure",
        label=words.label,
        level=printable(top.level, 60),
        share=vocabulary.number(own, percent=True),
        overall=vocabulary.number(overall, percent=True),
    )


def action_of(standing: Standing, name: str, playbook: Sequence[Play]) -> str:
    """The first play of the playbook that holds for a segment."""
    return next(play.action for play in playbook if all(_stands(standing, name, *one) for one in play.when.items()))


def _stands(standing: Standing, name: str, feature: str, stand: str) -> bool:
    if feature == "name":
        return name == stand
    z = standing.z((feature, "value", None))
    if z is None:
        return False
    return stand == ("high" if z >= HOLD else "low" if z <= -HOLD else "middle")


def rule_text(rule: Rule, features: Mapping[str, Feature], vocabulary: Vocabulary) -> str | None:
    """A rule in words; None where there is none."""
    if not rule.leaves:
        return None
    told = [vocabulary.texts["and"].join(_condition(c, features, vocabulary) for c in leaf) for leaf in rule.leaves]
    return vocabulary.texts["or"].join(told)


def _condition(condition: Condition, features: Mapping[str, Feature], vocabulary: Vocabulary) -> str:
    feature = features[condition.feature]
    label, percent = vocabulary.of(feature).label, feature.unit.startswith("share")
    if condition.kind == "level":
        key = "is_level" if condition.is_level else "is_not_level"
        return vocabulary.text(key, label=label, level=str(condition.level))

    def number(value: float | None) -> str:
        return "" if value is None else vocabulary.exact(value, percent=percent)

    key = "at_most" if condition.low is None else "more_than" if condition.high is None else "between"
    values = {"label": label}
    values |= {"low": number(condition.low)} if condition.low is not None else {}
    values |= {"high": number(condition.high)} if condition.high is not None else {}
    said = vocabulary.text(key, **values)
    return vocabulary.text("or_missing", condition=said) if condition.missing else said
