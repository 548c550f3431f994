"""A rule for every segment, from a shallow decision tree over features in their own units. No Spark here.

The tree is fitted to the assignments of a sample; its thresholds are rounded to readable numbers, and what the rounded
rules find is measured afterwards. Rules of different segments exclude each other, and need no NOT: in SQL a null makes
a comparison unknown, which CASE and WHERE take as false in every engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segengine.features.prepare_numbers import LARGEST
from segengine.model.threads import pool_of_single_threads

__all__ = ["Condition", "Leaf", "Rule", "case_sql", "condition_sql", "found_by", "learn_rules", "rule_sql"]

Labels = NDArray[np.int64]
TREE_ROWS = 50_000
"""Customers that trees are fitted to, at most; which depth is told is decided by all of the sample."""
DEPTHS = (2, 3, 4, 5)
SHORTER = 0.02
"""What shorter rules may lose of the best mean F1: the least of DEPTHS that loses no more is taken."""
MOST_LEAVES = 3
"""Ways to be in a segment that its rule tells; a longer rule is read by nobody."""
LEAST_SHARE = 0.005
"""A leaf holds at least this share of the sample, and a rounded threshold moves no more to its other side."""
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
SAFE_TEXT = re.compile(r"[^'\\\x00-\x1f]*")
WORDS_OF_SQL = frozenset(
    "all analyse analyze and any array as asc between both case cast check collate column constraint create cross "
    "current default desc distinct do else end except exists false fetch filter for foreign from full grant group "
    "having in initially inner intersect into is isnull join lateral leading left like limit minus natural not notnull "
    "null offset on only or order outer overlaps pivot placing primary qualify references returning right select "
    "session_user similar some summarize symmetric table then to trailing true union unique unpivot user using "
    "variadic verbose when where window with".split()
)
"""Reserved somewhere among Spark, DuckDB and PostgreSQL: a feature of such a name would need quotes."""


@dataclass(frozen=True)
class Condition:
    """What a leaf asks of one feature: a span (over `low`, up to `high`), or a level to be or not; `missing`: whether
    customers without a value pass."""

    feature: str
    kind: Literal["span", "level"]
    low: float | None = None
    high: float | None = None
    level: str | None = None
    is_level: bool = True
    missing: bool = False

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


Leaf = tuple[Condition, ...]


@dataclass(frozen=True)
class Rule:
    """The leaves of a segment, those with most of its customers first; none when no short rule describes it."""

    leaves: tuple[Leaf, ...] = ()

    def to_dict(self) -> list[list[dict[str, Any]]]:
        return [[condition.to_dict() for condition in leaf] for leaf in self.leaves]

    @classmethod
    def from_dict(cls, data: Sequence[Sequence[Mapping[str, Any]]]) -> Rule:
        return cls(tuple(tuple(Condition(**one) for one in leaf) for leaf in data))


@dataclass(frozen=True)
class _Column:
    """A column of the tree's matrix: a number, or whether a text is a level."""

    feature: str
    level: str | None
    values: NDArray[np.float64]
    whole: bool


