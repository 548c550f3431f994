"""Runs and models on an MLflow server: a database file, and a server that has less than MLflow's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segengine.io.files import LocalStore
from segengine.mlops import tracking
from segengine.model import bundle
from segengine.model.bundle import canonical_json
from tests.pure.configs import config
from tests.pure.fake_mlflow import serving
from tests.pure.online_bundles import customers, described, preparation, scorer, write_bundle
from tests.pure.test_mlops_facts import DECISION
from tests.pure.test_redaction import PLANTED, SECRETS

pytest.importorskip("mlflow", reason="MLflow is not installed; make setup WITH=mlflow installs it")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's and its database tool's own

MODEL = described(preparation())


def bundles(folder: Path, *versions: str) -> LocalStore:
    """An output with these versions, the last of them champion."""
    for version in versions:
        write_bundle(folder, MODEL, version, k_decision=DECISION)
    return LocalStore(str(folder))


def champion(store: LocalStore, version: str) -> None:
    digest = store.sha256(f"models/{version}/manifest.json")
    record = {"version": version, "manifest_sha256": digest}
    store.write_atomic("models/champion.json", canonical_json(record))


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Two versions tracked in a database file, made from tables with secrets in their places: configuration, store,
    client, runs."""
    import mlflow

    folder = tmp_path_factory.mktemp("tracked")
    told = config(tracking={"uri": f"sqlite:///{folder}/out/mlflow.db"})
    store = bundles(folder / "shop", "v0001", "v0002")
    told._secrets["s3cr3t-value"] = "${env:KEY}"
    inputs = [{"name": "transactions", "location": text, "warnings": [text]} for text in SECRETS.values()]
    inputs.append({"name": "customers", "location": "s3a://lake?x=s3cr3t-value"})
    runs = [tracking.track(told, store, version, inputs=inputs, seconds=2.0) for version in ("v0001", "v0002")]
    client = mlflow.MlflowClient(tracking_uri=told.tracking.uri, registry_uri=told.tracking.uri)
    return told, store, client, runs


def test_a_run_has_parameters_metrics_by_k_the_decision_and_plots(tracked):
    _, _, client, (one, _) = tracked
    run = client.get_run(one.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "v0001")
    assert run.info.end_time - run.info.start_time >= 2000
    assert run.data.params["k"] == "5"
    by_k = client.get_metric_history(one.run_id, "k.macro_silhouette")
    assert [(metric.step, round(metric.value, 3)) for metric in by_k] == [(3, 0.34), (4, 0.32), (5, 0.3), (6, 0.28)]
    paths = {item.path for item in client.list_artifacts(one.run_id)}
    assert {"k_decision.json", "config.json", "plots", "scorer", "spark"} <= paths


def load(told, name: str):
    """A registered model, as its users load it."""
    import mlflow

    mlflow.set_tracking_uri(told.tracking.uri)
    return mlflow.pyfunc.load_model(f"models:/{name}@champion")


def test_the_registered_scorer_scores_as_the_scorer_does(tracked):
    told, _, _, (_, two) = tracked
    model = load(told, "shop")
    assert model.metadata.run_id == two.run_id
    frame = customers(300)
    expected, got = pd.DataFrame(scorer(MODEL).score(frame)), model.predict(frame)
    pd.testing.assert_frame_equal(got, expected)


def test_its_signature_names_every_feature_and_its_example_is_no_customer(tracked):
    model = load(tracked[0], "shop").metadata
    assert model.signature.inputs.input_names() == list(scorer(MODEL).columns)
    assert [str(kind) for kind in model.signature.inputs.input_types()[-1:]] == ["DataType.string"]
    assert "segment_key" in model.signature.outputs.input_names()
    assert model.saved_input_example_info["type"] == "dataframe"


def test_both_models_have_a_signature_and_the_same_example_of_a_customer_who_does_not_exist(tracked):
    from mlflow.models import Model

    _, _, client, (one, _) = tracked
    folder = Path(client.get_run(one.run_id).info.artifact_uri.removeprefix("file://"))
    examples = []
    for name in ("scorer", "spark"):
        model = Model.load(str(folder / name))
        examples.append(model.load_input_example(str(folder / name)))
        assert model.signature.inputs.input_names() == list(examples[-1].columns)
        assert len(examples[-1]) == 1
    pd.testing.assert_frame_equal(*examples)
    assert model.signature.outputs.input_names() == ["prediction"]


def test_eight_planted_secrets_get_through_to_nothing_that_the_server_holds(tracked):
    folder = Path(tracked[0].tracking.uri.removeprefix("sqlite:///")).parent
    written = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert {"inputs.json", "mlflow.db"} <= {file.name for file in written}
    assert any(b"(redacted)" in data for data in written.values())
    for secret in (*PLANTED, "s3cr3t-value"):
        assert [str(file) for file, data in written.items() if secret.encode() in data] == []


