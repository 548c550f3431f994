"""Cards of segments in whole runs: true names that stay, alarms when they do not, rules the same in three engines."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.errors import ConfigError
from tests import servers, shops
from tests.spark.test_end_to_end import published
from tests.spark.test_end_to_end_groups import write_config as write_groups
from tests.spark.test_end_to_end_groups import write_people


@pytest.fixture(scope="module")
def output(spark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    shops.write_parquet(shops.lines(customers=300), folder / "lines")
    runs.run(shops.write_config(folder), spark=spark)
    return folder / "out"


def found_by_rules(output: Path) -> pd.DataFrame:
    """One row a customer, with a column of 0 and 1 for each segment's published rule, by DuckDB."""
    segments = published(output, "segments")
    people = published(output, "assignments")
    connection = duckdb.connect()
    connection.register("assignments", people)
    columns = ", ".join(f'{row.rule_sql} AS "{row.segment_key}"' for row in segments.astype(str).itertuples())
    return connection.execute(f"SELECT customer_key, segment_key, {columns} FROM assignments").df()


def test_every_segment_has_a_card(output):
    segments = published(output, "segments")
    assert segments["name"].is_unique
    assert segments["name_is_true"].all()
    for name, description, customers, action in zip(
        *(segments[column].tolist() for column in ("name", "description", "customers", "action")), strict=True
    ):
        assert not name.startswith("Segment")
        assert description.count(". ") == 1
        assert f"{customers:,} customers" in description
        assert action
    named = dict(zip(segments["name"], segments["segment_key"], strict=True))
    people = published(output, "assignments")
    lapsed = next(key for name, key in named.items() if "apsed" in name)
    assert people.loc[people["segment_key"] == lapsed, "recency_days"].median() > people["recency_days"].median()


def test_precision_and_coverage_are_those_that_anybody_can_count(output):
    found, segments = found_by_rules(output), published(output, "segments").set_index("segment_key")
    assert segments["rule"].notna().all()
    for key, row in segments.iterrows():
        ruled, own = found[str(key)] == 1, found["segment_key"] == key
        assert row["rule_precision"] == pytest.approx((ruled & own).sum() / ruled.sum())
        assert row["rule_coverage"] == pytest.approx((ruled & own).sum() / own.sum())
        assert row["rule_precision"] > 0.6
    assert found[[str(key) for key in segments.index]].sum(axis=1).max() == 1


def test_differences_are_ranked_for_every_segment(output):
    profiles = published(output, "segment_profiles")
    for _, own in profiles.groupby("segment_key"):
        ranked = own.dropna(subset=["rank"]).sort_values("rank")
        assert ranked["rank"].tolist() == list(range(1, len(ranked) + 1))
        assert (np.diff(ranked["z_prepared"].abs()) <= 0).all()


def test_rules_agree_in_spark_duckdb_and_postgresql(spark, output):
    found = found_by_rules(output).sort_values("customer_key").reset_index(drop=True)
    segments = published(output, "segments")
    columns = [f"{row.rule_sql} AS s{row.segment_key}" for row in segments.itertuples()]
    expected = found[[str(key) for key in segments["segment_key"]]].to_numpy().tolist()
    current = json.loads((output / "gold" / "current.json").read_text())
    people = spark.read.parquet(str(output / "gold" / current["folder"] / "assignments"))
    assert people.where("days_between_orders_mean IS NULL OR days_between_orders_cv IS NULL").count() > 0
    by_spark = people.selectExpr("customer_key", *columns).orderBy("customer_key").collect()
    assert [list(row[1:]) for row in by_spark] == expected
    with servers.postgres() as database:
        frame = people.toPandas()
        kinds = {name: "double precision" if kind == "double" else "text" for name, kind in people.dtypes}
        text = io.StringIO()
        frame.to_csv(text, index=False, header=False, na_rep="\\N")
        database.sql(f"CREATE TABLE assignments ({', '.join(f'{name} {kind}' for name, kind in kinds.items())});")
        loaded = f"COPY assignments FROM STDIN (FORMAT csv, NULL '\\N');\n{text.getvalue()}\\.\n"
        database.sql(loaded)
        rows = database.sql(f"SELECT {', '.join(columns)} FROM assignments ORDER BY customer_key::bigint;")
    assert [[int(value) for value in row.split("|")] for row in rows.strip().splitlines()] == expected


