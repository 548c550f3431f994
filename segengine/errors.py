"""Every error that segengine raises on purpose, and the exit code the shell sees for it.

    SegengineError              1   (a bug of ours when it is not one of the branches below)
    +-- ConfigError             2   the configuration cannot be used
    +-- InputError              3   a table cannot be read, or is not what the configuration says it is
    +-- QualityError            4   too many rows rejected, or rows, customers or money do not reconcile
    +-- PublicationError        5   results could not be made visible; the previous publication is untouched
    |   +-- LockedError         5   somebody else is publishing to the same output
    |   +-- TamperedError       5   the audit trail, or what it tells of, is not as it was written
    +-- ModelError              6   no acceptable segments, or a model that cannot be trusted
    |   +-- FeatureError        6   a feature cannot be computed or prepared
    |   +-- BundleError         6   a saved model is incomplete, altered or foreign
    |   +-- RefusedError        6   no number of segments, or no gate of the model, lets it pass
    +-- RetrainNeeded           7   not a failure: monitoring calls for a retrain
    +-- InfrastructureError     8   Java, Spark, the network or a disk; worth a retry

An error says what is wrong, where, which value, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "ConfigError",
    "FeatureError",
    "InfrastructureError",
    "InputError",
    "LockedError",
    "ModelError",
    "PublicationError",
    "QualityError",
    "RefusedError",
    "RetrainNeeded",
    "SegengineError",
    "TamperedError",
]


class SegengineError(Exception):
    """Base of the tree. `what` is one sentence; `where`, `found` and `todo` each add a line when given."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", found: str = "", todo: str = "") -> None:
        self.what = what
        self.where = where
        self.found = found
        self.todo = todo
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"Where: {self.where}")
        if self.found:
            lines.append(f"Found: {self.found}")
        if self.todo:
            lines.append(f"To do: {self.todo}")
        return "\n".join(lines)


class ConfigError(SegengineError):
    """The configuration cannot be used."""

    exit_code = 2


class InputError(SegengineError):
    """A table cannot be read, or is not what the configuration says it is."""

    exit_code = 3


class QualityError(SegengineError):
    """Too many rows were rejected, or rows, customers or money do not reconcile."""

    exit_code = 4


class PublicationError(SegengineError):
    """Results could not be made visible; the previous publication is untouched."""

    exit_code = 5


class LockedError(PublicationError):
    """Somebody else is publishing to the same output."""


class TamperedError(PublicationError):
    """The audit trail, or what it tells of, is not as it was written."""


class ModelError(SegengineError):
    """No acceptable segments were found, or a model cannot be trusted."""

    exit_code = 6


class FeatureError(ModelError):
    """A feature cannot be computed or prepared."""


class BundleError(ModelError):
    """A saved model is incomplete, altered or foreign."""


class RefusedError(ModelError):
    """A model was found and is not good enough, or no number of segments gives one. `record` holds what was tried.

    With a champion a run goes on with it; without, nothing is published unless asked for provisionally.
    """

    def __init__(self, what: str, *, where: str = "", found: str = "", todo: str = "", record: object = None) -> None:
        super().__init__(what, where=where, found=found, todo=todo)
        self.record = record


class RetrainNeeded(SegengineError):
    """Monitoring calls for a retrain."""

    exit_code = 7


class InfrastructureError(SegengineError):
    """Java, Spark, the network or a disk failed; worth a retry."""

    exit_code = 8
