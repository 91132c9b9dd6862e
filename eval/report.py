"""The evaluation report: one frozen result in memory, from which every file is written."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal, Self

from data.agreement import AgreementError
from data.codebook import Codebook
from data.corpus import corpus_fingerprint
from data.records import CorpusError, Record
from eval.annotator_agreement import AnnotatorAgreement, agreement_beside_model
from eval.attribution import Mistakes, confident_mistakes
from eval.behavior import Behavior, run_suite
from eval.document_measures import DocumentResult, judge_documents, split_documents
from eval.documents import Document
from eval.estimates import SEED
from eval.gate import judge_bounds, judge_regression
from eval.gates import Gates
from eval.inputs import promoted_bundle, texts_and_truth
from eval.judgment import Judgment, Scored, judge
from eval.junit import Case
from eval.leakage import Probe, probe_leakage
from eval.measures import Measures
from eval.metrics import Bools
from eval.previous import Previous, score_previous
from eval.provenance import Run, describe_run
from eval.slices import Slice, slice_results
from eval.suite_items import load_suite
from eval.systems import baseline_systems
from models.bundle import bundle_sha256
from models.calibration import scores as scaled
from models.classifier import Classifier


@dataclass(frozen=True)
class Inputs:
    """What is scored, one passage or more, and what it is compared with.

    `second` are other annotators' labels of the records, `documents` lists by where they come
    from, `training` the corpus of baselines and leakage probes.
    """

    name: str
    records: Sequence[Record]
    second: Sequence[Record]
    documents: dict[str, list[Document]]
    training: Sequence[Record]


@dataclass(frozen=True)
class Corpus:
    """What was scored, and what baselines and leakage probes learned from."""

    name: str
    sha256: str
    training_sha256: str


@dataclass(frozen=True)
class Report:
    """Everything a report says; docs/report.md describes it field by field."""

    model: str
    bundle_sha256: str
    corpus: Corpus
    codebook_version: str
    gates: tuple[Case, ...] | None
    passages: Judgment
    documents: tuple[DocumentResult, ...]
    slices: tuple[Slice, ...]
    mistakes: dict[str, Mistakes]
    behavior: Behavior | None
    agreement: AnnotatorAgreement | None
    leakage: dict[str, Probe]
    provenance: Run
    notes: tuple[str, ...]
    schema: Literal[3] = 3

    @property
    def result(self) -> Measures:
        """The model's own measures on passages."""
        return self.passages.model

    @property
    def failed_gates(self) -> list[Case]:
        """The gates that were not passed."""
        return [case for case in self.gates or () if not case.passed]

    def with_note(self, note: str) -> Self:
        """The same with one more sentence that a reader must know."""
        return replace(self, notes=(*self.notes, note))

    def as_json(self) -> dict[str, Any]:
        """The layout of `report.json`."""
        fields = asdict(self)
        return {"schema": fields.pop("schema"), **fields}


def make_report(
    folder: Path, inputs: Inputs, codebook: Codebook, gates: Gates | None, *, baselines: bool
) -> Report:
    """Score everything with the bundle in the folder, and with baselines if these are wanted.

    The promoted model is scored beside it, where it is another and has the same labels.
    """
    classifier, records = Classifier.load(folder), inputs.records
    own, truth = texts_and_truth(records, codebook)
    split = [
        split_documents(source, documents, codebook.language)
        for source, documents in inputs.documents.items()
    ]
    parts = [own, *(of_source.passages for of_source in split)]
    texts = [text for part in parts for text in part]
    logits = classifier.logits(texts)
    model = Scored(classifier.calibrate(logits), classifier.thresholds)
    uncalibrated = scaled(logits, slope=1.0, intercept=0.0)
    name = f"framescope {folder.name}"
    others, previous, notes = _other_systems(
        folder, classifier, inputs.training, texts, codebook, baselines=baselines
    )
    systems = {name: model, **others}
    ends = pairwise(accumulate(map(len, parts), initial=0))
    of_records, *of_documents = (
        ({system: scored.rows(start, end) for system, scored in systems.items()},
         uncalibrated[start:end])
        for start, end in ends
    )  # fmt: skip
    ids = [record.document_id for record in records]
    passages = judge(*of_records, truth, ids, codebook.keys, codebook.frames)
    behavior = _behavior(classifier, codebook, notes)
    scores, thresholds = found = of_records[0][name]
    predicted = scores >= thresholds
    cases = None
    if gates:
        if previous and previous.scored:
            previous = replace(previous, scored=previous.scored.rows(0, len(own)))
        cases = (
            *judge_bounds(gates, codebook, passages.model, passages.calibration_errors, behavior),
            *judge_regression(gates, codebook, truth, ids, found, previous),
        )
    return Report(
        model=name,
        bundle_sha256=bundle_sha256(folder),
        corpus=Corpus(
            inputs.name, corpus_fingerprint(records), corpus_fingerprint(inputs.training)
        ),
        codebook_version=codebook.version,
        gates=cases,
        passages=passages,
        documents=tuple(
            judge_documents(of_source, *scored, codebook)
            for of_source, scored in zip(split, of_documents, strict=True)
        ),
        slices=tuple(slice_results(records, truth, predicted, codebook)),
        mistakes=confident_mistakes(
            classifier.score_passages, records, truth, scores, thresholds, codebook
        ),
        behavior=behavior,
        agreement=_agreement(inputs, predicted, codebook, notes),
        leakage=probe_leakage(inputs.training, records, truth, codebook),
        provenance=describe_run(SEED),
        notes=tuple(notes),
    )


def _other_systems(
    folder: Path,
    classifier: Classifier,
    training: Sequence[Record],
    texts: Sequence[str],
    codebook: Codebook,
    *,
    baselines: bool,
) -> tuple[dict[str, Scored], Previous | None, list[str]]:
    """What stands beside the model, the promoted model by itself again, and notes."""
    systems: dict[str, Scored] = {}
    notes: list[str] = []
    if baselines:
        origin = classifier.framing.provenance
        systems, notes = baseline_systems(origin, training, texts, codebook)
    promoted = promoted_bundle(other_than=folder)
    if promoted is None:
        return systems, None, notes
    previous = score_previous(promoted, texts, codebook)
    if previous.scored:
        systems[f"promoted {previous.name}"] = previous.scored
    else:
        notes.append(f"The promoted {previous.name} has other labels and was left out.")
    return systems, previous, notes


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


def _agreement(
    inputs: Inputs, predicted: Bools, codebook: Codebook, notes: list[str]
) -> AnnotatorAgreement | None:
    """None without a second annotator, and a note where several cannot be compared."""
    try:
        return agreement_beside_model(inputs.records, inputs.second, predicted, codebook)
    except AgreementError as error:
        notes.append(f"The agreement of annotators was left out: {error}")
        return None
