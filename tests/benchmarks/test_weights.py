"""The tables about weights hold every behaviour, every method, and every pair of them."""

from __future__ import annotations

from benchmarks.weights import table
from segengine.runs.ahead import Then
from tests import yearly
from tests.pure.test_prediction import shop


def test_every_recipe_is_shown_beside_the_baselines_and_less_each_other():
    sample, behaviours, inputs = shop(300)
    then = Then("2024-01-01", sample, tuple(inputs), tuple(behaviours))
    recipes = {"default": {"rfm": 1.0, "others": 0.5}, "loud": {"rfm": 1.0, "others": 8.0}}
    told = list(table(then, yearly.config(restarts=2), recipes, 3))
    assert "k = 3, 300 customers as of 2024-01-01" in told[0]
    assert told[1].splitlines()[0] == "| behaviour | customers | default | loud | rfm_grid | raw_rfm_kmeans |"
    assert told[2].startswith("| later | 300 | 0.")
    heads = [line.split("\n")[1] for line in told if "less each other" in line]
    assert heads == ["default, less each other:", "loud, less each other:"]
    means = [line for line in told if line.startswith("| mean of those judged |")]
    assert len(means) == 2
    assert "won, +" in means[0].split("|")[2]  # the noise that `loud` listens to tells nothing
    assert "lost, -" in means[1].split("|")[2]
