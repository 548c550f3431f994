"""Names and cards of segments: learnt when a model is trained, checked and told again with every publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segengine.config import Config
from segengine.features.catalog import Feature
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_stages import quoted
from segengine.job import Job
from segengine.model import bundle, cards, rfm_grid
from segengine.model.identity import segment_id
from segengine.model.naming import Claims, broken, name_segments, render
from segengine.model.rules import Rule, case_sql, found_by, learn_rules, rule_sql
from segengine.model.standing import Standing, standings
from segengine.model.trained import LoadedModel, TrainedModel
from segengine.model.wording import Vocabulary, Wording, wording
from segengine.publish.shape import published_names
from segengine.scoring import batch
from segengine.scoring.counted import Counted, count
from segengine.scoring.labelled import Labelled, labelled, learnt_from
from segengine.tables import ASSIGNMENTS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Tellings", "Told", "named", "ranges_of", "rule_column", "tell"]

MOST_RULES = 200
"""Rules that Spark measures on everybody, in one CASE; more are measured on the sample."""


@dataclass(frozen=True)
class Told:
    """What is published of a segment in words."""

    name: str
    name_is_true: bool | None
    description: str
    action: str
    rule: str | None
    rule_sql: str | None
    rule_precision: float | None
    rule_coverage: float | None


@dataclass(frozen=True)
class Tellings:
    """What is told of all segments, by index; differences as RunFacts has them; what the summary should warn of."""

    told: Mapping[int, Told]
    differences: Mapping[tuple[str, int], tuple[float, int]]
    warnings: tuple[str, ...]
    sample: Labelled
    """The scored customers that were looked at."""


def named(
    job: Job, rows: DataFrame, model: TrainedModel, champion: LoadedModel | None
) -> tuple[TrainedModel, dict[str, Any]]:
    """The model with names, and the files that its version gets: cards, and cut points of an RFM grid.

    `rows`: the customers it was trained on. A segment that was kept keeps the champion's name while it is true.
    """
    words = wording(job.config)
    sample = learnt_from(model) or labelled(batch.score(rows, model), model, customers=sum(model.sizes))
    standing = standings(Preparation.from_dict(model.preparation), sample.columns, sample.labels, ranges_of(model))
    features = _features(model)
    kept = _kept(job, model, champion)
    claims = name_segments(standing, features, words.vocabulary, groups=_groups(model), kept=kept)
    names = _rendered(claims, model, words.vocabulary)
    rules = _rules(model, sample)
    made = [cards.card_of(*one) for one in zip(claims, rules, standing, strict=True)]
    old = dict(zip(champion.segment_keys, champion.names, strict=True)) if champion is not None else {}
    renamed = [
        f"{segment_id(model.segment_keys[index])} '{old[model.segment_keys[index]]}' is now called '{names[index]}': "
        f"{_why(broken(kept[index], standing[index]), features, words.vocabulary)}."
        for index in kept
        if broken(kept[index], standing[index])
    ]
    content = {**cards.cards_to(made, model.segment_keys, names), "renamed": renamed}
    grid = rfm_grid.learn(model.sample.columns) if model.sample is not None else None
    return replace(model, names=names), {cards.FILE: content, **({rfm_grid.FILE: grid} if grid is not None else {})}


def ranges_of(model: TrainedModel) -> Sequence[tuple[int, int]]:
    """The segments of each group, first and one past the last."""
    return ((0, model.k),) if model.grouping is None else model.grouping.ranges


def _features(model: TrainedModel) -> dict[str, Feature]:
    return {feature.name: feature for feature in model.features}


def _groups(model: TrainedModel) -> list[str | None]:
    return [model.group_of(index) for index in range(model.k)]


def _rendered(claims: Sequence[Claims], model: TrainedModel, vocabulary: Vocabulary) -> tuple[str, ...]:
    return render(
        claims, _features(model), vocabulary, groups=_groups(model), ids=[segment_id(key) for key in model.segment_keys]
    )


def _kept(job: Job, model: TrainedModel, champion: LoadedModel | None) -> dict[int, Claims]:
    """Index of a segment that the champion has too -> what the champion's name for it claims."""
    if champion is None:
        return {}
    saved = bundle.read_more(job.store, champion.version, cards.FILE)
    known = cards.cards_from(saved) if saved is not None else {}
    there = set(champion.segment_keys)
    return {index: known[key].claims for index, key in enumerate(model.segment_keys) if key in there and key in known}


def _why(gone: Claims, features: Mapping[str, Feature], vocabulary: Vocabulary) -> str:
    """Which claims are not true: `orders are not high any more`."""
    told = []
    for claim in gone:
        feature = features.get(claim.feature)
        if claim.direction == "middle":
            told.append("it stands out by now")
        elif feature is None:
            told.append(f"the model has no {claim.feature}")
        else:
            what = claim.level or ("missing" if claim.part == "missing" else claim.direction)
            told.append(f"'{vocabulary.of(feature).label}' is not {what} against all others any more")
    return ", and ".join(told)


def _rules(model: TrainedModel, sample: Labelled) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for first, stop in ranges_of(model):
        inside = (sample.labels >= first) & (sample.labels < stop)
        own = {name: values[inside] for name, values in sample.columns.items()}
        rules += learn_rules(own, sample.labels[inside] - first, stop - first)
    return tuple(rules)


