"""The section `powerbi`: what the Power BI project of an output holds, and who may see what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from segengine.config.colours import COLOUR, LEAST_CONTRAST, contrast
from segengine.config.expressions import identifiers
from segengine.config.part import Frozen, Part, Text, Wrong, refuse_value

if TYPE_CHECKING:
    from segengine.config.models import Config

__all__ = ["Brand", "PowerBI", "Report", "of_kpis", "of_powerbi"]

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


def _colour(text: str) -> str:
    if not COLOUR.fullmatch(text):
        refuse_value("must be a colour such as #332288")
    if contrast(text, "#ffffff") < LEAST_CONTRAST:
        told = f"has a contrast of {contrast(text, '#ffffff'):.1f} with white, and needs {LEAST_CONTRAST:g}"
        refuse_value(told, "Choose a darker one: what is drawn with it could not be seen (WCAG 2.1, 1.4.11).")
    return text.lower()


class Brand(Part):
    """What reports look like."""

    logo: Text | None = Field(None, description="A PNG file, shown on every page of the Power BI report.")
    colours: tuple[Annotated[Text, AfterValidator(_colour)], ...] = Field(
        (), description="Colours of charts in order, each with a contrast of 3 with white; ours when empty."
    )


class Report(Part):
    """What is drawn from what is published."""

    brand: Brand = Field(Brand(), description="What reports look like.")


def of_kpis(config: Config) -> Iterator[Wrong]:
    """Key figures say nothing of protected attributes."""
    customers = config.tables.customers
    protected = {name.lower() for name in customers.protected} if customers else set()
    for name, sql in config.kpis.items():
        if protected & {name, *identifiers(sql)}:
            yield Wrong(("kpis", name), "uses a protected attribute", "Remove it.")


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
