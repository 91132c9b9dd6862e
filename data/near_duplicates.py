"""Passages that say nearly the same in nearly the same words."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from datasketch import MinHash, MinHashLSH

from data.records import Record

SHINGLE_WORDS = 3
MIN_WORDS = 8
"""Shorter passages ("I thank you, Mr. President.") are formulas that any documents may share."""

PERMUTATIONS = 64


class Pair(NamedTuple):
    """Two alike passages and the Jaccard similarity of their three-word shingles."""

    first: Record
    second: Record
    similarity: float


def near_duplicates(records: Sequence[Record], threshold: float = 0.5) -> Iterator[Pair]:
    """Pairs of passages at least this similar.

    MinHash finds the candidates (Broder, 1997), and the exact similarity then decides.
    """
    # A lower bar for candidates than for pairs: an estimate may fall short of the true value.
    index = MinHashLSH(threshold=max(threshold - 0.15, 0.1), num_perm=PERMUTATIONS)
    seen: list[tuple[Record, frozenset[str]]] = []
    for record in records:
        grams = shingles(record.text)
        if not grams:
            continue
        sketch = MinHash(PERMUTATIONS)
        sketch.update_batch([gram.encode() for gram in grams])
        for position in index.query(sketch):
            other, other_grams = seen[position]
            similarity = len(grams & other_grams) / len(grams | other_grams)
            if similarity >= threshold:
                yield Pair(other, record, similarity)
        index.insert(len(seen), sketch)
        seen.append((record, grams))


def shingles(text: str) -> frozenset[str]:
    """Runs of three words, in lower case; none for a text under `MIN_WORDS` words."""
    words = re.findall(r"\w+", text.lower())
    if len(words) < MIN_WORDS:
        return frozenset()
    runs = range(len(words) - SHINGLE_WORDS + 1)
    return frozenset(" ".join(words[i : i + SHINGLE_WORDS]) for i in runs)
