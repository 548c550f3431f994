"""The RFM grid and the mix of protected attributes, published beside the segments of a small shop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.model.mix import SMALLEST_CELL
from segengine.model.rfm_grid import RFM_FEATURES, cuts_of, score
from segengine.publish.publication import read_current
from segengine.scoring.rfm import RFM_COLUMNS
from tests import shops
from tests.spark.test_end_to_end import published

CUSTOMERS = 240
GRID = "rfm_grid: {bins: 5}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with customers of two genders, a few of a third one, and ages, which three do not tell."""
    folder = tmp_path_factory.mktemp("lenses")
    shops.write_parquet(shops.lines(customers=CUSTOMERS), folder / "lines")
    genders = ["f", "m"] * (CUSTOMERS // 2 - 2) + ["x"] * 4
    ages = [20.0 + n % 50 for n in range(CUSTOMERS - 3)] + [np.nan] * 3
    ids = [f"C{number:05d}" for number in range(CUSTOMERS)]
    pd.DataFrame({"no": ids, "sex": genders, "age": ages, "plan": "a"}).to_parquet(folder / "people.parquet")
    return folder


def write_config(folder: Path, **more: str) -> Path:
    config = shops.write_config(folder, **more)
    people = "{path: people.parquet, columns: {customer_id: 'no'}, attributes: [plan], protected: [{gender: sex}, age]}"
    config.write_text(config.read_text().replace("features:", f"  customers: {people}\nfeatures:"))
    return config


@pytest.fixture(scope="module")
def output(spark, folder: Path) -> Path:
    runs.run(write_config(folder, extra=GRID), spark=spark)
    return folder / "out"


def test_scores_are_those_of_the_stored_cut_points_and_cells_add_up(output):
    people = published(output, "assignments")
    learnt = json.loads((output / "models" / "v0001" / "rfm_grid.json").read_text())
    cuts = cuts_of(learnt, 5)
    for feature, column in zip(RFM_FEATURES, RFM_COLUMNS, strict=False):
        expected = score(feature, np.asarray(people[feature], dtype=np.float64), cuts[feature])
        assert people[column].tolist() == expected.tolist()
    recent = people.sort_values("recency_days")["rfm_recency_score"]
    assert (recent.iloc[0], recent.iloc[-1]) == (5, 1)
    cells = published(output, "rfm_cells").set_index("cell")
    assert people["rfm_cell"].value_counts().to_dict() == {k: v for k, v in cells["customers"].items() if v}
    assert cells["share"].sum() == pytest.approx(1)
    assert cells["revenue"].sum() == people["revenue"].sum()
    assert sum(len(codes.split()) for codes in cells["codes"]) == 125
    champions = people[people["rfm_cell"] == "Champions"]
    assert (champions[list(RFM_COLUMNS[:3])] >= 4).all().all()


def test_another_number_of_bins_needs_no_new_model(spark, folder, output):
    summary = runs.run(
        write_config(folder, extra="rfm_grid: {bins: 3, cells: {top: r=3 f=3, rest: 'r=1-2, r=3 f=1-2'}}\n"),
        spark=spark,
    )
    assert not summary.trained
    assert published(output, "assignments")["rfm_monetary_score"].max() == 3
    assert set(published(output, "rfm_cells")["cell"]) == {"top", "rest"}


def test_the_mix_of_protected_attributes_is_that_of_pandas_and_hides_small_cells(output):
    mix = published(output, "protected_mix")
    people = published(output, "assignments").merge(published(output, "customers")[["customer_key", "customer_id"]])
    people["gender"] = np.where(people["customer_id"] >= f"C{CUSTOMERS - 4:05d}", "(other)", "f")
    odd = people["customer_id"].str[1:].astype(int) % 2 == 1
    people.loc[odd & (people["gender"] == "f"), "gender"] = "m"
    counts = people.groupby(["segment_key", "gender"]).size()
    genders = mix[mix["attribute"] == "gender"]
    assert set(genders["value"]) == {"f", "m", "(other)"}
    told = genders[genders["customers"].notna()].set_index(["segment_key", "value"])["customers"]
    assert len(told) >= 2
    for key, customers in told.items():
        assert customers == counts.get(key, 0)
        assert customers >= SMALLEST_CELL or customers == 0
    assert (mix.groupby("attribute")["cramers_v"].nunique(dropna=False) == 1).all()
    assert mix["cramers_v"].between(0, 1).all()
    ages = mix[mix["attribute"] == "age"]
    assert {"(missing)"} < set(ages["value"])
    assert any(value.startswith("over ") for value in ages["value"])
    assert mix["overall_share"].max() < 0.6


def test_protected_attributes_are_in_no_table_customer_by_customer(output):
    for table in ("assignments", "customers"):
        assert not {"gender", "age", "sex"} & set(published(output, table).columns)
    assert "plan" in published(output, "customers").columns


def test_without_grid_and_protected_attributes_both_tables_are_empty_in_parquet_and_delta(spark, folder):
    runs.run(shops.write_config(folder, output="plain"), spark=spark)
    assert not len(published(folder / "plain", "rfm_cells"))
    assert published(folder / "plain", "assignments")[list(RFM_COLUMNS)].isna().all().all()
    file = shops.write_config(folder, output="delta", output_format="delta")
    for _ in range(2):
        runs.run(file, spark=spark)
    from segengine.config import load

    for table in ("rfm_cells", "protected_mix"):
        assert read_current(spark, load(file).output, table).count() == 0
