"""Metrics: pure functions of arrays, one a function, with empty and one-class input defined."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

BINS = 10
"""Bins of the calibration measures."""

CURVE_POINTS = 101
"""The most points that a curve keeps, for a report of bounded size."""


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


def roc_auc(truth: Bools, scores: Floats) -> float:
    """Chance that a true passage scores above a false one; a tie counts one half.

    For one label, arrays of shape (n,): the Mann-Whitney statistic over the number of pairs
    (Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982). 0.5 where
    there is no pair to compare, so where all passages are of one class: scores that order nothing
    are worth a coin, and a report in JSON has no NaN.
    """
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return 0.5
    below = np.searchsorted(negative, positive, "left")
    up_to = np.searchsorted(negative, positive, "right")
    return float((below + up_to).sum() / 2 / (len(positive) * len(negative)))


def brier(truth: Bools, scores: Floats) -> float:
    """Mean squared distance of score and truth, over arrays of one shape; 0.0 if empty.

    Brier, "Verification of forecasts expressed in terms of probability", 1950, for two classes
    counted once, so between 0 and 1.
    """
    return float(np.mean((scores - truth) ** 2)) if truth.size else 0.0


@dataclass(frozen=True)
class ReliabilityBin:
    """Passages of similar score: their mean score, the share of them that is true, their number."""

    mean_score: float
    share_true: float
    count: int


def equal_mass_bins(mass: Ints, bins: int = BINS) -> Ints:
    """The bin of each distinct score, from their numbers of passages in rising order of score.

    Shape (..., scores) in and out. A score goes where the middle of its passages falls, so equal
    scores share a bin, and without ties the bins' sizes differ by at most one. Integers
    throughout, so that no bin hangs on a rounding error.
    """
    middle = 2 * np.cumsum(mass, axis=-1) - mass
    total = mass.sum(axis=-1, keepdims=True)
    found: Ints = np.minimum(bins * middle // np.maximum(2 * total, 1), bins - 1)
    return found


def reliability(truth: Bools, scores: Floats, bins: int = BINS) -> list[ReliabilityBin]:
    """Bins of (nearly) equal numbers of passages in rising order of score, empty ones left out.

    For one label, arrays of shape (n,); no bin for empty input. Equal mass and not equal width,
    because most passages carry a given label with a score near 0 (Nguyen and O'Connor,
    "Posterior calibration and exploratory analysis for natural language processing models", 2015).
    """
    _, step, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    bin_of = equal_mass_bins(sizes, bins)[step]
    return [
        ReliabilityBin(float(scores[inside].mean()), float(truth[inside].mean()), int(inside.sum()))
        for inside in (bin_of == index for index in np.unique(bin_of))
    ]


def expected_calibration_error(truth: Bools, scores: Floats, bins: int = BINS) -> float:
    """Mean over the passages of |mean score - share true| in their bin; 0.0 for empty input.

    For one label, arrays of shape (n,); the bins of `reliability`. Naeini et al., "Obtaining well
    calibrated probabilities using Bayesian binning", 2015. Above 0 even for a perfectly
    calibrated model, by chance, and the more so the fewer passages a bin has.
    """
    gaps = [b.count * abs(b.mean_score - b.share_true) for b in reliability(truth, scores, bins)]
    return sum(gaps) / max(len(truth), 1)


class Curve(NamedTuple):
    """What each threshold gives, in rising order of threshold; arrays of shape (points,)."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    f1: Floats


def precision_recall_curve(truth: Bools, scores: Floats) -> Curve:
    """Precision, recall and F1 if every score at or over a threshold counts as present.

    For one label, arrays of shape (n,). The thresholds are the scores of true passages, between
    which precision only falls, and the lowest and the highest score; where these are more than
    `CURVE_POINTS`, that many of them in even steps. Values without a denominator are 0.0, and
    empty input has no points.
    """
    thresholds, step = np.unique(scores, return_inverse=True)
    hits = np.bincount(step[truth], minlength=len(thresholds))
    keep = np.flatnonzero(hits)
    if len(thresholds):
        keep = np.union1d(keep, [0, len(thresholds) - 1])
    if len(keep) > CURVE_POINTS:
        keep = keep[np.linspace(0, len(keep) - 1, CURVE_POINTS).round().astype(int)]
    tp = np.cumsum(hits[::-1])[::-1][keep]
    predicted = np.cumsum(np.bincount(step, minlength=len(thresholds))[::-1])[::-1][keep]
    true = max(int(truth.sum()), 1)
    return Curve(thresholds[keep], tp / predicted, tp / true, 2 * tp / (predicted + true))


def co_occurrence(truth: Bools) -> Ints:
    """Passages that carry both labels, shape (labels, labels) from (n, labels).

    The diagonal holds each label's support. All 0 for empty input.
    """
    of_labels = truth.astype(np.int64)
    together: Ints = of_labels.T @ of_labels
    return together


class Evidence(NamedTuple):
    """How marked and annotated passages meet: `right` of `predicted`, `found` of `annotated`."""

    right: int
    predicted: int
    found: int
    annotated: int


def evidence(
    predicted: Sequence[tuple[int, int]], annotated: Sequence[int | tuple[int, int]]
) -> Evidence:
    """Compare the passages marked with a label in one document with those that carry it.

    Spans are half-open (start, end) in code points; an annotation may be its start alone. A marked
    passage is right if it overlaps an annotated span or holds an annotated start; an annotation is
    found by the same rule. Splitting a passage otherwise than the annotator did costs nothing.
    """
    truth = [(item, item + 1) if isinstance(item, int) else item for item in annotated]

    def meeting(spans: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> int:
        return sum(any(max(a, c) < min(b, d) for c, d in others) for a, b in spans)

    return Evidence(
        meeting(predicted, truth), len(predicted), meeting(truth, predicted), len(truth)
    )


def total_evidence(documents: Iterable[Evidence]) -> Evidence:
    """All documents' evidence taken together; zeros for none."""
    sums = np.array([*documents], np.int64).reshape(-1, 4).sum(axis=0)
    return Evidence(*map(int, sums))


def evidence_precision(e: Evidence) -> float:
    """Share of the marked passages that is right; 0.0 if nothing was marked."""
    return e.right / e.predicted if e.predicted else 0.0


def evidence_recall(e: Evidence) -> float:
    """Share of the annotated passages that was found; 0.0 if nothing was annotated."""
    return e.found / e.annotated if e.annotated else 0.0
