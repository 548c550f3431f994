"""From what somebody types to where a table is, in which format, and how its text is written."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from segengine.config import TableSource
from segengine.config.paths import is_uri
from segengine.errors import InputError
from segengine.io.csv import split_line
from segengine.io.inputs import FileSet, InputFile, Inputs, find_files, inputs_for
from segengine.io.lines import head_text
from segengine.propose.dialect import delimiter_of, encoding_of, is_data
from segengine.propose.facts import Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["is_delta", "locate"]

FORMATS = {
    "parquet": "parquet",
    "pq": "parquet",
    "orc": "orc",
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
}
ENCODING_BYTES = 8 * 1024 * 1024
"""How much of the text files is looked at, taken together, to tell their encoding."""
_CATALOG = re.compile(r"(`[^`]+`|\w+)(\.(`[^`]+`|\w+)){1,3}")


def is_delta(given: str) -> bool:
    """Whether a local path is a Delta table, so that Spark must start with Delta."""
    return os.path.isdir(os.path.join(given, "_delta_log"))


def locate(spark: SparkSession, given: str, name: str) -> Place:
    """Where the table is and how it is written. InputError when there is nothing, or nothing that can be read."""
    path = given if is_uri(given) else os.path.abspath(given)
    inputs = inputs_for(spark, path)
    if not is_uri(given) and not inputs.exists(path) and _is_catalog_name(given):
        return Place(given, None, given, "parquet", why=("a table of the catalog",))
    if inputs.exists(f"{path.rstrip('/')}/_delta_log"):
        return Place(given, path, None, "delta", why=("a Delta table",))
    if inputs.find(path) is None:
        raise InputError(
            "There is no such table.",
            where=given,
            todo="Check the path; tables of the catalog are named like catalog.schema.name.",
        )
    found = find_files(inputs, path, name)
    kind = _format(inputs, found, name)
    place = Place(given, path, None, kind, why=(f"{len(found.files)} files" if len(found.files) > 1 else "1 file",))
    return _with_dialect(place, inputs, found, name) if kind == "csv" else place


def _is_catalog_name(given: str) -> bool:
    return _CATALOG.fullmatch(given) is not None and _suffix(given) not in FORMATS


def _suffix(name: str) -> str:
    parts = name.lower().split(".")
    return parts[-2] if parts[-1] in ("gz", "bz2") and len(parts) > 2 else parts[-1]


def _format(inputs: Inputs, found: FileSet, name: str) -> str:
    """The format of all files, by their names, else by the first bytes of one."""
    kinds = Counter(FORMATS.get(_suffix(file.name), "") for file in found.files)
    if len(kinds) > 1:
        told = ", ".join(f"{count} {kind or 'other'}" for kind, count in sorted(kinds.items()))
        raise InputError(
            "The folder holds files of several formats.",
            where=found.location,
            found=told,
            todo="Name the tables one by one, such as lines.parquet customers.csv, or give a glob: data/*.csv.",
        )
    kind = next(iter(kinds)) or _by_content(inputs, found.files[0], name)
    if kind not in get_args(TableSource.model_fields["format"].annotation):
        raise InputError(f"{kind} files cannot be read as yet.", where=found.location)
    return kind


def _by_content(inputs: Inputs, file: InputFile, name: str) -> str:
    head = inputs.read(file, 0, min(4, file.size_bytes))
    if head == b"PAR1":
        return "parquet"
    if head[:3] == b"ORC":
        return "orc"
    text, _ = head_text(inputs, file, encoding_of(_head(inputs, file, 64 * 1024))[0], name)
    if text.lstrip().startswith(("{", "[")):
        return "json"
    if delimiter_of(text.splitlines()).fields > 1:
        return "csv"
    raise InputError(
        "It cannot be told what this file is.",
        where=file.uri,
        todo="Give it the ending of its format: .parquet, .csv, .json.",
    )


def _with_dialect(place: Place, inputs: Inputs, found: FileSet, name: str) -> Place:
    first = next((file for file in found.files if file.size_bytes), found.files[0])
    encoding, why = _encoding(inputs, found.files)
    text, whole = head_text(inputs, first, encoding, name)
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    dialect = delimiter_of(lines if whole else lines[:-1] or lines)
    header = split_line(lines[0], dialect.delimiter, dialect.quote) if lines else None
    if header is not None and is_data(header):
        raise InputError(
            "The first line looks like a row, not like a header.",
            where=first.uri,
            found=f"{len(header)} fields, some of them numbers or dates",
            todo="Write the file with a header line: columns are read by name only.",
        )
    shown = {"\t": "tab"}.get(dialect.delimiter, dialect.delimiter)
    reasons = [f"delimiter {shown} cuts {dialect.regular:.0%} of the lines into {dialect.fields} fields"]
    reasons.append(f"encoding {encoding}: {why}")
    return replace(
        place, delimiter=dialect.delimiter, quote=dialect.quote, encoding=encoding, why=(*place.why, *reasons)
    )


def _encoding(inputs: Inputs, files: Sequence[InputFile]) -> tuple[str, str]:
    """The encoding that the starts of the files agree on; a byte that is not UTF-8 in any of them decides."""
    share = max(64 * 1024, ENCODING_BYTES // len(files))
    found = ("utf-8", "every byte fits")
    for file in files[: ENCODING_BYTES // (64 * 1024)]:
        if file.size_bytes == 0:
            continue
        found = encoding_of(_head(inputs, file, share))
        if found[0] != "utf-8":
            break
    return found


def _head(inputs: Inputs, file: InputFile, length: int) -> bytes:
    """The first bytes of the text, unpacked where the file is packed."""
    import bz2
    import zlib

    raw = inputs.read(file, 0, min(length, file.size_bytes))
    try:
        if file.name.lower().endswith(".gz"):
            return zlib.decompressobj(31).decompress(raw, length)
        if file.name.lower().endswith(".bz2"):
            return bz2.BZ2Decompressor().decompress(raw, length)
    except (zlib.error, OSError):
        return b""  # the reader says which file is damaged
    return raw
