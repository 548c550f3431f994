"""Choose features: what the configuration asks for, less what the tables cannot support."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from segengine.config import DEFAULT_FAMILIES, FAMILIES, Config
from segengine.errors import ConfigError
from segengine.features.catalog import CATALOG, MIXES, TREND_DAYS, Attributes, Chosen, Feature, Mix, catalog_names
from segengine.features.names import RESERVED, SHARE_PREFIXES, attribute_columns

__all__ = ["choose"]

_ATTRIBUTE = "attributes."


@dataclass(frozen=True)
class _Asked:
    config: Config
    mapped: frozenset[str]
    attributes: Attributes

    @property
    def include(self) -> tuple[str, ...]:
        """What is asked for; attributes when there is nothing but a customers table and nothing was said."""
        include = self.config.features.include
        only_customers = self.config.kind == "customers" and tuple(include) == DEFAULT_FAMILIES
        return ("attributes",) if only_customers else include

    @property
    def protected(self) -> frozenset[str]:
        table = self.config.tables.customers
        return frozenset(table.protected) if table else frozenset()


def choose(config: Config, mapped: frozenset[str], attributes: Attributes | None) -> Chosen:
    """The features of a run, in the order of the catalog; attributes and custom features last.

    `mapped`: columns of the checked lines that exist. Raises ConfigError for names that do not exist, for protected
    attributes, for custom features with a bad name, and when nothing is left.
    """
    asked = _Asked(config, mapped, attributes or Attributes())
    _check_names(asked)
    _check_custom_names(config)
    _check_by(asked)
    excluded = frozenset(name for entry in config.features.exclude for name in _names_of(entry))
    kept: list[Feature] = []
    left_out: list[tuple[str, str]] = []
    for feature, reason in _candidates(asked):
        if feature.name in excluded or (feature.argument and _ATTRIBUTE + feature.argument in excluded):
            continue
        if reason:
            left_out.append((feature.name, reason))
        else:
            kept.append(feature)
    top: dict[str, int] = {}
    for mix in MIXES:
        wanted, why_not = _top_values(asked, mix)
        if why_not:
            left_out.append((f"{mix.prefix}<{mix.column}>", why_not))
        elif wanted:
            top[mix.family] = wanted
    if not kept and not top:
        raise _nothing_left(left_out)
    return Chosen(tuple(kept), tuple(left_out), top, frozenset(n for n in excluded if n.startswith(SHARE_PREFIXES)))


def _candidates(asked: _Asked) -> Iterator[tuple[Feature, str]]:
    """Every feature that is asked for, with the reason why it cannot be had, or an empty text."""
    wanted = {name for entry in asked.include for name in _names_of(entry)}
    for feature in CATALOG:
        if feature.name in wanted:
            yield feature, _why_not(feature, asked)
    yield from _attribute_features(asked)
    for name, sql in asked.config.features.custom.items():
        feature = _custom_feature(name, sql)
        yield feature, "needs transactions" if asked.config.kind == "customers" else ""


def _why_not(feature: Feature, asked: _Asked) -> str:
    config = asked.config
    if config.kind == "customers" or config.tables.transactions is None:
        return "needs transactions, and kind is customers"
    if "is_return" in feature.needs and config.tables.transactions.returns is None:
        return "needs tables.transactions.returns, a condition that tells which rows are returns"
    missing = sorted(feature.needs - asked.mapped - {"is_return"})
    if missing:
        return f"needs {' and '.join(missing)}, not mapped in tables.transactions.columns"
    if feature.family == "trend" and _shorter_than_trend(config):
        return f"needs {2 * TREND_DAYS} days, and history is {config.history}"
    return ""


def _shorter_than_trend(config: Config) -> bool:
    history = config.history_window
    if history.days is not None:
        return history.days < 2 * TREND_DAYS
    return history.months is not None and history.months < 6  # six calendar months have 181 days or more


def _top_values(asked: _Asked, mix: Mix) -> tuple[int, str]:
    """How many values of a mix get a share of their own, and why none does although some are asked for."""
    features = asked.config.features
    top = features.top_categories if mix.family == "category_mix" else features.top_channels
    if mix.family not in asked.include or mix.family in features.exclude or not top:
        return 0, ""
    first = next(feature for feature in CATALOG if feature.family == mix.family)
    reason = _why_not(first, asked)
    return (0, reason) if reason else (top, "")


def _attribute_features(asked: _Asked) -> Iterator[tuple[Feature, str]]:
    table = asked.config.tables.customers
    if table is None:
        if "attributes" in asked.include:
            yield _attribute_feature("attributes", "attributes", "numeric"), "needs tables.customers"
        return
    columns = attribute_columns(asked.config)
    for name in table.attributes:
        if name in asked.protected or not {"attributes", _ATTRIBUTE + name} & set(asked.include):
            continue
        if name == asked.config.segments.by:
            reason = "gives each of its values segments of their own (segments.by)"
            yield _attribute_feature(name, columns[name], "categorical"), reason
        elif name in asked.attributes.numeric:
            yield _attribute_feature(name, columns[name], "numeric"), ""
        else:
            known = name in asked.attributes.categorical
            reason = "" if known else "is neither a number nor text in the customers table"
            yield _attribute_feature(name, columns[name], "categorical"), reason


def _attribute_feature(name: str, column: str, kind: str) -> Feature:
    return Feature(
        name=column,
        family="attributes",
        unit="as in the table" if kind == "numeric" else "category",
        text=f"Attribute '{name}' of the customers table.",
        needs=frozenset(),
        kind="numeric" if kind == "numeric" else "categorical",
        expression="the customers table's column",
        argument=name,
    )


def _custom_feature(name: str, sql: str) -> Feature:
    return Feature(
        name=name,
        family="custom",
        unit="own",
        text=f"Custom feature of the configuration: {sql}",
        needs=frozenset(),
        kind="numeric",
        expression=sql,
        argument=sql,
    )


def _names_of(entry: str) -> tuple[str, ...]:
    """An entry of include or exclude as feature names; a family stands for its features."""
    if entry in FAMILIES:
        return (entry, *(feature.name for feature in CATALOG if feature.family == entry))
    return (entry,)


def _check_names(asked: _Asked) -> None:
    config = asked.config
    table = config.tables.customers
    declared = tuple(dict.fromkeys((*table.attributes, *table.protected))) if table else ()
    known = {*FAMILIES, *catalog_names(), *(_ATTRIBUTE + name for name in declared)}
    excludable = known | {*config.features.custom, *attribute_columns(config).values()}
    for key, names, allowed in (
        ("include", config.features.include, known),
        ("exclude", config.features.exclude, excludable),
    ):
        for name in names:
            if name not in allowed and not (key == "exclude" and name.startswith(SHARE_PREFIXES)):
                raise _unknown(name, key, allowed)
    for name in config.features.include:
        if name.startswith(_ATTRIBUTE) and name.removeprefix(_ATTRIBUTE) in asked.protected:
            raise ConfigError(
                f"'{name.removeprefix(_ATTRIBUTE)}' is protected and cannot be a feature.",
                where="features.include",
                todo="Take it out of features.include; its mix per segment is reported all the same.",
            )


def _unknown(name: str, key: str, allowed: Iterable[str]) -> ConfigError:
    nearest = difflib.get_close_matches(name, sorted(allowed), n=1, cutoff=0.5)
    hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
    return ConfigError(
        f"There is no feature or family '{name}'.",
        where=f"features.{key}",
        found=name,
        todo=f"{hint}Families: {', '.join(FAMILIES)}. Features: {', '.join(catalog_names())}, attributes.<name>.",
    )


def _check_custom_names(config: Config) -> None:
    attributes = {column.lower() for column in attribute_columns(config).values()}
    for name in config.features.custom:
        where = f"features.custom.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
            raise ConfigError(
                f"'{name}' cannot be the name of a feature.",
                where=where,
                todo="Use lower-case letters, digits and underscores, with the unit, such as night_share.",
            )
        if name in RESERVED or name in FAMILIES or name in attributes or name.startswith(SHARE_PREFIXES):
            raise ConfigError(
                f"The name '{name}' is taken.", where=where, todo="Choose another name, such as 'own_" + name + "'."
            )


def _check_by(asked: _Asked) -> None:
    by = asked.config.segments.by
    if by is not None and by in asked.attributes.numeric:
        raise ConfigError(
            f"Customers cannot be grouped by '{by}': it is a number.",
            where="segments.by",
            todo="Group by an attribute that is text, or make one in tables.customers.attributes, such as "
            f"{by}_band: \"CASE WHEN {by} < 30 THEN 'young' ELSE 'older' END\", or concat('no. ', {by}) for a code.",
        )


def _nothing_left(left_out: list[tuple[str, str]]) -> ConfigError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out) or "everything is excluded"
    return ConfigError(
        "No feature is left to find segments with.",
        where="features.include",
        found=reasons,
        todo="Map more columns, or include families that the tables support.",
    )
