"""Put pseudonyms in the place of ids before anything else sees a row; and hide whom the output is to forget.

The key travels to the workers inside a function: no plan, log or event log shows it, as `sha2(concat(salt, id))` would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from segengine import privacy
from segengine.config import Config, CustomersTable, TransactionsTable
from segengine.contract.mapping import exact_column
from segengine.contract.values import canonical_id, canonical_text
from segengine.errors import ConfigError
from segengine.io.files import store_for
from segengine.io.source import DEFECT_TEXT, Source, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["listed_ids", "private", "private_rows"]

HIDDEN = "(a defective row, hidden by privacy)"


def private(source: Source, table: TransactionsTable | CustomersTable, config: Config) -> Source:
    """The source with pseudonyms as ids (privacy.pseudonymise), and privacy.FORGOTTEN for those who were erased.

    Unchanged where neither is asked for. The raw text of defective rows, which nobody can take an id out of, is hidden.
    Raises ConfigError: the id is no plain column, or a salt is missing.
    """
    gone = privacy.suppressed(store_for(config.output.path, source.rows.sparkSession), config)
    if not config.privacy.pseudonymise and not gone:
        return source
    name = exact_column(table.columns["customer_id"], source)
    if name is None:
        raise ConfigError(
            f"{source.name}: with privacy the customer id has to be a column, not an expression.",
            where=f"tables.{source.name}.columns.customer_id",
            found=table.columns["customer_id"],
            todo="Name the column; take blanks and zeros off the ids where the table is made.",
        )
    return replace(source, rows=_hidden(source.rows, name, config, gone))


def private_rows(rows: DataFrame, config: Config) -> DataFrame:
    """Ready rows, streaming ones too, whose customer_id is an id as in the source: with pseudonyms where these are
    asked for, and without customers who were erased."""
    gone = privacy.suppressed(store_for(config.output.path, rows.sparkSession), config)
    if "customer_id" not in rows.columns or not (config.privacy.pseudonymise or gone):
        return rows
    shown = "customer_id" if config.privacy.pseudonymise else "_shown"  # else the id keeps its type
    hidden = _hidden(rows.withColumn(shown, F.col("customer_id")), shown, config, gone)
    return hidden.where(F.col(shown).isNull() | (F.col(shown) != privacy.FORGOTTEN)).drop("_shown")


def _hidden(rows: DataFrame, name: str, config: Config, gone: privacy.Suppressed) -> DataFrame:
    """The rows with canonical ids or pseudonyms in the column, or privacy.FORGOTTEN."""
    key = privacy.key_of(config) if config.privacy.pseudonymise else None
    fields = rows.schema.fields
    place = next(i for i, field in enumerate(fields) if field.name == name)
    hidden = F.when(F.col(DEFECT_TEXT).isNotNull(), F.lit(HIDDEN)).alias(DEFECT_TEXT)
    ready = rows.select(
        *(
            canonical_id(F.col(quoted(name)), fields[place].dataType).alias(name)
            if i == place
            else hidden
            if field.name == DEFECT_TEXT
            else F.col(quoted(field.name))
            for i, field in enumerate(fields)
        )
    )
    schema = T.StructType(
        [T.StructField(f.name, T.StringType() if i == place else f.dataType, True) for i, f in enumerate(fields)]
    )
    return ready.mapInArrow(_hiding(place, key, gone), schema)


def listed_ids(names: Iterable[str], config: Config) -> tuple[str, ...]:
    """Ids of the configuration as they stand in the rows: canonical, or as pseudonyms."""
    canonical = dict.fromkeys(canonical_text(name) for name in names)
    if not config.privacy.pseudonymise:
        return tuple(canonical)
    key = privacy.key_of(config)
    return tuple(privacy.pseudonym(key, name) for name in canonical)


def _hiding(
    place: int, key: bytes | None, gone: Mapping[bytes, frozenset[str]]
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """A function for mapInArrow that travels by value: workers need pyarrow, not this package."""
    length, sentinel = privacy.PSEUDONYM_BYTES, privacy.FORGOTTEN

    def hide(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import hmac

        import pyarrow as arrow

        def shown(customer_id: str) -> str:
            data = customer_id.encode()
            for other, tokens in gone.items():
                if hmac.digest(other, b"forgotten\0" + data, "sha256").hex() in tokens:
                    return sentinel
            if key is None:
                return customer_id
            return hmac.digest(key, b"customer\0" + data, "sha256")[:length].hex()

        for batch in batches:
            ids = batch.column(place).dictionary_encode()
            values = arrow.array([shown(value) for value in ids.dictionary.to_pylist()], arrow.string())
            made = values.take(ids.indices)
            columns = [made if i == place else batch.column(i) for i in range(batch.num_columns)]
            yield arrow.RecordBatch.from_arrays(columns, names=batch.schema.names)

    return hide
