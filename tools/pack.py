"""Packs Python and the locked packages into one archive, for clusters whose workers have neither.

`spark-submit --archives ARCHIVE#environment` unpacks it beside every executor, where
PYSPARK_PYTHON=./environment/bin/python starts it. It is made of what `.venv` holds, without a network: the interpreter,
its standard library, packages whose versions the lock names and whose files have the hashes they were installed with,
the shared libraries that all of these load (those of C and C++ excepted), segengine and its jobs. The same `.venv`
gives the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "lock.txt"
"""Of the line of Spark that segengine is developed on; the others have one each: spark-3.5.txt."""
FAMILY = f"python{sys.version_info.major}.{sys.version_info.minor}"
KINDS = {"workers": ("numpy", "pyarrow"), "all": ("segengine",)}
"""What each kind of archive holds, with everything it requires: the code of executors, or the driver's too."""

MODULES = {
    "workers": ("numpy", "pyarrow.compute", "segengine.publish.exact_sums", "segengine.model.lloyd"),
    "all": ("numpy", "pyarrow.dataset", "pandas", "scipy.optimize", "sklearn.cluster", "segengine.cli"),
}
"""What each kind must be able to import."""

NOT_OF_THE_LIBRARY = (
    "*/__pycache__*", "config-*", "dist-packages*", "ensurepip*", "idlelib*", "lib2to3*", "pydoc_data*",
    "site-packages*", "sitecustomize.py", "test/*", "tkinter*", "turtle*", "*/test/*", "*/tests/*",
    "lib-dynload/_crypt*", "lib-dynload/_ctypes_test*", "lib-dynload/_curses*", "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*", "lib-dynload/_test*", "lib-dynload/_tkinter*", "lib-dynload/_xxtest*", "lib-dynload/nis*",
    "lib-dynload/ossaudiodev*", "lib-dynload/readline*", "lib-dynload/xxlimited*",
)  # fmt: skip
"""Of the standard library: what serves terminals, windows, tests and builds."""

NOT_OF_PACKAGES = (
    "../*", "*/__pycache__/*", "*.pyc", "*/tests/*", "*.a", "*.h", "*.hpp", "*.pxd", "*.pxi", "*.pyx", "*.pyi",
    "pyarrow/include/*", "pyarrow/includes/*", "pyarrow/src/*", "pyarrow/libarrow*.so",
    "pyarrow/libarrow*.so.*.*", "pyarrow/*flight*", "pyarrow/_pyarrow_cpp_tests*",
)  # fmt: skip
"""Of packages: commands, tests, what only compilers read, and parts of Arrow that nothing here imports."""

NOT_OF_WORKERS = (
    "numpy/f2py/*",
    "pyarrow/*s3*",
    "pyarrow/_azurefs*",
    "pyarrow/_gcsfs*",
    "pyarrow/_orc*",
    "pyarrow/orc.py",
)

OF_THE_SYSTEM = re.compile(
    r"(ld-linux[-\w]*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libnsl|libgcc_s|libstdc\+\+)\.so(\.\d+)*"
)
"""Libraries that must be the machine's own: glibc belongs to its loader, and manylinux packages count on the others."""

GZIP_LEVEL = 6
YEAR_2000 = 946_684_800
"""Seconds since 1970 until 2000: the time of every packed file, unless SOURCE_DATE_EPOCH is set."""

LAUNCHER = """\
#!/bin/sh
# Starts the interpreter beside this file with the libraries and packages that came with it, and with no others.
here=$(CDPATH='' cd -- "${0%/*}" && pwd -P) || exit 127
unset PYTHONHOME
PYTHONNOUSERSITE=1
LD_LIBRARY_PATH="$here/../lib/shared${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONNOUSERSITE LD_LIBRARY_PATH
exec "$here/FAMILY" "$@"
"""

SITECUSTOMIZE = '''\
"""Packages lie in site-packages beside the standard library, wherever this build of Python would look for them."""

import os
import site

site.addsitedir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "site-packages"))
'''


class PackError(Exception):
    """The archive cannot be made; the text is for the person who asked for it."""


