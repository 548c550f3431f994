"""Three changes to try when no model passes: each with the lines to write, from what failed. No Spark here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segengine.model.choose import NEARLY_EVERYBODY, Candidate
from segengine.model.gates import Gate

if TYPE_CHECKING:
    from segengine.config import Config

__all__ = ["Advice", "advise"]

WANTED = 3


@dataclass(frozen=True)
class Advice:
    """A change to try: why, and the lines of the configuration."""

    why: str
    write: str


def advise(config: Config, candidates: Sequence[Candidate] = (), gates: Sequence[Gate] = ()) -> tuple[Advice, ...]:
    """Three different changes, those that follow from what was measured first."""
    found: dict[str, Advice] = {}
    for advice in (
        *_of_limits(config, candidates),
        *_of_gates(config, gates),
        *_of_preparation(config),
        *_always(config),
    ):
        found.setdefault(advice.write, advice)
    return tuple(found.values())[:WANTED]


def _of_limits(config: Config, candidates: Sequence[Candidate]) -> Iterator[Advice]:
    """Limits that some k misses by itself, and by how much they would have to give way."""
    low, high = config.segments.min_share, config.segments.max_share
    whole = [
        (c.k, c.smallest_share, c.largest_share)
        for c in candidates
        if c.smallest_share is not None and c.largest_share is not None and c.centres_found == c.k
    ]
    usable = [(k, least, most) for k, least, most in whole if most <= NEARLY_EVERYBODY and least > 0]
    if whole and not usable:
        yield from _of_extremes(config)
    small = [(least, k) for k, least, most in usable if least < low and most <= high]
    if small:
        least, k = max(small)
        share = math.floor(least * 1000) / 1000
        if share > 0:
            why = f"With k = {k} only the smallest segment is too small. If {share:.1%} are worth a campaign:"
            yield Advice(why, f"segments: {{min_share: {share:g}}}")
    large = [(most, k) for k, least, most in usable if most > high and least >= low]
    if large:
        most, k = min(large)
        share = math.ceil(most * 100) / 100
        yield Advice(
            f"With k = {k} only the largest segment is too large. If that many may be in one:",
            f"segments: {{max_share: {share:g}}}",
        )
    if candidates and all(c.smallest_share is None for c in candidates) and config.k_values[0] > 2:
        yield Advice("There are too few different customers for so many segments.", "segments: {k: [2, 4]}")


def _of_extremes(config: Config) -> Iterator[Advice]:
    if config.prepare.log == "never":
        yield Advice(
            "A few extreme customers get segments of their own. Logarithms bring them closer:", "prepare: {log: auto}"
        )
    if config.prepare.cap is None:
        yield Advice(
            "A few extreme customers get segments of their own. Cap the highest and lowest values:",
            "prepare: {cap: [0.01, 0.99]}",
        )
    if config.prepare.scale == "none":
        yield Advice("The feature with the largest numbers decides alone. Scale them:", "prepare: {scale: standard}")


def _of_gates(config: Config, gates: Sequence[Gate]) -> Iterator[Advice]:
    refused = {gate.gate for gate in gates if gate.verdict == "refused"}
    if refused & {"stability_lowest", "stability_mean", "macro_silhouette"}:
        least, most = config.k_values[0], config.k_values[-1]
        if most > 3:
            fewer = max(3, (least + most) // 2 - 1)
            yield Advice(
                "The segments are not found again among other customers. Fewer ones are steadier:",
                f"segments: {{k: [{min(least, 2)}, {min(fewer, most - 1)}]}}",
            )
        yield from _fewer_features(config)
    if "next_period" in refused:
        yield Advice(
            "The segments tell less of the next period than recency, frequency and money alone do:",
            "prepare: {weights: {rfm: 1.0, others: 0.25}}",
        )
        yield from _fewer_features(config)
    if "moved_by_model" in refused:
        yield Advice(
            "Too many customers would move without having changed. Train less often, or promote it with a reason:",
            "retrain: {every: 6 months}",
        )


def _of_preparation(config: Config) -> Iterator[Advice]:
    yield from _of_extremes(config)
    if config.prepare.cap is not None and config.prepare.cap != (0.02, 0.98):
        yield Advice("Extreme customers may still pull the centres:", "prepare: {cap: [0.02, 0.98]}")


def _fewer_features(config: Config) -> Iterator[Advice]:
    if config.kind == "transactions" and tuple(config.features.include) != ("rfm",):
        yield Advice("Fewer features leave less noise:", "features: {include: [rfm]}")
    if config.kind == "customers":
        yield Advice(
            "Fewer attributes leave less noise; name the two or three that matter:", "features: {include: [...]}"
        )


def _always(config: Config) -> Iterator[Advice]:
    yield from _fewer_features(config)
    if config.history != "all" and config.kind == "transactions":
        yield Advice("More history brings more customers and steadier numbers:", "history: all")
    yield Advice("Another range of numbers of segments:", f"segments: {{k: [2, {max(config.k_values[-1] - 1, 4)}]}}")
    yield Advice("Smaller segments, if they are of use:", f"segments: {{min_share: {config.segments.min_share / 2:g}}}")
    yield Advice("Larger segments, if they are of use:", "segments: {max_share: 0.9}")
