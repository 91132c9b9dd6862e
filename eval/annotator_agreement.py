"""The model beside its annotators: on the passages that two or more people labeled."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from data.agreement import by_passage, measure_agreement
from data.codebook import Codebook
from data.records import Record
from eval import bootstrap, metrics
from eval.bootstrap import REPEATS, interval, resample_weights
from eval.estimates import SEED, Estimate
from eval.metrics import Bools


@dataclass(frozen=True)
class BesideAnnotators:
    """F1 of one annotator against another, and of the model against each of them."""

    annotators_f1: Estimate
    model_f1: Estimate


@dataclass(frozen=True)
class LabelAgreement(BesideAnnotators):
    """One label, with Krippendorff's alpha of the annotators: None where it does not vary."""

    alpha: float | None


@dataclass(frozen=True)
class AnnotatorAgreement:
    """Over the passages with two or more annotators; macro is over the frames."""

    annotators: tuple[str, ...]
    passages: int
    documents: int
    disputed: int
    macro: BesideAnnotators
    labels: dict[str, LabelAgreement]


def agreement_beside_model(
    records: Sequence[Record], others: Sequence[Record], predicted: Bools, codebook: Codebook
) -> AnnotatorAgreement | None:
    """Compare annotators with each other and the model with them; predicted of shape (n, labels).

    `others` are further labels, of which those of the n scored records' passages count, in the
    place of the same annotator's scored ones: these may have been settled with others since. None
    where all labels are one annotator's. Raises `AgreementError` where several annotators never
    meet on a passage, or one labeled a passage twice.
    """
    row_of = {_passage(record): row for row, record in enumerate(records)}
    further = [other for other in others if _passage(other) in row_of]
    renewed = {(_passage(other), other.annotator) for other in further}
    kept = [r for r in records if (_passage(r), r.annotator) not in renewed]
    labeled = [*kept, *further]
    if len({record.annotator for record in labeled}) < 2:
        return None
    agreement = measure_agreement(labeled, codebook)
    passages = [list(of.values()) for of in by_passage(labeled) if len(of) > 1]

    def present(record: Record) -> list[bool]:
        return [value > 0.5 for value in record.multi_hot(codebook)]

    between = [
        (present(one), present(other), one.document_id)
        for passage in passages
        for one, other in combinations(passage, 2)
    ]
    against = [
        (present(one), list(predicted[row_of[_passage(one)]]), one.document_id)
        for passage in passages
        for one in passage
    ]
    annotators, model = _f1_by_label(between, codebook), _f1_by_label(against, codebook)
    return AnnotatorAgreement(
        annotators=agreement.annotators,
        passages=agreement.passages,
        documents=len({passage[0].document_id for passage in passages}),
        disputed=len(agreement.disputes),
        macro=BesideAnnotators(annotators[0], model[0]),
        labels={
            key: LabelAgreement(of_annotators, of_model, agreement.labels[key].alpha)
            for key, of_annotators, of_model in zip(
                codebook.keys, annotators[1:], model[1:], strict=True
            )
        },
    )


def _passage(record: Record) -> tuple[str, int | None, str]:
    return record.document, record.start, record.text


def _f1_by_label(
    pairs: Sequence[tuple[list[bool], list[bool], str]], codebook: Codebook
) -> list[Estimate]:
    """Macro-F1 and each label's F1, from pairs of labels and their document, resampled by it."""
    one, other = (np.array([pair[side] for pair in pairs], np.bool_) for side in (0, 1))
    documents = [document for _, _, document in pairs]
    weights = resample_weights(documents, REPEATS, SEED)
    resampled = bootstrap.f1(bootstrap.counts(one, other, weights))
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    return [
        Estimate(
            metrics.macro_f1(one[:, frames], other[:, frames]),
            *interval(resampled[:, frames].mean(axis=1)),
            len(pairs),
        ),
        *(
            Estimate(
                metrics.f1(metrics.counts(one[:, i], other[:, i])),
                *interval(resampled[:, i]),
                len(pairs),
            )
            for i in range(len(codebook.keys))
        ),
    ]
