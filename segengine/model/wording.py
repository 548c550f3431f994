"""The words for segments: a language file of the package, one of your own laid over it, and the playbook of actions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine.config.document import printable, read
from segengine.errors import ConfigError
from segengine.features.catalog import Feature

if TYPE_CHECKING:
    from segengine.config import Config

__all__ = ["FeatureWords", "Play", "Vocabulary", "Word", "Wording", "wording"]

SLOTS = ("before", "noun", "after")
STANDS = ("low", "high", "very_low", "very_high", "level", "missing")
TEXTS = ("concept", "label", "says")
LEVELS = ("low", "middle", "high")
SECTIONS = ("features", "families")
LONGEST = 60
"""Characters of a text from the data inside of a name."""


@dataclass(frozen=True)
class Word:
    """What a name says of a claim: words before the noun, after it, or a noun."""

    before: str = ""
    noun: str = ""
    after: str = ""


@dataclass(frozen=True)
class FeatureWords:
    """The words for one feature. `concept`: of several features of one concept, a name uses one."""

    concept: str
    label: str
    says: str
    words: Mapping[str, Word]
    """By STANDS, those there are; a `{level}` in it is put in later."""


@dataclass(frozen=True)
class Vocabulary:
    """A language: texts by key, words by feature, and words by family for features whose names come from the data."""

    texts: Mapping[str, str]
    features: Mapping[str, Mapping[str, Any]]
    families: Mapping[str, Mapping[str, Any]]

    def text(self, key: str, **values: str) -> str:
        """The text of a key with values put in."""
        return self.texts[key].format(**values)

    def of(self, feature: Feature) -> FeatureWords:
        """The words for a feature: its own, those of its family, or general ones."""
        general = self.families["other"]
        entry = self.features.get(feature.name) or self.families.get(feature.family) or general
        from_data = feature.argument if feature.family in ("attributes", "category_mix", "channel_mix") else ""
        own = printable(from_data or feature.name.replace("_", " "), LONGEST)
        label = entry.get("label", general["label"]).replace("{label}", own)
        # In a label of its own the category is named; in words that are made for it, it stands by itself.
        inside = own if "{label}" in entry.get("label", "{label}") else label
        words = {}
        for stand in STANDS:
            # Whatever is different has a word: low and high have a general one.
            word, named = (entry[stand], inside) if stand in entry else (general.get(stand), label)
            if word is not None and (stand in entry or stand in ("low", "high")):
                words[stand] = Word(**{slot: text.replace("{label}", named) for slot, text in word.items()})
        says = entry.get("says", general["says"]).replace("{label}", inside)
        return FeatureWords(entry.get("concept", feature.name), label, says, words)

    def number(self, value: float, *, percent: bool = False) -> str:
        """A number for people: about three digits, in the way of the language."""
        value = 100 * value if percent else value
        decimals = 0 if percent or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        plain = f"{value:,.{decimals}f}"
        plain = plain.rstrip("0").rstrip(".") if decimals else plain
        plain = "0" if plain in ("-0", "") else plain
        swapped = self._swapped(plain)
        return self.text("percent", value=swapped) if percent else swapped

    def exact(self, value: float, *, percent: bool = False) -> str:
        """A number with all of its digits, in the way of the language."""
        plain = f"{float(f'{100 * value:.12g}') if percent else value:,.15f}".rstrip("0").rstrip(".")
        if len(plain) > 14 and "." in plain:
            plain = f"{100 * value if percent else value:,.6g}"
        swapped = self._swapped(plain)
        return self.text("percent", value=swapped) if percent else swapped

    def _swapped(self, plain: str) -> str:
        """With the signs of the language instead of `,` and `.`."""
        whole, point, rest = plain.partition(".")
        return whole.replace(",", self.texts["thousands"]) + (self.texts["decimal"] if point else "") + rest

    def listed(self, items: Sequence[str]) -> str:
        """`one, two and three`."""
        if len(items) < 2:
            return "".join(items)
        return ", ".join(items[:-1]) + self.texts["list_last"] + items[-1]


@dataclass(frozen=True)
class Play:
    """An action, and what has to hold for it: feature (or `name`) -> low, middle, high (or the name)."""

    when: Mapping[str, str]
    action: str


@dataclass(frozen=True)
class Wording:
    """Everything that is said of segments in words."""

    vocabulary: Vocabulary
    playbook: tuple[Play, ...]


def wording(config: Config) -> Wording:
    """The words and the playbook that a configuration asks for.

    Raises ConfigError, with file and line, for files that cannot be read, unknown keys, and texts that name values
    that are not there; and for a playbook whose last play does not hold for every segment.
    """
    names = config.names
    packaged = _packaged(f"{names.language}.yaml")
    known = _vocabulary_of(packaged, packaged)
    if names.vocabulary is not None:
        own = _own(names.vocabulary, "names.vocabulary")
        known = _vocabulary_of(_laid_over(packaged, own), packaged, file=names.vocabulary)
    if names.playbook is None:
        plays = _packaged(f"playbook.{names.language}.yaml")
        return Wording(known, _plays_of(plays, f"playbook.{names.language}.yaml"))
    return Wording(known, _plays_of(_own(names.playbook, "names.playbook"), names.playbook))


def _packaged(name: str) -> dict[str, Any]:
    text = (files("segengine.model") / "words" / name).read_text(encoding="utf-8")
    return dict(read(text, file=name, environ={}).values)


def _own(path: str, key: str) -> dict[str, Any]:
    try:
        text = Path(path.removeprefix("file://")).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(
            "A file that the configuration names cannot be read.",
            where=key,
            found=f"{path}: {type(error).__name__}",
            todo="It lies beside the configuration, where the driver runs, in UTF-8.",
        ) from error
    return dict(read(text, file=path, environ={}).values)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(below)
    for key, value in above.items():
        inner = below.get(key)
        # A word is replaced whole: `high: {noun: VIPs}` must not keep the `before` of the word below it.
        deep = isinstance(inner, dict) and isinstance(value, dict) and key not in STANDS
        made[key] = _laid_over(inner, value) if deep and isinstance(inner, dict) else value
    return made


def _vocabulary_of(data: Mapping[str, Any], packaged: Mapping[str, Any], file: str = "") -> Vocabulary:
    for key, value in data.items():
        if key not in packaged:
            raise _wrong(file, key, "is not a known key", f"Known here: {', '.join(packaged)}.")
        if key in SECTIONS:
            for name, entry in _mapping(file, key, value).items():
                _check_entry(file, f"{key}.{name}", entry)
        elif not isinstance(value, str):
            raise _wrong(file, key, "must be text")
        else:
            _check_values(file, key, value, packaged[key])
    if "other" not in data["families"]:
        raise _wrong(file, "families.other", "is missing")
    texts = {key: value for key, value in data.items() if key not in SECTIONS}
    return Vocabulary(texts, data["features"], data["families"])


def _check_values(file: str, key: str, text: str, below: str) -> None:
    """A text may use the values that the packaged text uses, and no others."""
    used, there = set(re.findall(r"\{(.*?)\}", text)), set(re.findall(r"\{(.*?)\}", below))
    if used - there or text.count("{") != text.count("}"):
        known = ", ".join(f"{{{name}}}" for name in sorted(there)) or "none"
        raise _wrong(file, key, "has braces around something that is no value", f"Values here: {known}.")


def _check_entry(file: str, key: str, entry: object) -> None:
    for name, value in _mapping(file, key, entry).items():
        if name in STANDS:
            for slot, text in _mapping(file, f"{key}.{name}", value).items():
                if slot not in SLOTS or not isinstance(text, str):
                    raise _wrong(file, f"{key}.{name}.{slot}", "must be text under before, noun or after")
                _check_values(file, f"{key}.{name}.{slot}", text, "{label}{level}" if name == "level" else "{label}")
        elif name not in TEXTS or not isinstance(value, str):
            raise _wrong(
                file, f"{key}.{name}", "is not a known key with a text", f"Known: {', '.join((*TEXTS, *STANDS))}."
            )
        else:
            _check_values(file, f"{key}.{name}", value, "{label}{value}{currency}" if name == "says" else "{label}")


def _mapping(file: str, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(file, key, "must be a section, lines of key: value")
    return value


def _plays_of(data: Mapping[str, Any], file: str) -> tuple[Play, ...]:
    plays = data.get("plays")
    if set(data) != {"plays"} or not isinstance(plays, list) or not plays:
        raise _wrong(file, "plays", "must be a list of plays, and the only key")
    made = []
    for number, play in enumerate(plays):
        where = f"plays[{number}]"
        entry = _mapping(file, where, play)
        when = _mapping(file, f"{where}.when", entry.get("when", {}))
        action = entry.get("action")
        if set(entry) - {"when", "action"} or not isinstance(action, str):
            raise _wrong(file, where, "must have an action, and may have when, and nothing else")
        for feature, stand in when.items():
            if not isinstance(stand, str) or (feature != "name" and stand not in LEVELS):
                raise _wrong(file, f"{where}.when.{feature}", f"must be {', '.join(LEVELS)}")
        made.append(Play(when, action))
    if made[-1].when:
        raise _wrong(file, f"plays[{len(made) - 1}]", "has conditions, and it is the last one", "End with one without.")
    return tuple(made)


def _wrong(file: str, key: str, what: str, todo: str = "") -> ConfigError:
    return ConfigError(f"{printable(key)} {what}.", where=file or "the words of the package", todo=todo)
