"""The section `powerbi`: what the Power BI project of an output holds, and who may see what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from segengine.config.part import Frozen, Part, Text, Wrong

if TYPE_CHECKING:
    from segengine.config.models import Config

__all__ = ["PowerBI", "of_powerbi"]

Names = Annotated[Mapping[Text, tuple[Text, ...]], Frozen]


class PowerBI(Part):
    """The Power BI project that is drawn from what is published."""

    enabled: bool = Field(True, description="Whether runs draw it.")
    source: Literal["any", "local_parquet", "local_delta", "adls_parquet", "adls_delta", "databricks", "fabric_sql"] = (
        Field(
            "any",
            description="any: the parameter SourceKind chooses, which suits Desktop; else one connector alone, as the "
            "Power BI Service wants.",
        )
    )
    data_root: Text | None = Field(
        None, description="What the parameter DataRoot is set to; the folder gold of the output when absent."
    )
    max_customers: int = Field(
        1_000_000, ge=0, description="With more customers the model holds totals only; databricks and fabric_sql query."
    )
    stale_days: int = Field(35, ge=1, description="When the data is older than this, every page says that it is stale.")
    rls_attribute: Text | None = Field(None, description="The attribute that roles filter customers by.")
    rls_roles: Names = Field(
        {}, validate_default=True, description="Roles by name: the values of rls_attribute that each may see."
    )
    rls_users: Names = Field({}, validate_default=True, description="Values by sign-in name, for the role By user.")


def of_powerbi(config: Config) -> Iterator[Wrong]:
    """What holds between this section and the others."""
    section, customers = config.powerbi, config.tables.customers
    at = ("powerbi", "rls_attribute")
    if section.rls_attribute is None:
        for key in ("rls_roles", "rls_users"):
            if getattr(section, key):
                yield Wrong(("powerbi", key), "needs powerbi.rls_attribute", "Name the attribute that they filter by.")
        return
    if not section.rls_roles and not section.rls_users:
        yield Wrong(at, "has neither powerbi.rls_roles nor powerbi.rls_users", "Add one: nobody would be restricted.")
    known = tuple(customers.attributes) if customers else ()
    if section.rls_attribute not in known:
        near = get_close_matches(section.rls_attribute, known, n=1, cutoff=0.6)
        hint = f"Did you mean {near[0]}? " if near else ""
        has = f"It has: {', '.join(known)}." if known else "It has none."
        yield Wrong(at, "is not in tables.customers.attributes", hint + has)
