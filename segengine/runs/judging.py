"""What becomes of a model that was found: its gates, its card, whether it is used, and the report when it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from segengine.config.times import local_text
from segengine.errors import BundleError, ModelError, RefusedError
from segengine.model import promotion
from segengine.model.advice import advise
from segengine.model.card import card
from segengine.model.card_text import card_html, card_markdown
from segengine.model.choose import Candidate
from segengine.model.gates import Gate, Measured, judge, reasons, verdict_of
from segengine.model.history import recipe_fingerprint
from segengine.report.refusal import Refusal, refusal_html, refusal_markdown

if TYPE_CHECKING:
    from segengine.job import Job
    from segengine.model.prediction import Prediction
    from segengine.model.trained import LoadedModel, TrainedModel
    from segengine.runs.customers import Customers
    from segengine.runs.tables import Found

__all__ = ["bundle_files", "explained", "judged", "settle", "told", "verdict"]


def judged(
    job: Job, model: TrainedModel, champion: LoadedModel | None, prediction: Prediction | str
) -> tuple[Gate, ...]:
    """Every gate of a model that was just found.

    `champion` is the model it was matched to, `prediction` what its recipe predicts, or why that is not known.
    """
    limits = job.config.segments
    moved, why_not_moved = _moved_share(model, champion)
    return judge(
        Measured(
            names=model.names,
            sizes=model.sizes,
            stability=model.stability,
            k=model.k,
            k_refused=model.decision.sentence.rstrip(".") if model.decision.is_provisional else "",
            smallest_share=float(model.metrics["smallest_share"]),
            largest_share=float(model.metrics["largest_share"]),
            min_share=limits.least_share,
            max_share=limits.max_share,
            in_groups=model.grouping is not None,
            macro_silhouette=model.metrics.get("macro_silhouette"),
            moved_share=moved,
            why_not_moved=why_not_moved,
            another_recipe=_is_another_recipe(job, champion),
            **_separation(prediction),
        )
    )


def _separation(prediction: Prediction | str) -> dict[str, Any]:
    if isinstance(prediction, str):
        return {"why_not_separation": prediction}
    hardest = prediction.hardest
    return {"separation": hardest.difference, "low": hardest.low, "high": hardest.high}


def _moved_share(model: TrainedModel, champion: LoadedModel | None) -> tuple[float | None, str]:
    """Share of the customers, both models scoring the same ones, that are in another segment now; or why not known."""
    identity = model.identified
    if champion is None:
        return None, "there is no earlier model to compare with"
    counts = np.array(identity.counts, dtype=np.float64)
    if identity.method != "overlap" or not counts.sum():
        return None, f"{champion.version} and this model have no customers that both could score"
    stays = np.array(champion.segment_keys)[:, None] == np.array(identity.keys)[None, :]
    return float(1 - counts[stays].sum() / counts.sum()), ""


def _is_another_recipe(job: Job, champion: LoadedModel | None) -> bool:
    return champion is not None and champion.manifest.get("recipe_sha256") != recipe_fingerprint(job.config)


def verdict(gates: Sequence[Gate]) -> dict[str, Any]:
    """What the manifest says of the gates."""
    return {"verdict": verdict_of(gates), "refused_for": reasons(gates)}


def bundle_files(
    job: Job,
    found: Found,
    people: Customers,
    model: TrainedModel,
    gates: Sequence[Gate],
    version: str,
    why: str,
    prediction: Prediction | str,
    weighed: dict[str, Any],
) -> dict[str, Any]:
    """Gates, prediction and model card as files of the bundle. `weighed`: the weights of families, and whence."""
    measured = {"why_not": prediction} if isinstance(prediction, str) else prediction.to_dict()
    more = {"weights": weighed, "prediction": measured, **_made_from(job, found, people)}
    facts = card(model, gates, name=job.config.name, version=version, as_of=found.as_of, why=why, more=more)
    return {
        "prediction.json": {"separations": [], **measured, "weights": weighed},
        "gates.json": {**verdict(gates), "gates": [gate.to_dict() for gate in gates]},
        "model_card.json": facts,
        "model_card.md": card_markdown(facts).encode(),
        "model_card.html": card_html(facts).encode(),
    }


def _made_from(job: Job, found: Found, people: Customers) -> dict[str, Any]:
    """What the card says of the data and of protected attributes; no place of a table, and nobody's row."""
    config, sources = job.config, [source.facts for source in job.sources]
    table = config.tables.customers
    data = {
        "as_of": local_text(found.as_of, config.timezone),
        "window_start": local_text(found.window_start, config.timezone) if found.window_start else None,
        "timezone": config.timezone,
        "currency": config.currency,
        "customers": people.totals.customers,
        "in_segments": people.totals.assigned_customers,
        "lanes": {name: lane.customers for name, lane in people.totals.by_lane.items()},
        "tables": [
            {
                "name": facts.name,
                "format": facts.format,
                "files": facts.files,
                "size_bytes": facts.size_bytes,
                "version": facts.delta_version if facts.delta_version is not None else facts.iceberg_snapshot,
                "fingerprint": facts.fingerprint,
            }
            for facts in sources
        ],
        "rows": [asdict(row) for row in people.quality],
    }
    protected = {"attributes": list(table.protected) if table else [], "min_cell": config.privacy.min_cell}
    return {"data": data, "protected": protected}


