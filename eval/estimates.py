"""A share or a mean with its 95 % interval and the number of values behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from eval.bootstrap import REPEATS, interval, resample_weights
from eval.metrics import Bools, Floats

SEED = 0
Z = 1.959964
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True)
class Estimate:
    """A value, the ends of its 95 % interval, and how many values it is drawn from."""

    value: float
    low: float
    high: float
    count: int


def wilson(hits: Bools) -> Estimate:
    """The share of hits among independent items, shape (n,), with Wilson's score interval.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927: holds
    for few items and for shares near 0 and 1. For no item 0.0, anywhere between 0 and 1.
    """
    n = len(hits)
    if not n:
        return Estimate(0.0, 0.0, 1.0, 0)
    share = float(hits.mean())
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At 0 and 1 the formula ends exactly there, but for rounding.
    low = 0.0 if share == 0 else middle - half
    high = 1.0 if share == 1 else middle + half
    return Estimate(share, low, high, n)


def clustered_means(values: Floats | Bools, clusters: Sequence[str]) -> list[Estimate]:
    """The mean of each column of values, shape (n, columns), resampled by whole clusters.

    Values of one cluster go together, as the variants of one passage do. A single cluster gives
    an interval without width, which says nothing of others: read the count. No value gives 0.0.
    """
    if not len(values):
        return [Estimate(0.0, 0.0, 0.0, 0)] * values.shape[1]
    weights = resample_weights(clusters, REPEATS, SEED).astype(np.float64)
    means = weights @ values / weights.sum(axis=1, keepdims=True)
    return [
        Estimate(float(column.mean()), *interval(resampled), len(values))
        for column, resampled in zip(values.T, means.T, strict=True)
    ]
