"""Models on an MLflow server: pipeline and scorer give what batch scoring gives, served on loopback too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segengine import runs
from segengine.config import load
from segengine.io.files import LocalStore
from segengine.mlops import tracking
from segengine.model import bundle
from segengine.scoring.batch import score
from tests import shops
from tests.models import train
from tests.pure.configs import config as plain_config
from tests.servers import free_port
from tests.spark.model_customers import as_rows, chosen, config, shop

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed; make setup WITH=mlflow installs it")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # MLflow's and its database tool's own
    pytest.mark.filterwarnings("ignore::UserWarning"),  # likewise
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # likewise
]
CUSTOMERS = 1000


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    return shop(CUSTOMERS)


@pytest.fixture(scope="module")
def batch(spark, customers):
    """A trained model and the scores of all customers, by batch."""
    rows = as_rows(spark, customers).persist()
    model = train(rows, chosen(), config(k=4), seed=7)
    scored = score(rows, model).toPandas().set_index("customer_id").loc[customers["customer_id"]]
    return model, scored.reset_index()


@pytest.fixture(scope="module")
def server(batch, tmp_path_factory):
    """The address of a server's database that the model was tracked in."""
    folder = tmp_path_factory.mktemp("mlflow")
    store = LocalStore(str(folder / "shop"))
    manifest = {"created_at": "2024-01-01T00:00:00+00:00", "as_of": "2024-01-01T00:00:00+00:00"}
    bundle.save(batch[0], store, version="v0001", manifest_extra=manifest)
    digest = store.sha256("models/v0001/manifest.json")
    store.write_atomic(bundle.CHAMPION, json.dumps({"version": "v0001", "manifest_sha256": digest}).encode())
    told = plain_config(tracking={"uri": f"sqlite:///{folder}/mlflow.db"})
    tracking.track(told, store, "v0001")
    return told.tracking.uri


def features(customers: pd.DataFrame) -> pd.DataFrame:
    return customers[[feature.name for feature in chosen().features]]


def test_the_registered_spark_pipeline_predicts_as_batch_scoring_does(spark, customers, batch, server, tmp_path):
    mlflow.set_tracking_uri(server)
    pipeline = mlflow.spark.load_model("models:/shop-spark@champion", dfs_tmpdir=str(tmp_path))
    found = pipeline.transform(as_rows(spark, customers)).select("customer_id", "prediction").toPandas()
    found = found.set_index("customer_id").loc[customers["customer_id"], "prediction"]
    assert np.array_equal(found, batch[1]["segment_index"])
    loaded = mlflow.pyfunc.load_model("models:/shop-spark@champion")
    assert np.array_equal(loaded.predict(features(customers)), batch[1]["segment_index"])


def test_the_example_of_a_registered_model_is_no_customers_row(customers, server):
    mlflow.set_tracking_uri(server)
    info = mlflow.models.get_model_info("models:/shop@champion")
    folder = mlflow.artifacts.download_artifacts(info.model_uri)
    (example,) = mlflow.models.Model.load(folder).load_input_example(folder).to_dict("records")
    rows = features(customers)
    assert not np.logical_and.reduce([rows[name] == value for name, value in example.items()]).any()


def post(port: int, payload: object) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def served(server, tmp_path_factory):
    """The port of `mlflow models serve`, on loopback."""
    port, here = free_port(), str(Path(sys.executable).parent)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": server, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}  # it looks for uvicorn there
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/shop@champion"]
    log = tmp_path_factory.mktemp("served") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)],
            env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def payload(customers: pd.DataFrame) -> dict[str, Any]:
    return {
        "dataframe_split": json.loads(features(customers).to_json(orient="split", index=False, double_precision=15))
    }


def test_the_served_scorer_answers_for_a_thousand_customers_as_the_batch_job_does(customers, batch, served):
    status, answer = post(served, payload(customers))
    assert status == 200
    got, expected = pd.DataFrame(answer["predictions"]), batch[1]
    assert len(got) == CUSTOMERS
    assert np.array_equal(got["segment_index"], expected["segment_index"])
    assert np.array_equal(got["segment_key"], expected["segment_index"] + 1)
    assert np.array_equal(got["runner_up_key"], expected["runner_up_index"] + 1)
    assert np.array_equal(got["is_outlier"], expected["is_outlier"])
    assert np.abs(got["distance"] - expected["distance"]).max() <= 1e-9
    assert np.abs(got["margin"] - expected["margin"]).max() <= 1e-9


def test_a_bad_payload_gets_400_with_what_is_wrong_in_our_words(served):
    status, answer = post(served, {"dataframe_records": [{"recency_day": 3.0}]})
    assert status == 400
    assert "5 of the model's features are missing" in answer["message"]
    assert post(served, {"dataframe_records": [{"recency_days": "soon"}]})[0] == 400
    assert post(served, {"nothing": 1})[0] == 400


def test_a_training_run_is_tracked_and_a_rollback_is_repeated_on_the_server(spark, tmp_path):
    shops.write_parquet(shops.lines(customers=200), tmp_path / "lines")
    file = shops.write_config(tmp_path, extra="tracking: {uri: sqlite:///out/mlflow.db}\n")
    told = load(file)
    first = runs.train(file, spark=spark)
    assert not [warning for warning in first.warnings if "MLflow" in warning]
    runs.train(file, spark=spark, provisional=True)
    client = mlflow.MlflowClient(tracking_uri=told.tracking.uri, registry_uri=told.tracking.uri)
    experiment = client.get_experiment_by_name("test-shop")
    tracked = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(tracked) == ["v0001", "v0002"]
    run = tracked["v0001"]
    assert run.data.metrics["customers"] == 200
    assert len(run.data.tags["segengine.data_sha256"]) == 64
    assert run.data.tags["segengine.verdict"] in ("passed", "warned", "refused")
    paths = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"model_card.md", "gates.json", "k_decision.json", "inputs.json", "plots", "scorer", "spark"} <= paths

    def champion() -> str:
        return str(client.get_model_version_by_alias("test-shop", "champion").tags["segengine.model_version"])

    assert champion() == bundle.champion(LocalStore(told.output.path)) == "v0002"
    runs.rollback(file)
    assert champion() == bundle.champion(LocalStore(told.output.path)) == "v0001"


def test_a_server_that_cannot_be_reached_costs_a_note(spark, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shops.write_parquet(shops.lines(customers=120), tmp_path / "lines")
    extra = f"tracking: {{uri: 'http://127.0.0.1:{free_port()}'}}\n"
    summary = runs.run(shops.write_config(tmp_path, extra=extra), spark=spark)
    assert summary.publication_id
    assert [warning for warning in summary.warnings if "MLflow: tracking v0001 failed" in warning]
