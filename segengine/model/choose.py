"""Which number of segments, and why every other one lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NoReturn

import numpy as np

from segengine.errors import ModelError, RefusedError
from segengine.model.deep import Deep
from segengine.model.sweep import Trial

__all__ = ["RULE", "Candidate", "KDecision", "choose", "survivors"]

LEAST_STABLE = 0.5
STABLE_ON_THE_WHOLE = 0.6
"""Hennig 2007: below 0.5 a segment is dissolved, below 0.6 not to be trusted. The gates have the same limits."""

STEADY = 0.02
"""How far below the highest macro silhouette a k may be that keeps more customers in their segment. From month to month
the differences between two k wobble by as much on a shop whose kinds of customers stay the same."""
SAME_SHARE = 0.01
"""Shares of kept customers that differ by no more are alike."""

RULE = (
    "The k with the highest macro silhouette among those that come back with k centres, none of them with a single or "
    "with nearly every customer, that keep every segment's share within segments.min_share and segments.max_share, and "
    f"whose segments are found again among other customers (bootstrap Jaccard {LEAST_STABLE} for each, "
    f"{STABLE_ON_THE_WHOLE} on the whole); the smaller k when two are equal. In a retrain the k that leaves most "
    f"customers where the champion has them, among those within {STEADY} of the highest. Gap and prediction strength "
    "are told, and do not decide."
)
TIE = 1e-9
STRONG = 0.8
"""Prediction strength of that many segments or more (Tibshirani and Walther 2005: 0.8 to 0.9)."""

NEARLY_EVERYBODY = 0.95
"""A segment with a larger share is no segmentation, whatever segments.max_share allows."""


@dataclass(frozen=True)
class Candidate:
    """A number of segments that was considered. Measures are of the sample; None where the k could not be tried."""

    k: int
    inertia: float | None
    macro_silhouette: float | None
    micro_silhouette: float | None
    calinski_harabasz: float | None
    davies_bouldin: float | None
    smallest_share: float | None
    largest_share: float | None
    centres_found: int
    verdict: Literal["chosen", "passed", "refused"]
    reason: str
    squared_silhouette: float | None = None
    """Spark's silhouette: squared distances, not comparable with the others."""
    gap: float | None = None
    gap_error: float | None = None
    prediction_strength: float | None = None
    jaccard_min: float | None = None
    jaccard_mean: float | None = None
    """The last five only of a k that keeps the other limits."""


@dataclass(frozen=True)
class KDecision:
    """The chosen number of segments with the record of every candidate."""

    k: int
    rule: str
    sentence: str
    candidates: tuple[Candidate, ...]
    is_provisional: bool = False
    """No k passed; this is the least bad one."""

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "candidates": [asdict(candidate) for candidate in self.candidates]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> KDecision:
        candidates = tuple(Candidate(**item) for item in data["candidates"])
        return cls(data["k"], data["rule"], data["sentence"], candidates, data.get("is_provisional", False))


def survivors(trials: Sequence[Trial], *, min_share: float, max_share: float) -> dict[int, Trial]:
    """The k that keep every limit but that of stability, which is dear to measure."""
    return {trial.k: trial for trial in trials if _refusal(trial, None, min_share, max_share) is None}


