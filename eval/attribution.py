"""The most confident errors, and the words that moved their scores.

Occlusion: a word's effect is how far the score falls when the word is left out (Zeiler and Fergus,
"Visualizing and understanding convolutional networks", 2014; for text, Li, Monroe and Jurafsky,
"Understanding neural networks through representation erasure", 2016). Simple, of the scores as
they are served, and blind to words that do the same work twice. Articles, prepositions and the
like are not tried: a third of all words, and none tells a reader anything.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from data.records import Record
from eval.actor_swap import Scorer
from eval.metrics import Bools, Floats
from eval.perturbations import SMALL_WORDS

ERRORS = 6
MAX_WORDS = 40
TOP_WORDS = 5

WORD = re.compile(r"\w+(?:[.'’-]\w+)*")


@dataclass(frozen=True)
class WordEffect:
    """A word, where it stands in code points, and how far the score falls without it.

    Below 0 where the word holds the score down.
    """

    start: int
    end: int
    word: str
    effect: float


@dataclass(frozen=True)
class Mistake:
    """A passage that was judged wrong, and its words of the largest effect, largest first."""

    id: str
    text: str
    score: float
    true_frames: tuple[str, ...]
    source: str
    words: tuple[WordEffect, ...]


@dataclass(frozen=True)
class Mistakes:
    """One label's most confident errors: the highest wrong scores, and the lowest."""

    false_positives: tuple[Mistake, ...]
    false_negatives: tuple[Mistake, ...]


def confident_mistakes(
    score: Scorer,
    records: Sequence[Record],
    truth: Bools,
    scores: Floats,
    thresholds: Sequence[float] | Floats,
    codebook: Codebook,
) -> dict[str, Mistakes]:
    """Up to `ERRORS` of either kind for each frame; arrays of shape (n, labels)."""
    predicted = scores >= np.asarray(thresholds)
    rows_of: dict[str, tuple[list[int], list[int]]] = {}
    for frame in codebook.frames:
        i = codebook.keys.index(frame)
        rising = np.argsort(scores[:, i], kind="stable")
        wrong = rising[truth[rising, i] != predicted[rising, i]]
        positives = [int(row) for row in wrong[::-1] if predicted[row, i]]
        negatives = [int(row) for row in wrong if truth[row, i]]
        rows_of[frame] = positives[:ERRORS], negatives[:ERRORS]
    wanted = [
        (records[row].text, codebook.keys.index(frame))
        for frame, kinds in rows_of.items()
        for rows in kinds
        for row in rows
    ]
    effects = iter(word_effects(score, wanted))

    def mistake(row: int, label: int) -> Mistake:
        record = records[row]
        return Mistake(
            id=record.id,
            text=record.text,
            score=float(scores[row, label]),
            true_frames=tuple(record.frames),
            source=record.source,
            words=next(effects),
        )

    return {
        frame: Mistakes(
            *(tuple(mistake(row, codebook.keys.index(frame)) for row in rows) for rows in kinds)
        )
        for frame, kinds in rows_of.items()
    }


def word_effects(score: Scorer, wanted: Sequence[tuple[str, int]]) -> list[tuple[WordEffect, ...]]:
    """The `TOP_WORDS` words of the largest effect, up or down, for each text and label's column.

    All texts and their occlusions are scored in one call. Of a long text the first `MAX_WORDS`
    words are tried, small words not counted. A text without words has none.
    """
    words = {text: _telling_words(text) for text, _ in wanted}
    variants = dict.fromkeys(
        variant
        for text, matches in words.items()
        for variant in (text, *(without(text, *match.span()) for match in matches))
    )
    row_of = {text: row for row, text in enumerate(variants)}
    scores = score(list(row_of)) if row_of else np.zeros((0, 0))
    found = []
    for text, label in wanted:
        whole = scores[row_of[text], label]
        effects = [
            WordEffect(
                *match.span(),
                match[0],
                float(whole - scores[row_of[without(text, *match.span())], label]),
            )
            for match in words[text]
        ]
        largest = sorted(effects, key=lambda effect: -abs(effect.effect))
        found.append(tuple(largest[:TOP_WORDS]))
    return found


def _telling_words(text: str) -> list[re.Match[str]]:
    words = [match for match in WORD.finditer(text) if match[0].lower() not in SMALL_WORDS]
    return words[:MAX_WORDS]


def without(text: str, start: int, end: int) -> str:
    """The text without these characters, and without the double space that they would leave."""
    before, after = text[:start], text[end:]
    return before + (after.lstrip(" ") if not before or before.endswith(" ") else after)
