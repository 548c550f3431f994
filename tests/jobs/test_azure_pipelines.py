"""The commands of the Azure ML pipelines, run here for three months: they publish what three local months publish."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest

from segengine import cli, runs
from segengine.components.approval import approve
from segengine.config import load, with_places
from segengine.io.files import LocalStore
from segengine.mlops.audit import read_chain
from segengine.mlops.azure.local import LocalJob, LocalWorkspace, StepFailed
from segengine.mlops.azure.render import render
from tests import shops
from tests.azureml import SOURCE

pytestmark = pytest.mark.jobs

MONTHS = ("2023-11-01", "2023-12-01", "2024-01-01")
OF_THE_RUN = (
    "inputs",
    "publication_id",
    "run_id",
    "started_at",
    "finished_at",
    "published_at",
    "created_at",
    "table_versions",
)
STATE = "segengine/online-retail"


def workspace(folder: Path, config: Path, values: str = "dev") -> LocalWorkspace:
    """An empty workspace whose lake has the state folder that the first run needs."""
    render(SOURCE, values, folder / "rendered", config=config)
    made = LocalWorkspace(folder / "rendered", folder / "workspace")
    made.datastore("lake", STATE).mkdir(parents=True)
    (made.datastore("lake", STATE) / "README.txt").write_text("made before the first run\n")
    return made


def in_this_process(command: str, here: Path, environment: Mapping[str, str], log: Path) -> int:
    """The same command with the session of the tests: starting Spark anew is most of a small step."""
    program, *arguments = shlex.split(command)
    assert program == "segengine"
    variables = mock.patch.dict(os.environ, environment, clear=True)
    with log.open("w") as said, redirect_stdout(said), redirect_stderr(said), variables, chdir(here):
        try:
            cli.main(arguments)
        except SystemExit as left:
            return int(left.code or 0)
    raise AssertionError("a command always leaves with an exit code")


def write_months(frame: pd.DataFrame, folder: Path, until: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shops.write_parquet(frame[frame["sold at"] < until], folder)


def published(output: Path) -> dict[str, list[str]]:
    """Every published table: its rows as sorted texts, without what is another one in every run."""
    folder = output / "gold" / json.loads((output / "gold" / "current.json").read_text())["folder"]
    tables = {}
    for table in sorted(folder.iterdir()):
        rows = pd.read_parquet(table)
        rows = rows.drop(columns=[name for name in rows.columns if name in OF_THE_RUN])
        tables[table.name] = sorted(repr(list(row)) for row in rows.astype(str).itertuples(index=False))
    return tables


def audit(output: Path) -> list[dict[str, Any]]:
    """The records of the recipes, oldest first, without ids, times and where the input lay."""
    records = [json.loads(file.read_text()) for file in sorted((output / "runs").glob("*.json"))]
    gone = {"run_id", "started_at", "finished_at", "publication_id", "kept_publications", "inputs"}
    kept = [{key: value for key, value in record.items() if key not in gone} for record in records]
    return [record for record in kept if record["command"] in ("check", "train", "score", "monitor")]


def chained(output: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The audit trail by kind of record, without when, where, and the hashes of files that name a run."""
    keys = {"run": ("command", "state", "config_sha256", "code_sha256"), "promotion": ("champion", "before")}
    told: dict[str, list[tuple[Any, ...]]] = {}
    for entry in read_chain(LocalStore(str(output))):
        values = (entry.content.get(key) for key in keys.get(entry.kind, ("config_sha256",)))
        told.setdefault(entry.kind, []).append(tuple(values))
    return told