def test_what_is_wrong_with_a_row_is_told_as_we_tell_it(tracked):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="1 of the model's features is missing") as caught:
        load(tracked[0], "shop").predict(customers(2).drop(columns="plan"))
    assert caught.value.get_http_status_code() == 400


def test_nothing_is_pickled_and_no_path_of_this_machine_is_told(tracked):
    told, store, client, (one, _) = tracked
    folder = Path(client.get_run(one.run_id).info.artifact_uri.removeprefix("file://"))
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 100
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".pyc", ".joblib")]
    for file in files:
        if "code" not in file.relative_to(folder).parts:
            assert store.root not in file.read_text(encoding="utf-8"), file
            assert str(Path(__file__).parents[2]) not in file.read_text(encoding="utf-8"), file
    assert json.loads((folder / "config.json").read_bytes())["name"] == told.name


def test_the_pipeline_is_the_bundles_own_byte_for_byte(tracked):
    _, store, client, (one, _) = tracked
    folder = Path(client.get_run(one.run_id).info.artifact_uri.removeprefix("file://"))
    for name in bundle.manifest(store, "v0001")["files"]:
        if name.startswith("pipeline/"):
            logged = folder / "spark" / "sparkml" / name.removeprefix("pipeline/")
            assert logged.read_bytes() == store.read_bytes(f"models/v0001/{name}")


def versions_of(client, name: str) -> dict[str, str]:
    """Our version -> whether it is said to be champion."""
    found = client.search_model_versions(f"name='{name}'")
    return {one.tags["segengine.model_version"]: one.tags["segengine.champion"] for one in found}


def test_alias_and_tags_repeat_our_own_pointer_and_follow_it(tracked):
    told, store, client, _ = tracked
    try:
        for chosen in ("v0001", "v0002", "v0001"):
            champion(store, chosen)
            tracking.mirror(told, store)
            for name in ("shop", "shop-spark"):
                assert versions_of(client, name) == {v: str(v == chosen).lower() for v in ("v0001", "v0002")}
                assert client.get_model_version_by_alias(name, "champion").tags["segengine.model_version"] == chosen
    finally:
        champion(store, "v0002")
        tracking.mirror(told, store)


def test_an_altered_version_is_not_tracked(tmp_path):
    from segengine.errors import BundleError

    store = bundles(tmp_path / "shop", "v0001")
    store.write_atomic("models/v0001/scorer.json", b"{}")
    with pytest.raises(BundleError):
        tracking.track(config(tracking={"uri": f"sqlite:///{tmp_path}/mlflow.db"}), store, "v0001")


@pytest.mark.parametrize("json_errors", [True, False])
def test_a_server_without_logged_models_and_aliases_is_told_by_runs_artifacts_and_tags(tmp_path, json_errors):
    store = bundles(tmp_path / "shop", "v0001", "v0002")
    with serving(tmp_path / "artifacts", json_errors=json_errors) as (address, registry):
        told = config(tracking={"uri": address, "experiment": "nightly", "registered_model": "segments"})
        one = tracking.track(told, store, "v0001")
        two = tracking.track(told, store, "v0002")
        assert [r["info"]["status"] for r in registry.runs.values()] == ["FINISHED", "FINISHED"]
        assert list(registry.experiments) == ["nightly"]
        assert one.versions == (("segments", "1"), ("segments-spark", "1"))
        assert two.versions == (("segments", "2"), ("segments-spark", "2"))
        by_version = {
            next(t["value"] for t in v["tags"] if t["key"] == "segengine.model_version"): {
                t["key"]: t["value"] for t in v["tags"]
            }
            for v in registry.models["segments"]
        }
        assert by_version["v0001"]["segengine.champion"] == "false"
        assert by_version["v0002"]["segengine.champion"] == "true"
    assert not [call for call in registry.asked if "logged-models" in call]
    assert {call for call in registry.refused if "alias" in call} == {"registered-models/alias"}
    sources = [v["source"] for v in registry.models["segments"]]
    assert all((Path(s.removeprefix("file://")) / "MLmodel").is_file() for s in sources)
    logged = Path(sources[0].removeprefix("file://")) / "artifacts" / "v0001" / "scorer.json"
    assert np.array_equal(json.loads(logged.read_bytes())["centres"], MODEL["centres"])


def test_a_server_that_is_gone_costs_a_note_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = bundles(tmp_path / "shop", "v0001")
    with serving(tmp_path / "artifacts") as (address, _):
        told = config(tracking={"uri": address})
    note = tracking.noted(told, "tracking v0001", lambda: tracking.track(told, store, "v0001"))
    assert "tracking v0001 failed" in (note or "")
    assert bundle.champion(store) == "v0001"