def left_out(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path, relative and with slashes, matches one of the patterns."""
    return any(fnmatch(path, pattern) or fnmatch("/" + path, pattern) for pattern in patterns)


def copy_interpreter(home: Path) -> Path:
    """The interpreter, its launcher and its standard library below `home`; returns the library's folder."""
    library = home / sys.platlibdir / FAMILY
    source = Path(sysconfig.get_path("stdlib"))
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source).as_posix()
        if file.is_file() and not left_out(name, NOT_OF_THE_LIBRARY):
            copy(file, library / name)
    (library / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    copy(Path(sys.executable).resolve(), home / "bin" / FAMILY)
    launcher = home / "bin" / "python"
    launcher.write_text(LAUNCHER.replace("FAMILY", FAMILY), encoding="utf-8")
    launcher.chmod(0o755)
    (home / "bin" / "python3").symlink_to("python")
    return library


def copy(source: Path, target: Path) -> None:
    """The file behind `source`, links followed, readable by everybody and writable by its owner."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def required(roots: Sequence[str]) -> dict[str, importlib.metadata.Distribution]:
    """The installed distributions `roots` and all that they require here, by name; sorted."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise PackError(f"{name} is not installed in this environment: run `make setup` first.") from error
        wanted = [Requirement(text) for text in found[name].requires or []]
        waiting += [want.name for want in wanted if want.marker is None or want.marker.evaluate({"extra": ""})]
    return dict(sorted(found.items()))


def lock_of(pyspark: str) -> Path:
    """The lock that an environment with this version of pyspark is made from."""
    if f"\npyspark=={pyspark} " in LOCK.read_text(encoding="utf-8"):
        return LOCK
    return LOCK.with_name(f"spark-{'.'.join(pyspark.split('.')[:2])}.txt")


def copy_package(
    package: importlib.metadata.Distribution, target: Path, unwanted: Sequence[str], lock: Path = LOCK
) -> None:
    """The files of an installed package; PackError when one is not what was installed, or the version is not locked."""
    name = canonicalize_name(package.metadata["Name"])
    pinned = re.compile(rf"^{re.escape(name)}=={re.escape(package.version)}(?=[\s;\\]|$)", re.MULTILINE)
    if not pinned.search(lock.read_text(encoding="utf-8")):
        raise PackError(f"{name} {package.version} is not what {lock.name} pins: run `make setup`, or `make lock`.")
    for file in package.files or []:
        if left_out(file.as_posix(), unwanted):
            continue
        source = Path(str(file.locate()))
        if file.hash is not None:
            digest = hashlib.new(file.hash.mode, source.read_bytes()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                raise PackError(f"{name}: {file} was changed after it was installed. Remove .venv, run `make setup`.")
        if file.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
            copy(source, target / file.as_posix())


def copy_segengine(site: Path, home: Path) -> None:
    """The package and its jobs as they are in this checkout."""
    for folder, target in ((ROOT / "segengine", site / "segengine"), (ROOT / "jobs", home / "jobs")):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                copy(file, target / file.relative_to(folder))


def binaries(home: Path) -> Iterator[Path]:
    """The programs and shared libraries below a folder."""
    for file in sorted(home.rglob("*")):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                if opened.read(4) == b"\x7fELF":
                    yield file


def copy_shared_libraries(home: Path) -> None:
    """Put what the binaries load from this machine into lib/shared, the system's excepted."""
    shared = home / "lib" / "shared"
    shared.mkdir(parents=True)
    for name, place in loaded(list(binaries(home)), shared).items():
        if not place.is_relative_to(home) and not OF_THE_SYSTEM.fullmatch(name):
            copy(place, shared / name)


def loaded(files: Sequence[Path], shared: Path) -> dict[str, Path]:
    """What the loader finds for these files: library name -> path; PackError when it misses one.

    A library that only others of its package load may be missed when asked for alone: it is among `files` then.
    """
    answer = subprocess.run(
        ["ldd", *files], capture_output=True, text=True, check=False,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "LD_LIBRARY_PATH": str(shared)},
    )  # fmt: skip
    missing = sorted(set(re.findall(r"(\S+) => not found", answer.stdout)) - {file.name for file in files})
    if missing:
        raise PackError(f"Shared libraries that packages load are not on this machine: {', '.join(missing)}.")
    return {name: Path(place).absolute() for name, place in re.findall(r"(\S+) => (/\S+) \(0x", answer.stdout)}


def oldest_c_library(home: Path) -> str:
    """The oldest glibc that serves every binary: the highest version that one of them names."""
    found = {int(minor) for file in binaries(home) for minor in re.findall(rb"GLIBC_2\.(\d+)", file.read_bytes())}
    return f"2.{max(found)}" if found else "none"


def smoke_test(home: Path, modules: Sequence[str]) -> None:
    """Start the copy with an empty environment and have it import its packages; PackError unless all come from it."""
    code = (
        "import sys, ssl, ctypes, zlib, lzma, bz2, hashlib, sqlite3, decimal, uuid\n"
        f"import {', '.join(modules)}\n"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()]\n"
        "print(sys.executable, *filter(None, files), sep='\\n')\n"
        "print(*(words[5] for words in map(str.split, open('/proc/self/maps')) if '.so' in words[-1]), sep='\\n')\n"
    )
    done = subprocess.run(
        [home / "bin" / "python", "-B", "-c", code],
        env={}, cwd="/", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode != 0:
        raise PackError(f"The packed Python does not serve:\n{done.stderr.strip()[-2000:]}")
    used = {Path(line) for line in done.stdout.splitlines()}
    outside = [str(p) for p in sorted(used) if not p.is_relative_to(home) and not OF_THE_SYSTEM.fullmatch(p.name)]
    if outside:
        raise PackError(f"The packed Python uses files of this machine: {', '.join(outside)}.")


def write_archive(home: Path, archive: Path, level: int = GZIP_LEVEL) -> None:
    """The folder as a .tar.gz with sorted names, no owners and one time for every file."""
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or YEAR_2000)
    archive.parent.mkdir(parents=True, exist_ok=True)
    new = archive.with_name(archive.name + ".new")
    with (
        new.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=level, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in sorted(home.rglob("*")):
            entry = tar.gettarinfo(file, file.relative_to(home).as_posix())
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = moment
            if entry.isfile():
                with file.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    new.replace(archive)


def pack(kind: str, folder: Path, level: int = GZIP_LEVEL) -> Path:
    """Make the archive of this kind in `folder` and return its path; PackError tells why it cannot be made."""
    if sys.platform != "linux":
        raise PackError("Archives are packed on Linux: the workers' system, or an older one of the same processor.")
    packages = required(KINDS[kind])
    lock = lock_of(importlib.metadata.version("pyspark"))
    version = re.findall(r'^__version__ = "(.+)"', (ROOT / "segengine" / "__init__.py").read_text(), re.MULTILINE)[0]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch).resolve() / "environment"
        library = copy_interpreter(home)
        unwanted = (*NOT_OF_PACKAGES, *(NOT_OF_WORKERS if kind == "workers" else ()))
        others = {name: package for name, package in packages.items() if name != "segengine"}
        for package in others.values():
            copy_package(package, library / "site-packages", unwanted, lock)
        copy_segengine(library / "site-packages", home)
        copy_shared_libraries(home)
        smoke_test(home, MODULES[kind])
        facts = {
            "segengine": version,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "glibc": oldest_c_library(home),
            "packages": {name: package.version for name, package in others.items()},
        }
        (home / "environment.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        spark = "" if lock == LOCK else f"-{lock.stem.replace('-', '')}"
        python = f"py{sys.version_info.major}{sys.version_info.minor}"
        archive = folder / f"segengine-{version}-{kind}{spark}-{python}-linux_{platform.machine()}.tar.gz"
        write_archive(home, archive, level)
    size = archive.stat().st_size / 1e6
    needs = f"Linux {facts['machine']} with glibc {facts['glibc']} or newer"
    print(f"{archive}: {size:.0f} MB, Python {facts['python']} and {len(others)} packages, for {needs}")
    return archive


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="workers, all; both when none is named")
    parser.add_argument("--folder", type=Path, default=ROOT / "dist", help="where; dist when absent")
    parser.add_argument(
        "--level",
        type=int,
        choices=range(1, 10),
        default=GZIP_LEVEL,
        metavar="N",
        help=f"of gzip: 1 is quick, 9 small; {GZIP_LEVEL} when absent",
    )
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.kinds) - KINDS.keys())
    if unknown:
        parser.error(f"{', '.join(unknown)} is no kind of archive; there are: {', '.join(KINDS)}")
    try:
        for kind in chosen.kinds or KINDS:
            pack(kind, chosen.folder, chosen.level)
    except PackError as error:
        print(f"Nothing was packed.\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
