"""Which k wins, and what is said about the others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segengine.errors import ModelError, RefusedError
from segengine.model.choose import KDecision, choose
from segengine.model.deep import Deep
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
    decision = decide(trial(4, 0.3), trial(3, 0.9, [0.93, 0.04, 0.03]))
    assert decision.k == 4
    refused = decision.candidates[0]
    assert refused.verdict == "refused"
    assert "2 segments, the smallest with 3 % of the customers, below segments.min_share 5 %" in refused.reason
    assert "93 % of the customers, above segments.max_share 80 %" in refused.reason


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
        decide(trial(2, 0.9, [0.96, 0.04]), Trial(3, skipped="only 2 customers differ"))
    text = str(caught.value)
    assert "4 % of the customers, below segments.min_share" in text
    assert "k = 3: only 2 customers differ" in text
    for remedy in ("(1)", "(2)", "(3)"):
        assert remedy in text


def test_a_decision_survives_json():
    decision = decide(trial(3, 0.3), trial(4, 0.2), Trial(5, skipped="too few"))
    assert KDecision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


def test_one_segment_with_nearly_everybody_and_singletons_are_refused_by_name_whatever_the_limits():
    with pytest.raises(RefusedError) as caught:
        choose([trial(2, 0.95, [0.99, 0.01]), trial(3, 0.9, [0.599, 0.4, 0.001])], min_share=0.0, max_share=1.0)
    text = str(caught.value)
    assert "k = 2: degenerate: one segment holds nearly everybody, 99 % of the customers" in text
    assert "k = 3: degenerate: a segment of a single customer" in text


def test_provisionally_the_least_bad_k_is_taken_and_says_so():
    trials = [trial(2, 0.9, [0.97, 0.03]), trial(3, 0.95, [0.98, 0.01, 0.01]), trial(4, 0.99, [0.5, 0.5])]
    decision = choose(trials, min_share=0.05, max_share=0.8, provisional=True)
    assert decision.k == 3
    assert decision.is_provisional
    assert decision.candidates[1].reason.startswith("provisional, although refused: degenerate")
    assert KDecision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


def test_provisionally_a_k_without_its_centres_is_still_none():
    with pytest.raises(RefusedError):
        choose([Trial(3, skipped="only 2 customers differ")], min_share=0.05, max_share=0.8, provisional=True)


def test_a_k_whose_segments_are_not_found_again_is_refused_however_good():
    shaky, loose = Deep(1.0, 0.1, 0.4, 0.49, 0.9), Deep(1.0, 0.1, 0.4, 0.55, 0.59)
    trials = [trial(3, 0.3), trial(4, 0.5), trial(5, 0.6)]
    decision = choose(trials, {3: Deep(1.0, 0.1, 0.9, 0.8, 0.9), 4: loose, 5: shaky}, min_share=0.05, max_share=0.8)
    assert decision.k == 3
    assert "0.59 on the whole, below 0.6" in decision.candidates[1].reason
    assert "least stable segment is found again with a similarity of 0.49, below 0.5" in decision.candidates[2].reason
    assert decision.candidates[0].jaccard_min == 0.8


def test_the_other_rules_are_told_and_do_not_decide():
    deep = {3: Deep(1.0, 0.1, 0.9, 0.8, 0.9), 4: Deep(1.5, 0.1, 0.85, 0.8, 0.9), 5: Deep(1.4, 0.1, 0.5, 0.8, 0.9)}
    decision = choose([trial(3, 0.5), trial(4, 0.4), trial(5, 0.3)], deep, min_share=0.05, max_share=0.8)
    assert decision.k == 3
    assert "the gap statistic would take 4, prediction strength of 0.8 or more 4" in decision.sentence


def test_a_record_written_before_these_measures_still_reads():
    plain = decide(trial(3, 0.3), trial(4, 0.2)).to_dict()
    new = ("squared_silhouette", "gap", "gap_error", "prediction_strength", "jaccard_min", "jaccard_mean")
    older = [{key: value for key, value in one.items() if key not in new} for one in plain["candidates"]]
    assert KDecision.from_dict({**plain, "candidates": older}).k == 3
