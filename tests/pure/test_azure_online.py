"""What the online endpoint runs, started as Azure starts it but for the container."""

from __future__ import annotations

import importlib.util
import json
import shutil
from types import ModuleType

import pytest

from tests.azureml import SOURCE
from tests.pure import online_bundles


@pytest.fixture
def endpoint(tmp_path, monkeypatch) -> ModuleType:
    """score.py after `init`, with a model folder as Azure lays it: a folder of any name around the version."""
    model = online_bundles.described(online_bundles.preparation())
    folder = online_bundles.write_bundle(tmp_path, model) / "models" / "v0001"
    shutil.copytree(folder, tmp_path / "model" / "INPUT_champion" / folder.name)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "model"))
    spec = importlib.util.spec_from_file_location("score", SOURCE / "online" / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.init()
    return module


def test_customers_are_answered_as_the_scorer_answers_them(endpoint):
    asked = online_bundles.customers(3).where(lambda frame: frame.notna(), None).to_dict("records")
    answer = endpoint.run(json.dumps({"customers": asked}))
    assert answer["customers"] == [endpoint.scorer.score(one) for one in asked]
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("asked", ["", "[]", "{}", '{"customers": 1}', '{"customers": [{}]}', '{"customers": [1]}'])
def test_a_wrong_question_is_an_answer_not_a_crash(endpoint, asked):
    assert set(endpoint.run(asked)) == {"error"}


def test_too_many_customers_at_once_are_refused(endpoint):
    assert "at most 1000" in endpoint.run(json.dumps({"customers": [{}] * 1001}))["error"]
