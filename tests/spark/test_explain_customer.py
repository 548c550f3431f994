"""Explaining a published customer: what is published is explained, and brute force finds no smaller change."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import segengine
from segengine import runs
from segengine.cli import app
from segengine.config import load
from segengine.errors import BundleError, InputError, PublicationError
from segengine.publish.publication import read_current
from segengine.scoring.online import load as load_scorer
from tests import shops


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """A run over a small shop with a house account, and features of its own."""
    folder = tmp_path_factory.mktemp("shop")
    shops.write_parquet(shops.lines(customers=240), folder / "lines")
    file = shops.write_config(folder)
    text = file.read_text().replace("category: aisle\n", "category: aisle\n    ignore_customers: [C00007]\n")
    custom = "category_mix], custom: {dear_lines: 'count_if(amount > 25)', cheapest: 'min(amount)'}}"
    file.write_text(text.replace("category_mix]}", custom))
    runs.run(file, spark=spark)
    return load(file)


@pytest.fixture(scope="module")
def customers(spark, shop):
    """customer_id with every published column of assignments."""
    ids = read_current(spark, shop.output, "customers").select("customer_key", "customer_id")
    joined = read_current(spark, shop.output, "assignments").join(ids, "customer_key", "inner")
    return joined.toPandas().set_index("customer_id").sort_index()


def test_explanations_are_of_the_published_segment_and_exact_against_brute_force(spark, shop, customers):
    scorer = load_scorer(shop.output.path)
    some = customers[customers["segment_key"].notna()].iloc[::24]
    assert len(some) >= 9
    for customer_id, row in some.iterrows():
        told = segengine.explain(shop, str(customer_id), spark=spark)
        explained = told.explanation
        assert told.lane is None
        assert (told.assigned_key, explained.segment_key) == (row["segment_key"], row["segment_key"])
        assert explained.runner_up_key == row["runner_up_key"]
        assert explained.margin == pytest.approx(row["margin"], abs=1e-9)
        assert sum(share.share for share in explained.shares) == pytest.approx(1.0)
        assert explained.changes
        values = {share.feature: share.value for share in explained.shares}
        base = {name: values.get(name, row.get(name)) for name in scorer.columns}
        found = {change.feature: change for change in explained.changes}
        for item in scorer.inputs:
            low, high = item["cap"]
            tried = np.linspace(low, high, 2001)
            tried = np.unique(np.round(tried)) if item["whole"] else tried
            table = {name: np.full(len(tried), np.nan if v is None else v) for name, v in base.items()}
            moved = scorer.score({**table, item["name"]: tried})["segment_key"] != explained.segment_key
            if base[item["name"]] is None or not moved.any():
                continue
            change = found[item["name"]]
            assert isinstance(change.to, float)
            # up and down are compared in standard deviations; on its own side nothing nearer moves the customer
            start = float(np.clip(base[item["name"]], low, high))
            side = moved & (np.sign(tried - start) == np.sign(change.to - start))
            assert not side.any() or np.abs(tried[side] - start).min() >= abs(change.to - start) - 1e-9


def test_a_customer_in_a_lane_an_unknown_one_and_an_empty_output_are_told(spark, shop, customers, tmp_path):
    told = segengine.explain(shop, "C00007", spark=spark)
    assert (told.lane, told.assigned_key, told.explanation) == ("ignored", None, None)
    with pytest.raises(InputError, match="No such customer is published") as caught:
        segengine.explain(shop, "nobody", spark=spark)
    assert "nobody" not in str(caught.value)
    empty = shop.model_copy(update={"output": shop.output.model_copy(update={"path": str(tmp_path / "none")})})
    with pytest.raises(PublicationError, match="Nothing is published yet"):
        segengine.explain(empty, "C00001", spark=spark)


def test_the_command_draws_it_or_prints_json_and_writes_nothing(spark, shop, monkeypatch, tmp_path):
    monkeypatch.setattr("segengine.runs.explain", lambda config, i: segengine.explain(shop, i, spark=spark))
    shown = CliRunner().invoke(app, ["explain", "any.yaml", "C00003"])
    assert shown.exit_code == 0, shown.output
    assert "shares of the margin" in shown.output
    assert "smallest first" in shown.output
    told = json.loads(CliRunner().invoke(app, ["explain", "any.yaml", "C00003", "--json"]).output)
    assert told["customer_id"] == "C00003"
    assert told["explanation"]["changes"]


def test_an_altered_model_explains_nothing(spark, shop):
    from pathlib import Path

    file = Path(shop.output.path) / "models" / "v0001" / "scorer.json"
    content = file.read_bytes()
    try:
        file.write_bytes(content.replace(b'"format": 1', b'"format": 2'))
        with pytest.raises(BundleError):
            segengine.explain(shop, "C00003", spark=spark)
    finally:
        file.write_bytes(content)
