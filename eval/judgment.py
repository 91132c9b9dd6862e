"""Systems judged on the same items, and one of them in detail: for passages and for documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eval import metrics
from eval.bootstrap import REPEATS, resample_weights
from eval.estimates import SEED
from eval.measures import Measures, measure
from eval.metrics import Bools, Floats
from eval.reliability import LabelDetail, label_detail


class Scored(NamedTuple):
    """A system's scores of shape (items, labels), and from which score each label is found."""

    scores: Floats
    thresholds: Floats

    def rows(self, start: int, end: int) -> "Scored":
        """The same system's scores of some of the items."""
        return Scored(self.scores[start:end], self.thresholds)


@dataclass(frozen=True)
class CoOccurrence:
    """Items that carry both labels, and that were found to: rows and columns as in `labels`."""

    labels: tuple[str, ...]
    truth: tuple[tuple[int, ...], ...]
    found: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Judgment:
    """All systems by name, the model first; what follows is of the model alone."""

    systems: dict[str, Measures]
    co_occurrence: CoOccurrence
    labels: dict[str, LabelDetail]

    @property
    def model(self) -> Measures:
        """The model's own measures."""
        return next(iter(self.systems.values()))

    @property
    def calibration_errors(self) -> dict[str, float]:
        """The model's expected calibration error by label."""
        return {key: d.after.expected_calibration_error.value for key, d in self.labels.items()}


def judge(
    systems: Mapping[str, Scored],
    uncalibrated: Floats,
    truth: Bools,
    documents: Sequence[str],
    labels: Sequence[str],
    frames: Sequence[str],
) -> Judgment:
    """Truth and the model's uncalibrated scores of shape (n, labels), documents of shape (n,).

    The first of the systems is the model.
    """
    model = next(iter(systems.values()))
    weights = resample_weights(documents, REPEATS, SEED)
    return Judgment(
        systems={
            name: measure(truth, *scored, documents, labels, frames)
            for name, scored in systems.items()
        },
        co_occurrence=CoOccurrence(
            tuple(labels), _together(truth), _together(model.scores >= model.thresholds)
        ),
        labels={
            key: label_detail(truth[:, i], uncalibrated[:, i], model.scores[:, i], weights)
            for i, key in enumerate(labels)
        },
    )


def _together(present: Bools) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in metrics.co_occurrence(present))
