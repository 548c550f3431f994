"""Turn what Spark raises when a file cannot be read into one message that names the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from segengine.errors import InputError

if TYPE_CHECKING:
    from segengine.io.source import Source

_CONDITIONS = re.compile(
    r"\[?((?:FAILED_READ_FILE|PARQUET_|CANNOT_READ_|INVALID_PARQUET|UNABLE_TO_INFER_SCHEMA|DELTA_FILE_NOT_FOUND)[A-Z_.]*)"
)
_SIGNS: tuple[tuple[str, str], ...] = (
    ("Unexpected end of input stream", "the compressed file ends in the middle"),
    ("EOFException", "the file ends in the middle"),
    ("incorrect header check", "the file is not compressed as its name says"),
    ("not a gzip file", "the file is not compressed as its name says"),
    ("not in gzip format", "the file is not compressed as its name says"),
    ("ChecksumException", "its checksum differs: the file has changed since it was written"),
    ("is not a Parquet file", "it is not a Parquet file"),
    ("FileNotFoundException", "the file is gone: it was replaced or deleted while it was being read"),
    ("FAILED_READ_FILE.FILE_NOT_EXIST", "the file is gone: it was replaced or deleted while it was being read"),
    ("SchemaColumnConvertNotSupportedException", "a column has another type in this file than in the others"),
    ("PARQUET_COLUMN_DATA_TYPE_MISMATCH", "a column has another type in this file than in the others"),
    ("CONVERT_NOT_SUPPORTED", "a column has another type in this file than in the others"),
    ("PARQUET_TYPE_ILLEGAL", "a column has a Parquet type that Spark does not read"),
    ("PARQUET_TYPE_NOT_SUPPORTED", "a column has a Parquet type that Spark does not read"),
    ("PARQUET_TYPE_NOT_RECOGNIZED", "a column has a Parquet type that Spark does not read"),
    ("ParquetDecodingException", "its pages cannot be decoded"),
    ("ZStdDecompress", "its pages cannot be unpacked"),
    ("SnappyError", "its pages cannot be unpacked"),
    ("FAILED_TO_UNCOMPRESS", "its pages cannot be unpacked"),
    ("Encountered error while reading file", "its content is damaged"),
)
_PACKED = frozenset(meaning for sign, meaning in _SIGNS[:5])
_FILE = (
    re.compile(
        r"(?:error while reading|Error while reading|reading) file[: ]+(\S.*?)(?:\.?\s+(?:SQLSTATE|Details)|[.,]?\s*$)",
        re.M,
    ),
    re.compile(r"(?:in|of) file[: ]+(\S+?)[.,]?(?:\s|$)"),
    re.compile(r"File (\S+) does not exist"),
    re.compile(r"(\S+) is not a Parquet file"),
    re.compile(r"ChecksumException: Checksum error: (\S+)"),
)


def explain_read_failure(error: BaseException, source_name: str, sources: Iterable[Source] = ()) -> InputError | None:
    """The InputError for a failure of Spark to read a file of `source_name`, naming the file; None for other errors.

    Spark 3.5 does not say which compressed file is damaged; those of `sources` are looked through then.
    """
    text = "\n".join(texts_of(error))
    reason = next((meaning for sign, meaning in _SIGNS if sign in text), None)
    condition = _CONDITIONS.search(text)
    if reason is None and condition is None:
        return None
    file = next((found[1].strip() for pattern in _FILE if (found := pattern.search(text))), "")
    if not file and reason in _PACKED:
        file = _damaged_file(sources)
    return InputError(
        f"{source_name}: a file cannot be read: {reason or 'its content is damaged'}.",
        where=file,
        found=condition[1].rstrip(".") if condition else "",
        todo="Write or copy the file again. Nothing was published.",
    )


def _damaged_file(sources: Iterable[Source]) -> str:
    from segengine.io.lines import is_damaged

    for source in sources:
        if source.inputs is not None:
            for file in source.files:
                if is_damaged(source.inputs, file):
                    return file.uri
    return ""


def texts_of(error: BaseException) -> Iterator[str]:
    """Messages of an error and of what caused it; py4j keeps Java's in `java_exception` and in its own text."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield f"{type(current).__name__}: {current}"
        trace = getattr(current, "_stackTrace", None) or getattr(current, "stackTrace", None)
        if isinstance(trace, str):
            yield trace
        current = current.__cause__ or current.__context__
