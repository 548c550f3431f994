"""Text files as raw lines: one row a line, decoded, with nothing trimmed, split or turned to null by Spark.

Spark's CSV reader is the only one that skips the header of every file, decodes any charset and knows which file a line
came from. It is used as a line reader here, with a delimiter and a quote that no text holds (Unicode noncharacters);
fields are split afterwards, when it is known what is wrong with a line.
"""

from __future__ import annotations

import bz2
import codecs
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from segengine.errors import ConfigError, InputError
from segengine.io.inputs import FileSet, InputFile, Inputs, spark_paths
from segengine.io.source import SOURCE_FILE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LINE = "_segengine_line"
OVERFLOW = "_segengine_overflow"
_NO_DELIMITER = "\ufffe"
_NO_QUOTE = "\uffff"

HEAD_BYTES = 64 * 1024
HEAD_LIMIT_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 4 * 1024 * 1024
_COMPRESSED = {".gz": "gzip", ".bz2": "bzip2"}
_UNREADABLE = (".zip", ".7z", ".rar", ".xz", ".zst", ".lz4", ".snappy", ".lzo", ".deflate")


def charset(encoding: str, name: str) -> str:
    """The canonical name of an encoding we can read. ConfigError for unknown and for multi-byte East Asian ones."""
    where = f"tables.{name}.csv.encoding"
    try:
        known = codecs.lookup(encoding).name
    except LookupError as error:
        raise ConfigError(
            f"Encoding '{encoding}' is unknown.", where=where, todo="Write utf-8, cp1252, iso-8859-1 or utf-16."
        ) from error
    known = {"utf-8-sig": "utf-8", "ascii": "utf-8"}.get(known, known)
    if known == "utf-8" or is_wide(known) or _single_byte_table(known) is not None:
        return known
    raise ConfigError(
        f"Encoding '{encoding}' cannot be read line by line.",
        where=where,
        todo=f"Convert the files first: iconv -f {encoding} -t utf-8.",
    )


def is_wide(encoding: str) -> bool:
    """Whether a line break is more than one byte in this encoding."""
    return encoding.replace("_", "-").startswith(("utf-16", "utf-32"))


def raw_lines(
    spark: SparkSession, found: FileSet, files: Sequence[InputFile], *, header: bool, encoding: str = "utf-8"
) -> DataFrame:
    """One row a non-blank line below the header: `_segengine_line` string, partition columns, `_source_file` string."""
    wide = is_wide(encoding)
    options = {
        "header": str(header).lower(),
        "sep": _NO_DELIMITER,
        "quote": _NO_QUOTE,
        "escape": _NO_QUOTE,
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": OVERFLOW,
        "ignoreLeadingWhiteSpace": "false",
        "ignoreTrailingWhiteSpace": "false",
        "maxCharsPerColumn": "-1",
        "encoding": _java_charset(encoding),
        # Wide encodings cannot be cut at a byte; quotes mean nothing here, so a record is still a line.
        "multiLine": str(wide).lower(),
    }
    if found.partitions:
        options["basePath"] = found.base
    reader = spark.read.format("csv").schema(f"{LINE} string, {OVERFLOW} string").options(**options)
    line = F.coalesce(F.col(OVERFLOW), F.col(LINE))
    table = None if encoding == "utf-8" or wide else _single_byte_table(encoding)
    if table:
        line = F.translate(line, "".join(table), "".join(table.values()))
    partitions = [F.col(f"`{name}`") for name in found.partitions]
    return reader.load(spark_paths(files)).select(
        line.alias(LINE), *partitions, F.col("_metadata.file_path").alias(SOURCE_FILE)
    )


def _java_charset(encoding: str) -> str:
    """Spark 4 knows only the Unicode charsets and ISO-8859-1; the other single-byte ones are translated from that."""
    if encoding == "utf-8":
        return "UTF-8"
    return re.sub(r"(?<=\d)-(?=[LB]E)", "", encoding.replace("_", "-").upper()) if is_wide(encoding) else "ISO-8859-1"


def _single_byte_table(encoding: str) -> dict[str, str] | None:
    """What to change in text read as ISO-8859-1 to have it in this encoding; None unless a byte is a character."""
    table = {}
    for byte in range(256):
        try:
            character = bytes([byte]).decode(encoding)
        except UnicodeDecodeError:
            character = "\ufffd"
        if len(character) != 1 or (byte < 128 and character != chr(byte)):
            return None
        if character != chr(byte):
            table[chr(byte)] = character
    probe = bytes(range(161, 255))
    return table if len(probe.decode(encoding, "replace")) == len(probe) else None


def head_text(inputs: Inputs, file: InputFile, encoding: str, name: str) -> tuple[str, bool]:
    """Text at the start of a file, at least one whole line, and whether it is the whole file.

    InputError naming the file when it is empty, in another encoding than configured, or compressed in a way that cannot
    be read.
    """
    if file.size_bytes == 0:
        raise InputError(
            f"{name}: the file is empty (0 bytes).", where=file.uri, todo="Remove the file, or write it again."
        )
    limit = HEAD_BYTES
    while True:
        raw = inputs.read(file, 0, min(limit, file.size_bytes))
        data, ended = _decompressed(raw, file, name)
        whole = len(raw) == file.size_bytes and ended
        _refuse_wide(data, file, encoding, name)
        text = _decoded(data, whole, file, encoding, name)
        if whole or "\n" in text.strip() or "\r" in text.strip():
            return text, whole
        if limit >= HEAD_LIMIT_BYTES:
            raise InputError(
                f"{name}: the first line is longer than {HEAD_LIMIT_BYTES // 2**20} MiB.",
                where=file.uri,
                todo=f"Check that this is a text file, and tables.{name}.format.",
            )
        limit *= 8