def rule_column(model: TrainedModel, rules: Sequence[Rule]) -> Column | None:
    """The index of the segment whose rule finds a scored customer, among those of the customer's group."""
    from pyspark.sql import functions as F

    kinds = {feature.name: feature.kind for feature in model.features}
    names = {
        name: f"CAST({quoted(name)} AS DOUBLE)" if kind == "numeric" else quoted(name) for name, kind in kinds.items()
    }
    found = None
    for first, stop in reversed(ranges_of(model)):
        case = case_sql(rules[first:stop], [str(i) for i in range(first, stop)], names)
        if case is not None:
            inside = (F.col("segment_index") >= first) & (F.col("segment_index") < stop)
            found = F.when(inside, F.expr(case)).otherwise(F.lit(None) if found is None else found)
    return found


def tell(
    job: Job, scored: DataFrame, model: LoadedModel, *, trained: bool
) -> tuple[tuple[Counted, ...], Tellings | None]:
    """Count the scored customers, and tell of their segments; nothing of a model from before there were cards.

    `trained`: the model was made in this run.
    """
    saved = bundle.read_more(job.store, model.version, cards.FILE)
    if saved is None:
        return count(scored), None
    by_key = cards.cards_from(saved)
    own = [by_key[key] for key in model.segment_keys]
    rules = [card.rule for card in own]
    measured_in_spark = model.k <= MOST_RULES
    counted = count(scored, rule_column(model, rules) if measured_in_spark else None)
    sample = labelled(scored, model, customers=sum(one.customers for one in counted))
    hits = _hits(counted) if measured_in_spark else _sampled_hits(model, rules, sample)
    standing = standings(Preparation.from_dict(model.preparation), sample.columns, sample.labels, ranges_of(model))
    words = wording(job.config)
    names = _rendered([card.claims for card in own], model, words.vocabulary)
    told = {
        index: _told(index, names[index], own[index], standing[index], _worth(index, counted, job.config, words), hits,
                     model, words, job.config)
        for index in range(model.k)
    }  # fmt: skip
    differences = {
        (one.feature, index): (one.z, rank)
        for index, stand in enumerate(standing)
        for rank, one in enumerate(stand.ranked_features(), start=1)
    }
    warnings = [*(saved.get("renamed", []) if trained else []), *_alarms(model, own, names, standing, words.vocabulary)]
    return counted, Tellings(told, differences, tuple(warnings), sample)


Hits = Mapping[tuple[int, int], int]
"""(segment, segment whose rule finds them or -1) -> customers."""


def _hits(counted: Sequence[Counted]) -> Hits:
    hits: dict[tuple[int, int], int] = {}
    for one in counted:
        key = one.segment, -1 if one.ruled is None else one.ruled
        hits[key] = hits.get(key, 0) + one.customers
    return hits


def _sampled_hits(model: TrainedModel, rules: Sequence[Rule], sample: Labelled) -> Hits:
    hits: dict[tuple[int, int], int] = {}
    for first, stop in ranges_of(model):
        inside = (sample.labels >= first) & (sample.labels < stop)
        own = {name: values[inside] for name, values in sample.columns.items()}
        found = found_by(rules[first:stop], own, int(inside.sum()))
        pairs = np.column_stack([sample.labels[inside], np.where(found >= 0, found + first, -1)])
        for (segment, ruled), customers in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            hits[int(segment), int(ruled)] = int(customers)
    return hits


def _worth(index: int, counted: Sequence[Counted], config: Config, words: Wording) -> cards.Worth:
    own = [one for one in counted if one.segment == index]
    customers, total = (sum(one.customers for one in part) for part in (own, counted))
    revenue, all_revenue = (sum(one.revenue_e4 or 0 for one in part) for part in (own, counted))
    share = customers / total if total else 0.0
    if config.kind == "customers" or not all_revenue or not customers:
        return cards.Worth(customers, share, None, None)
    each = f"{words.vocabulary.number(revenue / customers / 10_000)} {config.currency}"
    return cards.Worth(customers, share, revenue / all_revenue, each)


def _told(
    index: int,
    name: str,
    card: cards.Card,
    standing: Standing,
    worth: cards.Worth,
    hits: Hits,
    model: TrainedModel,
    words: Wording,
    config: Config,
) -> Told:
    features, vocabulary = _features(model), words.vocabulary
    columns = published_names((feature.name for feature in model.features), ASSIGNMENTS, "_feature")
    condition = rule_sql(card.rule, columns)
    right = hits.get((index, index), 0)
    found = sum(customers for (_, ruled), customers in hits.items() if ruled == index)
    size = sum(customers for (segment, _), customers in hits.items() if segment == index)
    there = condition is not None
    return Told(
        name=name,
        name_is_true=not broken(card.claims, standing) if standing.differences else None,
        description=cards.describe(standing, card.claims, worth, features, vocabulary, config.currency),
        action=cards.action_of(standing, name, words.playbook),
        rule=cards.rule_text(card.rule, features, vocabulary),
        rule_sql=f"CASE WHEN {condition} THEN 1 ELSE 0 END" if there else None,
        rule_precision=right / found if there and found else None,
        rule_coverage=right / size if there and size else None,
    )


def _alarms(
    model: TrainedModel,
    own: Sequence[cards.Card],
    names: Sequence[str],
    standing: Sequence[Standing],
    vocabulary: Vocabulary,
) -> list[str]:
    features = _features(model)
    return [
        f"{segment_id(model.segment_keys[index])} is not what its name '{names[index]}' says: "
        f"{_why(broken(card.claims, stand), features, vocabulary)}. Train again to rename it."
        for index, (card, stand) in enumerate(zip(own, standing, strict=True))
        if stand.differences and broken(card.claims, stand)
    ]
