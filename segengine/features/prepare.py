"""From feature columns to the vector that k-means sees: an estimator that fits to a pipeline of stock stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pyspark.ml import Estimator, PipelineModel
from pyspark.ml.param import Param, Params, TypeConverters

from segengine.config.models import DEFAULT_WEIGHTS
from segengine.errors import FeatureError, ModelError
from segengine.features.prepare_fit import InputColumn, Options, learn
from segengine.features.prepare_numbers import Preparation
from segengine.features.prepare_sample import SAMPLE_LIMIT, hash_sample
from segengine.features.prepare_stages import FEATURES, TEMPORARY, stages

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from segengine.config import Prepare as PrepareConfig
    from segengine.features.catalog import Feature

__all__ = ["Prepare", "input_columns", "options_of"]

RESERVED = (FEATURES, "prediction")


class Prepare(Estimator[PipelineModel]):
    """Impute, cap, log, scale, one-hot, weight and assemble; fits to stock stages that end in `features`.

    Input: one row a customer with customer_id and the input columns: numbers (null, NaN and infinite are missing) or
    texts. Fit: on the customers with the smallest hash of their id, in numpy, the same on any partitioning. The
    fitted pipeline keeps every row and column, adds columns that start with `__prepared_`, and the vector `features`,
    which never holds a NaN. Raises FeatureError naming a column without any number, ModelError when all are constant.
    """

    inputs: Param[list[Any]] = Param(
        Params._dummy(), "inputs", "[name, family, kind] of each column", TypeConverters.toList
    )
    cap: Param[list[float]] = Param(
        Params._dummy(), "cap", "quantiles to cap at; empty for none", TypeConverters.toListFloat
    )
    log: Param[str] = Param(Params._dummy(), "log", "auto, always or never", TypeConverters.toString)
    scale: Param[str] = Param(Params._dummy(), "scale", "standard or none", TypeConverters.toString)
    weights: Param[list[Any]] = Param(Params._dummy(), "weights", "[family, weight] pairs", TypeConverters.toList)
    sampleLimit: Param[int] = Param(Params._dummy(), "sampleLimit", "customers to fit on", TypeConverters.toInt)

    def __init__(self, *, inputs: Sequence[InputColumn], options: Options, sample_limit: int = SAMPLE_LIMIT) -> None:
        super().__init__()
        self._set(
            inputs=[[column.name, column.family, column.kind] for column in inputs],
            cap=list(options.cap or ()),
            log=options.log,
            scale=options.scale,
            weights=[[family, weight] for family, weight in options.weights.items()],
            sampleLimit=sample_limit,
        )

    def input_columns(self) -> tuple[InputColumn, ...]:
        return tuple(InputColumn(*item) for item in self.getOrDefault(self.inputs))

    def options(self) -> Options:
        cap = self.getOrDefault(self.cap)
        return Options(
            cap=(cap[0], cap[1]) if cap else None,
            log=cast(Any, self.getOrDefault(self.log)),
            scale=cast(Any, self.getOrDefault(self.scale)),
            weights={str(family): float(weight) for family, weight in self.getOrDefault(self.weights)},
        )

    def learn(self, columns: Mapping[str, Any]) -> Preparation:
        """What is learnt from sampled columns, without Spark."""
        for column in self.input_columns():
            if column.name.lower() in RESERVED or column.name.lower().startswith(TEMPORARY):
                raise FeatureError(
                    f"A feature cannot be called '{column.name}': the saved model has a column of that name.",
                    todo="Rename it in features.custom or tables.customers.columns.",
                )
        return learn(self.input_columns(), columns, self.options())

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        sample = hash_sample(dataset, self.input_columns(), self.getOrDefault(self.sampleLimit))
        if not len(sample.frame):
            raise ModelError(
                "There are no customers to prepare features of.", todo="Check the tables and the history window."
            )
        return PipelineModel(stages=stages(self.learn(sample.columns)))


def input_columns(features: Iterable[Feature]) -> tuple[InputColumn, ...]:
    """The columns to prepare, of features of the catalog."""
    return tuple(InputColumn(feature.name, feature.family, feature.kind) for feature in features)


def options_of(config: PrepareConfig, weights: Mapping[str, float] | None = None) -> Options:
    """The `prepare` section of the configuration; `weights` are what `auto` came to, the default where it did not."""
    if weights is None:
        weights = config.weights if isinstance(config.weights, Mapping) else DEFAULT_WEIGHTS
    return Options(config.cap, config.log, config.scale, weights)
