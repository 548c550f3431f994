"""Why a published customer is where it is: its row of the current publication and the model that assigned it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.config import Config, load
from segengine.config.times import EPOCH, local_text
from segengine.errors import InputError
from segengine.features import attribute_columns
from segengine.io.files import Store, store_for
from segengine.model import bundle
from segengine.scoring.explain import Explanation
from segengine.scoring.explain import explain as explain_customer
from segengine.scoring.online import Scorer
from segengine.scoring.online_files import assemble
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Explained", "explain", "scorer_of"]


@dataclass(frozen=True)
class Explained:
    """A customer of the current publication: in a lane, or in a segment with the explanation.

    `assigned_key` is the published segment; where it is not the explanation's, the customer was kept near a border.
    """

    customer_id: str
    publication_id: str
    as_of: str
    model_version: str
    lane: str | None
    assigned_key: int | None
    assigned_by: str | None
    explanation: Explanation | None


def explain(config: Config | str | Path, customer_id: str, *, spark: SparkSession | None = None) -> Explained:
    """Explain one customer of the current publication, with the model version that assigned it. Writes nothing.

    Raises InputError when no such customer is published, PublicationError when nothing is, BundleError when the model
    is not as it was saved.
    """
    if not isinstance(config, Config):
        config = load(config)
    with open_session(config, spark=spark) as session:
        customer, row = _published(session, config, str(customer_id).strip())
        store = store_for(config.output.path, session)
        explanation = None
        if row["segment_key"] is not None:
            scorer = scorer_of(store, row["model_version"])
            explanation = explain_customer(scorer, _features(scorer, config, customer, row))
    return Explained(
        customer_id=customer["customer_id"],
        publication_id=row["publication_id"],
        as_of=row["as_of_text"],
        model_version=row["model_version"],
        lane=row["lane"],
        assigned_key=row["segment_key"],
        assigned_by=row["assigned_by"],
        explanation=explanation,
    )


def scorer_of(store: Store, version: str) -> Scorer:
    """The scorer of a saved version on any store, every file verified first."""
    manifest, folder = bundle.verify(store, version), f"models/{version}"
    read = lambda name: json.loads(store.read_bytes(f"{folder}/{name}"))  # noqa: E731  as short as what it is handed to
    return Scorer(assemble(manifest, read, store.uri(folder)))


def _published(spark: SparkSession, config: Config, customer_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The customer's rows of `customers` and `assignments`."""
    from pyspark.sql import functions as F

    from segengine.publish.publication import read_current

    output = config.output
    found = read_current(spark, output, "customers").where(F.col("customer_id") == customer_id).limit(1).collect()
    if not found:
        raise InputError(
            "No such customer is published.",
            where=f"{output.path}, table customers",
            todo="Give the id as `customers.customer_id` shows it; leading zeros and letter case count.",
        )
    assignments = read_current(spark, output, "assignments").withColumn("as_of_us", F.unix_micros("as_of"))
    rows = assignments.where(F.col("customer_key") == found[0]["customer_key"]).limit(1).collect()
    as_of = EPOCH + dt.timedelta(microseconds=rows[0]["as_of_us"])
    return found[0].asDict(), {**rows[0].asDict(), "as_of_text": local_text(as_of, config.timezone)}


def _features(
    scorer: Scorer, config: Config, customer: dict[str, Any], row: dict[str, Any]
) -> dict[str, float | str | None]:
    """What the scorer needs of the customer, by the names it has for it."""
    from segengine.publish.shape import published_names
    from segengine.tables import ASSIGNMENTS, CUSTOMERS

    inputs = [str(item["name"]) for item in scorer.inputs]
    features = {name: row[shown] for name, shown in published_names(inputs, ASSIGNMENTS, "_feature").items()}
    attributes = attribute_columns(config)
    shown = published_names(attributes, CUSTOMERS, "_attribute")
    by_column = {column: customer.get(shown[name]) for name, column in attributes.items()}
    return {name: features[name] if name in features else by_column.get(name) for name in scorer.columns}
