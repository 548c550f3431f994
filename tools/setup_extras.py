"""What `--with` installs beside the JARs: servers of the tests, MLflow, checkers, each from a lock with hashes."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tools.setup_base import LOCKED, LOCKS, TOOLS, Environment, Progress, SetupError, run, sha256


def install_apart(name: str, what: str) -> Callable[[Environment, Progress], None]:
    """Install a lock in an environment of its own: its packages would bind the versions of others."""

    def install(env: Environment, progress: Progress) -> None:
        folder, lock = env.ours / "servers" / name, LOCKS / f"{name}.txt"
        if env.done.get(name) == sha256(lock) and (folder / "bin" / "python").exists():
            return
        with progress.step(what):
            run([env.python, "-m", "venv", "--clear", "--without-pip", folder])
            env.pip("--python", folder / "bin" / "python", *LOCKED, "-r", lock)
            env.mark(name, sha256(lock))

    return install


def install_beside(name: str, what: str) -> Callable[[Environment, Progress], None]:
    """Install a lock beside segengine, which calls it: it has the versions of the main one for what both hold."""

    def install(env: Environment, progress: Progress) -> None:
        lock, main = LOCKS / f"{name}.txt", LOCKS / "lock.txt"
        if env.lock != main:
            raise SetupError(f"{name} is locked for the line of development only.")
        if env.done.get(name) == sha256(lock, main):
            return
        with progress.step(what):
            env.pip(*LOCKED, "-r", lock)
            env.mark(name, sha256(lock, main))

    return install


def install_azurite(env: Environment, progress: Progress) -> None:
    """The Azure storage server of the tests."""
    install_by_npm(env, progress, "azurite", "Azurite, the Azure storage server of the tests")


def install_axe(env: Environment, progress: Progress) -> None:
    """The accessibility checker that tests run in the report's page."""
    install_by_npm(env, progress, "axe", "axe-core, the accessibility checker of the tests")


def install_by_npm(env: Environment, progress: Progress, name: str, told: str) -> None:
    """What tools/<name> locks, by npm, each package checked by the hash in its lock."""
    source, folder = TOOLS / name, env.ours / "servers" / name
    files = [source / "package.json", source / "package-lock.json"]
    if env.done.get(name) == sha256(*files) and (folder / "node_modules").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError(f"{name} needs npm (Debian, Ubuntu: apt install npm), and there is none on PATH.")
    with progress.step(told):
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, folder / file.name)
        run([npm, "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"])
        env.mark(name, sha256(*files))


SERVERS = tuple(sorted(folder.name for folder in TOOLS.glob("servers/*")))
"""Servers of the tests that are JARs."""
EXTRAS: dict[str, Callable[[Environment, Progress], None] | None] = {
    **{folder.name: None for folder in sorted(TOOLS.glob("**/extras/*"))},
    **dict.fromkeys(SERVERS),
    "moto": install_apart("moto", "moto, the S3 server of the tests"),
    "azurite": install_azurite,
    "mlflow": install_beside("mlflow", "MLflow, without its pages"),
    "fabric": install_beside("fabric", "fabric-cicd, which deploys Power BI projects"),
    "axe": install_axe,
    "azureml": install_apart("azureml", "azure-ai-ml, and readers of what others are given"),
}
"""What `--with` knows: folders of JARs below tools, servers of the tests, MLflow, and what speaks to Azure ML."""
