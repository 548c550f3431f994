"""Who approved a model, and why: a small file, so that no text of it becomes part of a command."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from segengine.errors import ConfigError
from segengine.mlops.who import Source, evidence_of_ci

__all__ = ["Approval", "approve", "read_approval"]

MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Approval:
    """`source` says what the name is worth: claimed by whoever ran the command, or given by CI's environment.

    Azure does not know a file's author: what makes an approval of CI more than a claim is that only CI's identity may
    submit jobs to the production workspace (infra/azure gives people no such role).
    """

    approved_by: str
    reason: str
    source: Source
    at: str
    evidence: str = ""
    version: str | None = None
    """The model version that was approved; None approves what the pipeline trains."""

    def __str__(self) -> str:
        label = "claimed" if self.source == "claimed" else f"by the CI environment, {self.evidence}"
        return f"approved by {self.approved_by} ({label}): {self.reason}"


def approve(
    file: Path, *, by: str, reason: str, version: str | None, now: dt.datetime, environ: Mapping[str, str] = os.environ
) -> Approval:
    """Write an approval. In a GitHub job of a protected environment it names the run that people approved."""
    evidence = evidence_of_ci(environ)
    made = Approval(
        " ".join(by.split()), " ".join(reason.split()), "ci_environment" if evidence else "claimed",
        now.astimezone(dt.UTC).isoformat(timespec="seconds"), evidence, version,
    )  # fmt: skip
    _require(made, str(file))
    file.write_text(json.dumps(asdict(made), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def read_approval(file: Path, version: str) -> Approval:
    """The approval of this version. ConfigError when it is none, says no name or reason, or is of another version."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        found = Approval(**data)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            "That is no approval.", where=str(file), found=repr(error), todo="Make it with segengine azure approve."
        ) from error
    _require(found, str(file))
    if found.version not in (None, version):
        raise ConfigError(
            "The approval is of another model.",
            where=str(file),
            found=f"{found.version}, not {version}",
            todo="Approve the version that the gate judged: segengine azure approve.",
        )
    return found


def _require(approval: Approval, where: str) -> None:
    texts: dict[str, object] = {"approved_by": approval.approved_by, "reason": approval.reason}
    wrong = [
        name
        for name, text in texts.items()
        if not isinstance(text, str) or not text.strip() or len(text) > MOST_CHARACTERS or not text.isprintable()
    ]
    if str(approval.source) not in ("claimed", "ci_environment"):
        wrong.append("source")
    if wrong:
        raise ConfigError(
            "An approval says who and why, in plain text.",
            where=where,
            found=f"not usable: {', '.join(wrong)}",
            todo="Give a name and a reason without line breaks or control characters.",
        )
