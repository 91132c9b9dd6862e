"""Whether a score means what it says, before and after calibration; and what thresholds give."""

from dataclasses import dataclass

import numpy as np

from eval import bootstrap, metrics
from eval.bootstrap import interval
from eval.estimates import Estimate
from eval.metrics import Bools, Floats, Ints, ReliabilityBin


@dataclass(frozen=True)
class Reliability:
    """One label's scores beside the share that is true.

    The error's interval may lie above its value: see `eval.bootstrap.interval`.
    """

    expected_calibration_error: Estimate
    brier: Estimate
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Curve:
    """What each threshold gives, in rising order: see `eval.metrics.precision_recall_curve`."""

    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]


@dataclass(frozen=True)
class LabelDetail:
    """One label's calibration before (the logit's plain sigmoid) and after, and its curve."""

    before: Reliability
    after: Reliability
    curve: Curve


def label_detail(truth: Bools, before: Floats, after: Floats, weights: Ints) -> LabelDetail:
    """Arrays of shape (n,) and resampling weights of shape (repeats, n)."""
    curve = metrics.precision_recall_curve(truth, after)
    return LabelDetail(
        _reliability(truth, before, weights),
        _reliability(truth, after, weights),
        Curve(*(tuple(map(float, values)) for values in curve)),
    )


def _reliability(truth: Bools, scores: Floats, weights: Ints) -> Reliability:
    errors = bootstrap.expected_calibration_error(truth[:, None], scores[:, None], weights)[:, 0]
    distances = bootstrap.share(weights @ np.square(scores - truth), weights.sum(axis=1))
    n = len(truth)
    return Reliability(
        Estimate(metrics.expected_calibration_error(truth, scores), *interval(errors), n),
        Estimate(metrics.brier(truth, scores), *interval(distances), n),
        tuple(metrics.reliability(truth, scores)),
    )
