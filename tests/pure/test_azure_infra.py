"""Bicep: parsed, and asserted to open nothing to the internet, keep no key, and give no more roles than needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from segengine.mlops.azure.render import parameters
from segengine.mlops.azure.values import load_values
from tests.azureml import REPOSITORY, SOURCE, in_azureml

INFRA = REPOSITORY / "infra" / "azure"
FILES = sorted(INFRA.rglob("*.bicep"))
PARSE = """
import json, sys
from pathlib import Path
from pycep import BicepParser
def plain(value):
    if isinstance(value, dict): return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)): return [plain(v) for v in value]
    return value if isinstance(value, (bool, int, str)) or value is None else str(value)
print(json.dumps({f: plain(BicepParser().parse(file_path=Path(f))) for f in sys.argv[1:]}))
"""
STORES = {
    "Microsoft.Storage/storageAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.MachineLearningServices/workspaces",
}
ROLES = {  # by whom -> which roles, on what
    "pipelinesPrincipalId": {
        ("lake", "storageBlobDataContributor"),
        ("workspaceStorage", "storageBlobDataContributor"),
        ("registry", "acrPull"),
    },
    "workspacePrincipalId": {
        ("workspaceStorage", "storageBlobDataContributor"),
        ("workspaceStorage", "storageFileDataPrivilegedContributor"),
        ("vault", "keyVaultSecretsOfficer"),
        ("registry", "acrPush"),
    },
    "deployerPrincipalId": {
        ("workspaceStorage", "storageBlobDataContributor"),
        ("lake", "storageBlobDataReader"),
        ("machineLearning", "azureMlDataScientist"),
    },
    "readersGroupId": {("lake", "storageBlobDataReader"), ("machineLearning", "reader")},
}


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """File name -> what pycep-parser reads in it."""
    done = in_azureml("-c", PARSE, *FILES)
    assert done.returncode == 0, done.stderr
    return {path.rsplit("/", 1)[1]: tree for path, tree in json.loads(done.stdout).items()}


def resources(parsed: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Symbolic name, type and body of every resource that is made, not only looked up."""
    for tree in parsed.values():
        for name, resource in tree.get("resources", {}).items():
            body = resource["config"]
            if not resource["existing"] and "loop_type" not in body:
                yield name, resource["type"], body


def test_every_file_says_that_it_was_never_deployed():
    assert len(FILES) == 7
    for file in FILES:
        assert file.read_text().startswith("// Never deployed.")


def test_every_store_is_closed_to_the_internet_and_has_a_private_endpoint(parsed):
    found = [(name, kind, body["properties"]) for name, kind, body in resources(parsed) if kind in STORES]
    assert {kind for _, kind, _ in found} == STORES
    for name, _, properties in found:
        assert properties["publicNetworkAccess"] == "Disabled", name
    modules = {**parsed["stores.bicep"]["modules"], **parsed["workspace.bicep"]["modules"]}
    targets = sorted(str(module["config"]["params"]["targetId"]) for module in modules.values())
    for name in ("lake", "workspaceStorage", "vault", "registry", "machineLearning"):
        assert any(name in target for target in targets), name


def test_no_key_opens_anything(parsed):
    bodies = list(resources(parsed))
    accounts = {name: body["properties"] for name, kind, body in bodies if kind == "Microsoft.Storage/storageAccounts"}
    assert {name: account["isHnsEnabled"] for name, account in accounts.items()} == {
        "lake": True,
        "workspaceStorage": False,
    }
    for account in accounts.values():
        assert account["allowSharedKeyAccess"] is False
        assert account["allowBlobPublicAccess"] is False
    (registry,) = [body for _, kind, body in bodies if kind == "Microsoft.ContainerRegistry/registries"]
    assert registry["properties"]["adminUserEnabled"] is False
    (workspace,) = [body for _, kind, body in bodies if kind == "Microsoft.MachineLearningServices/workspaces"]
    assert workspace["properties"]["systemDatastoresAuthMode"] == "Identity"
    assert workspace["properties"]["managedNetwork"]["isolationMode"] == "AllowOnlyApprovedOutbound"
    (vault,) = [body for _, kind, body in bodies if kind == "Microsoft.KeyVault/vaults"]
    assert (vault["properties"]["enableRbacAuthorization"], vault["properties"]["enablePurgeProtection"]) == (
        True,
        True,
    )
    for file in FILES:
        assert not re.search(
            r"listKeys|@secure|password|connectionString|client_?secret", file.read_text(), re.IGNORECASE
        )


def test_roles_are_the_least_and_lie_on_single_resources(parsed):
    given: dict[str, set[tuple[str, str]]] = {name: set() for name in ROLES}
    text = "\n".join(file.read_text() for file in FILES)
    for block in re.findall(r"resource \w+ 'Microsoft\.Authorization/roleAssignments@.*?\n}", text, re.DOTALL):
        scope = re.search(r"scope: (\w+)", block)[1]
        who = re.search(r"principalId: (\w+)", block)[1]
        role = re.search(r"roleDefinitions',\s*(\w+)", block)[1]
        assert f"guid({scope}.id, {who}, {role})" in block
        given[who].add((scope, role))
    assert given == ROLES
    count = sum(kind == "Microsoft.Authorization/roleAssignments" for _, kind, _ in resources(parsed))
    assert count == sum(map(len, ROLES.values()))
    everything = {"8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c"}  # Owner, Contributor
    assert not any(guid in text for guid in everything)


def test_ci_acts_with_a_federated_identity_of_named_environments_of_one_repository(parsed):
    found = [body["properties"] for _, kind, body in resources(parsed) if kind.endswith("federatedIdentityCredentials")]
    assert {each["issuer"] for each in found} == {"https://token.actions.githubusercontent.com"}
    subject = "repo:${githubRepository}:environment:${githubEnvironment}"
    assert [each["subject"] for each in found] == [subject, f"{subject}-retrain"]


def test_modules_get_exactly_the_parameters_that_they_declare(parsed):
    for tree in parsed.values():
        for name, module in tree.get("modules", {}).items():
            target = parsed[module["detail"]["path"].rsplit("/", 1)[-1]]
            declared = target["parameters"]
            required = {key for key, value in declared.items() if value.get("default") is None}
            given = set(module["config"]["params"])
            assert required <= given <= set(declared), name


@pytest.mark.parametrize("workspace", ["dev", "prod"])
def test_the_rendered_parameters_are_those_of_main(parsed, workspace):
    given: Any = parameters(load_values(SOURCE / f"{workspace}.yaml"))["parameters"]
    declared = parsed["main.bicep"]["parameters"]
    required = {key for key, value in declared.items() if value.get("default") is None}
    assert set(given) | {"githubRepository", "githubEnvironment"} == required


def test_the_identity_that_files_name_is_the_one_that_is_made(parsed):
    identities = parsed["identities.bicep"]["resources"]
    assert identities["pipelines"]["config"]["name"] == "id-${workspace}"
    assert load_values(SOURCE / "dev.yaml").identity_id.endswith("/id-mlw-segengine-dev")
