"""Who did something, and what that name is worth."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Source", "Who", "evidence_of_ci", "who"]

Source = Literal["claimed", "ci_environment"]


@dataclass(frozen=True)
class Who:
    """A name and its source: claimed by whoever ran the command, or given by a protected environment of CI.

    `evidence`: the environment and the run there; empty for a claim.
    """

    by: str
    by_is: Source
    evidence: str = ""


def who(environ: Mapping[str, str] | None = None) -> Who:
    """Who runs this process: the account of the machine, which is a claim, or who started a run of CI."""
    known = os.environ if environ is None else environ
    evidence = evidence_of_ci(known)
    if evidence:
        return Who(known.get("GITHUB_ACTOR") or "unknown", "ci_environment", evidence)
    try:
        return Who(getpass.getuser(), "claimed")
    except (KeyError, OSError):  # a container without a user of that number
        return Who("unknown", "claimed")


def evidence_of_ci(environ: Mapping[str, str]) -> str:
    """The protected environment of a GitHub job, and the run that people approved; empty elsewhere."""
    environment = environ.get("SEGENGINE_APPROVAL_ENVIRONMENT")
    if environ.get("GITHUB_ACTIONS") != "true" or not environment:
        return ""
    run = "/".join(environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY"))
    return f"environment {environment}, {run}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