def choose(
    trials: Sequence[Trial],
    deep: Mapping[int, Deep] | None = None,
    *,
    min_share: float,
    max_share: float,
    provisional: bool = False,
    kept: Mapping[int, float] | None = None,
) -> KDecision:
    """Apply the rule to the trials of a sweep. Raises RefusedError, telling why for every k, when none passes.

    `deep`: the dear measures of the k that survive; without it stability is no limit. `provisional`: the least bad k
    is then taken instead, if any has as many centres as it should. `kept`: for each k the share of the customers that
    would keep their segment; of the k within STEADY of the best the one with the largest is chosen.
    """
    known = deep or {}
    ordered = sorted(trials, key=lambda trial: trial.k)
    candidates = [_candidate(trial, known.get(trial.k), min_share, max_share) for trial in ordered]
    passed = [candidate for candidate in candidates if candidate.verdict == "passed"]
    if not passed:
        return _least_bad(candidates) if provisional else _none(candidates)
    best = passed[0]
    for candidate in passed[1:]:
        if _silhouette(candidate) > _silhouette(best) + TIE:
            best = candidate
    highest, best = best, _steady(best, passed, kept or {})
    told = tuple(_told(candidate, best, len(passed), is_steady=highest is not best) for candidate in candidates)
    refused = len(candidates) - len(passed)
    sentence = f"{best.k} segments: macro silhouette {_silhouette(best):.3f}" + (
        f", within {STEADY} of {_silhouette(highest):.3f} of k = {highest.k}, and more customers keep their segment"
        if highest is not best
        else f", the highest of the {len(passed)} k that pass the limits"
        if len(passed) > 1
        else ", the only k that passes the limits"
    )
    sentence += f"; {refused} of {len(candidates)} k refused." if refused else "."
    sentence += _other_rules(candidates)
    return KDecision(best.k, RULE, sentence, told)


def _steady(best: Candidate, passed: Sequence[Candidate], kept: Mapping[int, float]) -> Candidate:
    """The candidate about as good as the best that leaves most customers in their segment; the best where none does."""
    near = [candidate for candidate in passed if _silhouette(candidate) >= _silhouette(best) - STEADY]
    most = max(kept.get(candidate.k, 0.0) for candidate in near)
    if kept.get(best.k, 0.0) >= most - SAME_SHARE:
        return best
    near = [candidate for candidate in near if kept.get(candidate.k, 0.0) >= most - SAME_SHARE]
    return max(near, key=lambda candidate: (_silhouette(candidate), -candidate.k))


def _silhouette(candidate: Candidate) -> float:
    return candidate.macro_silhouette if candidate.macro_silhouette is not None else -1.0


def _other_rules(candidates: Sequence[Candidate]) -> str:
    """What the gap statistic and prediction strength would have taken, as a sentence."""
    known = [c for c in candidates if c.gap is not None and c.gap_error is not None]
    pairs = [(a, b) for a, b in pairwise(known) if b.k == a.k + 1]
    first = next((a.k for a, b in pairs if (a.gap or 0.0) >= (b.gap or 0.0) - (b.gap_error or 0.0)), None)
    strong = [c.k for c in candidates if (c.prediction_strength or 0.0) >= STRONG]
    told = [f"the gap statistic would take {first}"] if first is not None else []
    told += [f"prediction strength of {STRONG} or more {max(strong)}"] if strong else []
    return f" For comparison: {', '.join(told)}." if told else ""


def _candidate(trial: Trial, deep: Deep | None, min_share: float, max_share: float) -> Candidate:
    shares = trial.shares
    quality = trial.quality
    reason = _refusal(trial, deep, min_share, max_share)
    return Candidate(
        k=trial.k,
        inertia=trial.inertia,
        macro_silhouette=quality.macro_silhouette if quality else None,
        micro_silhouette=quality.micro_silhouette if quality else None,
        calinski_harabasz=quality.calinski_harabasz if quality else None,
        davies_bouldin=quality.davies_bouldin if quality else None,
        smallest_share=float(shares.min()) if len(shares) else None,
        largest_share=float(shares.max()) if len(shares) else None,
        centres_found=len(shares),
        verdict="passed" if reason is None else "refused",
        reason=reason or "",
        squared_silhouette=quality.squared_silhouette if quality else None,
        **(asdict(deep) if deep else {}),
    )


