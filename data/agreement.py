"""How far several annotators of the same passages agree.

An annotator's labels are records of their own, with their own ids; records with the same document,
place in it and text are one passage. A record without an annotator's name counts as one more
annotator's.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import krippendorff
import numpy as np
import numpy.typing as npt

from data.codebook import Codebook
from data.records import Record

Ratings = npt.NDArray[np.float64]
"""1.0 for present, 0.0 for absent, NaN where the annotator did not label the passage."""

UNNAMED = "(unnamed)"


class AgreementError(ValueError):
    """The records cannot show any agreement; the message says why."""


@dataclass(frozen=True)
class LabelAgreement:
    """Krippendorff's alpha, and F1 by pair of annotators. None where there is nothing to judge."""

    alpha: float | None
    pairwise_f1: dict[tuple[str, str], float | None]

    @property
    def mean_f1(self) -> float | None:
        """Mean over the pairs that have one."""
        known = [f1 for f1 in self.pairwise_f1.values() if f1 is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Dispute:
    """A passage and, for each label that is in dispute on it, who says what."""

    ids: tuple[str, ...]
    text: str
    votes: dict[str, dict[str, bool]]


@dataclass(frozen=True)
class Agreement:
    """Over the passages that two or more annotators labeled; labels in the codebook's order."""

    annotators: tuple[str, ...]
    passages: int
    labels: dict[str, LabelAgreement]
    disputes: tuple[Dispute, ...]


def measure_agreement(records: Sequence[Record], codebook: Codebook) -> Agreement:
    """Compare the annotators.

    Raises `AgreementError` if no passage has two of them, or one of them labeled a passage twice.
    """
    passages = [labels for labels in by_passage(records) if len(labels) > 1]
    if not passages:
        raise AgreementError(_why_none(records))
    annotators = tuple(sorted({name for labels in passages for name in labels}))
    table = rating_table(passages, annotators, codebook)
    return Agreement(
        annotators=annotators,
        passages=len(passages),
        labels={
            key: LabelAgreement(
                alpha(table[:, :, column]),
                {
                    (annotators[i], annotators[j]): pairwise_f1(
                        table[i, :, column], table[j, :, column]
                    )
                    for i, j in combinations(range(len(annotators)), 2)
                },
            )
            for column, key in enumerate(codebook.keys)
        },
        disputes=tuple(
            dispute for labels in passages if (dispute := _dispute(labels, codebook)).votes
        ),
    )


def by_passage(records: Sequence[Record]) -> list[dict[str, Record]]:
    """For each passage its records by annotator, passages in the order in which they come first."""
    found: defaultdict[tuple[str, int | None, str], dict[str, Record]] = defaultdict(dict)
    for record in records:
        labels = found[record.document, record.start, record.text]
        name = record.annotator or UNNAMED
        if name in labels:
            raise AgreementError(
                f"{name} labels one passage twice, as {labels[name].id} and {record.id}; agreement "
                "needs one record from each annotator."
            )
        labels[name] = record
    return list(found.values())


def rating_table(
    passages: Sequence[dict[str, Record]], annotators: Sequence[str], codebook: Codebook
) -> Ratings:
    """Ratings of shape (annotators, passages, labels)."""
    table = np.full((len(annotators), len(passages), len(codebook.keys)), np.nan)
    for column, labels in enumerate(passages):
        for name, record in labels.items():
            table[annotators.index(name), column] = record.multi_hot(codebook)
    return table


def alpha(ratings: Ratings) -> float | None:
    """Krippendorff's nominal alpha of one label, from ratings of shape (annotators, passages).

    1 - observed / expected disagreement (Krippendorff, "Content Analysis", 2004, chapter 11):
    1.0 for perfect agreement, about 0.0 for chance, below for less. Passages with one rating do
    not count. None if all ratings that count are equal: without variation nothing is shown.
    """
    counted = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    values = np.unique(counted[~np.isnan(counted)])
    if len(values) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=counted, level_of_measurement="nominal"))


def pairwise_f1(first: Ratings, second: Ratings) -> float | None:
    """F1 of one annotator against the other, from ratings of shape (passages,); symmetric.

    Over the passages that both labeled. None if neither found the label there.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    one, other = first[both] > 0, second[both] > 0
    found = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / found if found else None


def _dispute(labels: dict[str, Record], codebook: Codebook) -> Dispute:
    records = [labels[name] for name in sorted(labels)]
    rows = np.array([record.multi_hot(codebook) for record in records]) > 0
    return Dispute(
        ids=tuple(record.id for record in records),
        text=records[0].text,
        votes={
            key: {name: bool(vote) for name, vote in zip(sorted(labels), votes, strict=True)}
            for key, votes in zip(codebook.keys, rows.T, strict=True)
            if votes.any() and not votes.all()
        },
    )


def _why_none(records: Sequence[Record]) -> str:
    if not records:
        return "There is no record here, so there is no agreement to measure."
    names = sorted({record.annotator or UNNAMED for record in records})
    if len(names) == 1:
        return (
            f"All {len(records)} records are by one annotator, {names[0]}; agreement needs the "
            "same passages labeled by two or more."
        )
    return (
        f"No passage has labels of two annotators ({', '.join(names)}); agreement needs records "
        "with the same document and text."
    )


PAIRS_SHOWN = 3


def agreement_text(agreement: Agreement) -> str:
    """The agreement for people: a table of labels, the pairs, and the passages in dispute."""
    lines = [
        f"{agreement.passages} passages with labels of two or more annotators: "
        + ", ".join(agreement.annotators),
        "",
        f"{'label':<16} {'alpha':>6} {'F1':>6}   F1 of the pairs that agree least",
    ]
    for key, label in agreement.labels.items():
        known = [(f1, pair) for pair, f1 in label.pairwise_f1.items() if f1 is not None]
        pairs = ", ".join(
            f"{one} and {other} {_number(f1)}" for f1, (one, other) in sorted(known)[:PAIRS_SHOWN]
        )
        lines.append(f"{key:<16} {_number(label.alpha):>6} {_number(label.mean_f1):>6}   {pairs}")
    lines += ["", "alpha: Krippendorff's, 1 is perfect, 0 chance, - where the labels do not vary"]
    lines += ["", f"{len(agreement.disputes)} passages in dispute"]
    for dispute in agreement.disputes:
        lines += ["", f"{', '.join(dispute.ids)}: {dispute.text}"]
        for key, votes in dispute.votes.items():
            yes = ", ".join(name for name, vote in votes.items() if vote)
            no = ", ".join(name for name, vote in votes.items() if not vote)
            lines.append(f"  {key}: yes {yes}; no {no}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