def learn_rules(columns: Mapping[str, NDArray[Any]], labels: Labels, k: int, *, seed: int = 0) -> tuple[Rule, ...]:
    """A rule for each of `k` segments of n sampled customers.

    `columns`: features in their own units, numbers (NaN is missing) or texts (None is missing); those whose names or
    values would need quotes in SQL are left out. `labels`: (n,) index of the segment.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(labels))[:TREE_ROWS])
    matrix, own = _matrix({name: values[some] for name, values in columns.items()}), labels[some]
    if not matrix or len(np.unique(own)) < 2:
        return (Rule(),) * k
    with pool_of_single_threads() as pool:
        tried = list(pool.map(lambda depth: _rules(_tree_leaves(matrix, own, depth, seed), k), DEPTHS))
    scores = [_mean_f1(found_by(rules, columns, len(labels)), labels, k) for rules in tried]
    return next(rules for rules, score in zip(tried, scores, strict=True) if score >= max(scores) - SHORTER)


def _rules(leaves: Sequence[tuple[Leaf, int, int]], k: int) -> tuple[Rule, ...]:
    """The leaves of each segment, those with most of its customers first, as many as are told."""
    rules = []
    for segment in range(k):
        own = sorted(((count, leaf) for leaf, label, count in leaves if label == segment), key=lambda one: -one[0])
        rules.append(Rule(tuple(leaf for _, leaf in own[:MOST_LEAVES])))
    return tuple(rules)


def _mean_f1(found: Labels, labels: Labels, k: int) -> float:
    """Mean over the segments of the harmonic mean of precision and coverage."""
    right = np.bincount(labels[found == labels], minlength=k)
    both = np.bincount(labels, minlength=k) + np.bincount(found[found >= 0], minlength=k)
    return float(np.mean(2 * right / np.maximum(both, 1)))


def _matrix(columns: Mapping[str, NDArray[Any]]) -> list[_Column]:
    made = []
    for name, values in columns.items():
        if PLAIN.fullmatch(name) is None or name.lower() in WORDS_OF_SQL:
            continue
        if values.dtype.kind == "f":
            numbers = np.where(np.abs(values) <= LARGEST, values, np.nan)
            known = numbers[np.isfinite(numbers)]
            if len(known):
                made.append(_Column(name, None, numbers, bool((known == np.round(known)).all())))
            continue
        levels, counts = np.unique(values[~pd.isna(values)].astype(str), return_counts=True)
        for level in [str(level) for level, _ in sorted(zip(levels, counts, strict=True), key=lambda x: -x[1])][:20]:
            if SAFE_TEXT.fullmatch(level):
                made.append(_Column(name, level, np.asarray(values == level, dtype=np.float64), True))
    return made


def _tree_leaves(matrix: Sequence[_Column], labels: Labels, depth: int, seed: int) -> list[tuple[Leaf, int, int]]:
    """Leaves of a tree of this depth: conditions, segment, and how many of the segment's customers are in it."""
    from sklearn.tree import DecisionTreeClassifier

    x = np.column_stack([column.values for column in matrix])
    sizes = np.bincount(labels)
    weights = 1 / np.sqrt(sizes[labels])  # between the largest segment that takes all and the smallest one
    least = max(5, math.ceil(LEAST_SHARE * len(labels)))
    model = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=least, random_state=seed)
    tree = model.fit(np.clip(x, -1e30, 1e30), labels, sample_weight=weights).tree_
    leaves: list[tuple[Leaf, int, int]] = []

    def walk(node: int, inside: NDArray[np.bool_], leaf: dict[tuple[str, str | None], Condition]) -> None:
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0 or _answer(tree, model, left, right) is not None:
            segment = int(model.classes_[int(np.argmax(tree.value[node][0]))])
            if inside.any():
                leaves.append((tuple(leaf.values()), segment, int((labels[inside] == segment).sum())))
            return
        column = matrix[int(tree.feature[node])]
        values = column.values
        cut = _readable(float(tree.threshold[node]), values, column.whole)
        missing_left = bool(tree.missing_go_to_left[node]) and bool(np.isnan(values).any())
        with np.errstate(invalid="ignore"):
            goes_left = (values <= cut) | (np.isnan(values) & missing_left)
        walk(left, inside & goes_left, _with(leaf, column, cut, below=True, missing=missing_left))
        missing_right = bool(np.isnan(values).any()) and not missing_left
        walk(right, inside & ~goes_left, _with(leaf, column, cut, below=False, missing=missing_right))

    walk(0, np.ones(len(labels), dtype=bool), {})
    return leaves


def _answer(tree: Any, model: Any, left: int, right: int) -> int | None:
    """The segment of two leaves beside each other that say the same; None for all else."""
    if tree.children_left[left] >= 0 or tree.children_left[right] >= 0:
        return None
    both = {int(np.argmax(tree.value[node][0])) for node in (left, right)}
    return both.pop() if len(both) == 1 else None


