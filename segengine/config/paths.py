"""Where a configuration's paths lead: relative ones start at its folder, and outputs stay out of inputs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

__all__ = ["LOCAL_TRACKING", "OWN_FOLDERS", "is_uri", "overlap", "resolve", "resolve_tracking"]

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
GLOB = re.compile(r"[*?\[{]")
OWN_FOLDERS = tuple(
    "gold models quarantine runs reports powerbi work campaigns state stream audit privacy monitoring".split()
)
"""What a run writes below the output folder."""
LOCAL_TRACKING = "sqlite:///mlflow.db"
"""Where runs are tracked unless another server is named: a database file beside the configuration."""


def is_uri(path: str) -> bool:
    """Whether the path names its store: `abfss://...`, `s3a://...`, `dbfs:/...`."""
    return URI.match(path) is not None


def resolve(path: str, folder: Path) -> str:
    """An absolute path or URI; a relative path starts at `folder`. ValueError for one that cannot be meant."""
    if not path.strip():
        raise ValueError("must not be empty")
    if any(ord(character) < 32 for character in path):
        raise ValueError("must not hold line breaks or other control characters")
    if is_uri(path):
        return path
    if path == "~" or path.startswith("~/"):
        raise ValueError("must not start with ~; write ${env:HOME} instead")
    return os.path.normpath(os.path.join(os.path.abspath(folder), path))


def resolve_tracking(uri: str, folder: Path) -> str:
    """The URI of an MLflow server; the relative path of a sqlite file starts at `folder`."""
    head = "sqlite:///"
    if not uri.startswith(head) or uri.startswith(head + "/") or uri == head:
        return uri
    return head + resolve(uri.removeprefix(head), folder)


def overlap(source: str, output: str) -> str | None:
    """Why `output` may not be used beside the input `source`, in words; None when they keep apart."""
    there, here = _plain(source), _plain(output)
    if here == there:
        return "is the very place that is read"
    read = _glob_pattern(there)
    if any(read.fullmatch(place) for place in (here, *_parents(here))):
        return "lies inside what is read"
    heads = [_glob_pattern(head) for one in _alternatives(there) for head in (one, *_parents(one))]
    if any(head.fullmatch(f"{here}/{own}") for head in heads for own in OWN_FOLDERS):
        return "is where the input lies, in a folder that runs write and clean"
    return None


def _plain(path: str) -> str:
    """A comparable spelling; links of the local disk are followed."""
    local = re.sub(r"^file:/+", "/", path)
    if is_uri(local):
        return local.rstrip("/")
    if local != path:
        local = unquote(local)
    head = GLOB.split(local, maxsplit=1)[0]
    folder = head if head == local else os.path.dirname(head)
    return os.path.realpath(folder) + local[len(folder) :].rstrip("/")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) or "/" for n in range(len(parts) - 1, 0, -1)]


def _alternatives(glob: str) -> list[str]:
    """What a glob's {a,b/c} may stand for, each by itself: their parts may lie in folders of different depth."""
    braces = re.search(r"\{([^{}]*)\}", glob)
    if braces is None:
        return [glob]
    head, tail = glob[: braces.start()], glob[braces.end() :]
    return [found for part in braces[1].split(",") for found in _alternatives(head + part + tail)]


def _glob_pattern(glob: str) -> re.Pattern[str]:
    """Hadoop's globs: `*` and `?` stay in a folder, `[abc]`, `{a,b}`."""
    parts = {"*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|", "[": "[", "]": "]"}
    depth, text = 0, ""
    for character in glob:
        depth += (character == "{") - (character == "}")
        special = character in parts and (character != "," or depth > 0)
        text += parts[character] if special else re.escape(character)
    try:
        return re.compile(text)
    except re.error:  # Spark will say what is wrong with it
        return re.compile(re.escape(glob))
