"""Is the new model better than the old one? A paired bootstrap by document.

Both are scored on the same passages, and each resample of documents is the same for both, so what
makes a document hard for either falls out of the difference (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993; for F1, Berg-Kirkpatrick et al., "An empirical investigation
of statistical significance in NLP", 2012). Intervals from a few dozen positive passages are a
little narrow: in simulations with 6 to 80 documents, equally good systems were called different in
some 8 % of a label's comparisons, where 5 % are aimed at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data.codebook import Codebook
from eval import bootstrap, metrics
from eval.bootstrap import REPEATS, interval, resample_weights
from eval.metrics import Bools, Floats

Verdict = Literal["better", "worse", "no difference shown"]

MIN_DOCUMENTS = 6
"""Fewer documents show nothing: even if all agree, as many coins fall alike with 2 * 0.5**5 > 5 %,
and the bootstrap, which can only draw what it has, would give far too narrow an interval."""


@dataclass(frozen=True)
class Difference:
    """Old and new F1, new minus old with its 95 % interval, and what that shows."""

    old: float
    new: float
    difference: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """All labels in the codebook's order, and the macro-F1 of the frames."""

    passages: int
    documents: int
    repeats: int
    macro_f1: Difference
    labels: dict[str, Difference]
    support: dict[str, int]  # passages that carry the label


def compare(
    truth: Bools,
    old_scores: Floats,
    old_thresholds: Sequence[float] | Floats,
    new_scores: Floats,
    new_thresholds: Sequence[float] | Floats,
    documents: Sequence[str],
    codebook: Codebook,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Comparison:
    """Compare two systems' scores, of shape (n, labels) like the truth, in the codebook's order.

    `documents` names each passage's document, shape (n,). Without passages every value is 0.0
    and no difference is shown.
    """
    old, new = old_scores >= np.asarray(old_thresholds), new_scores >= np.asarray(new_thresholds)
    weights = resample_weights(documents, repeats, seed)
    distinct = len(set(documents))

    def difference(old_f1: float, new_f1: float, resampled: Floats) -> Difference:
        low, high = interval(resampled)
        verdict = _verdict(low, high, distinct)
        return Difference(old_f1, new_f1, new_f1 - old_f1, low, high, verdict)

    resampled = bootstrap.f1(bootstrap.counts(truth, new, weights)) - bootstrap.f1(
        bootstrap.counts(truth, old, weights)
    )
    labels = {
        key: difference(
            metrics.f1(metrics.counts(truth[:, i], old[:, i])),
            metrics.f1(metrics.counts(truth[:, i], new[:, i])),
            resampled[:, i],
        )
        for i, key in enumerate(codebook.keys)
    }
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    return Comparison(
        passages=len(truth),
        documents=distinct,
        repeats=repeats,
        macro_f1=difference(
            metrics.macro_f1(truth[:, frames], old[:, frames]),
            metrics.macro_f1(truth[:, frames], new[:, frames]),
            # A mean of differences is the difference of the means.
            resampled[:, frames].mean(axis=1),
        ),
        labels=labels,
        support={key: int(truth[:, i].sum()) for i, key in enumerate(codebook.keys)},
    )


def _verdict(low: float, high: float, documents: int) -> Verdict:
    if documents < MIN_DOCUMENTS or low <= 0 <= high:
        return "no difference shown"
    return "better" if low > 0 else "worse"


def markdown(comparison: Comparison) -> str:
    """The comparison as a table for a pull-request comment; headings are the caller's."""
    macro = comparison.macro_f1
    rows = "\n".join(
        [
            _row("**macro-F1**", macro, ""),
            *(
                _row(key, value, str(comparison.support[key]))
                for key, value in comparison.labels.items()
            ),
        ]
    )
    few = (
        f"\nFewer than {MIN_DOCUMENTS} documents cannot show a difference.\n"
        if comparison.documents < MIN_DOCUMENTS
        else ""
    )
    return f"""**Macro-F1: {macro.verdict}** ({macro.difference:+.3f})

| F1 | old | new | difference | 95 % interval | verdict | support |
|---|---|---|---|---|---|---|
{rows}
{few}
{comparison.passages} passages of {comparison.documents} documents; paired bootstrap by document,
{comparison.repeats} repeats. Each interval stands for itself: of many rows, one may differ by
chance. Macro-F1 is over the frames.
"""


def _row(name: str, value: Difference, support: str) -> str:
    return (
        f"| {name} | {value.old:.3f} | {value.new:.3f} | {value.difference:+.3f} "
        f"| {value.low:+.3f} to {value.high:+.3f} | {value.verdict} | {support} |"
    )
