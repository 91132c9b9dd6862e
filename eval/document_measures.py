"""How well whole documents are judged, and whether the right passages are marked in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from data.codebook import Codebook
from data.passages import Span, split_passages
from eval import metrics
from eval.bootstrap import REPEATS, interval, resample_weights, share
from eval.documents import Document, documents_sha256
from eval.estimates import SEED, Estimate
from eval.judgment import Judgment, Scored, judge
from eval.metrics import Evidence, Floats, Ints
from models.classifier import document_scores


@dataclass(frozen=True)
class SplitDocuments:
    """Documents from one place, each with its passages as the service would cut them."""

    source: str
    documents: tuple[Document, ...]
    spans: tuple[tuple[Span, ...], ...]

    @property
    def passages(self) -> list[str]:
        """The texts of all passages, in order."""
        return [
            document.text[span.start : span.end]
            for document, spans in zip(self.documents, self.spans, strict=True)
            for span in spans
        ]

    def per_document(self, scores: Floats) -> list[Floats]:
        """The passages' scores, of shape (passages, labels), cut up by document."""
        ends = accumulate(map(len, self.spans), initial=0)
        return [scores[start:end] for start, end in pairwise(ends)]


def split_documents(source: str, documents: Sequence[Document], language: str) -> SplitDocuments:
    """Cut each document into passages."""
    spans = tuple(tuple(split_passages(document.text, language)) for document in documents)
    return SplitDocuments(source, tuple(documents), spans)


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
    sha256: str
    judgment: Judgment
    annotated_documents: int
    evidence: dict[str, EvidenceMeasures] | None
    overall_evidence: EvidenceMeasures | None


def judge_documents(
    split: SplitDocuments, systems: Mapping[str, Scored], uncalibrated: Floats, codebook: Codebook
) -> DocumentResult:
    """Judge documents from all systems' scores of their passages, the model's coming first.

    Every system's passages make a document as the service makes it. Frames alone, for a document
    has no voice.
    """
    columns = [codebook.keys.index(frame) for frame in codebook.frames]

    def whole(scores: Floats) -> Floats:
        rows = [
            document_scores(block[:, columns].astype(np.float64))
            for block in split.per_document(scores)
        ]
        return np.array(rows).reshape(-1, len(columns))

    truth = [[f in document.frames for f in codebook.frames] for document in split.documents]
    judgment = judge(
        {name: Scored(whole(s.scores), s.thresholds[columns]) for name, s in systems.items()},
        whole(uncalibrated),
        np.array(truth, np.bool_).reshape(-1, len(columns)),
        [document.id for document in split.documents],
        codebook.frames,
        codebook.frames,
    )
    model = next(iter(systems.values()))
    counts = evidence_counts(split.documents, marked_spans(split, model, codebook), codebook)
    evidence = None
    if len(counts):
        evidence = {
            frame: evidence_measures(counts[:, i]) for i, frame in enumerate(codebook.frames)
        }
    return DocumentResult(
        source=split.source,
        sha256=documents_sha256(split.documents),
        judgment=judgment,
        annotated_documents=len(counts),
        evidence=evidence,
        overall_evidence=evidence_measures(counts.sum(axis=1)) if len(counts) else None,
    )


def marked_spans(
    split: SplitDocuments, scored: Scored, codebook: Codebook
) -> list[dict[str, list[tuple[int, int]]]]:
    """Each document's passages in which each frame was found."""
    column = {frame: codebook.keys.index(frame) for frame in codebook.frames}
    return [
        {
            frame: [
                (span.start, span.end)
                for span, row in zip(spans, rows, strict=True)
                if row[column[frame]] >= scored.thresholds[column[frame]]
            ]
            for frame in codebook.frames
        }
        for spans, rows in zip(split.spans, split.per_document(scored.scores), strict=True)
    ]


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
