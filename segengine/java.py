"""The Java that a session of this machine starts: found, or the one that set-up placed beside Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from segengine.errors import InfrastructureError

__all__ = ["provide_java"]

OLDEST_JAVA = 17


def provide_java() -> None:
    """Point JAVA_HOME at a Java that Spark can use: the machine's own, else the one set-up placed beside Python.

    Spark 4.2 starts Java with a module that trimmed runtimes lack, so that a Java without it is passed over.
    """
    found = os.environ.get("JAVA_HOME")
    candidates = [Path(found) / "bin" / "java"] if found else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path))
    ours = Path(sys.prefix) / "share" / "segengine" / "java"
    candidates.append(ours / "bin" / "java")
    seen = []
    for java in candidates:
        version = _java_version(java)
        if version is not None and version >= OLDEST_JAVA:
            os.environ["JAVA_HOME"] = str(java.resolve().parent.parent) if java.parent.parent != ours else str(ours)
            return
        if version is not None:
            seen.append(f"Java {version or 'without the modules Spark needs'} at {java}")
    raise InfrastructureError(
        f"Spark needs Java {OLDEST_JAVA} or newer.",
        found="; ".join(seen) or "no Java at all",
        todo="Run `make setup`, which provides one, or install Java 17 or 21 and set JAVA_HOME.",
    )


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
