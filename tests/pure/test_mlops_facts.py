"""What a tracking server is told of a model, and how the server is configured: without MLflow."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET

import pytest

from segengine.errors import ConfigError
from segengine.mlops import tracking
from segengine.mlops.facts import LONGEST, code_sha256, data_sha256, tracked_facts
from segengine.mlops.packages import example_row, input_types
from segengine.mlops.plots import k_plot, segments_plot
from segengine.model.history import recipe_fingerprint
from segengine.model.scorer import scorer_facts
from tests.pure.configs import config, refused
from tests.pure.online_bundles import GROUPING, described, preparation

FITTED = preparation()
MODEL = described(FITTED)
CANDIDATES = [
    {"k": k, "verdict": "chosen" if k == 5 else "refused", "reason": "because", "macro_silhouette": 0.4 - k / 50}
    | {"micro_silhouette": None, "inertia": 10.0 / k, "smallest_share": 0.1, "largest_share": 0.5}
    for k in (3, 4, 5, 6)
]
DECISION = {"k": 5, "rule": "the best", "sentence": "5 segments.", "candidates": CANDIDATES}
MANIFEST = {
    "version": "v0003",
    "features": ["recency_days"],
    "k": 5,
    "groups": None,
    "spark_version": "4.2.0",
    "as_of": "2024-01-01T00:00:00+00:00",
    "why": "asked for",
    "decision": "5 segments.",
    "measures": {"customers": 600, "inertia": 12.5, "macro_silhouette": None, "davies_bouldin": float("nan")},
    "files": {"model.json": {}, "k_decision.json": {}, "gates.json": {}, "model_card.md": {}},
}
GATES = {"verdict": "passed", "gates": [{"gate": "stability", "value": 0.8}, {"gate": "moved", "value": None}]}
INPUTS = [{"name": "transactions", "location": "/somewhere", "fingerprint": "ab", "files": 3, "size_bytes": 10}]


def facts(**changes):
    files = {"model.json": MODEL, "k_decision.json": DECISION, "gates.json": GATES}
    contents = {name: json.dumps(data).encode() for name, data in files.items()} | {"model_card.md": b"# Card"}
    return tracked_facts(config(tracking={"uri": "http://host"}), {**MANIFEST, **changes}, contents.__getitem__, INPUTS)


def test_parameters_metrics_and_metrics_by_k_are_of_the_bundle():
    told = facts()
    assert told.params["k"] == "5"
    assert told.params["segments.k"] == "[3, 10]"
    assert told.params["features"] == "recency_days"
    assert told.metrics == {"customers": 600.0, "inertia": 12.5, "segments": 5.0, "gate.stability": 0.8}
    assert sorted(told.by_k) == [3, 4, 5, 6]
    assert told.by_k[5] == {
        "macro_silhouette": pytest.approx(0.3), "inertia": 2.0, "smallest_share": 0.1, "largest_share": 0.5,
    }  # fmt: skip


def test_tags_say_which_data_code_configuration_and_decision():
    told = facts(verdict="passed").tags
    assert told["segengine.model_version"] == "v0003"
    assert told["segengine.k_decision"] == "5 segments."
    assert told["segengine.verdict"] == "passed"
    assert told["segengine.data_sha256"] == data_sha256(INPUTS)
    assert told["segengine.code_sha256"] == code_sha256()
    assert len(told["segengine.config_sha256"]) == 64


def test_the_fingerprint_of_the_data_is_of_what_was_read_and_not_of_where_it_lies():
    assert data_sha256([{**INPUTS[0], "location": "/elsewhere"}]) == data_sha256(INPUTS)
    assert data_sha256([{**INPUTS[0], "fingerprint": "cd"}]) != data_sha256(INPUTS)


def test_texts_are_the_cards_the_decision_the_configuration_and_plots():
    told = facts().texts
    assert set(told) == {
        "k_decision.json", "gates.json", "model_card.md", "config.json", "inputs.json", "plots/k.svg",
        "plots/segments.svg",
    }  # fmt: skip
    assert json.loads(told["config.json"])["tracking"]["uri"] == "http://host"


def test_what_is_long_is_cut_to_what_every_server_takes():
    told = facts(features=[f"feature_{i}" for i in range(200)], why="x" * 2000)
    assert len(told.params["features"]) == LONGEST == len(told.tags["segengine.why_trained"])


def test_plots_are_whole_svg_whatever_the_names_and_numbers():
    names = ["S-001 <b>&", "S-002 \x1b[31m", "x" * 200, *(f"s{i}" for i in range(100))]
    for text in (
        k_plot(CANDIDATES),
        k_plot([{**CANDIDATES[0], "macro_silhouette": None}]),
        k_plot([{**CANDIDATES[0], "macro_silhouette": -0.5}]),
        segments_plot(names, [3] * len(names)),
        segments_plot([], []),
    ):
        root = ET.fromstring(text)
        assert root.tag.endswith("svg")
    assert "and 43 more" in segments_plot(names, [3] * len(names))


def test_the_example_is_a_customer_that_does_not_exist_with_every_column():
    grouped = scorer_facts(described(FITTED, grouping=GROUPING))
    row = example_row(grouped)
    assert list(row) == list(input_types(grouped)) == [*(i["name"] for i in grouped["inputs"]), "country"]
    assert row["recency_days"] == FITTED.inputs[0].impute
    assert (row["plan"], row["country"]) == ("basic", "FR")
    assert input_types(grouped)["plan"] == "string"


def test_a_file_of_the_server_lies_where_the_configuration_lies():
    assert config(tracking={"uri": "sqlite:///out/mlflow.db"}).tracking.uri == "sqlite:////shop/out/mlflow.db"
    assert config(tracking={"uri": "sqlite:////else/m.db"}).tracking.uri == "sqlite:////else/m.db"
    assert config(tracking={}).tracking.uri == "sqlite:////shop/mlflow.db"  # unless another server is named
    assert config(tracking={"uri": "databricks"}).tracking.uri == "databricks"
    assert config().tracking is None
    names = tracking.registered_names(config(tracking={"uri": "http://host"}))
    assert names == {"scorer": "shop", "spark": "shop-spark"}
    assert tracking.registered_names(config(tracking={"uri": "http://h", "registered_model": "m"}))["scorer"] == "m"


def test_tracking_is_no_reason_to_train_anew():
    assert recipe_fingerprint(config(tracking={"uri": "http://host"})) == recipe_fingerprint(config())


@pytest.mark.parametrize("uri", ["mlruns", "file:///mlruns", "ftp://host", "/tmp/mlruns"])
def test_folders_and_strange_servers_are_refused(uri):
    assert "tracking.uri names no MLflow server" in refused(tracking={"uri": uri})


def test_a_password_comes_from_the_environment():
    assert "holds a password" in refused(tracking={"uri": "postgresql://me:hidden@host/db"})
    assert "hidden" not in refused(tracking={"uri": "postgresql://me:hidden@host/db"})
    import yaml

    from segengine.config import parse
    from tests.pure.configs import FOLDER, MINIMAL

    text = yaml.safe_dump({**MINIMAL, "tracking": {"uri": "postgresql://me:${env:PW}@host/db"}})
    loaded = parse(text, folder=FOLDER, environ={"PW": "sesame-17"})
    assert loaded.tracking.uri == "postgresql://me:sesame-17@host/db"
    assert "sesame-17" not in str(loaded.model_dump(mode="json"))
    assert loaded.redact("at me:sesame-17@host") == "at me:${env:PW}@host"


def test_without_mlflow_it_is_told_before_any_work_is_done(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    tracking.require(config())
    with pytest.raises(ConfigError, match="MLflow is not installed") as caught:
        tracking.require(config(tracking={"uri": "http://host"}))
    assert "make setup WITH=mlflow" in str(caught.value)


def test_what_goes_wrong_on_the_server_is_a_note_without_secrets():
    def fails() -> None:
        raise OSError("no route\nto host")

    assert tracking.noted(config(), "tracking v0001", fails) is None
    note = tracking.noted(config(tracking={"uri": "http://host"}), "tracking v0001", fails)
    assert "MLflow: tracking v0001 failed (OSError: no route)" in (note or "")
