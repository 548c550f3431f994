"""Find the files of a table and read small parts of them (headers, footers), on local disks and through Hadoop."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote

from segengine.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")

THREADS = 16
"""Files looked at in parallel. The work is waiting for a store, not computing, so it does not follow the cores."""

_GLOB = re.compile(r"[*?\[{]")


@dataclass(frozen=True)
class InputFile:
    """A file of a table. `uri` is how Spark is told (not percent-encoded), `path` how its store is asked."""

    uri: str
    path: str
    name: str
    """Path below the folder that was asked for, with forward slashes."""
    size_bytes: int
    modified_us: int


@dataclass(frozen=True)
class FileSet:
    """The files of a table at one moment, sorted by name."""

    location: str
    base: str
    files: tuple[InputFile, ...]
    partitions: tuple[str, ...]
    """Hive partition columns, from folders such as `year=2024`."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def fingerprint(self) -> str:
        """SHA-256 over the sorted (name, size, modification time) of the files."""
        lines = sorted(f"{file.name}\t{file.size_bytes}\t{file.modified_us}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class Inputs(Protocol):
    """A store to read tables from."""

    def find(self, location: str) -> tuple[str, list[InputFile]] | None:
        """Base folder and files of a file, folder or glob; None when there is nothing at that place."""

    def read(self, file: InputFile, start: int, length: int) -> bytes:
        """Exactly the bytes [start, start + length) of the file, which must lie within its size."""

    def exists(self, location: str) -> bool:
        """Whether there is a file or folder at that place."""


class LocalInputs:
    """Files the driver can open itself."""

    def find(self, location: str) -> tuple[str, list[InputFile]] | None:
        path = local_path(location)
        if os.path.isfile(path):
            return os.path.dirname(path), [_local_file(path, os.path.dirname(path))]
        if os.path.isdir(path):
            return path, [_local_file(found, path) for found in _walk(path)]
        if not _GLOB.search(path):
            return None
        base = _before_glob(path)
        matched = sorted({found for pattern in _braces(path) for found in glob.glob(pattern)})
        if not matched:
            return None
        visible = [found for found in matched if not _is_hidden(os.path.basename(found))]
        paths = [each for found in visible for each in (_walk(found) if os.path.isdir(found) else [found])]
        return base, [_local_file(found, base) for found in paths]

    def read(self, file: InputFile, start: int, length: int) -> bytes:
        with open(file.path, "rb") as stream:
            stream.seek(start)
            return stream.read(length)

    def exists(self, location: str) -> bool:
        return os.path.exists(local_path(location))


class HadoopInputs:
    """Files on any store that Hadoop knows; `fs` and `jvm` come from `session.hadoop_filesystem`."""

    def __init__(self, fs: Any, jvm: Any) -> None:
        self._fs = fs
        self._jvm = jvm

    def find(self, location: str) -> tuple[str, list[InputFile]] | None:
        path = self._path(_escaped(location) if self.exists(location) else location)
        statuses = self._fs.globStatus(path)
        if not statuses:
            return None
        root = self._path(location if self.exists(location) else _before_glob(location))
        base = self._fs.makeQualified(root).toString()
        if len(statuses) == 1 and statuses[0].isFile() and self.exists(location):
            base = base.rsplit("/", 1)[0]
        files = {file.uri: file for top in statuses for file in (self._file(s, base) for s in self._below(top))}
        visible = [file for file in files.values() if not _below_hidden(file.name)]
        return base, sorted(visible, key=lambda file: file.name)

    def _below(self, status: Any) -> Iterator[Any]:
        if status.isFile():
            yield status
            return
        found = self._fs.listFiles(status.getPath(), True)
        while found.hasNext():
            yield found.next()

    def _file(self, status: Any, base: str) -> InputFile:
        uri = status.getPath().toString()
        name = uri[len(base) :].lstrip("/") if uri.startswith(base) else uri
        return InputFile(uri, uri, name, status.getLen(), status.getModificationTime() * 1000)

    def read(self, file: InputFile, start: int, length: int) -> bytes:
        stream = self._fs.open(self._path(file.path))
        try:
            stream.seek(start)
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, length))
        finally:
            stream.close()

    def exists(self, location: str) -> bool:
        return bool(self._fs.exists(self._path(location)))

    def _path(self, location: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(location)


def inputs_for(spark: SparkSession, location: str) -> Inputs:
    """The store that serves a location: plain paths and `file:` are local, all else goes through Hadoop."""
    if is_local(location):
        return LocalInputs()
    from segengine.session import hadoop_filesystem

    return HadoopInputs(*hadoop_filesystem(spark, location))


def find_files(inputs: Inputs, location: str, name: str) -> FileSet:
    """The files of a table, hive partition folders included. InputError naming the path when there are none."""
    try:
        found = inputs.find(location)
    except OSError as error:
        raise InputError(
            f"{name}: the path cannot be read.", where=location, found=error.strerror or str(error)
        ) from error
    except InfrastructureError:
        raise
    except Exception as error:  # py4j raises its own types for whatever the store's Java client throws
        raise InfrastructureError(
            f"{name}: the store did not answer.",
            where=location,
            found=first_line(error),
            todo="Check address and access.",
        ) from error
    if found is None:
        raise InputError(
            f"{name}: there is nothing at this path.",
            where=location,
            todo=f"Correct tables.{name}.path; a relative path starts at the folder of the configuration file.",
        )
    base, files = found
    if not files:
        raise InputError(
            f"{name}: 0 files at this path.",
            where=location,
            todo="Names that start with _ or . are ignored, as Spark does; check the folder or the pattern.",
        )
    single = files[0].name.rsplit("/", 1)[-1]
    if len(files) == 1 and _is_hidden(single):
        raise InputError(
            f"{name}: 0 files at this path: Spark ignores names that start with _ or '.'.",
            where=location,
            todo="Rename the file.",
        )
    return FileSet(location, base, tuple(sorted(files, key=lambda file: file.name)), _partitions(files, name))


def _partitions(files: Sequence[InputFile], name: str) -> tuple[str, ...]:
    first: tuple[str, ...] | None = None
    for file in files:
        keys = tuple(unquote(part.split("=", 1)[0]) for part in file.name.split("/")[:-1] if "=" in part)
        if first is None:
            first = keys
        elif keys != first:
            raise InputError(
                f"{name}: the folders have different partition columns.",
                found=f"{list(first)} in {files[0].name}, {list(keys)} in {file.name}",
                todo="Give a folder or a glob whose files all lie at the same depth of key=value folders.",
            )
    return first or ()


def for_each(work: Callable[[InputFile], T], files: Iterable[InputFile]) -> list[T]:
    """`work` on every file, in parallel, results in the order of the files; the first error is raised."""
    listed = list(files)
    if len(listed) == 1:
        return [work(listed[0])]
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, listed))


