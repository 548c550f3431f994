"""Look at tables nobody has described yet, and propose the configuration that reads them; invent nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segengine.propose.facts import Candidate, Choice, Proposal

if TYPE_CHECKING:
    from segengine.propose.recipe import init

__all__ = ["Candidate", "Choice", "Proposal", "init"]


def __getattr__(name: str) -> Any:
    """The recipe reads tables and needs pyspark; the facts do not."""
    if name == "init":
        from segengine.propose.recipe import init

        return init
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
