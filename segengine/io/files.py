"""Small files on any store, and replacing one so that readers see the old or the new content, never a part."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from segengine.errors import PublicationError
from segengine.io.inputs import is_local, local_path

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FileEntry", "LocalStore", "Store", "store_for"]

STALE_SECONDS = 24 * 3600
"""A temporary file this old was left by a process that died; nothing of ours takes a day to write."""


@dataclass(frozen=True)
class FileEntry:
    """A file or folder. `path` is relative to the store's root, `modified_us` microseconds since 1970 UTC."""

    name: str
    path: str
    size_bytes: int
    is_folder: bool
    modified_us: int


Entries = list[FileEntry]
"""Spelled out here because the stores have a method called `list`."""


class Store(Protocol):
    """A folder (`root`) whose files are named by paths relative to it, with forward slashes.

    Reading what is not there raises FileNotFoundError. A write, rename or delete that fails raises PublicationError and
    leaves what was there as it was. Temporary files and Hadoop's checksum files are not listed.
    """

    root: str

    def read_bytes(self, rel: str) -> bytes:
        """The whole file."""

    def write_atomic(self, rel: str, data: bytes) -> None:
        """Write or replace a file; a reader sees all of the old or all of the new content. Folders are made."""

    def create_exclusive(self, rel: str, data: bytes) -> bool:
        """Write a file unless there is one; whether it was written. Of several callers one wins."""

    def exists(self, rel: str) -> bool:
        """Whether there is a file or folder."""

    def list(self, rel: str = "") -> Entries:
        """What is in a folder, by name; nothing when the folder is missing."""

    def walk(self, rel: str = "") -> Entries:
        """All files below a folder, by path; nothing when the folder is missing."""

    def delete(self, rel: str) -> None:
        """Delete a file, or a folder and all in it; what is missing is deleted already."""

    def rename(self, rel: str, to_rel: str) -> None:
        """Move a file or folder to a name that is free."""

    def make_folder(self, rel: str) -> None:
        """Make a folder and those above it."""

    def uri(self, rel: str = "") -> str:
        """How Spark is told about a path."""

    def sha256(self, rel: str) -> str:
        """SHA-256 of a file's content, hexadecimal."""

    def touch(self, rel: str) -> None:
        """Set a file's modification time to now; make an empty file when there is none."""

    def put_file(self, rel: str, local: str) -> None:
        """Write or replace a file by one of this machine, as `write_atomic` does.

        Its owner alone may read it, where files have owners.
        """

    def fetch_file(self, rel: str, local: str) -> None:
        """Copy a file to one of this machine."""


def store_for(path: str, spark: SparkSession | None = None) -> Store:
    """The store with this root: plain paths and `file:` are local, all else goes through Hadoop and needs `spark`."""
    if is_local(path):
        return LocalStore(path)
    from segengine.io.hadoop_store import HadoopStore

    if spark is None:
        raise PublicationError(
            "Files on this store are written through Spark, and there is no session.",
            where=path,
            todo="Use a local folder for this command, or run it where Spark is.",
        )
    return HadoopStore(path, spark)


def below(rel: str) -> str:
    """The relative path, normalised. ValueError when it leaves the store."""
    parts = [part for part in rel.split("/") if part not in ("", ".")]
    if rel.startswith("/") or ".." in parts or "\0" in rel:
        raise ValueError(f"not a path below the store: {rel!r}")
    return "/".join(parts)


def temporary_name(name: str) -> str:
    """A name next to `name` that nobody else uses and that Spark and `list` do not see."""
    return f".{name}.{uuid.uuid4().hex}.tmp"


def is_listed(name: str) -> bool:
    """Whether a file is content, not one of our temporary files or of Hadoop's checksum files."""
    return not (name.startswith(".") and name.endswith((".tmp", ".crc")))


def failed(what: str, where: str, error: BaseException) -> PublicationError:
    """The error for a write that did not succeed."""
    found = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0][:300]
    return PublicationError(
        f"{what} failed.", where=where, found=found, todo="Check space and access; what was there before is unchanged."
    )


