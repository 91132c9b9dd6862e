"""One system against the truth, every number with its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval import bootstrap, metrics
from eval.bootstrap import REPEATS, interval, resample_weights
from eval.estimates import SEED, Estimate
from eval.metrics import Bools, Floats


@dataclass(frozen=True)
class Summary:
    """Several labels taken together."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    average_precision: Estimate
    roc_auc: Estimate


@dataclass(frozen=True)
class LabelMeasures(Summary):
    """One label, how often it is there, and from which score it counts as found."""

    support: int
    threshold: float


@dataclass(frozen=True)
class Measures:
    """All labels of one system; macro and micro are over the frames alone.

    `items` are passages, or whole documents where these were judged.
    """

    items: int
    documents: int
    macro: Summary
    micro: Summary
    labels: dict[str, LabelMeasures]


def measure(
    truth: Bools,
    scores: Floats,
    thresholds: Sequence[float] | Floats,
    documents: Sequence[str],
    labels: Sequence[str],
    frames: Sequence[str],
) -> Measures:
    """Truth and scores of shape (n, labels), each item's document of shape (n,).

    Precision, recall and F1 are at the thresholds; average precision and ROC AUC over all of
    them. Macro is the mean of the frames' values, micro takes all their decisions together. What
    a metric is worth without truth or predictions stands with it in `eval.metrics`.
    """
    predicted = scores >= np.asarray(thresholds)
    weights = resample_weights(documents, REPEATS, SEED)
    drawn = bootstrap.counts(truth, predicted, weights)
    resampled: list[Floats] = [
        bootstrap.precision(drawn),
        bootstrap.recall(drawn),
        bootstrap.f1(drawn),
        bootstrap.average_precision(truth, scores, weights),
        bootstrap.roc_auc(truth, scores, weights),
    ]
    values = np.array([_values(*of) for of in zip(truth.T, predicted.T, scores.T, strict=True)])
    columns = [list(labels).index(frame) for frame in frames]
    return Measures(
        items=len(truth),
        documents=len(set(documents)),
        macro=Summary(
            *(
                Estimate(float(value), *interval(of[:, columns].mean(axis=1)), len(truth))
                for value, of in zip(values[columns].mean(axis=0), resampled, strict=True)
            )
        ),
        micro=_micro(truth[:, columns], predicted[:, columns], scores[:, columns], weights),
        labels={
            label: LabelMeasures(
                precision,
                recall,
                f1,
                average_precision,
                roc_auc,
                support=int(truth[:, i].sum()),
                threshold=float(thresholds[i]),
            )
            for i, label in enumerate(labels)
            for precision, recall, f1, average_precision, roc_auc in [
                [
                    Estimate(float(value), *interval(of[:, i]), len(truth))
                    for value, of in zip(values[i], resampled, strict=True)
                ]
            ]
        },
    )


def _values(truth: Bools, predicted: Bools, scores: Floats) -> list[float]:
    """The five metrics in the order of `Summary`, from arrays of one shape (n,)."""
    c = metrics.counts(truth, predicted)
    return [
        metrics.precision(c),
        metrics.recall(c),
        metrics.f1(c),
        metrics.average_precision(truth, scores),
        metrics.roc_auc(truth, scores),
    ]


def _micro(truth: Bools, predicted: Bools, scores: Floats, weights: metrics.Ints) -> Summary:
    counts = bootstrap.counts(truth, predicted, weights)
    pooled = bootstrap.Counts(*(c.sum(axis=1) for c in counts))
    # One row a decision, each drawn as often as its passage.
    all_truth, all_scores = truth.reshape(-1, 1), scores.reshape(-1, 1)
    all_weights = np.repeat(weights, truth.shape[1], axis=1)
    resampled = [
        bootstrap.precision(pooled),
        bootstrap.recall(pooled),
        bootstrap.f1(pooled),
        bootstrap.average_precision(all_truth, all_scores, all_weights)[:, 0],
        bootstrap.roc_auc(all_truth, all_scores, all_weights)[:, 0],
    ]
    values = _values(truth.ravel(), predicted.ravel(), scores.ravel())
    return Summary(
        *(
            Estimate(value, *interval(of), len(truth))
            for value, of in zip(values, resampled, strict=True)
        )
    )
