"""The section that says who may be written to, and by which columns of the customers table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from segengine.config.part import Expression, Part, Wrong, refuse
from segengine.config.sources import Attributes

if TYPE_CHECKING:
    from segengine.config.models import Config

__all__ = ["Campaigns", "of_campaigns"]

TAKEN = ("customer_id", "segment_id", "segment")
"""Columns that a list has anyway."""


class Campaigns(Part):
    """Who may be written to (`segengine export`), and how long a campaign is given to work."""

    contact: Attributes = Field(
        {},
        validate_default=True,
        description="Columns of the customers table that an exported list may hold, the first being where it is sent "
        "to: who has none is not on the list. They are read when a list is exported, and are in no published table.",
    )
    consent: Expression | None = Field(
        None,
        description="A SQL condition over the customers table: who agreed to be written to. It is asked anew for every "
        "list; unknown is no. Without it nothing is exported, unless with --no-consent-check.",
    )
    holdout_share: float = Field(
        0.1, ge=0, lt=1, description="The share of a campaign's customers who are not written to, to compare with."
    )
    days: int = Field(28, ge=1, le=730, description="How many days after the list was exported count as its effect.")

    @model_validator(mode="after")
    def _check_contact(self) -> Campaigns:
        todo = "Give it another name, such as their_{name}: {name}."
        refuse(
            Wrong(("contact", name), "is a column that lists have anyway", todo.format(name=name))
            for name in self.contact
            if name.lower() in TAKEN
        )
        return self


def of_campaigns(config: Config) -> Iterator[Wrong]:
    """Contact and consent are in the customers table."""
    if config.tables.customers is not None:
        return
    for key in ("contact", "consent"):
        if getattr(config.campaigns, key):
            yield Wrong(("campaigns", key), "needs a customers table to be read from", "Add tables.customers.")
