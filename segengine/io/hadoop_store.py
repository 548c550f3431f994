"""The store of small files for everything Hadoop reaches: HDFS, S3, Azure, Google, Databricks.

How `write_atomic` replaces a file depends on the store:

    hdfs, viewfs, file   a temporary file, then FileContext.rename with OVERWRITE: atomic on HDFS
    s3, s3a, s3n, gs,    one PUT: an object appears whole, when the stream is closed
    oss, cosn
    abfs, abfss, dbfs    a temporary file, renamed to a name that says it is whole; the old file is deleted, and the
    and others           new one takes its name. For some milliseconds there is none: `read_bytes` looks again. A
                         writer that dies just then leaves the whole new file, which `read_bytes` takes.

`create_exclusive` is atomic on HDFS, local disks, and S3 where S3A writes conditionally (Hadoop 3.4.2, unless
fs.s3a.create.conditional.enabled is off). On Azure accounts with flat names ABFS looks and then writes, so that a
second writer of the same moment can take the place of the first: whoever wrote looks again half a second later, and has
won when the file is still its own. Elsewhere Hadoop checks and then writes: two callers within the same moment can both
be told that they won.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from segengine.errors import InfrastructureError, SegengineError
from segengine.io.files import Entries, FileEntry, below, failed, is_listed, temporary_name
from segengine.io.inputs import first_line
from segengine.session import hadoop_filesystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PUT_IS_ATOMIC = frozenset({"s3", "s3a", "s3n", "gs", "oss", "cosn"})
RENAME_IS_ATOMIC = frozenset({"hdfs", "viewfs", "file"})
LOOK_AGAIN_SECONDS = (0.02, 0.1, 0.4)
WHOLE = ".whole.tmp"
"""How the name of a temporary file ends that only has to take its place."""
IF_NONE_MATCH = "fs.option.create.conditional.overwrite"
"""Hadoop's name of a PUT that the store refuses where there is an object already."""
LOOKS_THEN_WRITES = frozenset({"abfs", "abfss"})
SETTLED_SECONDS = 0.5
"""A writer that saw no file has written its own by then; between the two ABFS asks the store once or twice."""
TAKEN = ("AlreadyExists", "already exists", "PreconditionFailed", "Status Code: 412", ", 412,")
REPLACED = ("Status Code: 412", "RemoteFileChanged", "ConditionNotMet", "PreconditionFailed", ", 412,")
"""What stores say to a reader whose file was replaced between two of its requests."""
Paths = list[Any]
"""Spelled out here because the store has a method called `list`."""
CHUNK_BYTES = 4 * 1024 * 1024