def _with(
    leaf: Mapping[tuple[str, str | None], Condition], column: _Column, cut: float, *, below: bool, missing: bool
) -> dict[tuple[str, str | None], Condition]:
    """The conditions with one more: spans of one feature become one."""
    key = (column.feature, column.level)
    if column.level is not None:
        missing = below  # whoever has no value is not of that level
        new = Condition(column.feature, "level", level=column.level, is_level=not below, missing=missing)
        return {**leaf, key: new}
    old = leaf.get(key) or Condition(column.feature, "span", missing=True)
    both = replace(old, high=cut) if below else replace(old, low=cut)
    return {**leaf, key: replace(both, missing=old.missing and missing)}


def _readable(threshold: float, values: NDArray[np.float64], whole: bool) -> float:
    """The number with fewest digits that moves at most LEAST_SHARE of the customers to its other side."""
    known = values[np.isfinite(values)]
    if whole and abs(threshold) < 1000:
        return float(math.floor(threshold))
    for digits in range(1, 16):
        rounded = float(f"{threshold:.{digits}g}")
        if ((known <= rounded) != (known <= threshold)).sum() <= LEAST_SHARE * len(values):
            return rounded
    return threshold


def found_by(rules: Sequence[Rule], columns: Mapping[str, NDArray[Any]], n: int) -> Labels:
    """(n,) the index of the segment whose rule finds a customer; -1 where none does."""
    found = np.full(n, -1, dtype=np.int64)
    for segment, rule in enumerate(rules):
        for leaf in rule.leaves:
            inside = np.ones(n, dtype=bool)
            for condition in leaf:
                inside &= _passes(condition, columns[condition.feature])
            found[inside] = segment
    return found


def _passes(condition: Condition, values: NDArray[Any]) -> NDArray[np.bool_]:
    if condition.kind == "level":
        equal, missing = np.asarray(values == condition.level, dtype=bool), pd.isna(values)
        return equal if condition.is_level else ~equal & (~missing | condition.missing)
    numbers = values.astype(np.float64)
    low = -np.inf if condition.low is None else condition.low
    high = np.inf if condition.high is None else condition.high
    with np.errstate(invalid="ignore"):
        inside: NDArray[np.bool_] = (numbers > low) & (numbers <= high)
    return inside | (np.isnan(numbers) & condition.missing)


def condition_sql(condition: Condition, column: str) -> str:
    """A condition in SQL that Spark, DuckDB and PostgreSQL understand alike; null counts as missing."""
    if condition.kind == "level":
        if condition.is_level:
            return f"{column} = '{condition.level}'"
        unequal = f"{column} <> '{condition.level}'"
        return f"({unequal} OR {column} IS NULL)" if condition.missing else unequal
    parts = [f"{column} > {_number(condition.low)}"] if condition.low is not None else []
    parts += [f"{column} <= {_number(condition.high)}"] if condition.high is not None else []
    span = " AND ".join(parts)
    if not condition.missing:
        return span
    return f"({column} IS NULL OR ({span}))" if len(parts) > 1 else f"({column} IS NULL OR {span})"


def _number(value: float | None) -> str:
    """A literal without an exponent, which PostgreSQL would take for numeric and Spark for double."""
    assert value is not None
    return np.format_float_positional(value, trim="-")


def rule_sql(rule: Rule, names: Mapping[str, str]) -> str | None:
    """The condition of a rule; `names`: feature -> column. None without leaves."""
    if not rule.leaves:
        return None
    told = [" AND ".join(condition_sql(c, names[c.feature]) for c in leaf) or "1 = 1" for leaf in rule.leaves]
    return told[0] if len(told) == 1 else " OR ".join(f"({one})" for one in told)


def case_sql(rules: Sequence[Rule], results: Sequence[str], names: Mapping[str, str]) -> str | None:
    """One CASE over all rules: the literal of the segment whose rule finds a row, else null; None without any rule."""
    told = [(rule_sql(rule, names), result) for rule, result in zip(rules, results, strict=True)]
    branches = " ".join(f"WHEN {condition} THEN {result}" for condition, result in told if condition is not None)
    return f"CASE {branches} END" if branches else None
