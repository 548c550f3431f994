"""Names that are true: claims from ranked standardised differences, kept while they hold. No Spark here.

A name is a few claims, each a feature of which a segment has more or less than others. What is stored are the claims;
the words come from a vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from segengine.features.catalog import Feature
from segengine.features.prepare_numbers import Part
from segengine.model.standing import Difference, Standing
from segengine.model.wording import Vocabulary, Word

__all__ = ["HOLD", "MINT", "Claim", "Claims", "broken", "claims_of", "holds", "name_segments", "render"]

MINT = 0.4
"""A claim is made from this difference on; between the `small` and `medium` effects of Cohen (1988), 0.2 and 0.5."""
HOLD = 0.2
"""A claim stays true down to this difference: names must not come and go with a few customers."""
MIDDLE = 0.7
"""Below it everywhere, an average segment is still average."""
USUAL, MOST = 3, 5
"""Claims of a name, and of one that would else be that of another segment."""
MOST_BEFORE = 2

STRONG, STAYS_STRONG = 1.0, 0.7
"""From which difference on a claim uses a strong word, where there is one, and down to which it stays true."""

Direction = Literal["low", "high", "middle"]


@dataclass(frozen=True)
class Claim:
    """That a segment has more (high) or less (low) of something than all have; `middle`: that it stands out in
    nothing."""

    direction: Direction
    feature: str = ""
    part: Part = "value"
    level: str | None = None
    strong: bool = False
    """That it has much more, or much less."""

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Claim:
        return cls(data["direction"], data["feature"], data["part"], data["level"], data["strong"])

    @property
    def stand(self) -> str:
        """Under which key of the vocabulary its word is."""
        return self.part if self.part != "value" else f"very_{self.direction}" if self.strong else self.direction


Claims = tuple[Claim, ...]


def holds(claim: Claim, standing: Standing) -> bool:
    """Whether a claim is true of a segment; what is not known any more is not."""
    if claim.direction == "middle":
        return all(abs(one.z) < MIDDLE for one in standing.differences if one.part == "value")
    z = standing.z((claim.feature, claim.part, claim.level))
    return z is not None and (z if claim.direction == "high" else -z) >= (STAYS_STRONG if claim.strong else HOLD)


def broken(claims: Claims, standing: Standing) -> Claims:
    """The claims of a name that are not true of a segment."""
    return tuple(claim for claim in claims if not holds(claim, standing))


def claims_of(standing: Standing, features: Mapping[str, Feature], vocabulary: Vocabulary, most: int = USUAL) -> Claims:
    """The claims that a new name makes: largest differences first, one of a concept, as many as there are slots."""
    chosen: list[Claim] = []
    concepts: set[str] = set()
    filled = {"before": 0, "noun": 0, "after": 0}
    for one in standing.differences:
        if abs(one.z) < MINT or len(chosen) == most:
            break
        claim = _claim(one, features, vocabulary)
        word = _word(claim, features, vocabulary)
        if word is None or (one.part != "value" and one.z < 0):
            continue
        concept = vocabulary.of(features[one.feature]).concept
        slots = [slot for slot in filled if getattr(word, slot)]
        limits = {"before": MOST_BEFORE, "noun": 1, "after": 1 if most == USUAL else 2}
        if concept in concepts or any(filled[slot] >= limits[slot] for slot in slots):
            continue
        concepts.add(concept)
        chosen.append(claim)
        for slot in slots:
            filled[slot] += 1
    return tuple(chosen) or (Claim("middle"),)


def _claim(one: Difference, features: Mapping[str, Feature], vocabulary: Vocabulary) -> Claim:
    plain = Claim("high" if one.z > 0 else "low", one.feature, one.part, one.level)
    strong = replace(plain, strong=True)
    return strong if abs(one.z) >= STRONG and strong.stand in _words(strong, features, vocabulary) else plain


def _words(claim: Claim, features: Mapping[str, Feature], vocabulary: Vocabulary) -> Mapping[str, Word]:
    feature = features.get(claim.feature)
    return {} if feature is None else vocabulary.of(feature).words


def _word(claim: Claim, features: Mapping[str, Feature], vocabulary: Vocabulary) -> Word | None:
    words = _words(claim, features, vocabulary)
    # A strong word that the vocabulary has no more, or another language never had, is said plainly.
    return words.get(claim.stand) or words.get(claim.direction if claim.part == "value" else claim.part)


def name_segments(
    standings: Sequence[Standing],
    features: Mapping[str, Feature],
    vocabulary: Vocabulary,
    *,
    groups: Sequence[str | None],
    kept: Mapping[int, Claims],
) -> tuple[Claims, ...]:
    """The claims of every segment: those of `kept` (by index) where all still hold, new ones elsewhere.

    Where two new names would read the same the later segment claims more, as long as there is more to claim.
    """
    made: dict[int, Claims] = {index: claims for index, claims in kept.items() if not broken(claims, standings[index])}
    taken = {(groups[index], _text(claims, features, vocabulary)) for index, claims in made.items()}
    for index, standing in enumerate(standings):
        if index in made:
            continue
        for most in range(USUAL, MOST + 1):
            claims = claims_of(standing, features, vocabulary, most)
            if (groups[index], _text(claims, features, vocabulary)) not in taken:
                break
        else:
            claims = claims_of(standing, features, vocabulary)
        made[index] = claims
        taken.add((groups[index], _text(claims, features, vocabulary)))
    return tuple(made[index] for index in range(len(standings)))


def render(
    claims: Sequence[Claims],
    features: Mapping[str, Feature],
    vocabulary: Vocabulary,
    *,
    groups: Sequence[str | None],
    ids: Sequence[str],
) -> tuple[str, ...]:
    """Names to show, each one once: with the group before it, and with the segment's id where two read the same."""
    texts = []
    for one, group in zip(claims, groups, strict=True):
        name = _text(one, features, vocabulary)
        texts.append(name if group is None else vocabulary.text("within", group=group, name=name))
    folded = [text.casefold() for text in texts]
    return tuple(
        vocabulary.text("numbered", name=text, id=id_) if folded.count(text.casefold()) > 1 else text
        for text, id_ in zip(texts, ids, strict=True)
    )


def _text(claims: Claims, features: Mapping[str, Feature], vocabulary: Vocabulary) -> str:
    before: list[str] = []
    after: list[str] = []
    noun = ""
    for claim in claims:
        word = _word(claim, features, vocabulary)
        if word is None:
            continue
        level = claim.level or ""
        before += [word.before.replace("{level}", level)] if word.before else []
        after += [word.after.replace("{level}", level)] if word.after else []
        noun = word.noun.replace("{level}", level) or noun
    if not (before or after or noun):
        name = vocabulary.text("average", noun=vocabulary.texts["noun"])
    else:
        name = " ".join([", ".join(before), noun or vocabulary.texts["noun"], ", ".join(after)]).strip()
        name = " ".join(name.split())
    return name[:1].upper() + name[1:]
