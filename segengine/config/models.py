"""The sections of a configuration: every key with its type, default and limits, and what it means."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, StringConstraints, Tag, model_validator

from segengine.config import rules
from segengine.config.campaigns import Campaigns, of_campaigns
from segengine.config.cards import Names, RfmGrid, of_rfm_grid
from segengine.config.document import redact
from segengine.config.part import TAGS, Expression, Frozen, Part, Text, known_key, refuse
from segengine.config.paths import LOCAL_TRACKING
from segengine.config.powerbi import PowerBI, Report
from segengine.config.redaction import without_secrets
from segengine.config.sources import Tables
from segengine.config.times import History, instant, parse_span
from segengine.config.values import (
    CapValue,
    Currency,
    KValue,
    MomentValue,
    Span,
    SpanOrAll,
    SparkOption,
    TrackingUri,
    Zone,
    snake_case,
)
from segengine.tables import minor_unit

__all__ = [
    "DEFAULT_WEIGHTS",
    "FEATURE_PATTERN",
    "NAME_PATTERN",
    "VARIABLE_PATTERN",
    "Audit",
    "Config",
    "Features",
    "Lanes",
    "Output",
    "Prepare",
    "Privacy",
    "Quality",
    "Retrain",
    "Segments",
    "Tracking",
]

CustomSql = Annotated[Mapping[Annotated[str, AfterValidator(snake_case)], Text], Frozen]
DEFAULT_WEIGHTS = {"rfm": 1.0, "others": 0.5}
"""With equal weights a long tail of features drowns RFM; docs/prediction.md says how that is measured."""

FamilyWeights = Annotated[
    Mapping[
        Annotated[str, AfterValidator(known_key((*rules.FAMILIES, "custom", "others")))], Annotated[float, Field(ge=0)]
    ],
    Frozen,
]
Kpis = Annotated[Mapping[Annotated[str, AfterValidator(snake_case)], Expression], Frozen]
Weights = Annotated[
    Annotated[FamilyWeights, Tag(TAGS[0])] | Annotated[Literal["auto"], Tag(TAGS[1])],
    Discriminator(lambda value: TAGS[isinstance(value, str)]),
]
SparkOptions = Annotated[Mapping[SparkOption, Text], Frozen]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
FEATURE_PATTERN = r"^([a-z][a-z0-9_]*|attributes\..+)$"
FeatureName = Annotated[str, StringConstraints(pattern=FEATURE_PATTERN)]


class Quality(Part):
    """How much may be wrong with the rows."""

    max_rejected_share: float = Field(
        0.30, ge=0, le=1, description="The run stops (exit code 4) when a larger share of the rows goes to quarantine."
    )
    returns: Literal["net", "drop"] = Field(
        "net", description="net: returns reduce what a customer spent; drop: they are ignored."
    )
    unknown_customers: Literal["keep", "reject"] = Field(
        "keep", description="What becomes of lines whose customer is not in the customers table."
    )


class Features(Part):
    """What customers are compared by."""

    include: tuple[FeatureName, ...] = Field(
        rules.DEFAULT_FAMILIES,
        description=f"Families ({', '.join(rules.FAMILIES)}), single features, or attributes.<name>. "
        "With kind: customers the default is [attributes].",
    )
    exclude: tuple[FeatureName, ...] = Field((), description="Single features to leave out of the families.")
    custom: CustomSql = Field(
        {},
        validate_default=True,
        description="Features of your own by name: SQL aggregates over the lines of one customer.",
    )
    top_categories: int = Field(5, ge=0, le=50, description="How many categories category_mix makes a share of.")
    top_channels: int = Field(5, ge=0, le=50, description="How many channels channel_mix makes a share of.")

    @model_validator(mode="after")
    def _check_features(self) -> Features:
        refuse(rules.of_features(self))
        return self


class Prepare(Part):
    """How features become comparable numbers."""

    cap: CapValue = Field(
        (0.01, 0.99), description="Quantiles that values are capped at; null for none. Fitted when a model is trained."
    )
    log: Literal["auto", "always", "never"] = Field(
        "auto", description="Logarithms where skewed, everywhere, or nowhere."
    )
    scale: Literal["standard", "none"] = Field("standard", description="standard: mean 0, standard deviation 1.")
    weights: Weights = Field(
        dict(DEFAULT_WEIGHTS),
        validate_default=True,
        description="What a family weighs, whatever the number of its features; the families not named share others. "
        "auto: what separated best, on earlier customers, what they did in the 90 days after.",
    )


class Lanes(Part):
    """When a customer is too new to be put in a segment; nobody is by default."""

    too_new_days: int | None = Field(None, ge=0, description="First order fewer days ago than this.")
    too_new_orders: int | None = Field(None, ge=1, description="Fewer orders than this.")


class Segments(Part):
    """How many segments, and how large."""

    k: KValue = Field((3, 10), description="How many segments: a number, or the least and the most to try. 2 to 50.")
    min_share: float = Field(0.03, ge=0, lt=1, description="No segment holds a smaller share of the customers.")
    too_small: Literal["refuse", "keep", "merge"] = Field(
        "refuse",
        description="What becomes of a number of segments with one below min_share. refuse: another is taken; keep: "
        "it counts like any other, and the summary warns; merge: where no number passes, the small segments are "
        "dissolved into the nearest ones.",
    )
    max_share: float = Field(0.80, gt=0, le=1, description="No segment holds a larger share of the customers.")
    hysteresis: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="A customer stays in its segment until another centre is nearer by more than this part of the "
        "distance to its own; 0: the nearest centre always decides.",
    )
    by: Text | None = Field(
        None,
        description="An attribute of the customers table that is text, such as country: each of its values gets "
        "segments of its own.",
    )
    by_min_customers: int = Field(100, ge=1, description="Values of by with fewer customers share one group, other.")
    restarts: int = Field(10, ge=1, le=1000, description="Starts per number of segments; the best one counts.")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Start of random numbers: same seed, same segments.")

    @property
    def least_share(self) -> float:
        """The share that a segment has to have: min_share, unless rare ones are kept."""
        return 0.0 if self.too_small == "keep" else self.min_share

    @model_validator(mode="after")
    def _check_shares(self) -> Segments:
        refuse(rules.of_segments(self))
        return self


class Retrain(Part):
    """When `segengine run` trains a new model before it scores."""

    every: Span | None = Field(
        None, description="When the champion is this old, counted from its as_of; null: its age is no reason."
    )
    on_alarm: bool = Field(False, description="When monitoring calls for it in retrain.json of the output.")


class Output(Part):
    """Where results go."""

    path: Text = Field(description="A folder of its own: runs write and clean it. Not inside of what is read.")
    format: Literal["parquet", "delta"] = Field("parquet", description="What published tables are written as.")
    keep_publications: int = Field(5, ge=1, le=1000, description="Publications that are kept, with the current one.")


class Tracking(Part):
    """An MLflow server that is told of every trained model."""

    uri: TrackingUri = Field(
        LOCAL_TRACKING,
        description="sqlite:///out/mlflow.db, relative to the file as paths are; http://host:5000, azureml://..., "
        "databricks, or a database. A password in it as ${env:NAME}.",
    )
    experiment: Text | None = Field(None, description="The experiment that runs are in; name when absent.")
    registered_model: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] | None = Field(
        None,
        description="The scorer is registered under this name, the Spark pipeline with -spark behind it; name "
        "when absent.",
    )


class Privacy(Part):
    """Who customers are published as."""

    pseudonymise: bool = Field(
        False, description="Publish and keep a keyed hash instead of the customer id. Needs salt_env."
    )
    salt_env: Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN)] | None = Field(
        None, description="The environment variable with the salt, which pseudonyms and `segengine forget` need."
    )

    min_cell: int = Field(
        10,
        ge=1,
        description="Cells of protected attributes with fewer customers are not published, nor told by others.",
    )

    @model_validator(mode="after")
    def _check_privacy(self) -> Privacy:
        refuse(rules.of_privacy(self))
        return self


class Audit(Part):
    """What keeps the audit trail honest."""

    anchor: Text | None = Field(
        None,
        description="Where the hash of the newest audit record is kept as well: a folder of another store that those "
        "who can write to the output cannot write to, or mlflow:URI. Without it a cut tail does not show.",
    )


class Config(Part):
    """Everything a run is told. Relative paths start at the folder of the file."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] = Field(
        description="A name for the segmentation: letters, digits, - and _."
    )
    kind: Literal["transactions", "customers"] = Field(
        "transactions",
        description="customers: there are no order lines, and the customers table holds the features.",
    )
    as_of: MomentValue = Field(
        "latest",
        description="Features look at what came before this moment. A date is its midnight in timezone, a time without "
        "an offset is wall clock there, and latest is the midnight after the newest good row.",
    )
    history: SpanOrAll = Field(
        "24 months", description="How far back features look: so many days, weeks, months or years, or all."
    )
    incremental: bool = Field(
        False,
        description="Keep what order lines add up to in output.path/state, so that a run reads new files only. "
        "Customers and rows come out as from all files.",
    )
    timezone: Zone = Field("UTC", description="Where days are counted, and what times without a zone are told in.")
    currency: Currency = Field("USD", description="The currency of amounts (ISO 4217).")
    tables: Tables = Field(description="The tables that are read.")
    quality: Quality = Field(Quality(), description="How much may be wrong with the rows.")
    features: Features = Field(Features(), description="What customers are compared by.")
    prepare: Prepare = Field(Prepare(), description="How features become comparable numbers.")
    lanes: Lanes = Field(Lanes(), description="When a customer is too new to be put in a segment.")
    segments: Segments = Field(Segments(), description="How many segments, and how large.")
    names: Names = Field(Names(), description="How segments are named, described and acted on.")
    rfm_grid: RfmGrid | None = Field(
        None, description="An RFM grid as a second lens beside the segments; none when absent."
    )
    retrain: Retrain = Field(Retrain(), description="When `segengine run` trains a new model before it scores.")
    output: Output = Field(description="Where results go.")
    kpis: Kpis = Field(
        {},
        validate_default=True,
        description="Key figures of your own by name: SQL over a customer's row of assignments (revenue, orders, "
        "features). Each becomes a column there, and a measure and a card in Power BI.",
    )
    report: Report = Field(Report(), description="What is drawn from what is published.")
    powerbi: PowerBI = Field(PowerBI(), description="The Power BI project that is drawn from what is published.")
    campaigns: Campaigns = Field(Campaigns(), description="Who may be written to, and by which columns.")
    privacy: Privacy = Field(Privacy(), description="Who customers are published as.")
    audit: Audit = Field(Audit(), description="What keeps the audit trail honest.")
    spark: SparkOptions = Field(
        {},
        validate_default=True,
        description="Settings that a session of our own is started with, for stores and catalogs: spark.hadoop.*, "
        "spark.sql.catalog.*, spark.jars and its packages. Secrets as ${env:NAME}.",
    )

    tracking: Tracking | None = Field(None, description="An MLflow server that is told of every trained model.")

    _written_paths: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    """Paths as the file has them: a configuration that moves with its folder keeps its fingerprint."""
    _fingerprint: str | None = PrivateAttr(default=None)
    """That of the configuration which this one is a copy of, at work in other places."""
    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)
    """Values of environment variables that were used -> their references."""

    @model_validator(mode="before")
    @classmethod
    def _default_features(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("kind") != "customers":
            return values
        features = values.get("features", {})
        if isinstance(features, dict) and "include" not in features:
            return {**values, "features": {**features, "include": ["attributes"]}}
        return values

    @model_validator(mode="after")
    def _check_config(self) -> Config:
        refuse((*rules.of_config(self), *of_rfm_grid(self), *of_campaigns(self)))
        return self

    @property
    def k_values(self) -> range:
        """Every number of segments to try."""
        low, high = self.segments.k if isinstance(self.segments.k, tuple) else (self.segments.k, self.segments.k)
        return range(low, high + 1)

    @property
    def history_window(self) -> History:
        """How far back features look, on the calendar of `timezone`."""
        return self._span(None if self.history == "all" else self.history)

    @property
    def as_of_moment(self) -> dt.datetime | None:
        """`as_of` as an aware datetime in UTC; None for latest."""
        return None if isinstance(self.as_of, str) else instant(self.as_of, self.timezone)

    @property
    def minor_unit(self) -> int:
        """Digits after the decimal point at which money is published."""
        return minor_unit(self.currency)

    def retrain_due(self, trained_as_of: dt.datetime) -> dt.datetime | None:
        """When a model as of that moment (aware) is to be replaced; None when age is no reason."""
        return self._span(self.retrain.every).end(trained_as_of)

    def fingerprint(self) -> str:
        """SHA-256 of what the configuration says, in hexadecimal: layout and comments of the file do not matter.

        Paths count as written, and `${env:NAME}` as such, not what it stands for.
        """
        if self._fingerprint is not None:
            return self._fingerprint
        plain = self.model_dump(mode="json")
        for path, written in self._written_paths.items():
            section = plain
            for key in path[:-1]:
                section = section[key]
            section[path[-1]] = written
        text = json.dumps(plain, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def redact(self, text: str) -> str:
        """`text` with the values of `${env:NAME}` (those of four characters and more) replaced by that reference.

        What else has the shape of a secret is taken out as well.
        """
        tables = (self.tables.transactions, self.tables.customers)
        known = [t.jdbc.password.get_secret_value() for t in tables if t is not None and t.jdbc and t.jdbc.password]
        return without_secrets(redact(text, {**dict.fromkeys(known, "(password)"), **self._secrets}))

    def _span(self, text: str | None) -> History:
        if text is None:
            return History(timezone=self.timezone)
        _, months, days = parse_span(text)
        return History(months, days, self.timezone)
