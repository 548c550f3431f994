"""A saved model: the same after loading, loadable without this package, refused when altered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap

import numpy as np
import pytest

from segengine.errors import BundleError
from segengine.io.files import LocalStore
from segengine.model import bundle
from segengine.model.staged import stage_pipeline
from segengine.scoring.batch import score
from tests.models import train
from tests.spark.model_customers import as_rows, chosen, config, shop


@pytest.fixture(scope="module")
def rows(spark):
    return as_rows(spark, shop()).persist()


@pytest.fixture(scope="module")
def model(spark, rows):
    return train(rows, chosen(), config(k=(3, 5)), seed=7)


@pytest.fixture
def store(tmp_path, model):
    store = LocalStore(str(tmp_path))
    bundle.save(model, store, version="v0001", manifest_extra={"run_id": "r1"})
    return store


def test_a_loaded_model_is_the_saved_one(spark, rows, model, store):
    loaded = bundle.load(store, "v0001", spark, features=[feature.name for feature in model.features])
    assert (loaded.version, loaded.manifest["run_id"]) == ("v0001", "r1")
    assert np.array_equal(loaded.centres, model.centres)
    assert np.array_equal(loaded.outlier_limits, model.outlier_limits)
    for name in ("features", "preparation", "centres_original", "names", "sizes", "decision", "metrics", "seed"):
        assert getattr(loaded, name) == getattr(model, name)
    before, after = (score(rows, m).orderBy("customer_id").collect() for m in (model, loaded))
    assert before == after


def test_saving_twice_gives_the_same_description_and_no_version_is_overwritten(model, store):
    again = bundle.save(model, store, version="v0002", manifest_extra={"run_id": "r1"})
    first = bundle.manifest(store, "v0001")
    for path in ("model.json", "k_decision.json"):
        assert again["files"][path] == first["files"][path]
    with pytest.raises(BundleError, match="v0001 exists already"):
        bundle.save(model, store, version="v0001", manifest_extra={})
    assert bundle.verify(store, "v0001") == first


def test_what_a_crash_left_is_overwritten(model, store):
    store.write_atomic("models/staging-v0002/pipeline/stages/9/leftover", b"x")
    assert bundle.next_version(store) == "v0002"
    manifest = bundle.save(model, store, version="v0002", manifest_extra={})
    assert not any("leftover" in path for path in manifest["files"])
    assert bundle.versions(store) == ["v0001", "v0002"]


def test_a_pipeline_that_was_written_ahead_becomes_part_of_the_version(spark, rows, model, store):
    store.write_atomic("models/staging-v0002/leftover", b"x")
    stage_pipeline(model, store, "v0002")
    assert bundle.versions(store) == ["v0001"], "what is staged is no version"
    manifest = bundle.save(model, store, version="v0002", manifest_extra={}, staged=True)
    first = bundle.manifest(store, "v0001")["files"]
    stable = {path for path in first if not path.startswith("pipeline/")}
    assert {path: manifest["files"][path] for path in stable} == {path: first[path] for path in stable}
    assert "leftover" not in manifest["files"]
    loaded = bundle.load(store, "v0002", spark)
    before, after = (score(rows, m).orderBy("customer_id").collect() for m in (model, loaded))
    assert before == after


PLAIN_PYSPARK = """
    import importlib.util, json, sys
    assert importlib.util.find_spec("segengine") is None
    from pyspark.ml import PipelineModel
    from pyspark.sql import SparkSession
    spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
             .config("spark.sql.shuffle.partitions", "1").getOrCreate())
    model = PipelineModel.load(sys.argv[1])
    rows = spark.read.parquet(sys.argv[2])
    rows = model.transform(rows).select("customer_id", "prediction").collect()
    print("RESULT" + json.dumps({row[0]: row[1] for row in rows}))
    spark.stop()