class HadoopStore:
    """A folder on a Hadoop file system; see `segengine.io.files.Store` for what the methods promise."""

    def __init__(self, root: str, spark: SparkSession) -> None:
        self.root = root.rstrip("/")
        self._fs, self._jvm = hadoop_filesystem(spark, root)
        self._scheme = root.split(":", 1)[0].lower()

    def read_bytes(self, rel: str) -> bytes:
        path = self._path(rel)
        with self._reading(rel):
            for seconds in LOOK_AGAIN_SECONDS:
                try:
                    if self._replaces_in_one_step or self._fs.exists(path):
                        return b"".join(self._chunks(path))
                except Exception as error:  # py4j has one type for all of Java's
                    if not self._was_replaced(error):
                        raise
                time.sleep(seconds)
            return b"".join(self._chunks(path if self._replaces_in_one_step else self._newest_whole(path)))

    def write_atomic(self, rel: str, data: bytes) -> None:
        self._put(rel, lambda path, over: self._write(path, data, overwrite=over))

    def _put(self, rel: str, write: Callable[[Any, bool], None]) -> None:
        """Have a file written that takes its place at once; `write` is told where, and whether over what is there."""
        path = self._path(rel)
        with self._writing("Writing a file", rel):
            if self._scheme in PUT_IS_ATOMIC:
                write(path, True)
                return
            temporary = self._path(f"{self._parent(rel)}/{temporary_name(path.getName())}")
            try:
                write(temporary, False)
                self._replace(temporary, path)
            finally:
                self._fs.delete(temporary, False)
            if not self._replaces_in_one_step:
                self._delete_whole(path)

    def create_exclusive(self, rel: str, data: bytes) -> bool:
        path = self._path(rel)
        if self._fs.exists(path):
            return False
        with self._writing("Writing a file", rel):
            try:
                if self._fs.hasPathCapability(path, IF_NONE_MATCH):
                    self._write_if_none(path, data)
                else:
                    self._write(path, data, overwrite=False)
            except Exception as error:
                # py4j has one type for all of Java's
                if any(sign in first_line(error) for sign in TAKEN):
                    return False
                raise
        return self._scheme not in LOOKS_THEN_WRITES or self._is_still(rel, data)

    def _is_still(self, rel: str, data: bytes) -> bool:
        """Whether a file that was just written holds this, once nobody who saw no file can still replace it."""
        time.sleep(SETTLED_SECONDS)
        try:
            return self.read_bytes(rel) == data
        except FileNotFoundError:
            return False

    def exists(self, rel: str) -> bool:
        with self._reading(rel):
            return bool(self._fs.exists(self._path(rel)))

    def list(self, rel: str = "") -> Entries:
        if not self.exists(rel):
            return []
        with self._reading(rel):
            inside = below(rel)
            statuses = list(self._fs.listStatus(self._path(rel)))
            entries = [self._entry(status, f"{inside}/{status.getPath().getName()}".lstrip("/")) for status in statuses]
        listed = {entry.name: entry for entry in entries if is_listed(entry.name)}  # Azurite lists a folder twice
        return [listed[name] for name in sorted(listed)]

    def walk(self, rel: str = "") -> Entries:
        if not self.exists(rel):
            return []
        with self._reading(rel):
            base = self._fs.makeQualified(self._path("")).toString()
            entries = []
            found = self._fs.listFiles(self._path(rel), True)
            while found.hasNext():
                status = found.next()
                entries.append(self._entry(status, status.getPath().toString().removeprefix(base).lstrip("/")))
        listed = {entry.path: entry for entry in entries if is_listed(entry.name)}
        return [listed[path] for path in sorted(listed)]

    def delete(self, rel: str) -> None:
        with self._writing("Deleting", rel):
            self._fs.delete(self._path(rel), True)
            if below(rel) and not self._replaces_in_one_step:
                self._delete_whole(self._path(rel))

    def rename(self, rel: str, to_rel: str) -> None:
        source, target = self._path(rel), self._path(to_rel)
        with self._writing("Renaming", rel):
            if self._fs.exists(target):  # Hadoop would move the folder into it
                raise FileExistsError(0, f"{target.toString()} exists already")
            self._fs.mkdirs(target.getParent())
            self._rename(source, target)

    def make_folder(self, rel: str) -> None:
        with self._writing("Making a folder", rel):
            self._fs.mkdirs(self._path(rel))

    def uri(self, rel: str = "") -> str:
        inside = below(rel)
        return f"{self.root}/{inside}" if inside else self.root

    def sha256(self, rel: str) -> str:
        digest = hashlib.sha256()
        with self._reading(rel):
            for chunk in self._chunks(self._path(rel)):
                digest.update(chunk)
        return digest.hexdigest()

    def touch(self, rel: str) -> None:
        if not self.exists(rel):
            self.write_atomic(rel, b"")
        elif self._scheme in RENAME_IS_ATOMIC:
            with self._writing("Touching a file", rel):
                self._fs.setTimes(self._path(rel), time.time_ns() // 1_000_000, -1)
        else:  # object stores do not set times; writing the object does
            self.write_atomic(rel, self.read_bytes(rel))

    def put_file(self, rel: str, local: str) -> None:
        owner_only = self._jvm.org.apache.hadoop.fs.permission.FsPermission("600")

        def copy(path: Any, over: bool) -> None:
            source, target = self._jvm.java.io.FileInputStream(local), self._fs.create(path, over)
            self._jvm.org.apache.hadoop.io.IOUtils.copyBytes(source, target, CHUNK_BYTES, True)
            if self._scheme in RENAME_IS_ATOMIC:  # file systems; object stores know no owner of a file
                self._fs.setPermission(path, owner_only)

        self._put(rel, copy)

    def fetch_file(self, rel: str, local: str) -> None:
        path = self._path(rel)
        with self._reading(rel), open(local, "wb") as stream:
            for chunk in self._chunks(path if self._replaces_in_one_step else self._newest_whole(path)):
                stream.write(chunk)

    def _path(self, rel: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self.uri(rel) if below(rel) else f"{self.root}/")

    @staticmethod
    def _parent(rel: str) -> str:
        return "/".join(below(rel).split("/")[:-1]) or "."

    @staticmethod
    def _entry(status: Any, rel: str) -> FileEntry:
        is_folder = bool(status.isDirectory())
        size = 0 if is_folder else int(status.getLen())
        return FileEntry(rel.rsplit("/", 1)[-1], rel, size, is_folder, int(status.getModificationTime()) * 1000)

    def _chunks(self, path: Any) -> Iterator[bytes]:
        left = int(self._fs.getFileStatus(path).getLen())
        stream = self._fs.open(path)
        try:
            while left > 0:
                size = min(left, CHUNK_BYTES)
                yield bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, size))
                left -= size
        finally:
            stream.close()

    def _was_replaced(self, error: Exception) -> bool:
        """Whether a reader met the very moment of a replacement: stores refuse to go on with another file's bytes."""
        text = str(error)
        gone = not self._replaces_in_one_step and "FileNotFound" in text
        return gone or any(sign in text for sign in REPLACED)

    @property
    def _replaces_in_one_step(self) -> bool:
        return self._scheme in PUT_IS_ATOMIC | RENAME_IS_ATOMIC

    def _whole(self, path: Any) -> Paths:
        """Files that only had to take the name of this one when their writer died, the oldest first."""
        parent, start = path.getParent(), f".{path.getName()}."
        if not self._fs.exists(parent):
            return []
        found = [s for s in self._fs.listStatus(parent) if s.getPath().getName().startswith(start)]
        whole = [status for status in found if status.getPath().getName().endswith(WHOLE)]
        return [status.getPath() for status in sorted(whole, key=lambda status: status.getModificationTime())]

    def _newest_whole(self, path: Any) -> Any:
        return self._whole(path)[-1] if not self._fs.exists(path) and self._whole(path) else path

    def _delete_whole(self, path: Any) -> None:
        for left in self._whole(path):
            self._fs.delete(left, False)

    def _write_if_none(self, path: Any, data: bytes) -> None:
        builder = self._fs.createFile(path).overwrite(True).recursive().must(IF_NONE_MATCH, True)
        self._fill(builder.build(), data)

    def _write(self, path: Any, data: bytes, *, overwrite: bool) -> None:
        self._fill(self._fs.create(path, overwrite), data)

    @staticmethod
    def _fill(stream: Any, data: bytes) -> None:
        try:
            stream.write(data)
            if stream.hasCapability("hsync"):
                stream.hsync()
        finally:
            stream.close()

    def _replace(self, temporary: Any, path: Any) -> None:
        if self._scheme not in RENAME_IS_ATOMIC:
            whole = self._jvm.org.apache.hadoop.fs.Path(f"{temporary.toString().removesuffix('.tmp')}{WHOLE}")
            self._rename(temporary, whole)
            self._fs.delete(path, False)
            self._rename(whole, path)
            return
        rename = self._jvm.java.lang.Class.forName("org.apache.hadoop.fs.Options$Rename")
        options = self._jvm.java.lang.reflect.Array.newInstance(rename, 1)
        self._jvm.java.lang.reflect.Array.set(options, 0, rename.getField("OVERWRITE").get(None))
        context = self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._fs.getUri(), self._fs.getConf())
        context.rename(self._fs.makeQualified(temporary), self._fs.makeQualified(path), options)

    def _rename(self, source: Any, target: Any) -> None:
        if not self._fs.rename(source, target):
            raise OSError(0, f"the store refused to rename to {target.toString()}")

    @contextmanager
    def _reading(self, rel: str) -> Iterator[None]:
        try:
            yield
        except (SegengineError, OSError):
            raise
        except Exception as error:
            if "FileNotFoundException" in first_line(error):
                raise FileNotFoundError(2, "No such file", self.uri(rel)) from error
            raise InfrastructureError(
                "The store did not answer.",
                where=self.uri(rel),
                found=first_line(error),
                todo="Check address and access.",
            ) from error

    @contextmanager
    def _writing(self, what: str, rel: str) -> Iterator[None]:
        try:
            yield
        except SegengineError:
            raise
        except OSError as error:
            raise failed(what, self.uri(rel), error) from error
        except Exception as error:
            raise failed(what, self.uri(rel), RuntimeError(first_line(error))) from error