def settle(job: Job, version: str, gates: Sequence[Gate], why: str, *, provisional: bool) -> None:
    """Make a saved version the champion, or refuse it: it is kept then, and never used unless asked for."""
    refused = verdict_of(gates) == "refused"
    if refused and not provisional:
        raise RefusedError(
            f"Model version {version} is refused by its gates.",
            where=job.store.uri(f"models/{version}/model_card.md"),
            found=reasons(gates),
            todo=f"Change the configuration, or use it all the same: segengine promote CONFIG {version} --reason TEXT.",
            record=tuple(gates),
        )
    promotion.promote(job.store, version, why, job.started_at, provisional=refused)


def told(refusal: RefusedError) -> str:
    """A refusal as a note of a run that goes on with the champion."""
    return f"{refusal.what} The champion goes on. {refusal.found}"


@contextmanager
def explained(job: Job, found: Found, people: Customers) -> Iterator[None]:
    """Write the report of why there is no model when the block raises a ModelError, and name it in the error."""
    try:
        yield
    except BundleError:
        raise
    except ModelError as error:
        refusal = _refusal(job, found, people, error)
        folder = f"reports/{job.run_id}"
        job.store.write_atomic(f"{folder}/refused.md", job.config.redact(refusal_markdown(refusal)).encode())
        job.store.write_atomic(f"{folder}/refused.html", job.config.redact(refusal_html(refusal)).encode())
        job.record["refusal"] = f"{folder}/refused.html"
        error.todo += f" The report: {job.store.uri(folder)}/refused.html."
        raise


def _refusal(job: Job, found: Found, people: Customers, error: ModelError) -> Refusal:
    record = getattr(error, "record", None) or ()
    candidates = [one for one in record if isinstance(one, Candidate)]
    gates = [one for one in record if isinstance(one, Gate)]
    advice = advise(job.config, candidates, gates)
    return Refusal(
        name=job.config.name,
        run_id=job.run_id,
        as_of=local_text(found.as_of, job.config.timezone),
        what=error.what,
        found=error.found,
        candidates=[_candidate(one) for one in candidates],
        gates=[(g.gate, _number(g.value), _number(g.refuse_limit), g.verdict, g.text) for g in gates],
        advice=[(one.why, one.write) for one in advice],
        customers=f"{people.totals.assigned_customers:,} customers",
    )


def _candidate(c: Candidate) -> tuple[str, ...]:
    shares = (_share(c.smallest_share), _share(c.largest_share))
    return (str(c.k), _number(c.macro_silhouette), *shares, c.verdict, c.reason)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
