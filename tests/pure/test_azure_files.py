"""Files for Azure ML: rendered for every workspace, validated offline, and the faults that the SDK lets through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from segengine.cli import app
from segengine.errors import ConfigError
from segengine.mlops.azure.lint import lint
from segengine.mlops.azure.render import fill, render
from segengine.mlops.azure.values import Values, load_values
from tests.azureml import REPOSITORY, SOURCE, in_azureml

SPARK = """\
type: spark
name: heavy
version: "1"
is_deterministic: false
code: src
entry: {file: job.py}
inputs: {lines: {type: uri_folder, mode: direct}}
outputs: {sums: {type: uri_folder, mode: direct}}
args: --lines ${{inputs.lines}} --sums ${{outputs.sums}}
conf:
  spark.driver.cores: 1
  spark.driver.memory: 2g
  spark.executor.cores: 2
  spark.executor.memory: 2g
  spark.executor.instances: 2
"""
COUNTED = """\
type: command
name: counted
version: "1"
is_deterministic: false
environment: azureml:segengine:__environment__
inputs:
  k: {type: integer, min: 2, max: 50}
outputs:
  counts: {type: uri_folder}
command: echo ${{inputs.k}} > ${{outputs.counts}}/k
"""
TWO_STEPS = """\
type: pipeline
settings: {default_compute: azureml:segengine}
jobs:
  first:
    type: command
    component: ../components/counted.yml
    inputs: {k: 5}
  second:
    type: command
    component: ../components/read.yml
    inputs: {counts: "${{parent.jobs.first.outputs.counts}}"}
"""
READ = """\
type: command
name: read
version: "1"
is_deterministic: false
environment: azureml:segengine:__environment__
inputs:
  counts: {type: uri_folder}
outputs:
  again: {type: uri_folder}
command: cp ${{inputs.counts}}/k ${{outputs.again}}/k
"""
CIRCLE = TWO_STEPS.replace("../components/counted.yml", "../components/read.yml").replace(
    "{k: 5}", '{counts: "${{parent.jobs.second.outputs.again}}"}'
)
TEN_FAULTS = {
    "an input that the component does not have": (TWO_STEPS, "k: 5", "k: 5, k_mn: 4", "inputs.k_mn", "no such input"),
    "a binding to a job that does not exist": (TWO_STEPS, "jobs.first", "jobs.frist", "inputs.counts", "no such job"),
    "steps that wait for each other": (CIRCLE, "", "", "jobs", "wait for each other: first, second"),
    "a text for a whole number": (TWO_STEPS, "k: 5", "k: five", "inputs.k", "takes integer, and gets 'five'"),
    "a number below the least": (TWO_STEPS, "k: 5", "k: 1", "inputs.k", "is 1, and the least is 2"),
    "an argument that is bound to nothing": (SPARK, "inputs.lines}}", "inputs.liens}}", "args", "is not declared"),
    "an entry that does not exist": (SPARK, "job.py", "jobb.py", "entry.file", "there is no jobb.py in src"),
    "a Spark that is told no sizes": (SPARK, SPARK[SPARK.index("conf:") :], "", "conf", "is not told"),
    "dynamic allocation without bounds": (
        SPARK, "spark.executor.instances: 2", "spark.dynamicAllocation.enabled: true", "conf", "minExecutors",
    ),
    "a folder that Spark cannot mount": (SPARK, "mode: direct}}\nout", "mode: ro_mount}}\nout", "mode", "(direct)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    folder = tmp_path_factory.mktemp("azureml") / "dev"
    render(SOURCE, "dev", folder)
    return folder


@pytest.fixture
def folder(dev, tmp_path) -> Path:
    """A copy of the rendered files, without the image's context, to break."""
    return Path(shutil.copytree(dev, tmp_path / "dev", ignore=lambda _, names: {"context"} & set(names)))


