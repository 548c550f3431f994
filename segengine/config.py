"""One YAML file becomes one frozen, fully checked `Config`; nothing here starts Spark."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FAMILIES = ("rfm", "basket", "tenure", "rhythm", "trend", "returns", "category_mix", "attributes")
DEFAULT_FAMILIES = ("rfm", "basket", "tenure", "rhythm", "trend")


class Part(BaseModel):
    """A section of the configuration: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class CsvOptions(Part):
    """How CSV files are written; every field is read as text first and cast with a rule of its own."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    timestamp_format: str | None = Field(None, description="Spark pattern, such as 'dd/MM/yyyy HH:mm'; ISO when absent")


class TableSource(Part):
    """Where a table is: files (`path`) or a catalog table (`table`)."""

    path: str | None = None
    table: str | None = None
    format: Literal["parquet", "delta", "csv", "json"] = "parquet"
    csv: CsvOptions = CsvOptions()
    timezone: str | None = Field(None, description="zone of time stamps without one; the config's timezone when absent")
    version: int | None = Field(None, ge=0, description="Delta version to read; the newest when absent")


class TransactionsTable(TableSource):
    """Order lines: one row is a line of an order."""

    columns: dict[str, str]  # ours -> theirs: an exact column name, or else a SQL expression
    returns: str | None = None  # SQL condition on the source's columns
    duplicates: Literal["keep", "drop"] = "keep"
    rules: dict[str, str] = {}
    ignore_customers: tuple[str, ...] = ()


class CustomersTable(TableSource):
    """Customers: one row is a customer."""

    columns: dict[str, str]
    attributes: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    opted_out: str | None = None
    rules: dict[str, str] = {}
    ignore_customers: tuple[str, ...] = ()


class Tables(Part):
    transactions: TransactionsTable | None = None
    customers: CustomersTable | None = None


class Quality(Part):
    max_rejected_share: float = Field(0.30, ge=0, le=1)
    returns: Literal["net", "drop"] = "net"
    unknown_customers: Literal["keep", "reject"] = "keep"


class Features(Part):
    include: tuple[str, ...] = DEFAULT_FAMILIES  # families, feature names, or attributes.<name>
    exclude: tuple[str, ...] = ()  # feature names
    custom: dict[str, str] = {}  # name -> SQL aggregate over the lines of one customer
    top_categories: int = Field(5, ge=0, le=50)


class Prepare(Part):
    cap: tuple[float, float] | None = (0.01, 0.99)
    log: Literal["auto", "always", "never"] = "auto"
    scale: Literal["standard", "none"] = "standard"
    weights: dict[str, float] = {"rfm": 1.0, "others": 0.5}


class Lanes(Part):
    """When a customer is too new to be put in a segment; nobody is by default."""

    too_new_days: int | None = Field(None, ge=0)
    too_new_orders: int | None = Field(None, ge=1)


class Segments(Part):
    k: tuple[int, int] | int = (3, 10)
    min_share: float = Field(0.03, ge=0, lt=1)
    max_share: float = Field(0.80, gt=0, le=1)
    restarts: int = Field(10, ge=1)
    seed: int = 7


class Output(Part):
    path: str
    format: Literal["parquet", "delta"] = "parquet"
    keep_publications: int = Field(5, ge=1)


class Config(Part):
    """Everything a run is told. Paths are relative to the file it came from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    kind: Literal["transactions", "customers"] = "transactions"
    as_of: dt.datetime | dt.date | Literal["latest"] = "latest"
    history: str = "24 months"
    timezone: str = "UTC"
    currency: str = "USD"
    tables: Tables
    quality: Quality = Quality()
    features: Features = Features()
    prepare: Prepare = Prepare()
    lanes: Lanes = Lanes()
    segments: Segments = Segments()
    output: Output