"""


def without_the_package(script: str, pipeline: str, folder) -> dict[str, int]:
    """customer_id -> prediction of the rows in `folder`/rows, by plain PySpark."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYSPARK", "SPARK"))
    }
    done = subprocess.run(
        # -S: no .pth file is followed, so that the package installed in place is not found; the others are.
        [sys.executable, "-S", "-P", "-c", textwrap.dedent(script), pipeline, str(folder / "rows")],
        cwd=folder,
        env={**environment, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    predicted: dict[str, int] = json.loads(answer.removeprefix("RESULT"))
    return predicted


def test_plain_pyspark_loads_and_runs_the_pipeline_where_segengine_is_not(spark, rows, model, store, tmp_path):
    rows.repartition(2).write.parquet(str(tmp_path / "rows"))
    answer = without_the_package(PLAIN_PYSPARK, store.uri("models/v0001/pipeline"), tmp_path)
    here = model.pipeline.transform(rows).select("customer_id", "prediction").collect()
    assert answer == {row["customer_id"]: row["prediction"] for row in here}


def test_every_file_counts(spark, store):
    """One flipped bit in any file of a real bundle is found before Spark reads it."""
    for path in bundle.manifest(store, "v0001")["files"]:
        rel = f"models/v0001/{path}"
        content = store.read_bytes(rel)
        store.write_atomic(rel, bytes([content[0] ^ 1]) + content[1:] if content else b"x")
        with pytest.raises(BundleError):
            bundle.load(store, "v0001", spark)
        store.write_atomic(rel, content)
    assert bundle.verify(store, "v0001")


def rewrite(store, path: str, content: bytes, **changes: object) -> None:
    """Replace a file, and the manifest so that it fits."""
    store.write_atomic(f"models/v0001/{path}", content)
    manifest = bundle.manifest(store, "v0001") | changes
    manifest["files"][path] = {"bytes": len(content), "sha256": store.sha256(f"models/v0001/{path}")}
    store.write_atomic("models/v0001/manifest.json", bundle.canonical_json(manifest))


def test_a_stage_that_is_not_sparks_own_is_refused_even_with_fitting_hashes(spark, store):
    path = next(p for p in bundle.manifest(store, "v0001")["files"] if "stages/0_" in p and "metadata/part-" in p)
    data = json.loads(store.read_bytes(f"models/v0001/{path}"))
    rewrite(store, path, json.dumps({**data, "class": "java.lang.ProcessBuilder"}).encode())
    with pytest.raises(BundleError, match="not as it was saved") as caught:
        bundle.load(store, "v0001", spark)
    assert "java.lang.ProcessBuilder" in str(caught.value)


def test_centres_that_disagree_with_the_pipeline_are_refused(spark, store):
    data = json.loads(store.read_bytes("models/v0001/model.json"))
    data["centres"].reverse()
    rewrite(store, "model.json", bundle.canonical_json(data))
    with pytest.raises(BundleError) as caught:
        bundle.load(store, "v0001", spark)
    assert "other centres" in str(caught.value)


def test_a_model_of_a_newer_spark_is_refused_and_of_an_older_one_not(spark, store):
    content = store.read_bytes("models/v0001/model.json")
    rewrite(store, "model.json", content, spark_version="3.5.0")
    bundle.load(store, "v0001", spark)
    rewrite(store, "model.json", content, spark_version="9.1.0")
    with pytest.raises(BundleError, match="newer Spark"):
        bundle.load(store, "v0001", spark)


def test_a_model_saved_before_there_were_groups_loads(spark, model, store):
    data = json.loads(store.read_bytes("models/v0001/model.json"))
    assert "grouping" not in data
    manifest = bundle.manifest(store, "v0001")
    assert manifest.pop("groups") is None
    store.write_atomic("models/v0001/manifest.json", bundle.canonical_json(manifest))
    loaded = bundle.load(store, "v0001", spark)
    assert (loaded.grouping, loaded.notes, loaded.group_of(0)) == (None, (), None)
    assert np.array_equal(loaded.centres, model.centres)


def test_no_machine_path_and_no_customer_is_in_the_bundle(store, tmp_path):
    for path in ("model.json", "k_decision.json", "manifest.json"):
        text = store.read_bytes(f"models/v0001/{path}").decode()
        assert str(tmp_path) not in text
        assert "c00001" not in text
