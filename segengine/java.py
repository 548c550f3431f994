"""The Java that a session of this machine starts: named, or the one that set-up placed beside Python, or found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segengine.errors import InfrastructureError

__all__ = ["of_setup", "provide_java"]

OLDEST_JAVA = 17
NEWEST_OF_OLD_SPARKS = 21
"""What Spark 3.5, 4.0 and 4.1 are made for; their Hadoop asks Java for what 24 and later refuse."""


def of_setup() -> Path:
    """The folder where set-up places a Java, whether it did or not."""
    return Path(sys.prefix) / "share" / "segengine" / "java"


def provide_java() -> None:
    """Point JAVA_HOME at a Java that Spark can use: its own, else the one set-up placed beside Python, else PATH's.

    Spark 4.2 starts Java with a module that trimmed runtimes lack, so that a Java without it is passed over; so is one
    that an older Spark does not run on.
    """
    found = os.environ.get("JAVA_HOME")
    candidates = [Path(found) / "bin" / "java"] if found else []
    ours = of_setup()
    candidates.append(ours / "bin" / "java")
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path))
    newest, seen = _newest_java(), []
    for java in candidates:
        number = _java_version(java)
        if number is not None and OLDEST_JAVA <= number <= newest:
            os.environ["JAVA_HOME"] = str(java.resolve().parent.parent) if java.parent.parent != ours else str(ours)
            return
        if number is not None:
            seen.append(f"Java {number or 'without the modules Spark needs'} at {java}")
    raise InfrastructureError(
        f"Spark needs Java {OLDEST_JAVA} or newer{f', up to {newest}' if newest < sys.maxsize else ''}.",
        found="; ".join(seen) or "no Java at all",
        todo="Run `make setup`, which provides one, or install Java 17 or 21 and set JAVA_HOME.",
    )


def _newest_java() -> int:
    """The newest Java that the installed Spark runs on, as far as that is known."""
    try:
        line = tuple(int(part) for part in version("pyspark").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return sys.maxsize
    return NEWEST_OF_OLD_SPARKS if line < (4, 2) else sys.maxsize


def _java_version(java: Path) -> int | None:
    if not java.is_file():
        return None
    try:
        command = [str(java), "--add-modules=jdk.incubator.vector", "-version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0:
        return 0  # older than modules, or trimmed
    match = re.search(r'version "(\d+)(?:\.(\d+))?', answer.stderr + answer.stdout)
    if match is None:
        return None
    return int(match[2] or 0) if match[1] == "1" else int(match[1])
