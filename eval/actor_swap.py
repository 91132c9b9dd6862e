"""Actor swap: the same passage with other actors must get the same labels.

Every passage is scored with the actors it was written for and with other casts. A flip is a
decision that differs from the one on the original cast; a shift is how far the score lies from
the original's, whichever way. Intervals are resampled by passage.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from eval.casts import Variant
from eval.estimates import Estimate, clustered_means
from eval.metrics import Bools, Floats
from models.calibration import Scores

Scorer = Callable[[Sequence[str]], Scores]
"""Passages in, scores of shape (passages, labels) out: `Classifier.score_passages`."""


@dataclass(frozen=True)
class Effect:
    """What other actors do: the share of decisions that flip, and the mean absolute shift."""

    flip_rate: Estimate
    shift: Estimate


@dataclass(frozen=True)
class PairEffect:
    """The effect of casts with these two actors in the slots a and b, in either order.

    Only two or three casts have a given pair: look at what the worst pairs have in common, and at
    `AccusedActor`, rather than at one of them.
    """

    actors: tuple[str, str]
    effect: Effect


@dataclass(frozen=True)
class AccusedActor:
    """Per label, the mean score of the variants that charge this actor with something.

    `lean` is the mean distance from the same passage's mean over all its casts: above 0 where a
    charge scores higher for being made against this actor.
    """

    actor: str
    score: dict[str, Estimate]
    lean: dict[str, Estimate]


@dataclass(frozen=True)
class ActorSwap:
    """Effects over all casts but the originals: overall, per label and per pair, worst pair first.

    Overall and per pair, a flip is any change in the set of frames found, and the shift the mean
    over the frames.
    """

    passages: int
    overall: Effect
    labels: dict[str, Effect]
    pairs: tuple[PairEffect, ...]
    accused: tuple[AccusedActor, ...]


def measure_actor_swap(
    score: Scorer,
    thresholds: Sequence[float] | Floats,
    codebook: Codebook,
    variants: Sequence[Variant],
) -> ActorSwap:
    """Score all variants in one call; compare each with the first of its passage, the original."""
    scores = score([variant.text for variant in variants])
    original: dict[str, int] = {}
    for row, variant in enumerate(variants):
        original.setdefault(variant.passage.id, row)
    reference = scores[[original[variant.passage.id] for variant in variants]]
    flips = (scores >= np.asarray(thresholds)) != (reference >= np.asarray(thresholds))
    shifts = np.abs(scores - reference)
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    any_flip = flips[:, frames].any(axis=1, keepdims=True)
    mean_shift = shifts[:, frames].mean(axis=1, keepdims=True)
    exchanged = sorted(set(range(len(variants))) - set(original.values()))
    pairs = [
        PairEffect(pair, *_effects(any_flip, mean_shift, variants, rows))
        for pair, rows in _rows_by_pair(variants, exchanged).items()
    ]
    return ActorSwap(
        passages=len(original),
        overall=_effects(any_flip, mean_shift, variants, exchanged)[0],
        labels=dict(zip(codebook.keys, _effects(flips, shifts, variants, exchanged), strict=True)),
        pairs=tuple(sorted(pairs, key=_badness)),
        accused=tuple(_accused(scores, variants, codebook)),
    )


def _effects(
    flips: Bools, shifts: Floats, variants: Sequence[Variant], rows: Sequence[int]
) -> list[Effect]:
    """One effect a column, over these rows."""
    passages = [variants[row].passage.id for row in rows]
    flip_rates = clustered_means(flips[rows], passages)
    return [
        Effect(flip_rate, shift)
        for flip_rate, shift in zip(
            flip_rates, clustered_means(shifts[rows], passages), strict=True
        )
    ]


def _rows_by_pair(
    variants: Sequence[Variant], rows: Sequence[int]
) -> dict[tuple[str, str], list[int]]:
    by_pair: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if len(variants[row].cast) > 1:
            first, second = sorted(variants[row].cast[:2])
            by_pair[first, second].append(row)
    return by_pair


def _badness(pair: PairEffect) -> tuple[float, float, tuple[str, str]]:
    return -pair.effect.flip_rate.value, -pair.effect.shift.value, pair.actors


def _accused(scores: Scores, variants: Sequence[Variant], codebook: Codebook) -> list[AccusedActor]:
    """The actors that are accused anywhere, by name."""
    by_passage: defaultdict[str, list[int]] = defaultdict(list)
    by_actor: defaultdict[str, list[int]] = defaultdict(list)
    for row, variant in enumerate(variants):
        by_passage[variant.passage.id].append(row)
        for actor in variant.accused:
            by_actor[actor].append(row)
    leans = scores.copy()
    for rows in by_passage.values():
        leans[rows] -= scores[rows].mean(axis=0)
    found = []
    for actor, rows in sorted(by_actor.items()):
        passages = [variants[row].passage.id for row in rows]
        means = clustered_means(scores[rows], passages)
        lean = clustered_means(leans[rows], passages)
        found.append(
            AccusedActor(
                actor,
                dict(zip(codebook.keys, means, strict=True)),
                dict(zip(codebook.keys, lean, strict=True)),
            )
        )
    return found