class LocalStore:
    """A folder of the machine. Replacing is `os.replace` after `fsync` of the file, and `fsync` of the folder after it.

    Hadoop keeps a checksum of `name` in `.name.crc` when Spark writes it; such a file is deleted before we replace or
    move its file, or Spark would take the new content for damaged.
    """

    def __init__(self, root: str) -> None:
        self.root = local_path(root)

    def read_bytes(self, rel: str) -> bytes:
        with open(self._path(rel), "rb") as stream:
            return stream.read()

    def write_atomic(self, rel: str, data: bytes) -> None:
        path = self._path(rel)
        with _told("Writing a file", path), self._written(path, data) as temporary:
            _drop_checksum(path)
            os.replace(temporary, path)
            _sync_folder(os.path.dirname(path))

    def create_exclusive(self, rel: str, data: bytes) -> bool:
        path = self._path(rel)
        with _told("Writing a file", path), self._written(path, data) as temporary:
            try:
                os.link(temporary, path)  # the name appears with its content, or not at all
            except FileExistsError:
                return False
            except OSError:  # no hard links on this file system: exclusive, but the content follows the name
                return _create(path, data)
            _sync_folder(os.path.dirname(path))
        return True

    def exists(self, rel: str) -> bool:
        return os.path.exists(self._path(rel))

    def list(self, rel: str = "") -> Entries:
        try:
            with os.scandir(self._path(rel)) as found:
                names = sorted(entry.name for entry in found if is_listed(entry.name))
        except FileNotFoundError:
            return []
        return [entry for name in names if (entry := self._entry(f"{below(rel)}/{name}".lstrip("/"))) is not None]

    def walk(self, rel: str = "") -> Entries:
        files = []
        for here, _folders, names in os.walk(self._path(rel)):
            inside = os.path.relpath(here, self.root).replace(os.sep, "/").removeprefix(".").lstrip("/")
            found = (self._entry(f"{inside}/{name}".lstrip("/")) for name in names if is_listed(name))
            files += [entry for entry in found if entry is not None]
        return sorted(files, key=lambda entry: entry.path)

    def delete(self, rel: str) -> None:
        path = self._path(rel)
        with _told("Deleting", path):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            _drop_checksum(path)

    def rename(self, rel: str, to_rel: str) -> None:
        source, target = self._path(rel), self._path(to_rel)
        with _told("Renaming", source):
            if os.path.lexists(target):
                raise FileExistsError(0, f"{target} exists already")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _drop_checksum(source)
            os.rename(source, target)
            _sync_folder(os.path.dirname(target))

    def make_folder(self, rel: str) -> None:
        path = self._path(rel)
        with _told("Making a folder", path):
            os.makedirs(path, exist_ok=True)

    def uri(self, rel: str = "") -> str:
        return "file://" + self._path(rel).rstrip("/")

    def sha256(self, rel: str) -> str:
        with open(self._path(rel), "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def touch(self, rel: str) -> None:
        path = self._path(rel)
        with _told("Touching a file", path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "ab"):
                os.utime(path)

    def put_file(self, rel: str, local: str) -> None:
        path = self._path(rel)
        with _told("Writing a file", path), self._written(path, b"") as temporary:
            os.chmod(temporary, 0o600)
            with open(local, "rb") as source, open(temporary, "wb") as stream:
                shutil.copyfileobj(source, stream)
                os.fsync(stream.fileno())
            _drop_checksum(path)
            os.replace(temporary, path)
            _sync_folder(os.path.dirname(path))

    def fetch_file(self, rel: str, local: str) -> None:
        shutil.copyfile(self._path(rel), local)

    def _path(self, rel: str) -> str:
        return os.path.join(self.root, below(rel)).rstrip("/") or "/"

    def _entry(self, rel: str) -> FileEntry | None:
        """None when the file went away between being listed and being looked at."""
        try:
            status = os.stat(self._path(rel))
        except FileNotFoundError:
            return None
        is_folder = os.path.isdir(self._path(rel))
        size = 0 if is_folder else status.st_size
        return FileEntry(rel.rsplit("/", 1)[-1], rel, size, is_folder, status.st_mtime_ns // 1000)

    @contextmanager
    def _written(self, path: str, data: bytes) -> Iterator[str]:
        """A temporary file beside `path` that holds the data for good; gone afterwards, whatever happens."""
        folder, name = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        _sweep(folder, name)
        temporary = os.path.join(folder, temporary_name(name))
        try:
            _create(temporary, data)
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextmanager
def _told(what: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed(what, path, error) from error


def _create(path: str, data: bytes) -> bool:
    """Write a file that must not exist, through to the disk; False when it does exist."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _drop_checksum(path: str) -> None:
    folder, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(os.path.join(folder, f".{name}.crc"))


def _sync_folder(folder: str) -> None:
    """Make a rename last through a power cut. Some file systems cannot; the rename has happened all the same."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(folder: str, name: str) -> None:
    """Delete temporary files that writers of this name left behind when they were killed."""
    with os.scandir(folder) as found:
        left = [e.path for e in found if e.name.startswith(f".{name}.") and e.name.endswith(".tmp")]
    for path in left:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(path).st_mtime > STALE_SECONDS:
                os.unlink(path)
