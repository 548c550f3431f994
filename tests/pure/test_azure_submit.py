"""What is sent to a workspace: recorded by a client that sends nothing, in the environment that has azure-ai-ml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from segengine.errors import ConfigError
from segengine.mlops.azure.render import render
from segengine.mlops.azure.sdk import is_called_for
from tests.azureml import REPOSITORY, SOURCE, azureml_python, in_azureml

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
SEND = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from segengine.mlops.azure import sdk
sent = []
class Collection:
    def __init__(self, name): self.name = name
    def create_or_update(self, entity):
        sent.append([self.name, entity.name])
        self.last = entity
        return SimpleNamespace(name="job-1")
ml = SimpleNamespace(**{n: Collection(n) for n in ("datastores", "environments", "data", "components", "schedules",
    "jobs", "batch_endpoints", "batch_deployments", "online_endpoints", "online_deployments")})
folder, approval = map(Path, sys.argv[1:])
files = sdk.register(folder, ml, schedules=True, endpoints=True)
registered, sent = sent, []
name = sdk.submit(folder, "training", {"register.approval": approval, "train.as_of": "2024-01-01"}, ml)
job = ml.jobs.last
print(json.dumps({"files": files, "registered": registered, "job": name, "valid": job._validate().passed,
    "as_of": job.jobs["train"].inputs.as_of._data, "approval": str(job.jobs["register"].inputs.approval._data.path),
    "settings": job.settings.force_rerun}))
"""


def test_everything_is_registered_in_an_order_that_finds_what_it_names_and_a_job_gets_what_it_was_given(tmp_path):
    render(SOURCE, "dev", tmp_path / "made")
    (tmp_path / "approval.json").write_text("{}")
    done = in_azureml("-c", SEND, tmp_path / "made", tmp_path / "approval.json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kinds = list(dict.fromkeys(kind for kind, _ in told["registered"]))
    assert kinds[:5] == ["datastores", "environments", "data", "components", "schedules"]
    assert set(kinds) >= {"batch_endpoints", "batch_deployments", "online_endpoints", "online_deployments"}
    assert ["components", "segengine_train"] in told["registered"]
    assert (told["job"], told["valid"], told["as_of"], told["settings"]) == ("job-1", True, "2024-01-01", True)
    assert told["approval"] == str(tmp_path / "approval.json")


def test_without_azure_ai_ml_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    import sys

    from segengine.errors import InfrastructureError
    from segengine.mlops.azure.sdk import loader_of

    monkeypatch.setitem(sys.modules, "azure.ai.ml.entities._load_functions", None)
    monkeypatch.setitem(sys.modules, "azure.ai.ml", None)
    with pytest.raises(InfrastructureError, match="azure-ai-ml is not installed") as caught:
        loader_of("load_job")
    assert "make setup WITH=azureml" in caught.value.todo


@pytest.mark.parametrize(("text", "called"), [('{"call": true, "reasons": ["x"]}', True), ('{"call": false}', False)])
def test_the_trigger_acts_on_retrain_json(tmp_path, text, called):
    (tmp_path / "retrain.json").write_text(text)
    assert is_called_for(tmp_path / "retrain.json") is called


def test_one_trigger_and_no_other_consumes_retrain_json():
    consumers = [file.name for file in WORKFLOWS if "retrain.json" in file.read_text()]
    assert consumers == ["azureml-retrain.yml"]
    assert not [file for file in SOURCE.rglob("*.yml") if "--when" in file.read_text()]


@pytest.mark.parametrize("text", ["", "[]", "{}", "true"])
def test_a_file_that_is_no_retrain_json_is_refused(tmp_path, text):
    (tmp_path / "retrain.json").write_text(text)
    with pytest.raises(ConfigError, match=r"no retrain\.json"):
        is_called_for(tmp_path / "retrain.json")


def test_workflows_are_what_github_reads_and_zizmor_finds_nothing():
    assert [file.name for file in WORKFLOWS] == ["azureml-retrain.yml", "azureml.yml", "dependencies.yml"]
    start = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    for name, *options in (
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
        ("zizmor", "--offline"),
    ):
        done = in_azureml("-c", start, azureml_python().with_name(name), *options, *WORKFLOWS)
        assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_use_a_federated_identity_pinned_actions_and_runners_that_reach_the_workspace():
    for file in WORKFLOWS:
        text = file.read_text()
        assert text.startswith("# Never deployed.")
        assert "secrets." not in text
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            uses = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(len(each.split("@")[1]) == 40 for each in uses)
            speaks = any(each.startswith("azure/login@") for each in uses)
            assert speaks == (job["runs-on"][0] == "self-hosted") == (job["permissions"].get("id-token") == "write")
            assert speaks == ("environment" in job)


def test_every_command_of_the_workflows_is_one_of_ours_with_its_options():
    import re

    from typer.testing import CliRunner

    from segengine.cli import app

    found = set()
    for file in WORKFLOWS:
        text = file.read_text().replace("\\\n", " ")
        for line in re.findall(r"azure (render|check|register|submit|approve)([^\n|]*(?:\n {10}--[^\n]*)*)", text):
            found.add(line[0])
            shown = CliRunner().invoke(app, ["azure", line[0], "--help"], env={"COLUMNS": "300"}).output
            for option in re.findall(r"--[a-z]+", line[1]):
                assert option in shown, (line[0], option)
    assert found == {"render", "check", "register", "submit", "approve"}


def test_what_is_promoted_was_tested_and_built_prod_needs_dev_and_hands_in_who_approved():
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/azureml.yml").read_text())["jobs"]
    assert (jobs["dev"]["needs"], jobs["prod"]["needs"]) == ("test", "dev")
    built = "\n".join(step.get("run", "") for step in jobs["test"]["steps"])
    assert all(command in built for command in ("make test-pure", "hatchling build --target wheel", "make sbom"))
    steps = jobs["prod"]["steps"]
    (approval,) = [step for step in steps if "approve" in step.get("run", "")]
    assert approval["env"]["SEGENGINE_APPROVAL_ENVIRONMENT"] == jobs["prod"]["environment"] == "prod"
    assert "register.approval=approval.json" in steps[-1]["run"]
    assert "${{" not in approval["run"]  # nothing a person wrote becomes part of a script


def test_the_paths_of_files_exist_that_documents_and_workflows_name():
    for path in ("infra/azure/main.bicep", "conf/azureml/dev.yaml", "conf/azureml/prod.yaml"):
        assert (REPOSITORY / path).is_file()
    assert Path(SOURCE / "online" / "score.py").is_file()
