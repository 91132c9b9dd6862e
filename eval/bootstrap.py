"""How far a metric would move on another sample of documents: the cluster bootstrap.

Passages of one document share its author, subject and wording, so they are drawn together:
intervals from passages drawn one by one are too narrow (Field and Welsh, "Bootstrapping clustered
data", 2007). A resample is a row of weights, and each metric here is the one of the same name in
`eval.metrics` with every passage counted as often as it was drawn: weights of shape (repeats, n)
in, one value per resample out. What the metric is worth without truth or predictions, it is worth
in a resample without them, so a label found in few documents gets an interval that reaches 0.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from eval.metrics import BINS, Bools, Floats, Ints, equal_mass_bins

REPEATS = 1_000
LEVEL = 0.95


def resample_weights(documents: Sequence[str], repeats: int, seed: int) -> Ints:
    """How often each passage was drawn, shape (repeats, n), from each passage's document.

    Every repeat draws as many documents as there are, with replacement. The same documents and
    seed give the same weights, in whatever order the passages stand. Shape (repeats, 0) for none.
    """
    distinct, document_of = np.unique(np.asarray(documents, dtype=str), return_inverse=True)
    if not len(distinct):
        return np.zeros((repeats, 0), np.int64)
    chances = np.full(len(distinct), 1 / len(distinct))
    drawn = np.random.default_rng(seed).multinomial(len(distinct), chances, size=repeats)
    weights: Ints = drawn[:, document_of]
    return weights


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of a metric's values over the resamples, shape (repeats,): (low, high).

    Efron's percentile interval. (0.0, 0.0) for no values. The calibration error grows with
    resampling, because drawing passages twice adds noise to every bin: its interval may lie above
    the value on the sample itself.
    """
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def share(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """part / whole, 0.0 where the whole is 0; arrays that broadcast together.

    With sums on both sides it resamples any rate: `share(weights @ found, weights @ all)`.
    """
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.zeros(shape), where=whole > 0)


class Counts(NamedTuple):
    """True positives, false positives, false negatives; each of shape (repeats, labels)."""

    tp: Floats
    fp: Floats
    fn: Floats


def counts(truth: Bools, predicted: Bools, weights: Ints) -> Counts:
    """Counts per label, from arrays of shape (n, labels)."""
    # Floats hold these sums exactly, and only they have a fast matrix product.
    drawn = weights.astype(np.float64)
    return Counts(
        drawn @ (truth & predicted), drawn @ (~truth & predicted), drawn @ (truth & ~predicted)
    )


def precision(c: Counts) -> Floats:
    """Shape (repeats, labels)."""
    return share(c.tp, c.tp + c.fp)


def recall(c: Counts) -> Floats:
    """Shape (repeats, labels)."""
    return share(c.tp, c.tp + c.fn)


def f1(c: Counts) -> Floats:
    """Shape (repeats, labels)."""
    return share(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def macro_f1(truth: Bools, predicted: Bools, weights: Ints) -> Floats:
    """Shape (repeats,), from arrays of shape (n, labels)."""
    if not truth.shape[1]:
        return np.zeros(len(weights))
    mean: Floats = f1(counts(truth, predicted, weights)).mean(axis=1)
    return mean


def micro_f1(truth: Bools, predicted: Bools, weights: Ints) -> Floats:
    """Shape (repeats,), from arrays of shape (n, labels)."""
    tp, fp, fn = (c.sum(axis=1) for c in counts(truth, predicted, weights))
    return f1(Counts(tp, fp, fn))


def average_precision(truth: Bools, scores: Floats, weights: Ints) -> Floats:
    """Shape (repeats, labels), from arrays of shape (n, labels)."""
    return _per_label(_average_precision, truth, scores, weights)


def roc_auc(truth: Bools, scores: Floats, weights: Ints) -> Floats:
    """Shape (repeats, labels), from arrays of shape (n, labels)."""
    return _per_label(_roc_auc, truth, scores, weights)


def expected_calibration_error(truth: Bools, scores: Floats, weights: Ints) -> Floats:
    """Shape (repeats, labels), from arrays of shape (n, labels); each resample has its own bins."""
    return _per_label(_expected_calibration_error, truth, scores, weights)


class _Ranked(NamedTuple):
    """One label's passages by distinct score, in rising order of score."""

    scores: Floats  # (scores,)
    true: Ints  # (repeats, scores): how many true passages of that score were drawn
    all: Ints  # (repeats, scores)


def _per_label(
    metric: Callable[[_Ranked], Floats], truth: Bools, scores: Floats, weights: Ints
) -> Floats:
    values = np.zeros((len(weights), truth.shape[1]))
    for label in range(truth.shape[1]):
        values[:, label] = metric(_ranked(truth[:, label], scores[:, label], weights))
    return values


def _ranked(truth: Bools, scores: Floats, weights: Ints) -> _Ranked:
    order = np.argsort(scores, kind="stable")
    distinct, sizes = np.unique(scores, return_counts=True)
    ends = np.cumsum(sizes) - 1

    def of_each_score(drawn: Ints) -> Ints:
        return np.diff(np.cumsum(drawn, axis=1)[:, ends], axis=1, prepend=0)

    drawn = weights[:, order]
    return _Ranked(distinct, of_each_score(drawn * truth[order]), of_each_score(drawn))


def _average_precision(ranked: _Ranked) -> Floats:
    true, every = ranked.true[:, ::-1], ranked.all[:, ::-1]
    precisions = share(np.cumsum(true, axis=1), np.cumsum(every, axis=1))
    area: Floats = (share(true, true.sum(axis=1, keepdims=True)) * precisions).sum(axis=1)
    return area


def _roc_auc(ranked: _Ranked) -> Floats:
    false = ranked.all - ranked.true
    pairs = ranked.true.sum(axis=1) * false.sum(axis=1)
    # Twice the pairs won: a false passage below counts two, one of equal score counts one.
    won = (ranked.true * (2 * np.cumsum(false, axis=1) - false)).sum(axis=1)
    return np.where(pairs > 0, share(won, 2 * pairs), 0.5)


def _expected_calibration_error(ranked: _Ranked) -> Floats:
    repeats = len(ranked.all)
    gaps = ranked.scores * ranked.all - ranked.true
    cells = equal_mass_bins(ranked.all) + BINS * np.arange(repeats)[:, None]
    of_bins = np.bincount(cells.ravel(), weights=gaps.ravel(), minlength=BINS * repeats)
    return share(np.abs(of_bins).reshape(repeats, BINS).sum(axis=1), ranked.all.sum(axis=1))
