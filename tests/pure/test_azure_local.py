"""The local runner on small pipelines: substitution, order, fresh folders, named outputs, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from segengine.errors import ConfigError
from segengine.mlops.azure.local import LocalWorkspace, StepFailed

WRITE = """\
type: command
name: write
inputs:
  word: {type: string, default: hello}
  more: {type: uri_folder, optional: true}
outputs:
  text: {type: uri_folder}
command: >-
  echo ${{inputs.word}} > ${{outputs.text}}/a
  $[[&& cat ${{inputs.more}}/a >> ${{outputs.text}}/a]]
"""
ADD = """\
type: command
name: add
inputs:
  text: {type: uri_folder}
outputs:
  store: {type: uri_folder, mode: rw_mount}
command: cat ${{inputs.text}}/a >> ${{outputs.store}}/all; ls -A . | wc -l >> ${{outputs.store}}/here
"""
PIPELINE = """\
type: pipeline
outputs:
  store: {type: uri_folder, mode: rw_mount, path: "azureml://datastores/lake/paths/kept/here"}
  text: {type: uri_folder, name: said}
jobs:
  add:
    component: ../components/add.yml
    inputs: {text: "${{parent.jobs.write.outputs.text}}"}
    outputs: {store: "${{parent.outputs.store}}"}
  write:
    component: ../components/write.yml
    outputs: {text: "${{parent.outputs.text}}"}
"""


@pytest.fixture
def workspace(tmp_path) -> LocalWorkspace:
    files = {"components/write.yml": WRITE, "components/add.yml": ADD, "pipelines/two.yml": PIPELINE}
    for name, text in files.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_text(text)
    return LocalWorkspace(tmp_path / "made", tmp_path / "workspace")


def change(workspace: LocalWorkspace, file: str, before: str, after: str) -> None:
    path = workspace.rendered / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_steps_run_in_the_order_of_what_they_read_and_only_the_lake_is_kept(workspace):
    jobs = [workspace.run("two"), workspace.run("two", {"write.word": "again"})]
    assert list(jobs[0].commands) == ["write", "add"]
    store = workspace.datastore("lake", "kept/here")
    assert (store / "all").read_text() == "hello\nagain\n"
    assert (store / "here").read_text().split() == ["0", "0"]
    assert jobs[0].outputs["write.text"] != jobs[1].outputs["write.text"]
    assert (workspace.folder / "assets" / "said" / "2" / "a").read_text() == "again\n"


def test_what_stands_in_double_brackets_goes_when_an_input_is_absent(workspace, tmp_path):
    assert "&&" not in workspace.run("two").commands["write"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a").write_text("more\n")
    job = workspace.run("two", {"write.more": tmp_path / "more"})
    assert (job.outputs["write.text"] / "a").read_text() == "hello\nmore\n"


def test_the_newest_version_of_a_named_output_can_be_an_input(workspace):
    workspace.run("two")
    change(
        workspace, "pipelines/two.yml", "  write:\n", "  write:\n    inputs: {more: {path: 'azureml:said@latest'}}\n"
    )
    assert (workspace.run("two").outputs["write.text"] / "a").read_text() == "hello\nhello\n"


def test_a_step_that_fails_ends_the_pipeline_with_its_exit_code_and_its_words(workspace):
    change(workspace, "components/write.yml", "  echo", "  echo no good; exit 6; echo")
    with pytest.raises(StepFailed) as caught:
        workspace.run("two")
    assert (caught.value.step, caught.value.exit_code, caught.value.found) == ("write", 6, "no good")
    assert not workspace.datastore("lake", "kept/here").exists()


def test_a_step_sees_no_credential_of_this_machine(workspace, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "never to be seen")
    change(workspace, "components/write.yml", "echo ${{inputs.word}}", "env")
    text = (workspace.run("two").outputs["write.text"] / "a").read_text()
    assert "PATH=" in text
    assert "never to be seen" not in text


def test_a_step_that_writes_into_its_inputs_is_found_out(workspace):
    change(workspace, "components/add.yml", "command: ", "command: touch ${{inputs.text}}/b; ")
    with pytest.raises(ConfigError, match="wrote into its inputs"):
        workspace.run("two")


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("components/add.yml", ", mode: rw_mount", "", "mounts it"),
        ("components/write.yml", "${{inputs.word}}", "${{inputs.wrod}}", "not bound"),
        ("components/write.yml", ", default: hello", "", "lacks an input"),
        ("components/add.yml", "type: command", "type: spark", "Only command components"),
        (
            "pipelines/two.yml",
            "${{parent.jobs.write.outputs.text}}",
            "${{parent.jobs.add.outputs.store}}",
            "wait for each",
        ),
        (
            "pipelines/two.yml",
            '"${{parent.jobs.write.outputs.text}}"',
            '{path: "azureml:nothing:1"}',
            "makes this asset",
        ),
        ("pipelines/two.yml", '"${{parent.jobs.write.outputs.text}}"', "{path: ../nothing}", "does not exist"),
    ],
)
def test_what_would_fail_there_fails_here(workspace, file, before, after, said):
    change(workspace, file, before, after)
    with pytest.raises(ConfigError, match=said):
        workspace.run("two")


def test_the_workspace_is_a_folder_anybody_can_look_into(workspace):
    job = workspace.run("two")
    assert job.folder == workspace.folder / "jobs" / "0001-two"
    assert (job.folder / "write" / "log.txt").is_file()
    assert Path(job.folder / "add" / "inputs" / "text" / "a").read_text() == "hello\n"
