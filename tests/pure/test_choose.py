"""Which k wins, and what is said about the others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segengine.errors import ModelError
from segengine.model.choose import KDecision, choose
from segengine.model.sweep import Quality, Trial


def trial(k: int, silhouette: float, shares: list[float] | None = None) -> Trial:
    sizes = [round(1000 * share) for share in shares or [1 / k] * k]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Trial(k, None, np.zeros((k, 1)), labels, 10.0, Quality(silhouette, silhouette, 1.0, 1.0))


def decide(*trials: Trial) -> KDecision:
    return choose(trials, min_share=0.05, max_share=0.8)


def test_the_highest_macro_silhouette_wins():
    decision = decide(trial(3, 0.2), trial(4, 0.4), trial(5, 0.3))
    assert decision.k == 4
    assert [candidate.verdict for candidate in decision.candidates] == ["passed", "chosen", "passed"]


def test_a_tie_goes_to_the_smaller_k_whatever_the_order():
    for trials in (
        [trial(3, 0.4), trial(4, 0.4)],
        [trial(4, 0.4), trial(3, 0.4)],
        [trial(3, 0.4), trial(4, 0.4 + 1e-12)],
    ):
        decision = decide(*trials)
        assert decision.k == 3
        assert "smaller k wins" in decision.candidates[1].reason


def test_a_k_with_a_share_out_of_bounds_is_refused_however_good():
    decision = decide(trial(3, 0.3), trial(2, 0.9, [0.97, 0.03]))
    assert decision.k == 3
    refused = decision.candidates[0]
    assert refused.verdict == "refused"
    assert "3 % of the customers, below segments.min_share 5 %" in refused.reason
    assert "97 % of the customers, above segments.max_share 80 %" in refused.reason


def test_a_k_that_comes_back_with_fewer_centres_is_refused():
    decision = decide(trial(3, 0.3), trial(5, 0.9, [0.25] * 4))
    assert decision.candidates[1].reason == "it came back with 4 segments instead of 5"


def test_every_k_that_lost_has_a_reason():
    decision = decide(trial(3, 0.3), trial(4, 0.2), Trial(5, skipped="it needs at least 10 customers and there are 9"))
    assert all(candidate.reason for candidate in decision.candidates)
    assert "macro silhouette 0.2000 is below 0.3000 of k = 3" in decision.candidates[1].reason
    assert decision.candidates[2].verdict == "refused"


def test_no_k_passes_is_an_error_that_tells_why_and_what_to_try():
    with pytest.raises(ModelError) as caught:
        decide(trial(2, 0.9, [0.97, 0.03]), Trial(3, skipped="only 2 customers differ"))
    text = str(caught.value)
    assert "k = 2: its smallest segment" in text
    assert "k = 3: only 2 customers differ" in text
    for remedy in ("(1)", "(2)", "(3)"):
        assert remedy in text


def test_a_decision_survives_json():
    decision = decide(trial(3, 0.3), trial(4, 0.2), Trial(5, skipped="too few"))
    assert KDecision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
