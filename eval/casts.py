"""Which actors play in which variant of an actor-swap passage."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from eval.actors import Actor, fits, render
from eval.estimates import SEED
from eval.suite_items import Suite, SwapPassage

ALTERNATIVES = 8

Cast = tuple[str, ...]
"""Keys of the actors in a passage, in the order of its slots."""


@dataclass(frozen=True)
class Variant:
    """A passage with one cast."""

    passage: SwapPassage
    cast: Cast
    text: str

    @property
    def accused(self) -> list[str]:
        """Keys of the actors whom the passage charges with something."""
        of_slot = dict(zip(self.passage.slots, self.cast, strict=True))
        return [of_slot[slot] for slot in self.passage.accused]


def swap_variants(suite: Suite) -> list[Variant]:
    """All passages, each with its original cast first; the same variants in every run."""
    casts = choose_casts(suite.swaps, list(suite.actors.values()))
    return [
        Variant(passage, cast, fill(passage, cast, suite.actors))
        for passage in suite.swaps
        for cast in (original_cast(passage), *casts[passage.id])
    ]


def fill(passage: SwapPassage, cast: Cast, actors: dict[str, Actor]) -> str:
    """The passage's text with this cast."""
    return render(passage.text, {s: actors[a] for s, a in zip(passage.slots, cast, strict=True)})


def original_cast(passage: SwapPassage) -> Cast:
    """The actors that the passage was written for."""
    return tuple(passage.original[slot] for slot in passage.slots)


def possible_casts(passage: SwapPassage, actors: Sequence[Actor]) -> list[Cast]:
    """Every cast that fits the slots, but for the original one."""
    kinds = list(passage.slots.values())
    casts = [
        tuple(actor.key for actor in chosen)
        for chosen in permutations(actors, len(kinds))
        if fits(chosen, kinds)
    ]
    return [cast for cast in casts if cast != original_cast(passage)]


def choose_casts(passages: Sequence[SwapPassage], actors: Sequence[Actor]) -> dict[str, list[Cast]]:
    """Up to `ALTERNATIVES` other casts for each passage, by its id, that use all pairs evenly.

    Each choice falls on the pair in the first two slots that was drawn least so far (with one
    slot: the actor), then on the actors drawn least, then on the lot. Passages with the least
    choice choose first, so that the others make up for what those cannot take.
    """
    lot = random.Random(SEED)
    pairs: Counter[frozenset[str]] = Counter()
    drawn: Counter[str] = Counter()

    def drawn_so_far(cast: Cast) -> tuple[int, int]:
        return pairs[frozenset(cast[:2])], sum(drawn[actor] for actor in cast)

    possible = {passage.id: possible_casts(passage, actors) for passage in passages}
    chosen: dict[str, list[Cast]] = {}
    for name in sorted(possible, key=lambda name: len(possible[name])):
        left, chosen[name] = possible[name], []
        lot.shuffle(left)
        while left and len(chosen[name]) < ALTERNATIVES:
            cast = min(left, key=drawn_so_far)
            left.remove(cast)
            chosen[name].append(cast)
            pairs[frozenset(cast[:2])] += 1
            drawn.update(cast)
    return chosen