def broken(folder: Path, case: str) -> Path:
    """Write the broken file of a case and what it needs; returns the file."""
    good, before, after, _, _ = TEN_FAULTS[case]
    assert before in good
    version = yaml.safe_load((folder / "environment.yml").read_text())["version"]
    for name, text in {"counted": COUNTED, "read": READ}.items():
        (folder / "components" / f"{name}.yml").write_text(text.replace("__environment__", version))
    (folder / "components" / "src").mkdir()
    (folder / "components" / "src" / "job.py").touch()
    file = folder / ("components/heavy.yml" if good == SPARK else "pipelines/two.yml")
    file.write_text(good.replace(before, after, 1) if before else good)
    return file


@pytest.mark.parametrize("case", TEN_FAULTS)
def test_the_linter_finds(folder, case):
    *_, where, text = TEN_FAULTS[case]
    file = broken(folder, case)
    faults = lint(folder)
    assert {folder / fault.file for fault in faults} == {file}
    assert any(fault.where.endswith(where) and text in fault.text for fault in faults)


@pytest.mark.parametrize("good", [SPARK, TWO_STEPS], ids=["spark", "pipeline"])
def test_the_files_that_the_faults_are_put_into_are_good(folder, good):
    case = next(name for name, (text, *_) in TEN_FAULTS.items() if text == good)
    broken(folder, case).write_text(good)
    assert lint(folder) == []


def test_azure_ai_ml_lets_all_ten_through(folder, tmp_path):
    script = (
        "import sys, json; from pathlib import Path; from segengine.mlops.azure.sdk import problems_of\n"
        "print(json.dumps({f: problems_of(Path(f), l) for f, l in map(lambda a: a.split('='), sys.argv[1:])}))"
    )
    asked = []
    for number, case in enumerate(TEN_FAULTS):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        file = broken(copy, case)
        asked.append(f"{file}={'load_job' if file.parent.name == 'pipelines' else 'load_component'}")
    done = in_azureml("-c", script, *asked)
    assert done.returncode == 0, done.stderr
    assert {problem for problems in json.loads(done.stdout).values() for problem in problems} == set()


@pytest.mark.parametrize("workspace", ["dev", "prod"])
def test_every_file_loads_and_validates_with_azure_ai_ml_and_our_linter(tmp_path, workspace):
    render(SOURCE, workspace, tmp_path / "made")
    assert lint(tmp_path / "made") == []
    done = in_azureml("-m", "segengine.cli", "azure", "check", tmp_path / "made", "--sdk")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no fault found by the linter and azure-ai-ml" in done.stdout


def test_no_file_is_left_out_of_what_azure_ai_ml_is_asked(dev):
    from segengine.mlops.azure.sdk import LOADERS

    asked = {file for pattern, _ in LOADERS for file in dev.glob(pattern)}
    assert {file for file in dev.rglob("*.yml") if "context" not in file.parts} == asked


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("environment.yml", "name: segengine", "name: segengine\nsas_token: x", "looks like a key"),
        ("datastore.yml", "filesystem: lake", "filesystem: lake\ncredentials: {tenant_id: x}", "opened by identities"),
        ("online/endpoint.yml", "aad_token", "key", "hands out a secret"),
        ("online/endpoint.yml", "public_network_access: disabled", "", "must be disabled"),
        ("components/train.yml", "is_deterministic: false", "is_deterministic: true", "earlier result"),
        ("components/train.yml", "$[[--as-of ${{inputs.as_of}}]]", "--as-of ${{inputs.as_of}}", "may be absent"),
        ("components/gate.yml", "candidate: {type: uri_folder}", "candidate: {type: string}", "shell command"),
        ("components/gate.yml", "  --state ${{inputs.state}}\n", "", "does not use it"),
        ("pipelines/training.yml", "      state: ${{parent.outputs.state}}\n", "", "no step writes it"),
        ("pipelines/training.yml", "../components/gate.yml", "../components/gat.yml", "there is no ../components/gat"),
        ("pipelines/inference.yml", "online-retail-state:1", "online-retail-state@latest", "when the schedule is made"),
        ("pipelines/inference.yml", "online-retail-state:1", "online-retail-stat:1", "made by no file"),
        ("components/check.yml", "azureml:segengine:", "azureml:segengine@latest #", "not pinned"),
        ("schedules/nightly.yml", "inference.yml", "interference.yml", "there is no ../pipelines/interference.yml"),
    ],
)
def test_rules_of_our_own(folder, file, before, after, said):
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after))
    assert any(said in fault.text for fault in lint(folder) if fault.file == file or "create_job" in fault.where)


