"""What differs between workspaces: one small file each, fully checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from segengine.config.models import NAME_PATTERN
from segengine.errors import ConfigError

__all__ = ["Values", "load_values"]

Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{1,89}$")]
LakePath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]
Cron = Annotated[str, StringConstraints(pattern=r"^[\d*/,-]+( [\d*/,-]+){4}$")]
Size = Annotated[str, StringConstraints(pattern=r"^Standard_[A-Za-z0-9_]+$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s\"']+@[^@\s\"']+$")]
DuplicateFree = re.compile(r"^([a-z_]+):", re.MULTILINE)


class Values(BaseModel):
    """One workspace. No value can hold a quote, a line break or a reference, so none can change what a file means."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    subscription_id: Guid
    resource_group: Name
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]
    workspace: Name
    storage_account: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{3,24}$")]
    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    config: str
    transactions: LakePath | None = None
    customers: LakePath | None = None
    state: LakePath
    approval: Literal["required", "not_required"] = "required"
    compute_size: Size
    compute_nodes: int = Field(1, ge=1, le=100)
    online_size: Size
    nightly: Cron
    monthly: Cron
    schedules: Literal["enabled", "disabled"] = "disabled"
    alert_emails: list[Email] = Field(min_length=1)

    @property
    def identity_id(self) -> str:
        """The identity that compute and endpoints work as; infra/azure makes it."""
        group = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{self.workspace}"


def load_values(file: Path) -> Values:
    """The values of one workspace. ConfigError for a file that is missing, no YAML, or has wrong keys or values."""
    try:
        text = file.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        found = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise ConfigError(
            "The values of a workspace cannot be read.",
            where=str(file),
            found=found,
            todo="Name dev, prod or a file of yours beside them, in YAML.",
        ) from error
    keys = DuplicateFree.findall(text)
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice or not isinstance(data, dict):
        found = f"written twice: {', '.join(twice)}" if twice else type(data).__name__
        raise ConfigError(
            "The values of a workspace are keys, each once.",
            where=str(file),
            found=found,
            todo="Write each key once, as in conf/azureml/dev.yaml.",
        )
    try:
        return Values.model_validate(data)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        known = ", ".join(Values.model_fields)
        raise ConfigError(
            "The values of a workspace are not usable.",
            where=str(file),
            found="; ".join(wrong),
            todo=f"Its keys are {known}; conf/azureml/dev.yaml says what each means.",
        ) from None
