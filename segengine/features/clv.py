"""Customer lifetime value: BG/NBD for how often, Gamma-Gamma for how much, fitted in numpy, applied as Columns.

BG/NBD: Fader, Hardie, Lee, "Counting Your Customers" the Easy Way, Marketing Science 24 (2005). Gamma-Gamma: Fader,
Hardie, The Gamma-Gamma Model of Monetary Value (2013). A transaction is a day with an order; time is in any one unit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column
from pyspark.sql import functions as F
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from segengine.errors import FeatureError

__all__ = ["Fitted", "GammaGamma", "Purchases", "expected_transactions", "expected_value", "fit", "probability_active"]

Floats = NDArray[np.float64]

FEWEST = 50
"""Customers with a repeat transaction that a fit takes at least."""
PRECISION = 1e-12
MOST_TERMS = 2_000


@dataclass(frozen=True)
class Purchases:
    """BG/NBD: the rates of customers are Gamma(r, alpha), their chances to drop out after a purchase Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float


@dataclass(frozen=True)
class GammaGamma:
    """The value of a transaction is Gamma(p, nu), and nu is Gamma(q, v) over customers; q is above 1."""

    p: float
    q: float
    v: float


@dataclass(frozen=True)
class Fitted:
    """Both models, and how many customers each was fitted on."""

    purchases: Purchases
    value: GammaGamma
    customers: int
    repeaters: int

    def to_json(self) -> str:
        """The parameters as text, for a feature's argument."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Fitted:
        """The inverse of `to_json`."""
        raw = json.loads(text)
        return cls(Purchases(**raw["purchases"]), GammaGamma(**raw["value"]), raw["customers"], raw["repeaters"])


def fit(repeats: Floats, recency: Floats, age: Floats, money: Floats) -> Fitted:
    """Fit both models by maximum likelihood; all arrays have shape (customers,).

    repeats: transactions after the first one; recency: time from the first to the last one; age: time from the first
    one to now; money: mean value of the repeat transactions, anything where there is none. FeatureError: fewer than 50
    customers came back, or the likelihood has no maximum.
    """
    valued = (repeats > 0) & (money > 0)
    if valued.sum() < FEWEST:
        raise FeatureError(
            "Lifetime values cannot be fitted: too few customers came back.",
            where="features.include: clv",
            found=f"{int(valued.sum())} customers with a second day of orders; {FEWEST} are needed",
            todo="Use a longer history, or take clv out of features.include.",
        )
    purchases = _fit_purchases(repeats, recency, age)
    value = _fit_value(repeats[valued], money[valued])
    return Fitted(purchases, value, len(repeats), int(valued.sum()))


def _fit_purchases(x: Floats, recency: Floats, age: Floats) -> Purchases:
    scale = float(age.max()) / 10 or 1.0  # numbers near 1 are easier to optimise
    t_x, t = recency / scale, age / scale
    dropped, more = x > 0, np.maximum(x, 1)

    def loss(logs: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(logs)
        alive = -(r + x) * np.log(alpha + t)
        gone = np.where(dropped, np.log(a) - np.log(b + more - 1) - (r + x) * np.log(alpha + t_x), -np.inf)
        either = np.logaddexp(alive, gone)
        w_alive, w_gone = np.exp(alive - either), np.exp(gone - either)
        likelihood = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + either
        likelihood += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        both = digamma(a + b) - digamma(a + b + x)
        slopes = (
            digamma(r + x) - digamma(r) + np.log(alpha) - w_alive * np.log(alpha + t) - w_gone * np.log(alpha + t_x),
            r / alpha - (r + x) * (w_alive / (alpha + t) + w_gone / (alpha + t_x)),
            both + w_gone / a,
            both + digamma(b + x) - digamma(b) - w_gone / (b + more - 1),
        )
        return -float(likelihood.mean()), -np.array([s.mean() for s in slopes]) * np.exp(logs)

    r, alpha, a, b = _maximum(loss, np.array([0.0, 0.0, 0.0, 0.5]), "how often customers buy")
    return Purchases(r, alpha * scale, a, b)


def _fit_value(x: Floats, money: Floats) -> GammaGamma:
    scale = float(np.median(money))
    m = money / scale

    def loss(logs: Floats) -> tuple[float, Floats]:
        p, above_one, v = np.exp(logs)
        q = 1 + above_one
        log_sum = np.log(x * m + v)
        likelihood = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
        likelihood += (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * log_sum
        slopes = (
            x * (digamma(p * x + q) - digamma(p * x) + np.log(m) + np.log(x) - log_sum),
            digamma(p * x + q) - digamma(q) + np.log(v) - log_sum,
            q / v - (p * x + q) / (x * m + v),
        )
        return -float(likelihood.mean()), -np.array([s.mean() for s in slopes]) * np.exp(logs)

    p, above_one, v = _maximum(loss, np.array([1.0, 1.0, 0.0]), "what customers spend")
    return GammaGamma(p, 1 + above_one, v * scale)


def _maximum(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, what: str) -> list[float]:
    """The parameters with the highest likelihood, searched for among e^-12 to e^12 of the scaled ones."""
    bounds = [(-12.0, 12.0)] * len(start)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}
    )
    if not np.isfinite(found.fun):
        raise FeatureError(
            f"Lifetime values cannot be fitted: the likelihood of {what} has no maximum.",
            where="features.include: clv",
            found=str(found.message),
            todo="Take clv out of features.include.",
        )
    return [float(value) for value in np.exp(found.x)]


def probability_active(fitted: Purchases, x: Column, recency: Column, age: Column) -> Column:
    """Chance that a customer still buys: 1 without a repeat transaction (the model knows no dropping out before)."""
    return F.lit(1.0) / (F.lit(1.0) + _odds_gone(fitted, x, recency, age))


def _odds_gone(fitted: Purchases, x: Column, recency: Column, age: Column) -> Column:
    ratio = (F.lit(fitted.alpha) + age) / (F.lit(fitted.alpha) + recency)
    odds = F.lit(fitted.a) / (F.lit(fitted.b - 1) + F.greatest(x, F.lit(1.0))) * F.pow(ratio, F.lit(fitted.r) + x)
    return F.when(x > 0, odds).otherwise(F.lit(0.0))


def expected_transactions(fitted: Purchases, x: Column, recency: Column, age: Column, ahead: float) -> Column:
    """Transactions expected in the next `ahead` units of time.

    Equation 10 of the paper, its hypergeometric function turned by Euler's transformation into one whose series
    converges for every customer alike: the terms shrink by ahead / (alpha + age + ahead).
    """
    a = fitted.a if abs(fitted.a - 1) > 1e-6 else 1 + 1e-6  # the limit at a = 1 is finite, the expression is not
    b, r, alpha = fitted.b, fitted.r, F.lit(fitted.alpha)
    z = F.lit(ahead) / (alpha + age + F.lit(ahead))
    shrunk = F.pow((alpha + age) / (alpha + age + F.lit(ahead)), F.lit(a - 1))
    series = _series(a + b - 1 - r, a - 1, F.lit(a + b - 1) + x, z, _terms(ahead / (fitted.alpha + ahead)))
    mean = (F.lit(a + b - 1) + x) / F.lit(a - 1) * (F.lit(1.0) - shrunk * series)
    return mean / (F.lit(1.0) + _odds_gone(fitted, x, recency, age))


def _terms(largest_z: float) -> int:
    return min(MOST_TERMS, math.ceil(math.log(PRECISION) / math.log(largest_z)) + 10)


def _series(first: float, second: float, third: Column, z: Column, terms: int) -> Column:
    """Gauss' hypergeometric series F(first, second; third; z), its first terms."""

    def step(sum_: Column, number: Column) -> Column:
        j = number.cast("double")
        above = (F.lit(first - 1) + j) * (F.lit(second - 1) + j)
        term = sum_["term"] * above / ((third - F.lit(1.0) + j) * j) * z
        return F.struct(term.alias("term"), (sum_["sum"] + term).alias("sum"))

    start = F.struct(F.lit(1.0).alias("term"), F.lit(1.0).alias("sum"))
    return F.aggregate(F.sequence(F.lit(1), F.lit(terms)), start, step, lambda sum_: sum_["sum"])


def expected_value(fitted: GammaGamma, x: Column, money: Column) -> Column:
    """Expected mean value of a transaction; `money`: sum of the repeat transactions, 0 or more."""
    return F.lit(fitted.p) * (F.lit(fitted.v) + money) / (F.lit(fitted.p) * x + F.lit(fitted.q - 1))
