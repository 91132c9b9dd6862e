"""From predictions to what a client is told; `serving.schemas` has the types."""

from typing import Any

from models.calibration import Scores
from models.classifier import Classifier, Prediction
from models.language import untrained_language
from serving.schemas import Document


class Answers:
    """A model's labels and thresholds, laid out so that an answer costs little to make."""

    def __init__(self, classifier: Classifier) -> None:
        codebook = classifier.framing.codebook
        self._trained = classifier.framing.provenance.languages
        self._thresholds = classifier.thresholds
        self._frames = [(codebook.keys.index(frame), frame) for frame in codebook.frames]
        self._voices = [(codebook.keys.index(voice), voice) for voice in codebook.voices]

    def document(
        self, document: Document, prediction: Prediction, *, passages: bool
    ) -> dict[str, Any]:
        """One document's part of the response: a `DocumentResult`."""
        ((row, present),) = self._rows(prediction.document_scores[None])
        thresholds = self._thresholds.round(4).tolist()
        return {
            "id": document.id,
            "frames": {
                frame: {"score": row[i], "present": present[i], "threshold": thresholds[i]}
                for i, frame in self._frames
            },
            "labels": [frame for i, frame in self._frames if present[i]],
            "passages": self._passages(prediction) if passages else [],
            "warnings": self._warnings(document.text),
        }

    def _passages(self, prediction: Prediction) -> list[dict[str, Any]]:
        rows = self._rows(prediction.passage_scores)
        return [
            {
                "start": span.start,
                "end": span.end,
                "frames": {frame: row[i] for i, frame in self._frames},
                "labels": [frame for i, frame in self._frames if present[i]],
                "voice": {voice: row[i] for i, voice in self._voices},
            }
            for span, (row, present) in zip(prediction.passages, rows, strict=True)
        ]

    def _rows(self, scores: Scores) -> list[tuple[list[float], list[bool]]]:
        """Rounded scores and presence of each row, as plain lists: those are quick to read."""
        present = scores >= self._thresholds
        return list(zip(scores.round(4).tolist(), present.tolist(), strict=True))

    def _warnings(self, text: str) -> list[dict[str, str]]:
        language = untrained_language(text, self._trained)
        if not language:
            return []
        message = (
            f"The text looks like language {language!r}; the model was trained on "
            f"{', '.join(self._trained)}, and its scores for other languages are not reliable."
        )
        return [{"code": "language", "message": message}]