def _refusal(trial: Trial, deep: Deep | None, min_share: float, max_share: float) -> str | None:
    if trial.skipped is not None:
        return trial.skipped
    shares = trial.shares
    if len(shares) < trial.k:
        return f"it came back with {len(shares)} segments instead of {trial.k}"
    if trial.quality is None:
        return "its quality cannot be measured"
    faults = []
    if shares.max() > NEARLY_EVERYBODY:
        faults.append(f"degenerate: one segment holds nearly everybody, {_percent(shares.max())} of the customers")
    customers = 0 if trial.labels is None else len(trial.labels)
    singletons = int((np.rint(shares * customers) == 1).sum())
    if singletons:
        who = "a segment" if singletons == 1 else f"{singletons} segments"
        faults.append(f"degenerate: {who} of a single customer")
    if shares.min() < min_share:
        small = int((shares < min_share).sum())
        who = "its smallest segment has" if small == 1 else f"{small} segments, the smallest with"
        faults.append(
            f"{who} {_percent(shares.min())} of the customers, below segments.min_share {_percent(min_share)}"
        )
    if max_share < shares.max() <= NEARLY_EVERYBODY:
        faults.append(
            f"its largest segment has {_percent(shares.max())} of the customers, "
            f"above segments.max_share {_percent(max_share)}"
        )
    if deep is not None and deep.jaccard_min is not None and deep.jaccard_min < LEAST_STABLE:
        faults.append(
            f"its least stable segment is found again with a similarity of {deep.jaccard_min:.2f}, below {LEAST_STABLE}"
        )
    elif deep is not None and deep.jaccard_mean is not None and deep.jaccard_mean < STABLE_ON_THE_WHOLE:
        faults.append(
            f"its segments are found again with a similarity of {deep.jaccard_mean:.2f} on the whole, below "
            f"{STABLE_ON_THE_WHOLE}"
        )
    return "; ".join(faults) or None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _told(candidate: Candidate, best: Candidate, passed: int, *, is_steady: bool) -> Candidate:
    if candidate.k == best.k:
        among = (
            f"within {STEADY} of the highest macro silhouette, and most customers keep their segment"
            if is_steady
            else f"the highest macro silhouette of the {passed} k that pass"
            if passed > 1
            else "the only k that passes the limits"
        )
        return replace(candidate, verdict="chosen", reason=f"{among}: {_silhouette(candidate):.4f}")
    if candidate.verdict == "refused":
        return candidate
    mine, other = _silhouette(candidate), _silhouette(best)
    if abs(mine - other) <= TIE:
        return replace(
            candidate, reason=f"macro silhouette {mine:.4f} equals that of k = {best.k}, and the smaller k wins"
        )
    if mine > other:
        return replace(candidate, reason=f"macro silhouette {mine:.4f} is above {other:.4f} by too little to change k")
    return replace(candidate, reason=f"macro silhouette {mine:.4f} is below {other:.4f} of k = {best.k}")


def _least_bad(candidates: Sequence[Candidate]) -> KDecision:
    """Of the k that came back whole the one with the highest macro silhouette, refused as it is."""
    whole = [c for c in candidates if c.macro_silhouette is not None and c.centres_found == c.k]
    if not whole:
        _none(candidates)
    best = max(whole, key=lambda c: (_silhouette(c), -c.k))
    told = tuple(
        replace(c, verdict="chosen", reason=f"provisional, although refused: {c.reason}") if c.k == best.k else c
        for c in candidates
    )
    sentence = f"{best.k} segments, provisionally: none of the {len(candidates)} k passes the limits ({best.reason})."
    return KDecision(best.k, RULE, sentence, told, is_provisional=True)


def _none(candidates: Sequence[Candidate]) -> NoReturn:
    if not candidates:
        raise ModelError(
            "segments.k holds no number of segments to try.", todo="Write for example segments.k: [3, 10]."
        )
    raise RefusedError(
        "No number of segments gives an acceptable model.",
        where="segments.k",
        found="; ".join(f"k = {candidate.k}: {candidate.reason}" for candidate in candidates),
        todo="Try one of: (1) smaller numbers in segments.k, or a lower segments.min_share (higher segments.max_share) "
        "if such segments are of use; (2) prepare.log: auto and a tighter prepare.cap such as [0.02, 0.98], so that "
        "extreme customers do not get segments of their own; (3) fewer or other features (features.include, "
        "features.exclude), or more customers through a longer history.",
        record=tuple(candidates),
    )
