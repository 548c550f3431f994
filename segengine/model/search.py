"""The search for segments on a sample: of everybody, or of each group. Groups that cannot have their own share one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segengine.errors import ModelError, RefusedError
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_sample import Sample
from segengine.model.choose import KDecision, choose, survivors
from segengine.model.deep import deepen
from segengine.model.group_sample import Sizes, joined
from segengine.model.groups import OTHER, Key, named
from segengine.model.identity import kept_share
from segengine.model.rare import merged
from segengine.model.sample import prepared_sample
from segengine.model.sweep import sweep

if TYPE_CHECKING:
    from segengine.config import Config

__all__ = ["Found", "Searched", "fewest", "least_customers", "search", "search_groups"]

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

MOST_TAKEN = 3
"""Groups that a rest with enough customers takes in at most: what they do not mend, more of them hardly would."""

SHOWN = 5
"""Groups that a note names at most."""


@dataclass(frozen=True)
class Found:
    """The segments of a sample: its prepared `points` (n, d), why so many segments, and the best centres (k, d)."""

    points: Floats
    customers: int
    """Customers there are, sampled or not."""
    decision: KDecision
    centres: Floats


@dataclass(frozen=True)
class Searched:
    """What was found for each group, and what was decided about groups, in sentences."""

    keys: tuple[Key, ...]
    found: tuple[Found, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    key: Key
    sample: Sample


def fewest(config: Config) -> int:
    """Customers without whom there is no model."""
    return 2 * min(config.k_values)


def least_customers(config: Config) -> int:
    """Customers that a group with segments of its own has at least."""
    return max(config.segments.by_min_customers, fewest(config))


def search(
    sample: Sample,
    preparation: Preparation,
    config: Config,
    seed: int,
    *,
    provisional: bool = False,
    is_group: bool = False,
    before: Labels | None = None,
) -> Found:
    """Try every number of segments on the sample and choose one. RefusedError, with the reasons, when none passes.

    `provisional`: the least bad one is taken then. `is_group`: one of many, for which gap, prediction strength and
    stability would be too dear for every k. `before`: the segment of each customer of the sample by the model in use.
    """
    prepared = prepared_sample(sample, preparation)
    points, limits = prepared.points, config.segments
    trials = sweep(points, config.k_values, restarts=limits.restarts, seed=seed)
    shares = {"min_share": limits.least_share, "max_share": limits.max_share}
    if limits.too_small == "merge" and not survivors(trials, **shares):
        trials = merged(trials, points, min_share=limits.min_share, fewest=min(config.k_values), seed=seed)
    whole = {} if is_group else survivors(trials, **shares)
    deep = deepen(points, {k: trial.labels for k, trial in whole.items() if trial.labels is not None}, seed=seed)
    kept = None
    if before is not None:
        ordered = before[prepared.rows]
        kept = {trial.k: kept_share(ordered, trial.labels) for trial in trials if trial.labels is not None}
    decision = choose(trials, deep, **shares, provisional=provisional, kept=kept)
    log.info("k: %s", decision.sentence)
    for trial in trials:
        if trial.k == decision.k and trial.centres is not None:
            return Found(points, sample.customers, decision, trial.centres)
    raise ModelError(f"The sweep has no centres for the chosen k = {decision.k}.")


def search_groups(
    sizes: Sizes,
    samples: Sequence[Sample],
    preparation: Preparation,
    config: Config,
    seed: int,
    *,
    before: Callable[[Key, Sample], Labels | None] = lambda key, sample: None,
) -> Searched:
    """The segments of every group of `sizes.own` (whose samples come first) and of the rest, whose sample comes last.

    Groups for which no number of segments passes join the rest. A rest for which none passes, mostly as it has too few
    customers, takes in the smallest groups. `before`: of a group's sample, as `search` takes it.
    ModelError: no group is left, or still no number passes for the rest.
    """
    kept: list[tuple[_Group, Found]] = []
    refused: list[_Group] = []
    for group in (_Group(key, sample) for (key, _), sample in zip(sizes.own, samples, strict=False)):
        try:
            was = before(group.key, group.sample)
            kept.append((group, search(group.sample, preparation, config, seed, is_group=True, before=was)))
        except ModelError as refusal:
            refused.append(group)
            log.info("%s", refusal)
    rest = [*([samples[-1]] if sizes.rest_customers else []), *(group.sample for group in refused)]
    taken: list[_Group] = []
    other = None
    while kept and rest and other is None:
        try:
            whole = joined(rest)
            other = _search_rest(whole, preparation, config, seed, before(Key("other"), whole))
        except ModelError:
            enough = sum(sample.customers for sample in rest) >= fewest(config)
            if enough and len(taken) >= MOST_TAKEN:
                raise
            taken.append(kept.pop()[0])  # the smallest: groups are in the order of their size
            rest.append(taken[-1].sample)
    if not kept:
        raise _no_group(sizes, config)
    found = [(group.key, one) for group, one in kept]
    if other is not None:
        found.append((Key("other"), other))
    keys = tuple(key for key, _ in found)
    notes = _notes(sizes, refused, taken, named(keys)[-1], config)
    return Searched(keys, tuple(one for _, one in found), notes)


def _search_rest(sample: Sample, preparation: Preparation, config: Config, seed: int, before: Labels | None) -> Found:
    try:
        return search(sample, preparation, config, seed, is_group=True, before=before)
    except ModelError as refusal:
        raise RefusedError(
            f"No number of segments gives an acceptable model of the group '{OTHER}', which all values of "
            f"'{config.segments.by}' without segments of their own share.",
            where="segments.by",
            found=f"{sample.customers:,} customers; {refusal.found}",
            todo="Put rare values together with others in the attribute's SQL (CASE WHEN ... END), change "
            f"segments.by_min_customers, or: {refusal.todo}",
        ) from refusal


def _notes(
    sizes: Sizes, refused: Sequence[_Group], taken: Sequence[_Group], other: str, config: Config
) -> tuple[str, ...]:
    by, notes = config.segments.by, []
    if sizes.rest_customers:
        values = "1 value has" if sizes.rest_values == 1 else f"{sizes.rest_values:,} values have"
        least = least_customers(config)
        notes.append(f"{by}: {values} fewer than {least:,} customers; their {sizes.rest_customers:,} share '{other}'.")
    if refused:
        notes.append(f"{by}: no number of segments is acceptable for {_told(refused)}: in '{other}'.")
    if taken:
        notes.append(f"{by}: '{other}' had no acceptable number of segments until it took in {_told(taken)}.")
    return tuple(notes)


def _told(groups: Sequence[_Group]) -> str:
    names = [
        f"{'no value' if group.key.kind == 'missing' else repr(group.key.value)} ({group.sample.customers:,} customers)"
        for group in groups[:SHOWN]
    ]
    more = [f"{len(groups) - SHOWN:,} more"] if len(groups) > SHOWN else []
    return ", ".join([*names, *more])


def _no_group(sizes: Sizes, config: Config) -> ModelError:
    least = least_customers(config)
    return ModelError(
        f"No value of '{config.segments.by}' can have segments of its own.",
        where="segments.by",
        found=f"{sizes.customers:,} customers, {len(sizes.own)} values with {least:,} or more; none has an acceptable "
        "number of segments, or all are needed for the rest",
        todo="Lower segments.by_min_customers or segments.k, take another attribute, or remove segments.by.",
    )
