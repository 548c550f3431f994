"""What the weights of feature families are worth: the tables of docs/prediction.md, on any data with a history.

python -m benchmarks.weights conf/online_retail.yaml segengine-demo/grocery.yaml --out out/weights

For each configuration it trains with the default weights, with `weights: auto` and with equal ones (every feature the
same; every family the same), and prints what each chose and how its gate judged it. Then, for every k that one of them
chose, how far each separates what the same customers did in the next 90 days, beside both baselines. The
weights are those of segengine as it is: nothing is tuned here.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segengine import runs
from segengine.config import Config, load, with_places
from segengine.config.models import DEFAULT_WEIGHTS
from segengine.features.prepare import options_of
from segengine.job import open_job
from segengine.model.ahead import segments_of
from segengine.model.prediction import GRID, RAW, SEGMENTS, Prediction, Separation, compare, raw_rfm, rfm_grid
from segengine.runs.ahead import RFM, Past, Then, looking_back
from segengine.runs.customers import asked_features, customer_rows
from segengine.runs.tables import read_and_check
from segengine.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from segengine.features import Chosen

DEFAULT, AUTO, FEATURES, FAMILIES = "default", "auto", "equal features", "equal families"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", type=Path, help="configurations with transactions")
    parser.add_argument("--out", type=Path, default=Path("out/weights"), help="folder for the models")
    asked = parser.parse_args()
    with open_session() as spark:
        for file in asked.config:
            for line in measured(load(file), asked.out / file.stem, spark):
                print(line, flush=True)


def measured(config: Config, out: Path, spark: SparkSession) -> Iterator[str]:
    """The lines of Markdown about one configuration."""
    yield f"\n## {config.name}\n"
    with open_job(
        "check", elsewhere(config, out / "look"), steps=4, spark=spark, as_of=None, now=None, listener=None
    ) as job:
        found = read_and_check(job)
        chosen = asked_features(job, found)
        recipes = weights_of(chosen)
        trained = {
            name: training(config, weights, out / name.replace(" ", "-"), spark) for name, weights in recipes.items()
        }
        yield "| weights | of the families | k | verdict of the model | gate next_period | its text |"
        yield "|---|---|---|---|---|---|"
        yield from (line(name, one) for name, one in trained.items())
        recipes |= {AUTO: trained[AUTO]["prediction"]["weights"]["weights"]}
        with customer_rows(job, found, chosen) as people, looking_back(job, found, people) as past:
            if not isinstance(past, Past):
                yield f"Not measured: {past}."
                return
            then = past.then(1, people.chosen)
        for k in sorted({one["prediction"]["k"] for one in trained.values()}):
            yield from table(then, config, recipes, k)


def weights_of(chosen: Chosen) -> dict[str, Any]:
    """The weights that are compared, as `prepare.weights` has them."""
    features = Counter(feature.family for feature in chosen.features)
    return {
        DEFAULT: dict(DEFAULT_WEIGHTS),
        AUTO: "auto",
        FEATURES: {family: float(count) for family, count in features.items()},
        FAMILIES: dict.fromkeys(features, 1.0),
    }


def elsewhere(config: Config, out: Path, weights: Any = None) -> Config:
    """The configuration with an output of its own, and other weights."""
    moved = with_places(config, output=str(out.resolve()))
    if weights is None:
        return moved
    return moved.model_copy(update={"prepare": moved.prepare.model_copy(update={"weights": weights})})


def training(config: Config, weights: Any, out: Path, spark: SparkSession) -> dict[str, Any]:
    """What a training with these weights says of itself; a model that is refused counts as well."""
    runs.train(elsewhere(config, out, weights), spark=spark, provisional=True)
    model = max((out / "models").glob("v*"))
    return {name: json.loads((model / f"{name}.json").read_text(encoding="utf-8")) for name in ("prediction", "gates")}


def line(name: str, trained: Mapping[str, Any]) -> str:
    """A row about what a training chose and how it was judged."""
    weights = ", ".join(
        f"{family} {weight:.3g}" for family, weight in trained["prediction"]["weights"]["weights"].items()
    )
    gate = next(one for one in trained["gates"]["gates"] if one["gate"] == "next_period")
    k = trained["prediction"].get("k", "")
    return f"| {name} | {weights} | {k} | {trained['gates']['verdict']} | {gate['verdict']} | {gate['text']} |"


def table(then: Then, config: Config, recipes: Mapping[str, Any], k: int) -> Iterator[str]:
    """Eta squared of every behaviour, and each recipe against the others, all with the same k."""
    columns, limits = then.sample.columns, config.segments
    rfm = [columns[name].astype(float) for name in RFM]
    labels = {
        name: segments_of(
            then.sample, then.inputs, options_of(config.prepare, weights), k, restarts=limits.restarts, seed=limits.seed
        )
        for name, weights in recipes.items()
    } | {GRID: rfm_grid(rfm[0], rfm[1], rfm[2], k), RAW: raw_rfm(rfm[0], rfm[1], rfm[2], k, seed=limits.seed)}
    found: dict[str, Prediction] = {}
    for name in recipes:
        others = {other: groups for other, groups in labels.items() if other != name}
        found[name] = compare(
            then.behaviours, {SEGMENTS: labels[name], **others}, seed=limits.seed, spent_before=rfm[2]
        )
    titles = {b.name: b.name if b.is_judged else f"{b.name} (not judged)" for b in then.behaviours}
    yield f"\n### k = {k}, {len(then.sample.frame):,} customers as of {then.day}\n"
    yield "| behaviour | customers | " + " | ".join(labels) + " |\n|---|---|" + "---|" * len(labels)
    for behaviour, title in titles.items():
        separations = [_separation(found, name, behaviour) for name in labels]
        texts = [f"{one.eta_squared:.3f} ({one.low:.3f} to {one.high:.3f})" for one in separations]
        yield f"| {title} | {separations[0].customers:,} | " + " | ".join(texts) + " |"
    lifts = [_lift(found[name]) if name in found else "" for name in labels]
    yield "| lift of the top segment (its share) | | " + " | ".join(lifts) + " |"
    for name, one in found.items():
        rivals = [rival for rival in labels if rival != name]
        yield f"\n{name}, less each other:\n\n| behaviour | " + " | ".join(rivals) + " |\n|---|" + "---|" * len(rivals)
        for behaviour, title in {**titles, "panel": "mean of those judged"}.items():
            against = {each.baseline: each for each in (*one.against, *one.panel) if each.behaviour == behaviour}
            told = [
                f"{a.outcome}, {a.difference:+.3f} ({a.low:+.3f} to {a.high:+.3f})"
                for a in (against[rival] for rival in rivals)
            ]
            yield f"| {title} | " + " | ".join(told) + " |"


def _lift(one: Prediction) -> str:
    return "" if one.lift is None else f"{one.lift:.2f} ({one.lift_share:.1%})"


def _separation(found: Mapping[str, Prediction], name: str, behaviour: str) -> Separation:
    one, method = (found[name], SEGMENTS) if name in found else (next(iter(found.values())), name)
    return next(each for each in one.separations if (each.behaviour, each.method) == (behaviour, method))


if __name__ == "__main__":
    main()
