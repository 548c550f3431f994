"""House rules that no linter knows: sizes, names, what is said where, locks that lock, a wheel that is whole."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "segengine"
MODULES = sorted(PACKAGE.rglob("*.py"))
CODE = sorted(
    file for room in ("segengine", "jobs", "tools", "tests", "benchmarks") for file in (ROOT / room).rglob("*.py")
)
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def names(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


def committed_files() -> list[Path]:
    """What git tracks, or would; where there is no git, the files of the rooms without caches."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        rooms = ("segengine", "jobs", "tools", "tests", "benchmarks", "docs", "conf", "requirements")
        found = [file for room in rooms for file in (ROOT / room).rglob("*") if "__pycache__" not in file.parts]
        return sorted(file for file in found if file.is_file())
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Path -> text of every committed text file."""
    found = {}
    for file in committed_files():
        try:
            found[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("module", names(MODULES))
def test_a_module_says_what_it_is_for(module):
    text = ast.get_docstring(ast.parse((ROOT / module).read_text(encoding="utf-8")))
    assert text, f"{module} has no docstring"
    assert text.split("\n\n")[0].endswith((".", ":")), f"{module}: it does not begin with a whole sentence"


def test_modules_and_functions_fit_in_a_head():
    too_long = []
    for file in MODULES:
        text = file.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_MODULE:
            too_long.append(f"{file.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    too_long.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert not too_long


def test_no_module_is_named_for_nothing():
    vague = {"utils", "util", "misc", "common", "helpers", "helper", "base", "manager"}
    assert not [name for name in names(CODE) if Path(name).stem in vague]


def test_only_the_session_room_reaches_into_the_jvm():
    inside = re.compile(r"(?<!self)\._jvm\b|\._jsc\b|\.sparkContext\b|\._sc\b|\.rdd\b")
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in MODULES
        if file.name != "session.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if inside.search(line.split("#")[0])
    ]
    assert not found


def test_a_suppression_names_its_code_and_its_reason(texts):
    bare = []
    for name, text in texts.items():
        if not name.endswith(".py") or name == "tests/pure/test_house.py":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = re.search(r"#\s*(?:noqa|type:\s*ignore)(.*)$", line)
            if found and not re.match(r"(: ?[A-Z]+\d+[\w, ]*|\[[\w, -]+\])(\s*[#(-]\s*|\s{2,})\w+", found[1]):
                bare.append(f"{name}:{number}: {line.strip()}")
    assert not bare


def test_no_file_names_a_folder_of_somebodys_machine(texts):
    own = re.compile(r"(?<![\w.~-])/(?:root|home/\w+|Users/\w+|work)/\w")
    found = [f"{name}: {match[0]}" for name, text in texts.items() for match in own.finditer(text)]
    assert not [hit for hit in found if not hit.startswith("tests/pure/test_house.py")]


LINES = sorted(file.stem.removeprefix("spark-") for file in (ROOT / "requirements").glob("spark-*.in"))


@pytest.mark.parametrize(
    "file",
    [
        "lock.txt",
        "build.txt",
        "java.txt",
        "bench.txt",
        "mlflow.txt",
        "moto.txt",
        *(f"spark-{line}.txt" for line in LINES),
    ],
)
def test_every_locked_package_has_an_exact_version_and_hashes_and_no_address(file):
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[\w.!+]+ ( ?; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+ *$", entry), entry[:80]
    assert "://" not in text


def locked(file: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", (ROOT / "requirements" / file).read_text(), re.MULTILINE))


def test_build_tools_have_the_same_versions_in_all_locks():
    for file in ("lock.txt", *(f"spark-{line}.txt" for line in LINES)):
        assert locked("build.txt").items() <= locked(file).items()


def test_mlflow_has_the_versions_of_the_main_lock_for_what_both_hold():
    main, added = locked("lock.txt"), locked("mlflow.txt")
    assert {name: version for name, version in added.items() if name in main and main[name] != version} == {}
    assert "mlflow-skinny" in added


@pytest.mark.parametrize("line", ["", *LINES])
def test_jars_fit_the_locked_packages_and_each_has_a_hash_and_a_session_asks_for_the_same(line):
    from segengine.session import DELTA_PACKAGES

    folder = ROOT / "tools" / (f"spark-{line}" if line else "")
    ivy = (folder / "ivy.xml").read_text(encoding="utf-8")
    jars = re.findall(r'<dependency org="([\w.]+)" name="([\w.-]+)" rev="([\w.]+)" transitive="false"/>', ivy)
    listed = re.findall(r"^[0-9a-f]{64}  (\S+)$", (folder / "jars.sha256").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(f"{name}-{version}.jar" for _, name, version in jars)
    lock = locked(f"spark-{line}.txt" if line else "lock.txt")
    running = ".".join(lock["pyspark"].split(".")[:2])
    assert not line or line == running
    asked = tuple(DELTA_PACKAGES[running].split(":"))
    assert asked in jars
    assert asked[2] == lock["delta-spark"]


EXTRA_FOLDERS, SERVER_FOLDERS = (
    [str(folder.relative_to(ROOT)) for folder in sorted((ROOT / "tools").glob(f"**/{kind}/*")) if folder.is_dir()]
    for kind in ("extras", "servers")
)


@pytest.mark.parametrize("folder", [*EXTRA_FOLDERS, *SERVER_FOLDERS])
def test_every_jar_of_an_extra_has_exact_coordinates_and_a_hash(folder):
    from segengine.jars import EXTRAS

    ivy = (ROOT / folder / "ivy.xml").read_text(encoding="utf-8")
    jars = re.findall(r'<dependency org="[\w.-]+" name="([\w.-]+)" rev="([\w.]+)" transitive="false"/>', ivy)
    listed = re.findall(r"^[0-9a-f]{64}  (\S+)$", (ROOT / folder / "jars.sha256").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(f"{name}-{version}.jar" for name, version in jars)
    assert len(jars) == ivy.count("<dependency ") > 0
    assert Path(folder).name in EXTRAS or folder in SERVER_FOLDERS


def test_the_connectors_of_stores_are_of_the_hadoop_that_the_locked_spark_brings():
    pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed here")
    if pyspark.__version__ != locked("lock.txt")["pyspark"]:
        pytest.skip("this is not the pyspark of the lock")
    (api,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    version = api.stem.removeprefix("hadoop-client-api-")
    for extra, name in (("s3", "hadoop-aws"), ("azure", "hadoop-azure")):
        assert f'name="{name}" rev="{version}"' in (ROOT / "tools" / "extras" / extra / "ivy.xml").read_text()


def test_kafka_has_the_version_that_the_locked_spark_names_a_client_for():
    connector, broker = (
        (ROOT / "tools" / at / "ivy.xml").read_text() for at in ("extras/kafka", "servers/kafka-broker")
    )
    spark = locked("lock.txt")["pyspark"]
    for name in ("spark-sql-kafka-0-10_2.13", "spark-token-provider-kafka-0-10_2.13"):
        assert f'name="{name}" rev="{spark}"' in connector
    (client,) = re.findall(r'name="kafka-clients" rev="([\w.]+)"', connector)
    for name in ("kafka-clients", "kafka_2.13"):
        assert f'name="{name}" rev="{client}"' in broker


def test_every_line_of_spark_that_is_served_has_a_lock():
    from segengine.session import DELTA_PACKAGES

    assert set(DELTA_PACKAGES) == {*LINES, ".".join(locked("lock.txt")["pyspark"].split(".")[:2])}


def test_make_without_a_target_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
    answer = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert targets == set(re.findall(r"^  make (\S+) ", answer.stdout, re.MULTILINE))
    assert {"demo", "test", "lint", "setup"} <= targets


def test_the_wheel_holds_every_file_of_the_package_and_imports_without_spark(tmp_path):
    pytest.importorskip("hatchling", reason="the build backend is not installed here; `make setup` installs it")
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*build, "--no-build-isolation", "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("segengine-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("segengine/")}
        archive.extractall(tmp_path / "site")
    expected = {name for name in names(committed_files()) if name.startswith("segengine/")}
    assert inside == expected
    check = (
        "import sys; sys.modules['pyspark'] = None; import segengine; print(segengine.__version__, segengine.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    answer = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "site") in answer.stdout


def test_the_core_suite_of_every_spark_line_names_tests_that_exist():
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed here (Debian: apt install make)")
    command = [make, "--silent", "--no-print-directory", "--eval", "core: ; @echo $(CORE)", "core"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert len(said) > 20, said
    lost = []
    for file, _, test in (name.partition("::") for name in said):
        text = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else ""
        if not text or (test and f"def {test}(" not in text):
            lost.append(f"{file}::{test}")
    assert not lost, "the Makefile's CORE names what is not there"


TWO_SKIPS = """
import pytest
def test_passes(): pass
@pytest.mark.skip(reason="no moon tonight")
def test_needs_the_moon(): pass
def test_needs_a_module(): pytest.importorskip("a_module_that_is_nowhere")
"""


@pytest.mark.parametrize(("require_all", "exit_code"), [("", 0), ("1", 1)])
def test_skipped_checks_are_listed_with_their_reason_and_fail_a_run_that_requires_all(tmp_path, require_all, exit_code):
    (tmp_path / "test_two_skips.py").write_text(TWO_SKIPS, encoding="utf-8")
    environment = {**os.environ, "REQUIRE_ALL": require_all, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.plugin_skips", "--rootdir", tmp_path, tmp_path]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == exit_code, answer.stdout + answer.stderr
    listing = answer.stdout[answer.stdout.index("skipped checks") :]
    assert "no moon tonight" in listing
    assert "test_needs_the_moon" in listing
    assert "test_needs_a_module" in listing
    assert "test_passes" not in listing
