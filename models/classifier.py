"""The classifier: documents in, calibrated scores out. The one scoring path of the project."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.passages import Span, split_passages
from models.bundle import Framing, read_framing
from models.calibration import Floats, Scores, scores
from models.engine import Engine, load_network

DOCUMENT_RULE = "max"
"""A document's score for a label is the highest score of any of its passages."""


@dataclass(frozen=True)
class Prediction:
    """A document's passages and their scores, in the codebook's order of labels."""

    passages: list[Span]
    passage_scores: Scores  # (passages, labels)
    document_scores: Scores  # (labels,); 0.0 where the document has no passage


class Classifier:
    """A bundle, ready to score."""

    def __init__(self, framing: Framing, engine: Engine) -> None:
        self.framing = framing
        self.engine = engine
        self._slopes = np.array([c.slope for c in framing.calibration])
        self._intercepts = np.array([c.intercept for c in framing.calibration])
        self.thresholds: Scores = np.array([c.threshold for c in framing.calibration])

    @classmethod
    def load(cls, bundle: Path) -> "Classifier":
        """Load a bundle folder. Raises `models.bundle.BundleError`."""
        framing = read_framing(bundle)
        network = load_network(bundle, framing.cpu_precision)
        return cls(framing, Engine(bundle, framing.max_tokens, network))

    def score_passages(self, texts: Sequence[str]) -> Scores:
        """Calibrated scores of shape (texts, labels); each text is one passage."""
        return self.calibrate(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> Floats:
        """What calibration starts from, shape (texts, labels)."""
        return self.engine.logits(texts)

    def calibrate(self, logits: Floats) -> Scores:
        """Calibrated scores from logits, both of shape (texts, labels)."""
        return scores(logits, self._slopes, self._intercepts)

    def predict(self, documents: Sequence[str]) -> list[Prediction]:
        """Split each document into passages and score them, all documents in one go."""
        spans = [self.split(text) for text in documents]
        texts = [
            text[span.start : span.end]
            for text, of_document in zip(documents, spans, strict=True)
            for span in of_document
        ]
        ends = np.cumsum([len(of_document) for of_document in spans])
        blocks = np.split(self.logits(texts), ends[:-1]) if spans else []
        return [self.prediction(*pair) for pair in zip(spans, blocks, strict=True)]

    def split(self, document: str) -> list[Span]:
        """The document's passages."""
        return split_passages(document, self.framing.codebook.language)

    def prediction(self, passages: list[Span], logits: Floats) -> Prediction:
        """A document's prediction from its passages' logits, shape (passages, labels)."""
        passage_scores = self.calibrate(logits)
        return Prediction(passages, passage_scores, document_scores(passage_scores))


def document_scores(passage_scores: Scores) -> Scores:
    """Scores of a document, shape (labels,), from its passages', shape (passages, labels)."""
    highest: Scores = passage_scores.max(axis=0, initial=0.0)
    return highest