def test_names_stay_through_a_retrain_and_an_untrue_one_raises_an_alarm(spark, output, tmp_path):
    shutil.copytree(output.parent, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "shop.yaml"
    before = published(tmp_path / "out", "segments").set_index("segment_id")["name"].to_dict()
    again = runs.run(config, spark=spark, retrain=True)
    assert published(tmp_path / "out", "segments").set_index("segment_id")["name"].to_dict() == before
    assert not any("is now called" in warning for warning in again.warnings)

    # A name that says the opposite of what its customers do, written into the saved model with its hash.
    folder = tmp_path / "out" / "models" / "v0002"
    saved = json.loads((folder / "cards.json").read_text())
    for card in saved["cards"]:
        for claim in card["claims"]:
            claim["direction"] = {"low": "high", "high": "low"}.get(claim["direction"], "middle")
    rewrite(folder, "cards.json", saved)
    scored = runs.run(config, spark=spark)
    assert not scored.trained
    assert any("is not what its name" in warning for warning in scored.warnings)
    segments = published(tmp_path / "out", "segments")
    assert not segments["name_is_true"].all()
    third = runs.run(config, spark=spark, retrain=True)
    assert any("is now called" in warning for warning in third.warnings)
    assert published(tmp_path / "out", "segments").set_index("segment_id")["name"].to_dict() == before


def rewrite(folder: Path, name: str, content: object) -> None:
    """Change a file of the champion as if it had been saved so."""
    import hashlib

    text = (json.dumps(content) + "\n").encode()
    (folder / name).write_bytes(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    record = folder.parent / "champion.json"
    champion = json.loads(record.read_text())
    champion["manifest_sha256"] = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    record.write_text(json.dumps(champion))


def test_a_model_from_before_there_were_cards_still_publishes(spark, published_shop):
    config, _ = published_shop
    output = config.parent / "out"
    folder = output / "models" / "v0001"
    (folder / "cards.json").unlink()
    (folder / "rfm_grid.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("cards.json", "rfm_grid.json"):
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    rewrite(folder, "model.json", json.loads((folder / "model.json").read_text()))
    summary = runs.run(config, spark=spark)
    assert any("before segments had cards" in warning for warning in summary.warnings)
    segments = published(output, "segments")
    assert segments["description"].isna().all()
    assert segments["name"].notna().all()


def test_words_playbook_and_language_are_those_of_the_configuration(spark, tmp_path):
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    (tmp_path / "plays.yaml").write_text("plays: [{action: Anrufen}]\n")
    runs.run(shops.write_config(tmp_path, extra="names: {language: de, playbook: plays.yaml}\n"), spark=spark)
    segments = published(tmp_path / "out", "segments")
    assert set(segments["action"]) == {"Anrufen"}
    assert segments["description"].str.contains(" Kunden, ").all()
    (tmp_path / "plays.yaml").write_text("plays: [{when: {recency_days: high}, action: Anrufen}]\n")
    with pytest.raises(ConfigError, match="it is the last one"):
        runs.check(shops.write_config(tmp_path, extra="names: {playbook: plays.yaml}\n"), spark=spark)


def test_segments_of_groups_are_named_and_ruled_within_their_group(spark, tmp_path):
    shops.write_parquet(shops.lines(customers=240), tmp_path / "lines")
    write_people(tmp_path, {"FR": 120, "DE": 80, None: 38, "AT": 2})
    runs.run(write_groups(tmp_path), spark=spark)
    segments = published(tmp_path / "out", "segments")
    assert segments["name"].is_unique
    for name, group in zip(segments["name"].tolist(), segments["group_name"].tolist(), strict=True):
        assert name.startswith(f"{group}: ")
    found = found_by_rules(tmp_path / "out").merge(segments[["segment_key", "group_name"]])
    for row in segments.itertuples():
        if row.rule_sql is None:
            continue
        inside = found[found["group_name"] == row.group_name]
        ruled, own = inside[str(row.segment_key)] == 1, inside["segment_key"] == row.segment_key
        assert row.rule_precision == pytest.approx((ruled & own).sum() / ruled.sum())
        assert row.rule_coverage == pytest.approx((ruled & own).sum() / own.sum())
