"""A year of monthly retrains of a make-believe shop, without Spark: the same search, start, matching and holding.

Features are calculated with pandas, and everybody is in the sample; the rest is segengine's own numpy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segengine.config import Config, Output, Segments, Tables, TransactionsTable
from segengine.demo.shop import CustomerType, Shop
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.features.prepare_numbers import Preparation, inverse, prepare
from segengine.features.prepare_sample import Sample
from segengine.model.fit import steadier
from segengine.model.identity import Identity, by_overlap, first
from segengine.model.search import search
from segengine.model.warm import warm_start

Floats = NDArray[np.float64]

APPEARS, VANISHES = 5, 9
"""The retrains (1 to 12) at which a kind of customers is there for a month, and another one for none in the window."""

LEAD = 2
"""Months before the first model, as many as the window has."""

TYPES = (
    CustomerType("devoted", 0.24, 4, 90.0, 12.0, 8, spread=0.10),
    CustomerType("topping up", 0.22, 3, 6.0, 1.2, 8, spread=0.10),
    CustomerType("stocking up", 0.18, 18, 400.0, 30.0, 16, spread=0.10),
    CustomerType("lunch", 0.12, 0.5, 40.0, 4.0, 10, spread=0.10),
    CustomerType("occasional", 0.20, 22, 12.0, 2.0, 16, spread=0.10),
)

INPUTS = (
    InputColumn("recency_days", "rfm", "numeric"),
    InputColumn("frequency_orders", "rfm", "numeric"),
    InputColumn("monetary_total", "rfm", "numeric"),
    InputColumn("order_value", "basket", "numeric"),
    InputColumn("lines_per_order", "basket", "numeric"),
)
OPTIONS = Options(cap=(0.01, 0.99), log="auto", scale="standard", weights={"rfm": 1.0, "others": 0.5})


def shop(customers: int = 2_000, seed: int = 1) -> Shop:
    """Prices drift by 1 % a month; lunch is there for a month at retrain 5, stocking up in no window from 9 on."""
    return Shop(
        customers=customers,
        days=(dt.date(2024, 1, 1) - dt.date(2022, 11, 1)).days,
        seed=seed,
        segments=TYPES,
        start=dt.date(2022, 11, 1),
        inflation=0.01,
        appears={"lunch": LEAD + APPEARS - 1},
        vanishes={"stocking up": LEAD + VANISHES - 2},
        vanish_into="occasional",
    )


def months(start: dt.date) -> list[pd.Timestamp]:
    """The moments of the first model and of the twelve retrains."""
    return [pd.Timestamp(start) + pd.DateOffset(months=LEAD + number) for number in range(13)]


def features(lines: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row a customer who bought in the LEAD months before, by id; days are counted on the calendar."""
    window = lines[(lines["ordered_at"] < as_of) & (lines["ordered_at"] >= as_of - pd.DateOffset(months=LEAD))]
    orders = window.groupby(["customer_id", "order_id"]).agg(
        amount=("amount", "sum"), lines=("line", "size"), at=("ordered_at", "max")
    )
    by = orders.groupby("customer_id")
    return pd.DataFrame(
        {
            "recency_days": (as_of - by["at"].max().dt.normalize()).dt.days.astype(float),
            "frequency_orders": by["amount"].size().astype(float),
            "monetary_total": by["amount"].sum(),
            "order_value": by["amount"].mean(),
            "lines_per_order": by["lines"].mean(),
            "first": lines[lines["ordered_at"] < as_of].groupby("customer_id")["ordered_at"].min(),
        }
    ).dropna()


def config(**segments: object) -> Config:
    columns = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}
    return Config(
        name="year",
        tables=Tables(transactions=TransactionsTable(path="lines.parquet", columns=columns)),
        segments=Segments(**{"k": (3, 7), "restarts": 3, **segments}),
        output=Output(path="out"),
    )


@dataclass(frozen=True)
class Model:
    preparation: Preparation
    centres: Floats
    identity: Identity
    as_of: pd.Timestamp
    sizes: list[int]

    def points(self, rows: pd.DataFrame) -> Floats:
        return prepare(self.preparation, {item.name: rows[item.name].to_numpy() for item in INPUTS})

    def places(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        return np.asarray(distances(self.points(rows), self.centres).argmin(axis=1))

    def keys(self, rows: pd.DataFrame, prior: pd.Series | None = None, hysteresis: float = 0.0) -> pd.Series:
        """customer -> segment key; with `prior` keys customers near a border stay."""
        away = distances(self.points(rows), self.centres)
        keys = np.array(self.identity.keys)
        nearest = away.argmin(axis=1)
        if prior is not None and hysteresis > 0:
            before = prior.reindex(rows.index).fillna(-1).to_numpy()
            place = np.array([int(np.flatnonzero(keys == key)[0]) if key in keys else -1 for key in before])
            every = np.arange(len(rows))
            old, new = away[every, place], away[every, nearest]
            nearest = np.where((place >= 0) & (old - new < hysteresis * old), place, nearest)
        return pd.Series(keys[nearest], index=rows.index)


def distances(points: Floats, centres: Floats) -> Floats:
    return np.stack([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=1)


def trained(rows: pd.DataFrame, as_of: pd.Timestamp, champion: Model | None, settings: Config) -> Model:
    """As a run trains: prepare, search for k, start from the champion too, match to it."""
    frame = rows.reset_index()
    sample = Sample(frame[["customer_id", *(item.name for item in INPUTS)]], len(frame))
    preparation = learn(INPUTS, sample.columns, OPTIONS)
    before = champion.places(rows) if champion is not None else None
    found = search(sample, preparation, settings, 7, before=before)
    warm = None
    if champion is not None:
        warm = warm_start(preparation, found.centres, inverse(champion.preparation, champion.centres))
    limits = settings.segments
    _, centres = steadier(
        found.points, found.centres, warm, seed=7, min_share=limits.min_share, max_share=limits.max_share
    )
    model = Model(preparation, centres, first(len(centres)), as_of, [])
    places = model.places(rows)
    revenue = np.bincount(places, weights=rows["monetary_total"], minlength=len(centres))
    model = Model(preparation, centres[np.argsort(-revenue)], first(len(centres)), as_of, [])
    places = model.places(rows)
    sizes = np.bincount(places, minlength=len(centres)).tolist()
    if champion is None:
        return Model(preparation, model.centres, model.identity, as_of, sizes)
    common = np.zeros((len(champion.centres), len(centres)), dtype=np.int64)
    there = (rows["first"] < champion.as_of).to_numpy()
    np.add.at(common, (champion.places(rows)[there], places[there]), 1)
    identity = by_overlap(
        common,
        np.bincount(places[~there], minlength=len(centres)).tolist(),
        old=champion.identity.keys,
        minted=champion.identity.minted,
        champion="champion",
        sizes=champion.sizes,
    )
    return Model(preparation, model.centres, identity, as_of, sizes)


def year(lines: pd.DataFrame, start: dt.date, settings: Config) -> Iterator[tuple[pd.DataFrame, Model]]:
    """The customers and the model of each of thirteen months."""
    champion: Model | None = None
    for as_of in months(start):
        rows = features(lines, as_of)
        champion = trained(rows, as_of, champion, settings)
        yield rows, champion
