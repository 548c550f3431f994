"""What every step of set-up uses: the environment it fills, progress lines, running a command, hashes of files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools"
LOCKS = ROOT / "requirements"
LOCKED = ("install", "--require-hashes", "--no-deps", "--only-binary=:all:")
MISLEADING = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}  # would install elsewhere
NETWORK_HINT = (
    "The first set-up needs the network. Behind a proxy set HTTPS_PROXY; with certificates of your own set PIP_CERT\n"
    "and SSL_CERT_FILE; docs/setup.md says more. What is done already is kept: run the same command again."
)


class SetupError(Exception):
    """Set-up cannot go on; the text is for the person who ran it."""


class Environment:
    """A virtual environment and what set-up has done in it so far, remembered in one small file.

    `spark` names a line such as "3.5", with a lock and JARs of its own; without it they are those of development.
    """

    def __init__(self, folder: Path, spark: str = "") -> None:
        self.spark = spark
        self.lock = LOCKS / (f"spark-{spark}.txt" if spark else "lock.txt")
        self.java_lock = LOCKS / ("java-21.txt" if spark else "java.txt")
        self.jars = TOOLS / f"spark-{spark}" if spark else TOOLS
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.ours = folder / "share" / "segengine"
        self._file = self.ours / "setup.json"
        self.done: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            self.done = json.loads(self._file.read_text(encoding="utf-8"))

    def mark(self, step: str, key: str) -> None:
        """Remember that a step was done with these inputs."""
        self.done[step] = key
        self.ours.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.done, indent=1), encoding="utf-8")
        new.replace(self._file)

    def pip(self, *arguments: str | Path) -> None:
        """Run this environment's pip; SetupError with its last words when it fails."""
        run([self.python, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *arguments])


class Progress:
    """One line a step with its seconds; the line's clock moves on a terminal."""

    def __init__(self) -> None:
        self.steps = 0
        self.begun = time.monotonic()

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.steps += 1
        print(f"  {text:<58}", end="", flush=True)
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            print("failed", flush=True)
            raise
        print(f"{time.monotonic() - begun:6.1f} s", flush=True)


def run(command: Sequence[str | Path]) -> str:
    """Run a command and return what it printed; SetupError with its last words when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        words = " ".join(str(part) for part in command[:4])
        raise SetupError("\n".join([f"{words} ... ended with {done.returncode}:", *said[-25:], "", NETWORK_HINT]))
    return done.stdout + done.stderr


def sha256(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