def spark_paths(files: Iterable[InputFile]) -> list[str]:
    """The files as Spark's readers want them: characters that would be read as a pattern are escaped."""
    return [_escaped(file.uri) for file in files]


def is_local(location: str) -> bool:
    """Plain paths and `file:` URIs are local. A single letter before the colon is a Windows drive."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", location)
    return scheme is None or scheme[1].lower() == "file"


def local_path(location: str) -> str:
    """The path in a plain path or a `file:` URI, which is taken as written (not percent-decoded), as Hadoop does."""
    if location[:5].lower() != "file:":
        return os.path.abspath(location)
    return os.path.abspath("/" + location[5:].lstrip("/"))


def first_line(error: BaseException) -> str:
    """The message of an error without its stack trace, cut to a line's length."""
    java = getattr(error, "java_exception", None)
    text = str(java.toString()) if java is not None else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]


def _local_file(path: str, base: str) -> InputFile:
    status = os.stat(path)
    name = os.path.relpath(path, base).replace(os.sep, "/")
    return InputFile("file://" + path, path, name, status.st_size, status.st_mtime_ns // 1000)


def _walk(folder: str) -> Iterator[str]:
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(each for each in folders if not _is_hidden(each))
        for each in sorted(names):
            if not _is_hidden(each):
                yield os.path.join(here, each)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _below_hidden(name: str) -> bool:
    return any(_is_hidden(part) for part in name.split("/"))


def _before_glob(location: str) -> str:
    """The folder above the first part with a wildcard."""
    found = _GLOB.search(location)
    return location[: found.start()].rsplit("/", 1)[0] or "/" if found else location


def _braces(pattern: str) -> list[str]:
    """Expand `{a,b}` as Hadoop does; Python's glob knows the other wildcards."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    return [
        expanded
        for choice in found[1].split(",")
        for expanded in _braces(pattern[: found.start()] + choice + pattern[found.end() :])
    ]


def _escaped(uri: str) -> str:
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", uri)
