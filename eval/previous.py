"""The promoted model that a new one is to replace, on the same passages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.codebook import Codebook
from eval.judgment import Scored
from models.classifier import Classifier


@dataclass(frozen=True)
class Previous:
    """The model's name, its labels, and its scores: None where its labels are others."""

    name: str
    labels: tuple[str, ...]
    scored: Scored | None


def score_previous(folder: Path, texts: Sequence[str], codebook: Codebook) -> Previous:
    """Score the texts with the bundle in the folder, if it has the codebook's labels."""
    classifier = Classifier.load(folder)
    labels = classifier.framing.codebook.keys
    scored = None
    if labels == codebook.keys:
        scored = Scored(classifier.score_passages(texts), classifier.thresholds)
    return Previous(folder.name, labels, scored)
