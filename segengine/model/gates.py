"""The gates of a model: each measure with its limits and a verdict. One refusal refuses the model. No Spark here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["NOT_JUDGED", "Gate", "Measured", "Verdict", "judge", "reasons", "verdict_of"]

Verdict = Literal["passed", "warned", "refused", "not_judged"]
NOT_JUDGED: Verdict = "not_judged"

STABILITY_WARN = 0.75
"""Hennig 2007: a segment with a mean Jaccard similarity of 0.75 or more is valid."""
STABILITY_REFUSE = 0.5
"""Below it a segment is dissolved more often than not."""
MEAN_STABILITY_REFUSE = 0.6
"""Below it clusters are not to be trusted (Hennig 2007); here for the mean over all customers."""

SILHOUETTE_WARN = 0.10
SILHOUETTE_REFUSE = 0.03
"""Good segments of many features have macro silhouettes of 0.15 to 0.4, so this only finds what is next to no
separation."""

SHARE_GRACE = 0.1
"""The choice of k keeps shares within the limits on the sample. On everybody they may miss them by a tenth before the
model is refused."""

MOVED_WARN = 0.20
MOVED_REFUSE = 0.50
"""Whoever works with the segments has to be told when every fifth customer moves without having changed; when every
second one does, it is another segmentation."""


@dataclass(frozen=True)
class Gate:
    """A measure of a model against its limits. Limits are null where a gate has none; `text` is a sentence."""

    gate: str
    value: float | None
    warn_limit: float | None
    refuse_limit: float | None
    verdict: Verdict
    text: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """What gates look at. None: not measured; a text that starts with `why_not` then says why.

    `stability` and `names` are of the segments in their order; `sizes` of everybody; shares are of a group where there
    are groups (`in_groups`: of hundreds of segments one is always shaky, so the least stable one only warns).
    `separation`, `low` and `high`: how much more of the next period the segments tell than the better
    baseline, with a bootstrap interval.
    """

    names: Sequence[str]
    sizes: Sequence[int]
    stability: Sequence[float | None]
    k: int
    k_refused: str
    """Why no number of segments was acceptable, when the model is the least bad one; else empty."""
    smallest_share: float
    largest_share: float
    min_share: float
    max_share: float
    macro_silhouette: float | None
    in_groups: bool = False
    moved_share: float | None = None
    why_not_moved: str = "there is no earlier model to compare with"
    another_recipe: bool = False
    separation: float | None = None
    low: float | None = None
    high: float | None = None
    why_not_separation: str = "it was not measured"


def judge(measured: Measured) -> tuple[Gate, ...]:
    """Every gate of a model, in the order they are shown."""
    return (
        _number(measured),
        _lowest_stability(measured),
        _mean_stability(measured),
        _smallest(measured),
        _largest(measured),
        _silhouette(measured),
        _moved(measured),
        _separation(measured),
    )


def verdict_of(gates: Sequence[Gate]) -> Verdict:
    """The verdict on the model: the worst of its gates; gates that could not be judged do not count."""
    verdicts = {gate.verdict for gate in gates}
    return "refused" if "refused" in verdicts else "warned" if "warned" in verdicts else "passed"


def reasons(gates: Sequence[Gate], verdict: Verdict = "refused") -> str:
    """The sentences of the gates with that verdict, as one text."""
    return "; ".join(f"{gate.gate}: {gate.text}" for gate in gates if gate.verdict == verdict)


def _known(values: Sequence[float | None]) -> dict[int, float]:
    return {i: value for i, value in enumerate(values) if value is not None and not math.isnan(value)}


def _at_least(value: float, warn: float | None, refuse: float | None) -> Verdict:
    if refuse is not None and value < refuse:
        return "refused"
    return "warned" if warn is not None and value < warn else "passed"


def _number(measured: Measured) -> Gate:
    verdict: Verdict = "refused" if measured.k_refused else "passed"
    text = measured.k_refused or f"{measured.k} segments keep within the limits of the choice"
    return Gate("number_of_segments", float(measured.k), None, None, verdict, text)


def _lowest_stability(measured: Measured) -> Gate:
    known = _known(measured.stability)
    limits = (STABILITY_WARN, None if measured.in_groups else STABILITY_REFUSE)
    if not known:
        return Gate("stability_lowest", None, *limits, NOT_JUDGED, "there are too few customers to draw from")
    worst = min(known, key=lambda i: (known[i], i))
    shaky = [measured.names[i] for i, value in known.items() if value < STABILITY_WARN]
    found = f"the least stable segment, {measured.names[worst]}, is found again with a similarity of {known[worst]:.2f}"
    more = f"; below {STABILITY_WARN}: {', '.join(shaky[:5])}" if len(shaky) > 1 else ""
    more += f" and {len(shaky) - 5} more" if len(shaky) > 5 else ""
    return Gate("stability_lowest", known[worst], *limits, _at_least(known[worst], *limits), found + more)


def _mean_stability(measured: Measured) -> Gate:
    known = _known(measured.stability)
    customers = sum(measured.sizes[i] for i in known)
    if not customers:
        text = "there are too few customers to draw from"
        return Gate("stability_mean", None, None, MEAN_STABILITY_REFUSE, NOT_JUDGED, text)
    mean = math.fsum(value * measured.sizes[i] for i, value in known.items()) / customers
    text = f"weighted by customers, segments are found again with a similarity of {mean:.2f}"
    return Gate("stability_mean", mean, None, MEAN_STABILITY_REFUSE, _at_least(mean, None, MEAN_STABILITY_REFUSE), text)


def _smallest(measured: Measured) -> Gate:
    limits = (measured.min_share, measured.min_share * (1 - SHARE_GRACE))
    value = measured.smallest_share
    text = f"the smallest segment has {value:.1%} of the customers; segments.min_share is {measured.min_share:.1%}"
    return Gate("smallest_share", value, *limits, _at_least(value, *limits), text)


def _largest(measured: Measured) -> Gate:
    limit, value = measured.max_share, measured.largest_share
    limits = (limit, limit + SHARE_GRACE * (1 - limit))
    text = f"the largest segment has {value:.1%} of the customers; segments.max_share is {limit:.1%}"
    return Gate("largest_share", value, *limits, _at_most(value, *limits), text)


def _at_most(value: float, warn: float, refuse: float) -> Verdict:
    return "refused" if value > refuse else "warned" if value > warn else "passed"


def _silhouette(measured: Measured) -> Gate:
    limits = (SILHOUETTE_WARN, SILHOUETTE_REFUSE)
    value = measured.macro_silhouette
    if value is None:
        return Gate("macro_silhouette", None, *limits, NOT_JUDGED, "it cannot be measured")
    text = f"the mean of the segments' mean silhouettes is {value:.3f}"
    return Gate("macro_silhouette", value, *limits, _at_least(value, *limits), text)


def _moved(measured: Measured) -> Gate:
    value = measured.moved_share
    limits = (MOVED_WARN, MOVED_REFUSE)
    if value is None:
        return Gate("moved_by_model", None, *limits, NOT_JUDGED, measured.why_not_moved)
    text = f"{value:.1%} of the customers would move although they have not changed, the model has"
    verdict = _at_most(value, *limits)
    if verdict == "refused" and measured.another_recipe:
        verdict, text = "warned", text + "; not refused, as the configuration asks for another model"
    return Gate("moved_by_model", value, *limits, verdict, text)


def _separation(measured: Measured) -> Gate:
    value, low, high = measured.separation, measured.low, measured.high
    if value is None or low is None or high is None:
        return Gate("next_period", None, 0.0, 0.0, NOT_JUDGED, measured.why_not_separation)
    verdict: Verdict = "refused" if high < 0 else "warned" if value < 0 else "passed"
    text = (
        f"of the next period's behaviour the segments explain {abs(value):.3f} {'less' if value < 0 else 'more'} than "
        f"the better baseline (95 % interval {low:+.3f} to {high:+.3f}; refused when all of it is below 0)"
    )
    return Gate("next_period", value, 0.0, 0.0, verdict, text)