def promotions(output: Path) -> list[dict[str, Any]]:
    """Who became champion, in order, without when and in which words."""
    events = json.loads((output / "models" / "promotions.json").read_text())["events"]
    return [{key: value for key, value in event.items() if key not in ("at", "reason")} for event in events]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a configuration as of the newest row, and all lines of the shop."""
    folder = tmp_path_factory.mktemp("shop")
    return shops.write_config(folder, as_of="latest"), shops.lines(customers=120)


@pytest.fixture(scope="module")
def three_months(tmp_path_factory, shop, spark) -> tuple[LocalWorkspace, list[LocalJob]]:
    """The first month in processes as Azure starts them, the others in the session of the tests."""
    config, frame = shop
    made, jobs = workspace(tmp_path_factory.mktemp("azure"), config), []
    for month in MONTHS:
        write_months(frame, made.datastore("lake", "raw/transactions"), month)
        jobs += [made.run("training"), made.run("inference")]
        made = replace(made, start=in_this_process)
    return made, jobs


def test_three_months_of_pipelines_publish_what_three_local_months_do(spark, shop, three_months):
    config, frame = shop
    for month in MONTHS:
        write_months(frame, config.parent / "lines", month)
        for recipe in (runs.check, runs.train, runs.score, runs.monitor):
            recipe(config, spark=spark)
    made, _ = three_months
    state = made.datastore("lake", STATE)
    here, there = published(config.parent / "out"), published(state)
    assert here.keys() == there.keys()
    for name in here:
        assert here[name] == there[name], name
    assert [record["command"] for record in audit(state)] == ["check", "train", "score", "monitor"] * 3
    assert audit(config.parent / "out") == audit(state)
    assert promotions(config.parent / "out") == promotions(state)
    assert chained(config.parent / "out") == chained(state)
    for verified in (runs.verify(config), runs.verify(with_places(load(config), output=str(state)))):
        assert not verified.tampered


def test_the_commands_are_those_of_the_components_and_see_declared_folders_only(three_months):
    made, jobs = three_months
    assert [list(job.commands) for job in jobs] == [
        ["check", "train", "gate", "register"],
        ["score", "publish", "monitor"],
    ] * 3
    state = made.datastore("lake", STATE)
    for job in jobs:
        for step, command in job.commands.items():
            assert command.startswith(f"segengine azure step {step} ")
            paths = [Path(word) for word in command.split() if word.startswith("/")]
            own = job.folder / step
            writes = {state, state.with_name(f"{state.name}-monitored")}
            assert all(own in path.parents or path in writes for path in paths), command


def test_every_month_has_a_champion_of_its_own_that_a_gate_passed_and_a_model_asset(three_months):
    made, jobs = three_months
    record = json.loads((made.datastore("lake", STATE) / "models" / "champion.json").read_text())
    assert [record["version"], *(each["version"] for each in record["history"])] == ["v0003", "v0002", "v0001"]
    for job, version in zip(jobs[::2], ("v0001", "v0002", "v0003"), strict=True):
        verdict = json.loads((job.outputs["gate.verdict"] / "verdict.json").read_text())
        assert (verdict["passed"], verdict["version"]) == (True, version)
        assert (job.outputs["register.champion"] / version / "manifest.json").is_file()
    assert sorted(each.name for each in (made.folder / "assets" / "online-retail-champion").iterdir()) == [
        "1",
        "2",
        "3",
    ]


def test_monitor_writes_retrain_json_and_ends_with_0(three_months):
    _, jobs = three_months
    told = json.loads((jobs[-1].outputs["monitor.monitored"] / "retrain.json").read_text())
    assert isinstance(told["call"], bool)


def test_where_approval_is_required_nothing_changes_before_it_and_then_it_is_recorded(tmp_path, shop, spark):
    import datetime as dt

    config, frame = shop
    made = workspace(tmp_path, config, "prod")
    write_months(frame, made.datastore("lake", "raw/transactions"), MONTHS[0])
    replace(made, start=in_this_process).run("training")
    state = made.datastore("lake", STATE)
    assert [file.name for file in state.iterdir()] == ["README.txt"]
    approval = tmp_path / "approval.json"
    approve(approval, by="Ada", reason="looks right", version="v0001", now=dt.datetime.now(dt.UTC), environ={})
    made.run("promotion", {"approval": approval})
    record = json.loads((state / "models" / "champion.json").read_text())
    assert record["version"] == "v0001"
    assert record["reason"].endswith("approved by Ada (claimed): looks right")
    (told,) = [each for each in audit_all(state) if each["command"] == "register"]
    assert told["approval"]["source"] == "claimed"
    assert told["verdict"]["passed"] is True
    with pytest.raises(StepFailed) as caught:  # once more: the champion is another one now
        made.run("promotion", {"approval": approval})
    assert (caught.value.step, caught.value.exit_code) == ("gate", 6)
    assert "compared with champion none, and the champion is v0001" in str(caught.value)


def audit_all(output: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((output / "runs").glob("*.json"))]


def test_too_many_bad_rows_end_the_pipeline_in_its_first_step_with_4(tmp_path, shop):
    config, frame = shop
    made = workspace(tmp_path, config)
    bad = frame.assign(client=frame["client"].where(frame.index % 2 == 0, " "))
    write_months(bad, made.datastore("lake", "raw/transactions"), MONTHS[0])
    with pytest.raises(StepFailed) as caught:
        made.run("training")
    assert (caught.value.step, caught.value.exit_code) == ("check", 4)
    assert [file.name for file in made.datastore("lake", STATE).iterdir()] == ["README.txt"]
