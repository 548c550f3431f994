"""Put the Power BI project into a workspace of Fabric through fabric-cicd, an extra, and have it refreshed there."""

from __future__ import annotations

import json
import logging
import re
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from segengine.errors import InfrastructureError, PublicationError
from segengine.report.powerbi.keep import NEW
from segengine.report.powerbi.project import FOLDER, NAME

if TYPE_CHECKING:
    from segengine.io.files import Store

__all__ = ["Deployed", "deploy", "item_name", "stage"]

ITEMS = {"SemanticModel": f"{NAME}.SemanticModel", "Report": f"{NAME}.Report"}
"""Kind of item -> its folder; the report is bound to the model, which is published first."""
GUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LOCAL_ONLY = (".pbi/", "/.pbi/")
"""What Desktop keeps of one person's session."""
REFRESH_SCOPE = "https://analysis.windows.net/powerbi/api/.default"
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Deployed:
    """What is in the workspace now, by ids of the Service."""

    name: str
    workspace_id: str
    model_id: str
    report_id: str

    @property
    def address(self) -> str:
        """Where the report opens in a browser."""
        return f"https://app.powerbi.com/groups/{self.workspace_id}/reports/{self.report_id}"


def item_name(config_name: str) -> str:
    """What model and report are called in the workspace, where there may be those of other configurations."""
    return f"{NAME} {config_name}"


def stage(store: Store, folder: Path, config_name: str) -> None:
    """Copy model and report as they lie in the output, analysts' edits and all, into a folder of this machine.

    What we only offer (`.new`) and what Desktop keeps of a session stay behind; both get the name of the configuration.
    """
    for below in ITEMS.values():
        for entry in store.walk(f"{FOLDER}/{below}"):
            path = entry.path.removeprefix(f"{FOLDER}/")
            if path.endswith(NEW) or any(part in path for part in LOCAL_ONLY):
                continue
            data = store.read_bytes(entry.path)
            if path == f"{below}/.platform":
                data = _renamed(data, item_name(config_name))
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def _renamed(platform: bytes, name: str) -> bytes:
    content = json.loads(platform)
    content["metadata"]["displayName"] = name
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def deploy(folder: Path, workspace: str, config_name: str, credential: Any = None) -> Deployed:
    """Create or replace model and report of a staged folder in a workspace, and have the model refreshed.

    `workspace`: its name or id. `credential`: of azure-identity; absent, whoever is logged in. Raises
    InfrastructureError when fabric-cicd is missing or nobody is logged in, and PublicationError when the workspace does
    not take the project or its refresh.
    """
    fabric = _fabric()
    if credential is None:
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    which = {"workspace_id" if GUID.fullmatch(workspace) else "workspace_name": workspace}
    name = item_name(config_name)
    try:
        target = fabric.FabricWorkspace(
            repository_directory=str(folder.resolve()),
            item_type_in_scope=list(ITEMS),
            token_credential=credential,
            **which,
        )
        fabric.publish_all_items(target)
        about = target.endpoint.invoke(method="GET", url=target.base_api_url)["body"]
    except Exception as error:  # of many kinds, all of them about the workspace
        raise _refused(error, workspace) from error
    ids = {kind: str(target.repository_items[kind][name].guid) for kind in ITEMS}
    done = Deployed(name, str(target.workspace_id), ids["SemanticModel"], ids["Report"])
    _refresh(fabric.constants.DEFAULT_API_ROOT_URL, done, credential, on_capacity=bool(about.get("capacityId")))
    return done


def _fabric() -> ModuleType:
    """fabric-cicd, without the hooks and log lines that it brings along."""
    hook = sys.excepthook
    try:
        import fabric_cicd
    except ImportError as error:
        raise InfrastructureError(
            "fabric-cicd is not installed here.",
            found=str(error),
            todo="pip install 'segengine[fabric]', or `make setup WITH=fabric` in a checkout.",
        ) from error
    finally:
        sys.excepthook = hook
    own = logging.getLogger("fabric_cicd")
    own.handlers.clear()
    own.setLevel(logging.CRITICAL)
    return fabric_cicd  # type: ignore[no-any-return]  # it has no types


def _refused(error: Exception, workspace: str) -> InfrastructureError | PublicationError:
    """What went wrong, as an error of ours."""
    more = getattr(error, "additional_info", None)
    found = " ".join(f"{error} {more or ''}".split())[:1000]
    if type(error).__name__ == "TokenError":
        return InfrastructureError(
            "Nobody is logged in who may publish to Power BI.",
            where=workspace,
            found=found,
            todo="Run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.",
        )
    return PublicationError(
        "The workspace did not take the Power BI project.",
        where=workspace,
        found=found,
        todo="Look whether the name is right and whoever is logged in is a member of the workspace; then run it again.",
    )


def _refresh(root: str, done: Deployed, credential: Any, *, on_capacity: bool) -> None:
    """Ask for a refresh, which then goes on by itself; only a capacity takes more than a wish about mails."""
    url = f"{root}/v1.0/myorg/groups/{done.workspace_id}/datasets/{done.model_id}/refreshes"
    wish = {"type": "full", "commitMode": "transactional"} if on_capacity else {"notifyOption": "NoNotification"}
    headers = {"Content-Type": "application/json"}
    try:
        headers["Authorization"] = f"Bearer {credential.get_token(REFRESH_SCOPE).token}"
        asked = urllib.request.Request(url, json.dumps(wish).encode(), headers, method="POST")
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as error:
        found = f"{error.code} {error.read(2000).decode(errors='replace')}"
    except Exception as error:  # noqa: BLE001  the network's, or the credential's; either way it is not refreshed
        found = f"{type(error).__name__}: {error}"
    raise PublicationError(
        "The project is in the workspace, and its refresh was not started.",
        where=url,
        found=found,
        todo="Give the model its credentials once, in its settings in the Service (or a gateway, for files of this "
        "machine); then run it again.",
    )
