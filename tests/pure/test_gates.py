"""Gates: each limit from both sides, what could not be measured, and the verdict on the model."""

from __future__ import annotations

import dataclasses

import pytest

from segengine.model.gates import Gate, Measured, judge, reasons, verdict_of

GOOD = Measured(
    names=("Big", "Small"),
    sizes=(700, 300),
    stability=(0.95, 0.9),
    k=2,
    k_refused="",
    smallest_share=0.3,
    largest_share=0.7,
    min_share=0.05,
    max_share=0.8,
    macro_silhouette=0.3,
)


def gate(name: str, **changes) -> Gate:
    return {gate.gate: gate for gate in judge(dataclasses.replace(GOOD, **changes))}[name]


def test_a_good_first_model_passes_and_says_what_was_not_judged():
    gates = judge(GOOD)
    assert verdict_of(gates) == "passed"
    assert [gate.gate for gate in gates if gate.verdict == "not_judged"] == ["moved_by_model", "next_period"]
    assert all(gate.text for gate in gates)


@pytest.mark.parametrize(
    ("name", "changes", "verdict"),
    [
        ("stability_lowest", {"stability": (0.95, 0.75)}, "passed"),
        ("stability_lowest", {"stability": (0.95, 0.749)}, "warned"),
        ("stability_lowest", {"stability": (0.95, 0.5)}, "warned"),
        ("stability_lowest", {"stability": (0.95, 0.499)}, "refused"),
        ("stability_lowest", {"stability": (None, None)}, "not_judged"),
        ("stability_lowest", {"stability": (0.95, 0.3), "in_groups": True}, "warned"),
        ("stability_mean", {"stability": (0.6, 0.6)}, "passed"),
        ("stability_mean", {"stability": (0.55, 0.7)}, "refused"),  # 0.595 weighted by customers, 0.625 without
        ("smallest_share", {"smallest_share": 0.05}, "passed"),
        ("smallest_share", {"smallest_share": 0.047}, "warned"),
        ("smallest_share", {"smallest_share": 0.044}, "refused"),
        ("largest_share", {"largest_share": 0.81}, "warned"),
        ("largest_share", {"largest_share": 0.83}, "refused"),
        ("macro_silhouette", {"macro_silhouette": 0.09}, "warned"),
        ("macro_silhouette", {"macro_silhouette": 0.02}, "refused"),
        ("macro_silhouette", {"macro_silhouette": None}, "not_judged"),
        ("moved_by_model", {"moved_share": 0.1}, "passed"),
        ("moved_by_model", {"moved_share": 0.3}, "warned"),
        ("moved_by_model", {"moved_share": 0.6}, "refused"),
        ("moved_by_model", {"moved_share": 0.6, "another_recipe": True}, "warned"),
        ("next_period", {"separation": 0.02, "low": 0.01, "high": 0.03}, "passed"),
        ("next_period", {"separation": -0.01, "low": -0.03, "high": 0.01}, "warned"),
        ("next_period", {"separation": -0.02, "low": -0.03, "high": -0.01}, "refused"),
        ("number_of_segments", {"k_refused": "none passes"}, "refused"),
    ],
)
def test_each_limit_from_both_sides(name, changes, verdict):
    assert gate(name, **changes).verdict == verdict


def test_one_refusal_refuses_the_model_and_is_named():
    gates = judge(dataclasses.replace(GOOD, stability=(0.95, 0.3)))
    assert verdict_of(gates) == "refused"
    assert reasons(gates).startswith("stability_lowest: the least stable segment, Small, is found again")


def test_a_warning_alone_warns():
    assert verdict_of(judge(dataclasses.replace(GOOD, macro_silhouette=0.05))) == "warned"
