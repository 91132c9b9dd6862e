"""One model's scores against the truth: the numbers that every report and gate reads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data.codebook import Codebook
from eval import metrics
from eval.metrics import Bools, Floats


@dataclass(frozen=True)
class LabelResult:
    """How well one label is found, at its threshold and over all thresholds."""

    precision: float
    recall: float
    f1: float
    average_precision: float
    support: int
    threshold: float


@dataclass(frozen=True)
class Evaluation:
    """All labels, and the frames taken together. Voices do not enter the macro and micro values."""

    passages: int
    macro_f1: float
    micro_f1: float
    macro_average_precision: float
    labels: dict[str, LabelResult]

    def as_json(self) -> dict[str, Any]:
        """As plain types, the layout of `report.json`."""
        return asdict(self)


def evaluate(
    truth: Bools, scores: Floats, thresholds: Sequence[float] | Floats, codebook: Codebook
) -> Evaluation:
    """Compare scores with the truth, both of shape (n, labels) in the codebook's order."""
    predicted = scores >= np.asarray(thresholds)
    labels = {
        key: _label_result(truth[:, i], scores[:, i], predicted[:, i], float(thresholds[i]))
        for i, key in enumerate(codebook.keys)
    }
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    return Evaluation(
        passages=len(truth),
        macro_f1=metrics.macro_f1(truth[:, frames], predicted[:, frames]),
        micro_f1=metrics.micro_f1(truth[:, frames], predicted[:, frames]),
        macro_average_precision=float(
            np.mean([labels[frame].average_precision for frame in codebook.frames])
        ),
        labels=labels,
    )


def _label_result(truth: Bools, scores: Floats, predicted: Bools, threshold: float) -> LabelResult:
    c = metrics.counts(truth, predicted)
    return LabelResult(
        precision=metrics.precision(c),
        recall=metrics.recall(c),
        f1=metrics.f1(c),
        average_precision=metrics.average_precision(truth, scores),
        support=int(truth.sum()),
        threshold=threshold,
    )
