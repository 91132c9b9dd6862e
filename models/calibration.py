"""From logits to probabilities, and the threshold of each label."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Floats = npt.NDArray[np.floating]
Scores = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


MARGIN = 1e-6
"""Thresholds keep this far from 0 and 1."""


class Calibration(BaseModel):
    """One label's map from logit to score, and the score from which it counts as present."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(gt=0)
    intercept: float
    threshold: float = Field(gt=0, lt=1)


def scores(logits: Floats, slope: Floats | float, intercept: Floats | float) -> Scores:
    """Platt scaling, sigmoid(slope * logit + intercept), without overflow at either end.

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    z = np.asarray(logits, np.float64) * slope + intercept
    probabilities: Scores = np.exp(-np.logaddexp(0.0, -z))
    return probabilities


def expected_f1_threshold(probabilities: Floats, weights: Floats) -> float:
    """The threshold with the best expected F1 for one label, from calibrated scores of shape (n,).

    `weights`, of shape (n,), say how often each counts. Calling the k highest present finds
    sum(top k) of the sum(all) that are there, if scores mean what they say; so no label is looked
    at, and the threshold hangs on no single passage. It is half the F1 that it expects (Lipton,
    Elkan and Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", 2014).
    """
    order = np.argsort(-probabilities, kind="stable")
    counted = np.asarray(weights, np.float64)[order]
    hits = np.asarray(probabilities, np.float64)[order] * counted
    expected = 2 * np.cumsum(hits) / (np.cumsum(counted) + hits.sum())
    return float(np.clip(expected.max(initial=0.0) / 2, MARGIN, 1 - MARGIN))


def best_threshold(probabilities: Floats, present: Bools) -> float:
    """The threshold with the best F1 for one label, from scores of shape (n,).

    Lies midway between two neighboring scores, so that it does not hang on one of them; 0.5
    where no passage carries the label.
    """
    if not present.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked = np.asarray(probabilities, np.float64)[order]
    hits = np.cumsum(present[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + present.sum())
    # No cut can be made between equal scores, or below the lowest threshold there is.
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0
    f1[ranked < MARGIN] = -1.0
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float(np.clip((ranked[best] + below) / 2, MARGIN, 1 - MARGIN))
