"""The evaluation report: one frozen result in memory, from which every file is written."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.codebook import Codebook
from data.corpus import corpus_fingerprint
from data.records import CorpusError, Record
from eval import metrics
from eval.attribution import Mistakes, confident_mistakes
from eval.behavior import Behavior, run_suite
from eval.bootstrap import REPEATS, resample_weights
from eval.document_measures import DocumentResult, judge_documents
from eval.documents import Document
from eval.estimates import SEED
from eval.leakage import Probe, probe_leakage
from eval.measures import Measures, measure
from eval.metrics import Bools
from eval.provenance import Run, describe_run
from eval.reliability import LabelDetail, label_detail
from eval.slices import Slice, slice_results
from eval.suite_items import load_suite
from eval.systems import baseline_systems
from models.bundle import bundle_sha256
from models.calibration import scores as scaled
from models.classifier import Classifier

SCHEMA_VERSION = 2


class ReportError(ValueError):
    """There is nothing to report on; the message says why."""


@dataclass(frozen=True)
class Corpus:
    """What was scored, and what baselines and leakage probes learned from."""

    name: str
    sha256: str
    training_sha256: str


@dataclass(frozen=True)
class CoOccurrence:
    """Passages that carry both labels, and that were found to: rows and columns as in `labels`."""

    labels: tuple[str, ...]
    truth: tuple[tuple[int, ...], ...]
    found: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Report:
    """Everything a report says; docs/report.md describes it field by field.

    `systems` holds the model first, then the baselines.
    """

    model: str
    bundle_sha256: str
    corpus: Corpus
    codebook_version: str
    systems: dict[str, Measures]
    co_occurrence: CoOccurrence
    labels: dict[str, LabelDetail]
    documents: tuple[DocumentResult, ...]
    slices: tuple[Slice, ...]
    mistakes: dict[str, Mistakes]
    behavior: Behavior | None
    leakage: dict[str, Probe]
    provenance: Run
    notes: tuple[str, ...]

    @property
    def result(self) -> Measures:
        """The model's own measures."""
        return self.systems[self.model]

    def as_json(self) -> dict[str, Any]:
        """The layout of `report.json`."""
        return {"schema": SCHEMA_VERSION, **asdict(self)}


def make_report(
    folder: Path,
    records: Sequence[Record],
    name: str,
    documents: dict[str, list[Document]],
    training: Sequence[Record],
    codebook: Codebook,
    *,
    baselines: bool,
) -> Report:
    """Score everything with the bundle in the folder, and with baselines if these are wanted.

    `documents` are lists by where they come from. Raises `ReportError` if there are no passages.
    """
    if not records:
        raise ReportError(f"There are no passages in {name}.")
    classifier = Classifier.load(folder)
    texts, truth = texts_and_truth(records, codebook)
    logits = classifier.logits(texts)
    scores, before = classifier.calibrate(logits), scaled(logits, slope=1.0, intercept=0.0)
    ids = [record.document_id for record in records]
    model = f"framescope {folder.name}"
    systems = {
        model: measure(truth, scores, classifier.thresholds, ids, codebook.keys, codebook.frames)
    }
    notes: list[str] = []
    if baselines:
        found, notes = baseline_systems(classifier, folder, training, texts, codebook)
        for title, (other, thresholds) in found.items():
            systems[title] = measure(truth, other, thresholds, ids, codebook.keys, codebook.frames)
    predicted = scores >= classifier.thresholds
    weights = resample_weights(ids, REPEATS, SEED)
    return Report(
        model=model,
        bundle_sha256=bundle_sha256(folder),
        corpus=Corpus(name, corpus_fingerprint(records), corpus_fingerprint(training)),
        codebook_version=codebook.version,
        systems=systems,
        co_occurrence=CoOccurrence(codebook.keys, _together(truth), _together(predicted)),
        labels={
            key: label_detail(truth[:, i], before[:, i], scores[:, i], weights)
            for i, key in enumerate(codebook.keys)
        },
        documents=tuple(
            judge_documents(classifier, of_source, source)
            for source, of_source in documents.items()
            if of_source
        ),
        slices=tuple(slice_results(records, truth, predicted, codebook)),
        mistakes=confident_mistakes(
            classifier.score_passages, records, truth, scores, classifier.thresholds, codebook
        ),
        behavior=_behavior(classifier, codebook, notes),
        leakage=probe_leakage(training, records, truth, codebook),
        provenance=describe_run(SEED),
        notes=tuple(notes),
    )


def texts_and_truth(records: Sequence[Record], codebook: Codebook) -> tuple[list[str], Bools]:
    """Passages and their labels, shape (passages, labels)."""
    rows = [record.multi_hot(codebook) for record in records]
    return [r.text for r in records], np.array(rows).reshape(-1, len(codebook.keys)) > 0.5


def _together(present: Bools) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in metrics.co_occurrence(present))


def _behavior(classifier: Classifier, codebook: Codebook, notes: list[str]) -> Behavior | None:
    """None, and a note, where the suite was written for another codebook."""
    try:
        suite = load_suite(codebook)
    except CorpusError as error:
        notes.append(
            f"The behavioral suite does not fit this codebook and was left out: {error.problems[0]}"
        )
        return None
    return run_suite(classifier.score_passages, classifier.thresholds, codebook, suite)
