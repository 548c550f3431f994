"""Three changes to try: they follow from what failed, they are different, and they are valid configuration."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from segengine.errors import RefusedError
from segengine.model.advice import advise
from segengine.model.choose import choose
from segengine.model.gates import judge
from segengine.model.sweep import Trial
from segengine.report.refusal import Refusal, refusal_html, refusal_markdown
from tests.pure.configs import config
from tests.pure.test_choose import trial
from tests.pure.test_gates import GOOD


def candidates(*trials: Trial, **limits):
    with pytest.raises(RefusedError) as caught:
        choose(trials, **{"min_share": 0.05, "max_share": 0.8, **limits})
    return caught.value.record


def test_three_different_changes_that_the_configuration_accepts():
    tried = candidates(trial(2, 0.9, [0.97, 0.03]), trial(3, 0.5, [0.5, 0.46, 0.04]))
    for case in ((tried, ()), ((), judge(GOOD)), ((), ())):
        advice = advise(config(), *case)
        assert len({one.write for one in advice}) == 3
        for one in advice:
            assert config(**yaml.safe_load(one.write))


def test_a_share_that_is_just_missed_is_offered_and_would_pass():
    trials = (trial(3, 0.5, [0.5, 0.46, 0.04]), trial(4, 0.5, [0.5, 0.3, 0.18, 0.02]))
    first = advise(config(segments={"min_share": 0.05}), candidates(*trials))[0]
    assert first.write == "segments: {min_share: 0.04}"
    assert choose(trials, min_share=0.04, max_share=0.8).k == 3


def test_nearly_everybody_in_one_segment_calls_for_logarithms_and_caps():
    raw = config(prepare={"log": "never", "cap": None, "scale": "none"})
    found = [one.write for one in advise(raw, candidates(trial(2, 0.95, [0.99, 0.01])))]
    assert found == ["prepare: {log: auto}", "prepare: {cap: [0.01, 0.99]}", "prepare: {scale: standard}"]


def test_unstable_segments_call_for_fewer_segments_and_features():
    gates = judge(dataclasses.replace(GOOD, stability=(0.9, 0.2)))
    found = [one.write for one in advise(config(), (), gates)]
    assert found[0] == "segments: {k: [2, 5]}"
    assert found[1] == "features: {include: [rfm]}"


def test_no_text_can_become_markup():
    evil = "<script>alert(1)</script>|`x`"
    report = Refusal(
        evil, "r1", "2024-01-01", evil, evil, [("3", "", "", "", "refused", evil)], [], [(evil, "k: 1")], "9 customers"
    )
    assert "<script>" not in refusal_html(report) + refusal_markdown(report)
    assert 'class="refused"' in refusal_html(report)
    assert "Three changes to try" in refusal_markdown(report)
