"""Which number of segments, and why every other one lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from segengine.errors import ModelError
from segengine.model.sweep import Trial

__all__ = ["RULE", "Candidate", "KDecision", "choose"]

RULE = (
    "The k with the highest macro silhouette among those that come back with k centres and keep every segment's share "
    "within segments.min_share and segments.max_share; the smaller k when two are equal."
)
TIE = 1e-9


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


@dataclass(frozen=True)
class KDecision:
    """The chosen number of segments with the record of every candidate."""

    k: int
    rule: str
    sentence: str
    candidates: tuple[Candidate, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "candidates": [asdict(candidate) for candidate in self.candidates]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> KDecision:
        return cls(data["k"], data["rule"], data["sentence"], tuple(Candidate(**item) for item in data["candidates"]))


def choose(trials: Sequence[Trial], *, min_share: float, max_share: float) -> KDecision:
    """Apply the rule to the trials of a sweep. Raises ModelError, telling why for every k, when none passes."""
    candidates = [_candidate(trial, min_share, max_share) for trial in sorted(trials, key=lambda trial: trial.k)]
    passed = [candidate for candidate in candidates if candidate.verdict == "passed"]
    if not passed:
        raise _none_passes(candidates)
    best = passed[0]
    for candidate in passed[1:]:
        if _silhouette(candidate) > _silhouette(best) + TIE:
            best = candidate
    told = tuple(_told(candidate, best, len(passed)) for candidate in candidates)
    refused = len(candidates) - len(passed)
    sentence = f"{best.k} segments: macro silhouette {_silhouette(best):.3f}" + (
        f", the highest of the {len(passed)} k that pass the limits"
        if len(passed) > 1
        else ", the only k that passes the limits"
    )
    sentence += f"; {refused} of {len(candidates)} k refused." if refused else "."
    return KDecision(best.k, RULE, sentence, told)


def _silhouette(candidate: Candidate) -> float:
    return candidate.macro_silhouette if candidate.macro_silhouette is not None else -1.0


def _candidate(trial: Trial, min_share: float, max_share: float) -> Candidate:
    shares = trial.shares
    quality = trial.quality
    reason = _refusal(trial, min_share, max_share)
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
    )


def _refusal(trial: Trial, min_share: float, max_share: float) -> str | None:
    if trial.skipped is not None:
        return trial.skipped
    shares = trial.shares
    if len(shares) < trial.k:
        return f"it came back with {len(shares)} segments instead of {trial.k}"
    if trial.quality is None:
        return "its quality cannot be measured"
    faults = []
    if shares.min() < min_share:
        small = int((shares < min_share).sum())
        who = "its smallest segment has" if small == 1 else f"{small} segments, the smallest with"
        faults.append(
            f"{who} {_percent(shares.min())} of the customers, below segments.min_share {_percent(min_share)}"
        )
    if shares.max() > max_share:
        faults.append(
            f"its largest segment has {_percent(shares.max())} of the customers, "
            f"above segments.max_share {_percent(max_share)}"
        )
    return "; ".join(faults) or None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _told(candidate: Candidate, best: Candidate, passed: int) -> Candidate:
    if candidate.k == best.k:
        among = (
            f"the highest macro silhouette of the {passed} k that pass"
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
    return replace(candidate, reason=f"macro silhouette {mine:.4f} is below {other:.4f} of k = {best.k}")


def _none_passes(candidates: Sequence[Candidate]) -> ModelError:
    if not candidates:
        return ModelError(
            "segments.k holds no number of segments to try.", todo="Write for example segments.k: [3, 10]."
        )
    return ModelError(
        "No number of segments gives an acceptable model.",
        where="segments.k",
        found="; ".join(f"k = {candidate.k}: {candidate.reason}" for candidate in candidates),
        todo="Try one of: (1) smaller numbers in segments.k, or a lower segments.min_share (higher segments.max_share) "
        "if such segments are of use; (2) prepare.log: auto and a tighter prepare.cap such as [0.02, 0.98], so that "
        "extreme customers do not get segments of their own; (3) fewer or other features (features.include, "
        "features.exclude), or more customers through a longer history.",
    )
