"""The sections that say how segments are named and described, and the RFM grid beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from segengine.config.part import Frozen, Part, Text, Wrong, refuse
from segengine.config.rfm_cells import wrong_cells

if TYPE_CHECKING:
    from segengine.config.models import Config

__all__ = ["Names", "RfmGrid", "of_rfm_grid"]

CellName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Cells = Annotated[Mapping[CellName, Text], Frozen]
RFM_NAMES = ("recency_days", "frequency_orders", "monetary_total")


class Names(Part):
    """How segments are named, described and acted on."""

    language: Literal["en", "de"] = Field("en", description="The language of names, descriptions, rules and actions.")
    vocabulary: Text | None = Field(
        None, description="A YAML file with words of your own, laid over those of the language key by key."
    )
    playbook: Text | None = Field(
        None,
        description="A YAML file that says which action suits which segment; conf/names/playbook.yaml when absent.",
    )


class RfmGrid(Part):
    """A second lens beside the segments: scores of recency, frequency and money, and a named cell per customer."""

    bins: int = Field(5, ge=2, le=10, description="How many scores each of the three has.")
    cells: Cells = Field(
        {},
        validate_default=True,
        description="Names for codes: `r=4-5 f=high m=low/mid`, more of them after commas, or codes such as `445 454`. "
        "Every code needs exactly one; names in common use when there are none.",
    )

    @model_validator(mode="after")
    def _check_cells(self) -> RfmGrid:
        if self.cells:
            refuse(wrong_cells(self.cells, self.bins))
        return self


def of_rfm_grid(config: Config) -> Iterator[Wrong]:
    """A grid needs the three features that it scores."""
    if config.rfm_grid is None:
        return
    if config.kind == "customers":
        yield Wrong(("rfm_grid",), "cannot be used with kind: customers", "Remove it: there are no orders to score.")
        return
    include, exclude = config.features.include, config.features.exclude
    lost = [name for name in RFM_NAMES if name in exclude or ("rfm" not in include and name not in include)]
    if lost:
        yield Wrong(("rfm_grid",), f"needs {', '.join(lost)}", "Put rfm into features.include, or remove rfm_grid.")
