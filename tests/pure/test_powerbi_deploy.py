"""Deploying through fabric-cicd, against a server on loopback that answers as Fabric does: the bodies it is sent."""

from __future__ import annotations

import base64
import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segengine import runs
from segengine.errors import ConfigError, InfrastructureError, PublicationError
from segengine.io.files import store_for
from segengine.report.powerbi import FOLDER, project
from segengine.report.powerbi.deploy import Deployed, deploy, stage
from segengine.report.powerbi.keep import write_project
from segengine.report.powerbi.project import OWN_FILE
from segengine.runs.power_bi import check_deployable
from tests.fabric import WORKSPACE, FakeFabric, fake_fabric
from tests.powerbi_facts import options, published
from tests.pure.configs import config

MODEL, REPORT = "SegEngine.SemanticModel", "SegEngine.Report"


class Credential:
    """A login without a login; the token names what it is for."""

    def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken(f"token for {scopes[0]}", int(time.time()) + 3600)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFabric]:
    constants = pytest.importorskip("fabric_cicd.constants", reason="fabric-cicd is missing: make setup WITH=fabric")
    monkeypatch.setenv("FABRIC_CICD_RETRY_DELAY_OVERRIDE_SECONDS", "0")
    with fake_fabric() as fake:
        monkeypatch.setattr(constants, "DEFAULT_API_ROOT_URL", fake.root)
        yield fake


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output with a project in it, where an analyst changed one file."""
    drawn = project(published(), options(source="adls_parquet")).files
    store = store_for(str(tmp_path))
    write_project(store, FOLDER, drawn, theirs=frozenset({OWN_FILE}))
    changed = tmp_path / FOLDER / MODEL / "definition" / "tables" / "Segments.tmdl"
    changed.write_text(changed.read_text() + "\t/// by hand\n")
    write_project(store, FOLDER, {**drawn, f"{MODEL}/definition/tables/Segments.tmdl": b"newer"}, theirs=frozenset())
    assert changed.with_name("Segments.tmdl.new").read_bytes() == b"newer"
    (tmp_path / FOLDER / REPORT / ".pbi").mkdir()
    (tmp_path / FOLDER / REPORT / ".pbi" / "localSettings.json").write_text("{}")
    return tmp_path


def put(output: Path, tmp_path_factory: pytest.TempPathFactory, workspace: str = "Marketing") -> Deployed:
    folder = tmp_path_factory.mktemp("staged")
    stage(store_for(str(output)), folder, "shop")
    return deploy(folder, workspace, "shop", Credential())


def parts(body: Any) -> dict[str, bytes]:
    """The files of an item as they were sent."""
    assert {part["payloadType"] for part in body["definition"]["parts"]} == {"InlineBase64"}
    return {part["path"]: base64.b64decode(part["payload"]) for part in body["definition"]["parts"]}


def files(output: Path, item: str) -> dict[str, bytes]:
    """The files of an item as they lie in the output, without what is not of the project."""
    folder = output / FOLDER / item
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {path: data for path, data in found.items() if not path.endswith(".new") and ".pbi/" not in path}


def test_model_and_report_are_created_with_every_file_as_it_lies_there(fabric, output, tmp_path_factory):
    done = put(output, tmp_path_factory)
    model, report = (one.body for one in fabric.of("POST", "/items"))
    assert (model["type"], report["type"]) == ("SemanticModel", "Report")
    assert model["displayName"] == report["displayName"] == "SegEngine shop"
    for body, item, made_here in ((model, MODEL, {".platform"}), (report, REPORT, {".platform", "definition.pbir"})):
        sent, there = parts(body), files(output, item)
        assert sent.keys() == there.keys()
        assert {path for path in sent if sent[path] != there[path]} == made_here
    assert b"by hand" in parts(model)["definition/tables/Segments.tmdl"]
    assert (done.workspace_id, done.model_id, done.report_id) == (
        WORKSPACE,
        fabric.items[0]["id"],
        fabric.items[1]["id"],
    )


def test_the_report_is_bound_to_the_model_of_the_workspace(fabric, output, tmp_path_factory):
    done = put(output, tmp_path_factory)
    bound = json.loads(parts(fabric.of("POST", "/items")[1].body)["definition.pbir"])["datasetReference"]
    assert bound["byConnection"]["pbiModelDatabaseName"] == done.model_id


def test_a_second_time_both_are_replaced_and_keep_their_ids(fabric, output, tmp_path_factory):
    first, second = put(output, tmp_path_factory), put(output, tmp_path_factory, WORKSPACE)
    assert first == second
    assert len(fabric.of("POST", "/items")) == 2
    updates = fabric.of("POST", "/updateDefinition")
    assert [one.path.split("/")[5] for one in updates] == [first.model_id, first.report_id]
    assert parts(updates[0].body).keys() == files(output, MODEL).keys()


def test_creation_that_takes_time_is_waited_for(fabric, output, tmp_path_factory):
    fabric.takes_time = True
    assert put(output, tmp_path_factory).report_id == fabric.items[1]["id"]


@pytest.mark.parametrize(
    ("capacity", "wish"),
    [(None, {"notifyOption": "NoNotification"}), ("f64", {"type": "full", "commitMode": "transactional"})],
)
def test_the_model_is_refreshed_after_it_was_published(fabric, output, tmp_path_factory, capacity, wish):
    fabric.capacity = capacity
    done = put(output, tmp_path_factory)
    last = fabric.asked[-1]
    assert (last.method, last.path) == ("POST", f"/v1.0/myorg/groups/{WORKSPACE}/datasets/{done.model_id}/refreshes")
    assert last.body == wish
    assert last.token == "token for https://analysis.windows.net/powerbi/api/.default"


def test_a_refresh_that_is_refused_says_that_the_project_is_there_and_what_to_do(fabric, output, tmp_path_factory):
    fabric.refuses["/refreshes"] = (400, "DatasourceHasNoCredentialError")
    with pytest.raises(PublicationError, match="in the workspace, and its refresh was not started") as caught:
        put(output, tmp_path_factory)
    assert "DatasourceHasNoCredentialError" in caught.value.found
    assert "credentials" in caught.value.todo


def test_an_unknown_workspace_is_told_and_nothing_is_sent(fabric, output, tmp_path_factory):
    with pytest.raises(PublicationError, match="did not take") as caught:
        put(output, tmp_path_factory, "Elsewhere")
    assert "Elsewhere" in caught.value.found
    assert not [one for one in fabric.asked if one.method == "POST"]


def test_a_refused_item_is_told_with_the_answer_of_the_service(fabric, output, tmp_path_factory):
    fabric.refuses["/items"] = (403, "InsufficientPrivileges")
    with pytest.raises(PublicationError, match="did not take") as caught:
        put(output, tmp_path_factory)
    assert "InsufficientPrivileges" in caught.value.found


def test_who_is_not_logged_in_is_told_to(fabric, output, tmp_path_factory, monkeypatch):
    def nobody(self: Credential, *scopes: str, **_: Any) -> Any:
        raise RuntimeError("no login of any kind")

    monkeypatch.setattr(Credential, "get_token", nobody)
    with pytest.raises(InfrastructureError, match="Nobody is logged in") as caught:
        put(output, tmp_path_factory)
    assert "az login" in caught.value.todo


def test_importing_it_leaves_hooks_and_log_lines_as_they_were(fabric, output, tmp_path_factory, capsys):
    hook = sys.excepthook
    put(output, tmp_path_factory)
    assert sys.excepthook is hook
    assert not logging.getLogger("fabric_cicd").handlers
    assert capsys.readouterr() == ("", "")


def test_without_fabric_cicd_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fabric_cicd", None)
    with pytest.raises(InfrastructureError, match="fabric-cicd is not installed") as caught:
        deploy(tmp_path, "Marketing", "shop", Credential())
    assert "make setup WITH=fabric" in caught.value.todo
    assert "\n" not in caught.value.todo


@pytest.mark.parametrize(("section", "where"), [({}, "source"), ({"enabled": False}, "enabled")])
def test_a_project_that_is_not_for_the_service_is_refused_before_anything_is_done(section, where):
    with pytest.raises(ConfigError) as caught:
        check_deployable(config(powerbi=section))
    assert caught.value.where == f"powerbi.{where}"
    with pytest.raises(ConfigError):
        runs.draw_report(config(powerbi=section), deploy="Marketing")
    check_deployable(config(powerbi={"source": "adls_delta"}))
