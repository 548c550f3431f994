"""The whole recipe with segments by country: nothing is lost, groups come and go, and the summary stays short."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest
from rich.console import Console

from segengine import runs
from segengine.errors import ConfigError
from segengine.report.terminal import show
from tests import shops
from tests.spark.test_end_to_end import published, segments_by_customer

if TYPE_CHECKING:
    from segengine.report.facts import Summary

COUNTRIES = {"FR": 90, "DE": 55, None: 38, "Côte d'Ivoire": 35, "AT": 20}


def write_people(folder: Path, countries: dict[str | None, int], customers: int = 240) -> None:
    """Customers by turns of all countries (ids tell nothing); the last two are not in the table."""
    order = [country for country, number in countries.items() for _ in range(number)]
    mixed = pd.Series(order, dtype=object).sample(frac=1, random_state=1).tolist()
    ids = [f"C{number:05d}" for number in range(customers - 2)]
    pd.DataFrame({"no": ids, "land": mixed[: len(ids)], "age": 30.0}).to_parquet(folder / "people.parquet")


def write_config(folder: Path, segments: str = "by: country, by_min_customers: 30, k: [2, 4]", **more: str) -> Path:
    config = shops.write_config(folder, **more)
    people = "{path: people.parquet, columns: {customer_id: 'no'}, attributes: [{country: land}, age]}"
    text = config.read_text().replace("features:", f"  customers: {people}\nfeatures:")
    config.write_text(text.replace("k: [3, 6]", segments))
    return config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shops.write_parquet(shops.lines(customers=240), tmp_path / "lines")
    write_people(tmp_path, COUNTRIES)
    return tmp_path


def told(summary: Summary, width: int = 150) -> str:
    file = io.StringIO()
    show(summary, Console(width=width, file=file))
    return file.getvalue()


def group_of(output: Path) -> pd.Series:
    """customer_id -> the group of its segment."""
    names = published(output, "segments").set_index("segment_key")["group_name"]
    found = segments_by_customer(output).set_index("customer_id")["segment_key"]
    return found.map(names)


def test_every_country_has_segments_of_its_own_and_nothing_is_lost(spark, folder):
    summary = runs.run(write_config(folder), spark=spark)
    people = pd.read_parquet(folder / "people.parquet").set_index("no")["land"]
    groups = group_of(folder / "out")
    assert len(groups) == summary.customers == summary.customers_assigned == 240
    expected = people.reindex(groups.index).fillna("missing").replace({"AT": "other"})
    assert groups.to_dict() == expected.to_dict()
    assert sorted(groups.unique()) == ["Côte d'Ivoire", "DE", "FR", "missing", "other"]
    segments = published(folder / "out", "segments")
    assert segments["segment_key"].is_unique and segments["segment_id"].is_unique
    assert segments["customers"].sum() == 240
    assert segments["revenue"].sum() * 10_000 == summary.bridge[-1].amount_e4
    assert [group.customers for group in summary.groups] == [
        int(segments.loc[segments["group_name"] == group.name, "customers"].sum()) for group in summary.groups
    ]
    assert sum(group.k for group in summary.groups) == summary.k == len(segments)
    profiles = published(folder / "out", "segment_profiles")
    assert set(profiles["segment_key"]) == set(segments["segment_key"])
    models = published(folder / "out", "models")
    assert models["groups"].tolist() == [len(summary.groups)]
    decisions = json.loads((folder / "out" / "models" / "v0001" / "k_decision.json").read_text())
    assert [group["name"] for group in decisions["groups"]] == [group.name for group in summary.groups]
    shown = told(summary)
    assert f"{summary.k} segments in {len(summary.groups)} groups by country" in shown
    assert all(segment.name.startswith(f"{segment.group}: ") for segment in summary.segments)
    assert "Côte d'Ivoire: " in shown
    assert "Note: country: 1 value has fewer than 30 customers; their 20 share 'other'." in shown
    assert ("country", "gives each of its values segments of their own (segments.by)") not in summary.left_out
    tables = str(folder / "out" / "gold" / "publications" / "*" / "{}" / "*.parquet")
    with duckdb.connect() as duck:
        by_group = duck.execute(
            f"SELECT group_name, sum(customers) FROM read_parquet('{tables.format('segments')}') GROUP BY ALL"
        ).fetchall()
    assert {name: int(number) for name, number in by_group} == {g.name: g.customers for g in summary.groups}


def test_groups_that_vanish_or_appear_between_training_and_scoring_lose_nobody(spark, folder):
    write_people(folder, {"FR": 120, "DE": 118})
    config = write_config(folder, segments="by: country, by_min_customers: 2, k: 2")
    runs.train(config, spark=spark)
    # The two customers without a row have no country: too few, so the smaller country is with them.
    trained = {group["name"] for group in json.loads(_model(folder))["grouping"]["groups"]}
    assert trained == {"FR", "other"}
    write_people(folder, {"FR": 100, "PE": 138})
    summary = runs.score(config, spark=spark)
    groups = group_of(folder / "out")
    assert len(groups) == summary.customers_assigned == 240
    assert (groups[pd.read_parquet(folder / "people.parquet").query("land == 'FR'")["no"]] == "FR").all()
    segments = published(folder / "out", "segments")
    assert segments["customers"].sum() == 240
    assert set(segments["group_name"]) == trained


def _model(folder: Path) -> str:
    return (folder / "out" / "models" / "v0001" / "model.json").read_text()


def test_a_run_whose_groups_the_model_does_not_know_warns(spark, folder):
    write_people(folder, {"FR": 130, "DE": 110}, customers=242)
    config = write_config(folder, segments="by: country, by_min_customers: 30, k: 2")
    assert not runs.run(config, spark=spark).warnings
    write_people(folder, {"FR": 130, "DE": 90, "PE": 15, "AR": 5}, customers=242)
    summary = runs.run(config, spark=spark)
    assert not summary.trained
    assert summary.customers_assigned == 240
    (warning,) = summary.warnings
    assert warning.startswith("country: the model knows no group for 'AR' and 1 other values; 20 customers were put in")
    assert "'FR', the largest group" in " ".join(told(summary).replace("│", " ").split())


def test_forty_groups_have_a_short_summary(spark, folder):
    # Twelve customers a land: with six, the best split of some leaves a customer alone, and they share the group other.
    shops.write_parquet(shops.lines(customers=480), folder / "lines")
    people = pd.DataFrame({"no": [f"C{n:05d}" for n in range(480)], "land": [f"land {n % 40:02d}" for n in range(480)]})
    people.assign(age=30.0).to_parquet(folder / "people.parquet")
    config = write_config(
        folder, segments="by: country, by_min_customers: 5, k: 2, min_share: 0, max_share: 1, restarts: 2"
    )
    config.write_text(config.read_text().replace("restarts: 5, ", ""))
    summary = runs.run(config, spark=spark)
    assert len(summary.groups) == 40
    assert summary.k == 80
    shown = told(summary).splitlines()
    first = next(n for n, line in enumerate(shown) if "Groups: model" in line)
    last = next(n for n, line in enumerate(shown) if "80 segments in 40 groups" in line)
    assert last - first == 15  # the head of the table, twelve groups, and one line for the others
    assert "and 28 more" in shown[last - 1]
    assert len(shown) < 60
    groups = group_of(folder / "out")
    assert groups.to_dict() == people.set_index("no")["land"].to_dict()


def test_customers_only_tables_have_groups_too(spark, tmp_path):
    people = pd.DataFrame(
        {
            "id": range(200),
            "age": [20.0 + 40 * (n % 4 > 1) + n % 7 for n in range(200)],
            "plan": ["basic" if n % 2 else "pro" for n in range(200)],
        }
    )
    people.to_parquet(tmp_path / "people.parquet")
    config = tmp_path / "people.yaml"
    config.write_text(
        "name: people\nkind: customers\nas_of: 2024-01-01\n"
        "tables: {customers: {path: people.parquet, columns: {customer_id: id}, attributes: [age, plan]}}\n"
        "segments: {by: plan, k: 2}\noutput: {path: out}\n"
    )
    summary = runs.run(config, spark=spark)
    assert [(group.name, group.customers, group.k) for group in summary.groups] == [("basic", 100, 2), ("pro", 100, 2)]
    assert summary.features == ("age",)
    assert [segment.customers for segment in summary.segments] == [50, 50, 50, 50]
    assert all(group.revenue_share is None for group in summary.groups)


def test_a_number_to_group_by_is_refused_before_anything_is_computed(spark, folder):
    with pytest.raises(ConfigError, match="Customers cannot be grouped by 'age': it is a number"):
        runs.check(write_config(folder, segments="by: age, k: 2"), spark=spark)


def test_a_change_of_groups_is_a_reason_to_train(spark, folder):
    first = runs.run(write_config(folder, segments="k: [2, 4]"), spark=spark)
    assert not first.groups
    assert published(folder / "out", "segments")["group_name"].isna().all()
    second = runs.run(write_config(folder), spark=spark)
    assert second.trained and second.groups
    assert second.why_trained == "the configuration of features, preparation or segments changed since v0001"
    models = published(folder / "out", "models").set_index("model_version")["groups"]
    assert models.isna().tolist() == [True, False]
