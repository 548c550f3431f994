"""Gates in the recipes: a refused model is kept and not used, a first one explained, a champion moved and put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from segengine import runs
from segengine.errors import ModelError, RefusedError
from tests import shops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

IMPOSSIBLE = "segments: {k: [3, 4], min_share: 0.32, restarts: 2}"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    return shops.write_config(tmp_path)


def current_table(output: Path, table: str) -> pd.DataFrame:
    current = json.loads((output / "gold" / "current.json").read_text())
    return pd.read_parquet(output / "gold" / current["folder"] / table)


def changed(file: Path, segments: str) -> Path:
    """The configuration with another line of segments."""
    lines = [segments if line.startswith("segments:") else line for line in file.read_text().splitlines()]
    other = file.with_name("other.yaml")
    other.write_text("\n".join(lines))
    return other


def assignments(output: Path) -> pd.DataFrame:
    rows = current_table(output, "assignments").drop(columns=["publication_id", "as_of"])
    return rows.sort_values("customer_key", ignore_index=True)


def test_a_first_model_that_does_not_pass_is_explained_and_published_only_provisionally(
    spark: SparkSession, shop: Path
) -> None:
    output, other = shop.parent / "out", changed(shop, IMPOSSIBLE)
    with pytest.raises(RefusedError) as caught:
        runs.run(other, spark=spark)
    assert not (output / "gold" / "current.json").exists()
    report = next((output / "reports").glob("*/refused.html"))
    assert str(report) in caught.value.todo
    assert "Three changes to try" in report.read_text()
    assert report.with_name("refused.md").read_text().count("segments: {min_share:") == 1

    summary = runs.run(other, provisional=True, spark=spark)
    assert summary.warnings[0].startswith("PROVISIONAL: v0001 did not pass its gates (number_of_segments")
    assert set(current_table(output, "segments")["warning"].str[:11]) == {"PROVISIONAL"}
    assert list(current_table(output, "models")["status"]) == ["provisional"]
    again = runs.run(other, spark=spark)
    assert not again.trained
    assert again.warnings[0].startswith("PROVISIONAL")

    better = runs.run(shop, spark=spark)
    assert better.trained
    assert current_table(output, "segments")["warning"].isna().all()
    assert list(current_table(output, "models")["status"]) == ["refused", "champion"]


def test_a_refused_challenger_is_kept_and_the_champion_goes_on(
    spark: SparkSession, published_shop, monkeypatch
) -> None:
    shop, first = published_shop
    output = shop.parent / "out"
    assert {gate.verdict for gate in first.gates} <= {"passed", "warned", "not_judged"}
    assert current_table(output, "segments")["stability"].between(0.5, 1).all()
    before, champion = assignments(output), (output / "models" / "champion.json").read_bytes()

    monkeypatch.setattr("segengine.model.gates.SILHOUETTE_REFUSE", 0.99)
    second = runs.run(shop, retrain=True, spark=spark)
    assert second.model_version == "v0001"
    assert not second.trained
    assert any("v0002 is refused by its gates. The champion goes on." in warning for warning in second.warnings)
    pd.testing.assert_frame_equal(assignments(output), before)
    assert (output / "models" / "champion.json").read_bytes() == champion
    gates = current_table(output, "gates")
    assert set(gates.loc[gates["verdict"] == "refused", "model_version"]) == {"v0002"}
    assert json.loads((output / "models" / "v0002" / "gates.json").read_text())["verdict"] == "refused"
    assert "Verdict: **refused**" in (output / "models" / "v0002" / "model_card.md").read_text()
    page = (output / "models" / "v0001" / "model_card.html").read_text()
    assert all(f"<h2>{title}</h2>" in page for title in ("Gates", "Data", "Protected attributes", "Limits"))
    assert f"{first.customers:,} customers" in page
    assert f"<td>used</td><td>{first.rows_of('used'):,}</td>" in page
    with pytest.raises(RefusedError):
        runs.train(shop, spark=spark)
    monkeypatch.undo()
    third = runs.run(shop, spark=spark)
    assert not third.trained
    assert any("v0003, newer than v0001, was refused" in warning for warning in third.warnings)

    with pytest.raises(ModelError, match="refused by its gates"):
        runs.promote(shop, "v0002")
    runs.promote(shop, "v0002", reason="the board wants it")
    fourth = runs.score(shop, spark=spark)
    assert fourth.model_version == "v0002"
    assert "the board wants it" in fourth.warnings[0]


def test_a_rollback_brings_back_champion_and_assignments(spark: SparkSession, published_shop) -> None:
    shop, _ = published_shop
    output = shop.parent / "out"
    models, before = output / "models", assignments(output)
    files = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    other = changed(shop, "segments: {k: 3, seed: 3, restarts: 2}")
    assert runs.run(other, spark=spark).model_version == "v0002"
    assert not assignments(output).equals(before)

    assert runs.rollback(other, reason="campaigns broke").after == "v0001"
    assert {path: path.read_bytes() for path in files} == {**files, models / "promotions.json": _log(models)}
    assert [event["action"] for event in json.loads(_log(models))["events"]] == ["promoted", "promoted", "rolled_back"]
    held = runs.run(other, spark=spark)
    assert not held.trained
    assert held.model_version == "v0001"
    pd.testing.assert_frame_equal(assignments(output), before)


def _log(models: Path) -> bytes:
    return (models / "promotions.json").read_bytes()
