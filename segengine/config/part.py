"""What all sections of a configuration share: frozen, strict about keys, and silent about secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from segengine.config import expressions
from segengine.config.document import KeyPath, key_path
from segengine.config.frozen import FrozenDict

__all__ = [
    "TAGS",
    "Expression",
    "ExpressionOrName",
    "Frozen",
    "Part",
    "Text",
    "Wrong",
    "known_key",
    "refuse",
    "refuse_value",
]

TAGS = ("[mapping]", "[word]")
"""What a value that is a mapping or a word is told apart by; pydantic puts it into the place of an error."""

T = TypeVar("T")


class Part(BaseModel):
    """A section of the configuration: frozen, and refusing keys it does not know.

    Values that came from `${env:NAME}` can be used like all others, but printing or dumping the section gives the
    reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    _templates: dict[KeyPath, str] = PrivateAttr(default_factory=dict)
    """Where below this section, outside of its own sections, an environment variable went in -> the text as written."""

    @model_serializer(mode="wrap")
    def _without_secrets(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = dump(self)
        for path, template in self._templates.items():
            if path[0] in plain:
                plain = _replaced(plain, path, template)
        return plain

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            for path, template in self._templates.items():
                if path[0] == name:
                    value = _replaced(value, path[1:], template)
            yield name, value


def _replaced(value: Any, path: KeyPath, template: str) -> Any:
    if not path:
        return template
    if isinstance(value, Mapping) and isinstance(path[0], int):  # a list of attributes, which became a mapping
        items = list(value.items())
        items[path[0]] = (template if len(path) == 1 else items[path[0]][0], template)
        return dict(items)
    if isinstance(value, Mapping):
        return {k: _replaced(v, path[1:], template) if k == path[0] else v for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return type(value)(_replaced(v, path[1:], template) if n == path[0] else v for n, v in enumerate(value))  # type: ignore[call-arg]  # a list or a tuple
    return template


@dataclass(frozen=True)
class Wrong:
    """What is wrong with the value at `at`, from the section that says so. `what` goes on after the key's name."""

    at: KeyPath
    what: str
    todo: str = ""


def refuse(wrongs: Iterable[Wrong]) -> None:
    """Raise what pydantic collects when there is anything wrong. Texts must not hold values: they may be secrets."""
    found = tuple(wrongs)
    if found:
        raise _error(found)


def refuse_value(what: str, todo: str = "") -> NoReturn:
    """Raise what pydantic collects for the value at hand."""
    raise _error((Wrong((), what, todo),))


def _error(wrongs: tuple[Wrong, ...]) -> PydanticCustomError:
    text = "; ".join(f"{key_path(wrong.at)} {wrong.what}".strip() for wrong in wrongs)
    return PydanticCustomError("segengine", "{text}", {"text": text, "wrongs": wrongs})


def known_key(known: Iterable[str]) -> Callable[[str], str]:
    """A validator for keys of a mapping."""
    names = tuple(known)

    def check(key: str) -> str:
        if key not in names:
            raise PydanticCustomError("unknown_key", "unknown key", {"known": names})
        return key

    return check


def _row_expression(text: str) -> str:
    reason = expressions.why_refused(text)
    if reason is not None:
        refuse_value(f"cannot be used as SQL: {reason}")
    return text


def _column_or_expression(text: str) -> str:
    reason = expressions.why_refused(text, may_be_name=True)
    if reason is not None:
        refuse_value(f"cannot be used as a column or SQL: {reason}")
    return text


Text = Annotated[str, StringConstraints(min_length=1)]
Expression = Annotated[Text, AfterValidator(_row_expression)]
ExpressionOrName = Annotated[Text, AfterValidator(_column_or_expression)]


def freeze(value: Mapping[str, T]) -> FrozenDict[str, T]:
    """A copy that cannot be changed."""
    return FrozenDict(value)


Frozen = AfterValidator(freeze)
