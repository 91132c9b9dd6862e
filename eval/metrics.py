"""Metrics: pure functions of arrays, one a function, with empty and one-class input defined."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]


class Counts(NamedTuple):
    """True positives, false positives, false negatives."""

    tp: int
    fp: int
    fn: int


def counts(truth: Bools, predicted: Bools) -> Counts:
    """Counts over arrays of one shape, any shape."""
    return Counts(
        int((truth & predicted).sum()),
        int((~truth & predicted).sum()),
        int((truth & ~predicted).sum()),
    )


def precision(c: Counts) -> float:
    """Share of the predicted that is right; 0.0 if nothing was predicted."""
    return c.tp / (c.tp + c.fp) if c.tp + c.fp else 0.0


def recall(c: Counts) -> float:
    """Share of the true that was found; 0.0 if there is nothing to find."""
    return c.tp / (c.tp + c.fn) if c.tp + c.fn else 0.0


def f1(c: Counts) -> float:
    """Harmonic mean of precision and recall; 0.0 if nothing is there and nothing was predicted."""
    total = 2 * c.tp + c.fp + c.fn
    return 2 * c.tp / total if total else 0.0


def macro_f1(truth: Bools, predicted: Bools) -> float:
    """Mean of the labels' F1, from arrays of shape (n, labels)."""
    if not truth.shape[1]:
        return 0.0
    return float(np.mean([f1(counts(t, p)) for t, p in zip(truth.T, predicted.T, strict=True)]))


def micro_f1(truth: Bools, predicted: Bools) -> float:
    """F1 of all labels' decisions taken together."""
    return f1(counts(truth, predicted))


def average_precision(truth: Bools, scores: Floats) -> float:
    """Area under the precision-recall steps, Σ (Rₖ - Rₖ₋₁) Pₖ; equal scores are one step.

    For one label, arrays of shape (n,). 0.0 where nothing is true, as in scikit-learn.
    """
    if not truth.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    step_ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precisions = hits[step_ends] / (step_ends + 1)
    gained = np.diff(hits[step_ends], prepend=0) / truth.sum()
    return float((gained * precisions).sum())
