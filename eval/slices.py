"""Where a model is better and where worse: the same measures on parts of the corpus."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from data.records import Record
from eval import bootstrap, metrics
from eval.bootstrap import REPEATS, interval, resample_weights, share
from eval.estimates import SEED, Estimate
from eval.metrics import Bools

MIN_PASSAGES = 20
"""Below this a slice is marked small and not ranked: its interval says little."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Slice:
    """The passages that share a value.

    Macro-F1 is over those frames that occur in the slice, None where none does: a frame that is
    not there could only score 0. The false alarms are the share of absent frames that were found.
    """

    dimension: str
    value: str
    support: int
    documents: int
    small: bool
    frames: int
    macro_f1: Estimate | None
    false_alarms: Estimate


def slice_results(
    records: Sequence[Record], truth: Bools, predicted: Bools, codebook: Codebook
) -> list[Slice]:
    """Every passage is in one slice of each dimension; arrays of shape (n, labels).

    Within a dimension the slices stand worst first, then those without a frame, then small ones.
    """
    columns = [codebook.keys.index(frame) for frame in codebook.frames]
    found = []
    for dimension, values in _dimensions(records, codebook):
        of_dimension = []
        for value in dict.fromkeys(sorted(values)):
            rows = [i for i, other in enumerate(values) if other == value]
            documents = [records[i].document_id for i in rows]
            frames, decisions = truth[np.ix_(rows, columns)], predicted[np.ix_(rows, columns)]
            of_dimension.append(_slice(dimension, value, frames, decisions, documents))
        found += sorted(of_dimension, key=_rank)
    return found


def _rank(part: Slice) -> tuple[bool, bool, float, str]:
    if part.small or part.macro_f1 is None:
        return part.small, True, -part.support, part.value
    return False, False, part.macro_f1.value, part.value


def _slice(
    dimension: str, value: str, truth: Bools, predicted: Bools, documents: Sequence[str]
) -> Slice:
    weights = resample_weights(documents, REPEATS, SEED)
    occurring = truth.any(axis=0)
    here, found = truth[:, occurring], predicted[:, occurring]
    absent = (~truth).sum(axis=1)
    alarms = (predicted & ~truth).sum(axis=1)
    rate = interval(share(weights @ alarms, weights @ absent))
    return Slice(
        dimension=dimension,
        value=value,
        support=len(truth),
        documents=len(set(documents)),
        small=len(truth) < MIN_PASSAGES,
        frames=int(occurring.sum()),
        macro_f1=Estimate(
            metrics.macro_f1(here, found),
            *interval(bootstrap.macro_f1(here, found, weights)),
            len(truth),
        )
        if occurring.any()
        else None,
        false_alarms=Estimate(float(share(alarms.sum(), absent.sum())), *rate, int(absent.sum())),
    )


def source_family(record: Record) -> str:
    """What stands before the colon in the source: `Pravda: 3 May` is of the family `Pravda`."""
    return record.source.partition(":")[0].strip() or UNKNOWN


def _dimensions(records: Sequence[Record], codebook: Codebook) -> Iterator[tuple[str, list[str]]]:
    """Each dimension's name with the value of every passage."""

    def of(value: Callable[[Record], str]) -> list[str]:
        return [value(record) for record in records]

    yield "source", of(source_family)
    yield "genre", of(lambda record: record.genre or UNKNOWN)
    for voice in codebook.voices:
        yield f"voice: {voice}", ["yes" if record.voice(voice) else "no" for record in records]
    yield "length", length_thirds([len(record.text.split()) for record in records])
    yield "decade", of(lambda record: f"{record.date[:3]}0s" if record.date else UNKNOWN)
    yield "year", of(lambda record: record.date[:4] if record.date else UNKNOWN)
    yield "frames in the passage", of(lambda record: str(len(record.frames)))


def length_thirds(words: Sequence[int]) -> list[str]:
    """The third of each passage by its number of words; passages of one length stay together."""
    if not words:
        return []
    low, high = (int(np.ceil(bound)) for bound in np.quantile(words, [1 / 3, 2 / 3]))
    names = (f"up to {low} words", f"{low + 1} to {high} words", f"over {high} words")
    return [names[(count > low) + (count > high)] for count in words]