def test_the_command_tells_every_fault_and_ends_with_2(folder):
    broken(folder, "a number below the least")
    done = CliRunner().invoke(app, ["azure", "check", str(folder)])
    assert isinstance(done.exception, ConfigError)
    assert "pipelines/two.yml: jobs.first.inputs.k: is 1, and the least is 2" in str(done.exception)


def test_dev_and_prod_differ_in_one_small_file_each():
    dev, prod = (load_values(SOURCE / f"{name}.yaml") for name in ("dev", "prod"))
    assert (dev.approval, prod.approval) == ("not_required", "required")
    for name in ("dev", "prod"):
        assert len((SOURCE / f"{name}.yaml").read_text().splitlines()) < 30
    assert {key for key in Values.model_fields if getattr(dev, key) != getattr(prod, key)} >= {"workspace"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("workspce: x", "workspce: Extra inputs are not permitted"),
        ("state: ../../elsewhere", "state: String should match pattern"),
        ("nightly: '0 3 * * *'", "written twice: nightly"),
        ("subscription_id: 1", "written twice"),
    ],
)
def test_wrong_values_are_refused(tmp_path, line, said):
    text = (SOURCE / "dev.yaml").read_text()
    if line.startswith("state"):
        text = text.replace("state: segengine", "# state: segengine")
    (tmp_path / "x.yaml").write_text(f"{text}\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_values(tmp_path / "x.yaml")
    assert said in str(caught.value)


def test_a_name_that_nobody_knows_is_refused_and_lines_stay_where_they_should():
    with pytest.raises(ConfigError, match="a value that no workspace has"):
        fill("name: __nmae__", {"name": "x"}, where="f.yml")
    assert fill("#if a\nx: 1", {"a": ""}, where="f.yml") is None
    assert fill("x: 1\ny: 2  #if a\nz: __a__", {"a": ""}, where="f.yml") == "x: 1\nz: \n"
    assert fill("#if a\ny: 2  #if a", {"a": "b"}, where="f.yml") == "y: 2\n"


def test_a_segmentation_without_order_lines_has_no_input_for_them(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "conf" / "azureml")
    for name in ("segengine", "tools", "requirements", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    values = tmp_path / "conf" / "azureml" / "dev.yaml"
    values.write_text(values.read_text().replace("transactions: raw", "# transactions: raw"))
    render(values.parent, "dev", tmp_path / "made", config=REPOSITORY / "conf" / "customers_only.yaml")
    assert lint(tmp_path / "made") == []
    assert not (tmp_path / "made" / "data" / "transactions.yml").exists()
    assert "transactions" not in (tmp_path / "made" / "pipelines" / "training.yml").read_text()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(ConfigError, match="holds something else"):
        render(SOURCE, "dev", tmp_path)
    assert (tmp_path / "thesis.doc").exists()


def test_the_image_is_built_from_files_that_are_there(dev):
    text = (dev / "context" / "Dockerfile").read_text()
    assert "python tools/setup.py --folder" in text
    for name in (
        "tools/setup.py",
        "tools/jars.sha256",
        "requirements/lock.txt",
        "requirements/java.txt",
        "segengine/cli.py",
    ):
        assert (dev / "context" / name).is_file()
    assert not list((dev / "context").rglob("*.pyc"))
    version = yaml.safe_load((dev / "environment.yml").read_text())["version"]
    assert len(version.split("-")[1]) == 12