def _decompressed(raw: bytes, file: InputFile, name: str) -> tuple[bytes, bool]:
    suffix = _suffix(file)
    if suffix in _UNREADABLE:
        raise InputError(
            f"{name}: {suffix} files cannot be read.",
            where=file.uri,
            todo="Unpack the file, or compress it as .gz or .bz2.",
        )
    if suffix not in _COMPRESSED:
        return raw, True
    try:
        if suffix == ".bz2":
            unpacker = bz2.BZ2Decompressor()
            return unpacker.decompress(raw, HEAD_LIMIT_BYTES), unpacker.eof
        gunzip = zlib.decompressobj(31)
        return gunzip.decompress(raw, HEAD_LIMIT_BYTES), gunzip.eof and not gunzip.unused_data
    except (zlib.error, OSError) as error:
        raise InputError(
            f"{name}: the file is not a {_COMPRESSED[suffix]} file, or is damaged.",
            where=file.uri,
            found=str(error),
            todo="Write or copy the file again.",
        ) from error


def _suffix(file: InputFile) -> str:
    return "." + file.name.rsplit(".", 1)[-1].lower()


def _refuse_wide(data: bytes, file: InputFile, encoding: str, name: str) -> None:
    if encoding in ("utf-16", "utf-32"):
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            return
        raise InputError(
            f"{name}: the file does not say in which byte order its {encoding} is (no byte order mark).",
            where=file.uri,
            todo=f"Set tables.{name}.csv.encoding: {encoding}-le or {encoding}-be.",
        )
    if is_wide(encoding):
        return
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    zeros = data[:4096].count(0)
    if marked or (len(data) >= 4 and zeros * 3 > len(data[:4096])):
        offset = 0 if marked else data.index(0)
        raise InputError(
            f"{name}: the file is UTF-16 and the configuration says {encoding}.",
            where=f"{file.uri}, byte offset {offset}",
            todo=f"Set tables.{name}.csv.encoding: utf-16, or convert the file: iconv -f utf-16 -t utf-8.",
        )


def _decoded(data: bytes, whole: bool, file: InputFile, encoding: str, name: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    first_break = min((at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0), default=len(data))
    try:
        text = decoder.decode(data, whole)
    except UnicodeDecodeError as error:
        # Bad bytes below the header are found when the rows are read; here only the header must be sound.
        if error.start < first_break or is_wide(encoding):
            raise not_decodable(file, encoding, error.start, data[error.start], name) from error
        text = data.decode(encoding, "replace")
    return text.removeprefix("\ufeff")


def not_decodable(file: InputFile, encoding: str, offset: int, byte: int, name: str) -> InputError:
    """The error for a byte that is not of the encoding."""
    return InputError(
        f"{name}: the file is not {encoding}.",
        where=f"{file.uri}, byte offset {offset}" + (" of the unpacked text" if _suffix(file) in _COMPRESSED else ""),
        found=f"byte 0x{byte:02x}",
        todo=f"Set tables.{name}.csv.encoding to what it is (often cp1252 or iso-8859-1), or convert it to utf-8.",
    )


def first_invalid_byte(inputs: Inputs, file: InputFile, encoding: str) -> tuple[int, int] | None:
    """Offset (in the unpacked text) and value of the first byte that is not of the encoding; None when all are."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    done = 0
    pending = 0
    for chunk in _unpacked(inputs, file):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return done - pending + error.start, error.object[error.start]
        done += len(chunk)
        pending = len(decoder.getstate()[0])
    try:
        decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        return done - pending + error.start, error.object[error.start]
    return None


def is_damaged(inputs: Inputs, file: InputFile) -> bool:
    """Whether a compressed file cannot be unpacked to its end; False for files that are not compressed."""
    try:
        for _ in _unpacked(inputs, file):
            pass
    except (zlib.error, OSError, EOFError):
        return True
    return False


def _unpacked(inputs: Inputs, file: InputFile) -> Iterator[bytes]:
    suffix = _suffix(file)
    chunks = (
        inputs.read(file, start, min(CHUNK_BYTES, file.size_bytes - start))
        for start in range(0, file.size_bytes, CHUNK_BYTES)
    )
    if suffix not in _COMPRESSED:
        yield from chunks
        return
    gzip = suffix == ".gz"
    unpacker = zlib.decompressobj(31) if gzip else bz2.BZ2Decompressor()
    for chunk in chunks:
        rest = chunk
        while rest:
            if unpacker.eof:  # the file may hold several members
                unpacker = zlib.decompressobj(31) if gzip else bz2.BZ2Decompressor()
            yield unpacker.decompress(rest)
            rest = unpacker.unused_data if unpacker.eof else b""
    if not unpacker.eof:
        raise EOFError(f"{file.uri} ends in the middle")
