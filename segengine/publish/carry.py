"""Carry the rows of cumulative tables from one publication into the next."""

from __future__ import annotations

import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from segengine.config.times import microseconds
from segengine.errors import PublicationError
from segengine.io.files import Store
from segengine.publish.shape import quoted, types_of
from segengine.tables import Table

__all__ = ["carried_frame", "carried_rows", "read_parquet_file"]


def carried_rows(new: pa.Table, old: pa.Table, table: Table, replaced_as_of: dt.datetime | None = None) -> pa.Table:
    """`new` and those of the `old` rows that share `table.replaced_by` with none of them, in order of the key.

    Rows of `replaced_as_of` go from a table of moments even when there are no new ones of it.
    """
    _require_same_shape(types_of(new), types_of(old), table)
    replaced = set(_keys(new, table))
    if replaced_as_of is not None and table.replaced_by == ("as_of",):
        replaced.add((replaced_as_of,))
    stays = pa.array([key not in replaced for key in _keys(old, table)], type=pa.bool_())
    kept = old.filter(stays)
    columns = [
        kept.column(field.name).cast(field.type) if field.name in kept.column_names else pa.nulls(len(kept), field.type)
        for field in new.schema
    ]
    aligned = pa.Table.from_arrays(columns, schema=new.schema)
    return pa.concat_tables([aligned, new]).sort_by([(name, "ascending") for name in table.key])


def _keys(rows: pa.Table, table: Table) -> list[tuple[object, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in table.replaced_by), strict=True))


def carried_frame(new: DataFrame, old: DataFrame, table: Table, replaced_as_of: dt.datetime | None = None) -> DataFrame:
    """The same for DataFrames, in no order."""
    types = types_of(new)
    _require_same_shape(types, types_of(old), table)
    if replaced_as_of is not None and table.replaced_by == ("as_of",):
        old = old.where(F.unix_micros("as_of") != F.lit(microseconds(replaced_as_of)))
    kept = old.join(new.select(*table.replaced_by).distinct(), on=list(table.replaced_by), how="left_anti")
    columns = [
        (F.col(quoted(name)) if name in old.columns else F.lit(None)).cast(kind).alias(name)
        for name, kind in types.items()
    ]
    return kept.select(*columns).unionByName(new)


def _require_same_shape(new: dict[str, str], old: dict[str, str], table: Table) -> None:
    """Old rows may lack a column that may be null. Money of other decimals is of another currency: never mixed."""
    nullable = {column.name for column in table.columns if column.nullable}
    for name, kind in new.items():
        if (name not in old and name not in nullable) or (name in old and old[name] != kind):
            raise PublicationError(
                "The rows published so far do not fit the new ones.",
                where=f"{table.name}.{name}",
                found=f"{old.get(name, 'no such column')} so far, {kind} now",
                todo="Publish to a new output.path: the currency, or the version of segengine, is another one.",
            )


def read_parquet_file(store: Store, path: str) -> pa.Table:
    """A small Parquet file of a store, whole; times in UTC, whatever wrote them."""
    return pq.read_table(io.BytesIO(store.read_bytes(path)))
