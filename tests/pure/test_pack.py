"""Parts of `make dist`: archives that are the same each time, of what the lock names, and of nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.metadata
import os
import re
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return importlib.import_module("tools.pack")


def installed(folder: Path, version: str, content: bytes = b"x = 1\n") -> importlib.metadata.Distribution:
    """A package numpy of one file, as pip leaves it in `folder`."""
    info = folder / f"numpy-{version}.dist-info"
    (folder / "numpy").mkdir(parents=True)
    (folder / "numpy" / "__init__.py").write_bytes(content)
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"numpy/__init__.py,sha256={digest},{len(content)}\n../../bin/f2py,,\n")
    return importlib.metadata.Distribution.at(info)


def test_two_archives_of_the_same_files_are_the_same_bytes(tool, tmp_path):
    made = []
    for number, names in enumerate((["b", "a"], ["a", "b"])):
        home = tmp_path / str(number)
        (home / "bin").mkdir(parents=True)
        for name in names:
            (home / "bin" / name).write_text(name)
            os.utime(home / "bin" / name, (1_000_000 * (number + 1),) * 2)
        (home / "bin" / "link").symlink_to("a")
        tool.write_archive(home, tmp_path / f"{number}.tar.gz")
        made.append((tmp_path / f"{number}.tar.gz").read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "0.tar.gz") as archive:
        assert archive.getnames() == ["bin", "bin/a", "bin/b", "bin/link"]
        assert {(m.uid, m.uname) for m in archive.getmembers()} == {(0, "")}


def test_executors_get_numpy_and_pyarrow_and_drivers_all_that_segengine_requires_but_spark(tool):
    assert list(tool.required(tool.KINDS["workers"])) == ["numpy", "pyarrow"]
    everything = tool.required(tool.KINDS["all"])
    assert {"segengine", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy", "typer"} <= set(everything)
    assert not {"pyspark", "pytest", "delta-spark"} & set(everything)


def test_a_package_as_it_was_installed_is_copied_without_its_commands(tool, tmp_path):
    version = importlib.metadata.version("numpy")
    tool.copy_package(installed(tmp_path / "site", version), tmp_path / "copy", tool.NOT_OF_PACKAGES)
    copied = [str(f.relative_to(tmp_path / "copy")) for f in (tmp_path / "copy").rglob("*") if f.is_file()]
    assert copied == ["numpy/__init__.py"]


def test_a_file_that_changed_after_its_installation_is_refused(tool, tmp_path):
    package = installed(tmp_path / "site", importlib.metadata.version("numpy"))
    (tmp_path / "site" / "numpy" / "__init__.py").write_text("x = 2\n")
    with pytest.raises(tool.PackError, match=r"numpy/__init__\.py was changed"):
        tool.copy_package(package, tmp_path / "copy", tool.NOT_OF_PACKAGES)


def test_a_version_that_the_lock_does_not_name_is_refused(tool, tmp_path):
    with pytest.raises(tool.PackError, match=r"numpy 0\.1\.1 is not what lock\.txt pins"):
        tool.copy_package(installed(tmp_path / "site", "0.1.1"), tmp_path / "copy", tool.NOT_OF_PACKAGES)


def test_each_line_of_spark_has_its_lock(tool):
    for name, line in (("lock.txt", "4.2"), ("spark-3.5.txt", "3.5"), ("spark-4.1.txt", "4.1")):
        pinned = re.findall(r"^pyspark==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
        assert [tool.lock_of(version).name for version in pinned] == [name]
        assert pinned[0].startswith(line)


def test_a_python_that_uses_files_of_this_machine_is_refused(tool, tmp_path):
    (tmp_path / "bin").mkdir()
    launcher = tmp_path / "bin" / "python"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    with pytest.raises(tool.PackError, match="uses files of this machine"):
        tool.smoke_test(tmp_path, ["json"])
    with pytest.raises(tool.PackError, match="No module named 'no_such_module'"):
        tool.smoke_test(tmp_path, ["no_such_module"])


def test_only_c_and_cpp_libraries_are_left_to_the_system(tool):
    of_the_system = ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libstdc++.so.6"]
    packed = ["libcrypto.so.3", "libcrypt.so.1", "libmd.so.0", "libpython3.11.so.1.0", "libz.so.1"]
    assert [name for name in of_the_system + packed if tool.OF_THE_SYSTEM.fullmatch(name)] == of_the_system
