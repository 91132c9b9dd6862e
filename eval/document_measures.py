"""How well whole documents are judged, and whether the right passages are marked in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.codebook import Codebook
from eval import metrics
from eval.bootstrap import REPEATS, interval, resample_weights, share
from eval.documents import Document
from eval.estimates import SEED, Estimate
from eval.measures import Measures, measure
from eval.metrics import Evidence, Ints
from models.classifier import Classifier


@dataclass(frozen=True)
class EvidenceMeasures:
    """Whether the passages marked with a frame are those that annotators marked."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    marked: int
    annotated: int


@dataclass(frozen=True)
class DocumentResult:
    """Documents by their frames, and their evidence by frame and over all frames.

    The evidence is of those documents alone whose passages were annotated; None if none was.
    """

    source: str
    measures: Measures
    annotated_documents: int
    evidence: dict[str, EvidenceMeasures] | None
    overall_evidence: EvidenceMeasures | None


def judge_documents(
    classifier: Classifier, documents: Sequence[Document], source: str
) -> DocumentResult:
    """Score the documents as they are served; frames alone, for a document has no voice."""
    codebook = classifier.framing.codebook
    columns = [codebook.keys.index(frame) for frame in codebook.frames]
    predictions = classifier.predict([document.text for document in documents])
    marked = [
        {
            frame: [
                (span.start, span.end)
                for span, scores in zip(prediction.passages, prediction.passage_scores, strict=True)
                if scores[column] >= classifier.thresholds[column]
            ]
            for frame, column in zip(codebook.frames, columns, strict=True)
        }
        for prediction in predictions
    ]
    truth = [[frame in document.frames for frame in codebook.frames] for document in documents]
    measures = measure(
        np.array(truth, np.bool_).reshape(-1, len(columns)),
        np.array([p.document_scores for p in predictions]).reshape(-1, len(codebook.keys))[
            :, columns
        ],
        classifier.thresholds[columns],
        [document.id for document in documents],
        codebook.frames,
        codebook.frames,
    )
    counts = evidence_counts(documents, marked, codebook)
    evidence = None
    if len(counts):
        evidence = {
            frame: evidence_measures(counts[:, i]) for i, frame in enumerate(codebook.frames)
        }
    return DocumentResult(
        source=source,
        measures=measures,
        annotated_documents=len(counts),
        evidence=evidence,
        overall_evidence=evidence_measures(counts.sum(axis=1)) if len(counts) else None,
    )


def evidence_counts(
    documents: Sequence[Document],
    marked: Sequence[dict[str, list[tuple[int, int]]]],
    codebook: Codebook,
) -> Ints:
    """`eval.metrics.Evidence` of each annotated document: shape (documents, frames, 4)."""
    rows = [
        [metrics.evidence(spans[frame], document.evidence[frame]) for frame in codebook.frames]
        for document, spans in zip(documents, marked, strict=True)
        if document.evidence is not None
    ]
    return np.array(rows, np.int64).reshape(-1, len(codebook.frames), 4)


def evidence_measures(counts: Ints) -> EvidenceMeasures:
    """All documents together, resampled by document; counts of shape (documents, 4)."""
    weights = resample_weights([str(i) for i in range(len(counts))], REPEATS, SEED)
    right, predicted, found, annotated = (weights @ counts).T
    precisions, recalls = share(right, predicted), share(found, annotated)
    total = Evidence(*map(int, counts.sum(axis=0)))
    p, r = metrics.evidence_precision(total), metrics.evidence_recall(total)
    return EvidenceMeasures(
        Estimate(p, *interval(precisions), total.predicted),
        Estimate(r, *interval(recalls), total.annotated),
        Estimate(
            2 * p * r / (p + r) if p + r else 0.0,
            *interval(share(2 * precisions * recalls, precisions + recalls)),
            len(counts),
        ),
        marked=total.predicted,
        annotated=total.annotated,
    )
