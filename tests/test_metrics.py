import warnings
from itertools import pairwise, product
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from eval import metrics
from eval.metrics import Bools, Evidence, Floats, ReliabilityBin

shapes = st.tuples(st.integers(0, 40), st.integers(1, 6))


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[Bools, Floats]:
    shape = draw(shapes)
    truth = draw(hnp.arrays(np.bool_, shape))
    # Few distinct scores, so that ties are common.
    scores = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0, 0.1, 0.5, 0.9, 1])))
    return truth, scores


@st.composite
def one_label(draw: st.DrawFn, most: int = 60) -> tuple[Bools, Floats]:
    n = draw(st.integers(0, most))
    truth = draw(hnp.arrays(np.bool_, n))
    ties, all_distinct = st.sampled_from([0, 0.1, 0.5, 0.9, 1]), st.floats(0, 1, width=16)
    return truth, draw(
        hnp.arrays(np.float64, n, elements=draw(st.sampled_from([ties, all_distinct])))
    )


@settings(deadline=None)
@given(labels_and_scores())
def test_precision_recall_and_f1_are_those_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    predicted = scores >= 0.5
    if not len(truth):
        assert metrics.macro_f1(truth, predicted) == metrics.micro_f1(truth, predicted) == 0.0
        return
    for t, p in zip(truth.T, predicted.T, strict=True):
        c = metrics.counts(t, p)
        options = {"zero_division": 0.0}
        assert np.isclose(metrics.precision(c), sk.precision_score(t, p, **options))
        assert np.isclose(metrics.recall(c), sk.recall_score(t, p, **options))
        assert np.isclose(metrics.f1(c), sk.f1_score(t, p, **options))
    for average in ("macro", "micro"):
        ours = getattr(metrics, f"{average}_f1")(truth, predicted)
        theirs = np.mean(
            [
                sk.f1_score(t, p, zero_division=0.0)
                for t, p in zip(truth.T, predicted.T, strict=True)
            ]
        )
        if average == "micro":
            theirs = sk.f1_score(truth.ravel(), predicted.ravel(), zero_division=0.0)
        assert np.isclose(ours, theirs)


@settings(deadline=None)
@given(labels_and_scores())
def test_average_precision_is_that_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    for t, s in zip(truth.T, scores.T, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns where nothing is true
            theirs = sk.average_precision_score(t, s) if len(t) else 0.0
        assert np.isclose(metrics.average_precision(t, s), theirs)


@settings(deadline=None)
@given(one_label())
def test_roc_auc_is_that_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    one_class = not truth.any() or truth.all()
    theirs = 0.5 if one_class else sk.roc_auc_score(truth, scores)
    assert np.isclose(metrics.roc_auc(truth, scores), theirs)
    assert np.isclose(metrics.roc_auc(~truth, scores), 1 - theirs)


@settings(deadline=None)
@given(one_label())
def test_brier_is_that_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    theirs = sk.brier_score_loss(truth, scores, labels=[False, True]) if len(truth) else 0.0
    assert np.isclose(metrics.brier(truth, scores), theirs)


@settings(deadline=None)
@given(one_label(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_reliability_bins_hold_every_passage_once_in_order_of_score(
    case: tuple[Bools, Floats], bins: int, random: Random
) -> None:
    truth, scores = case
    found = metrics.reliability(truth, scores, bins)
    assert len(found) <= bins
    assert sum(b.count for b in found) == len(truth)
    assert np.isclose(sum(b.count * b.share_true for b in found), truth.sum())
    assert np.isclose(sum(b.count * b.mean_score for b in found), scores.sum())
    assert all(a.mean_score < b.mean_score for a, b in pairwise(found))
    if len(np.unique(scores)) == len(scores) and len(scores) >= bins:
        assert len(found) == bins
        assert max(b.count for b in found) - min(b.count for b in found) <= 1
    # Equal scores share a bin, so the order of the passages does not matter.
    order = random.sample(range(len(truth)), len(truth))
    shuffled = metrics.reliability(truth[order], scores[order], bins)
    assert [b.count for b in shuffled] == [b.count for b in found]


def test_calibration_error_is_the_mean_distance_of_score_and_share_in_bins_of_equal_size() -> None:
    random = np.random.default_rng(0)
    scores = random.permutation(np.linspace(0.001, 0.999, 200))
    truth = random.random(200) < scores**2
    by_score = np.argsort(scores)
    blocks = zip(np.split(scores[by_score], 10), np.split(truth[by_score], 10), strict=True)
    expected = np.mean([abs(s.mean() - t.mean()) for s, t in blocks])
    assert np.isclose(metrics.expected_calibration_error(truth, scores), expected)
    assert metrics.expected_calibration_error(truth[:0], scores[:0]) == 0.0
    assert metrics.reliability(truth[:0], scores[:0]) == []


@settings(deadline=None)
@given(hnp.arrays(np.bool_, st.integers(1, 40)))
def test_the_true_share_as_score_is_calibrated_and_its_opposite_is_not(truth: Bools) -> None:
    constant = np.full(len(truth), truth.mean())
    assert np.isclose(metrics.expected_calibration_error(truth, constant), 0)
    assert np.isclose(metrics.expected_calibration_error(truth, 1.0 - truth), 1)
    (single,) = metrics.reliability(truth, constant)
    assert single == ReliabilityBin(single.mean_score, float(truth.mean()), len(truth))
    assert np.isclose(single.mean_score, truth.mean())


@settings(deadline=None)
@given(one_label())
def test_curve_points_are_those_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    curve = metrics.precision_recall_curve(truth, scores)
    if not len(truth):
        assert all(len(values) == 0 for values in curve)
        return
    assert {scores.min(), scores.max()} | set(scores[truth]) == set(curve.thresholds)
    assert (np.diff(curve.thresholds) > 0).all()
    if truth.any():
        precisions, recalls, thresholds = sk.precision_recall_curve(truth, scores)
        at = np.searchsorted(thresholds, curve.thresholds)
        assert np.allclose(curve.precision, precisions[at])
        assert np.allclose(curve.recall, recalls[at])
    everywhere = [metrics.f1(metrics.counts(truth, scores >= t)) for t in scores]
    assert np.isclose(curve.f1.max(), max(everywhere))
    for threshold, f1 in zip(curve.thresholds, curve.f1, strict=True):
        assert np.isclose(f1, metrics.f1(metrics.counts(truth, scores >= threshold)))


def test_a_long_curve_is_thinned_evenly_and_keeps_its_ends() -> None:
    random = np.random.default_rng(0)
    scores = random.random(5_000)
    truth = random.random(5_000) < scores
    curve = metrics.precision_recall_curve(truth, scores)
    assert {len(values) for values in curve} == {101}
    assert curve.thresholds[0] == scores.min()
    assert curve.thresholds[-1] == scores.max()
    assert np.abs(np.diff(curve.recall)).max() < 0.011


@settings(deadline=None)
@given(labels_and_scores())
def test_co_occurrence_counts_the_passages_with_both_labels(case: tuple[Bools, Floats]) -> None:
    truth, _ = case
    together = metrics.co_occurrence(truth)
    for a, b in product(range(truth.shape[1]), repeat=2):
        assert together[a, b] == sum(row[a] and row[b] for row in truth)


def test_evidence_counts_the_marked_and_the_annotated_passages_that_meet() -> None:
    marked = [(0, 10), (10, 20), (30, 40)]
    # One annotation spans two marked passages, one only touches a marked passage's end.
    assert metrics.evidence(marked, [(5, 15), (40, 50)]) == Evidence(2, 3, 1, 2)
    # A start belongs to the passage that it begins, not to the one that ends there.
    assert metrics.evidence(marked, [10, 39, 40]) == Evidence(2, 3, 2, 3)
    assert metrics.evidence([], [3]) == Evidence(0, 0, 0, 1)
    assert metrics.evidence(marked, []) == Evidence(0, 3, 0, 0)


spans = st.lists(st.builds(lambda a, n: (a, a + n), st.integers(0, 50), st.integers(1, 20)))


@settings(deadline=None)
@given(st.lists(st.tuples(spans, spans), max_size=4))
def test_evidence_is_that_of_the_characters_in_common(
    documents: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]],
) -> None:
    found = []
    for marked, annotated in documents:
        e = metrics.evidence(marked, annotated)
        evidence_characters = {i for a, b in annotated for i in range(a, b)}
        assert e.right == sum(bool(evidence_characters & {*range(a, b)}) for a, b in marked)
        assert metrics.evidence(annotated, marked) == Evidence(
            e.found, e.annotated, e.right, e.predicted
        )
        found.append(e)
    total = metrics.total_evidence(found)
    assert total == Evidence(*(sum(e[i] for e in found) for i in range(4)))
    assert 0 <= metrics.evidence_precision(total) <= 1
    assert 0 <= metrics.evidence_recall(total) <= 1
    if documents and documents[0][0]:
        perfect = metrics.evidence(documents[0][0], documents[0][0])
        assert metrics.evidence_precision(perfect) == metrics.evidence_recall(perfect) == 1


def test_evidence_of_nothing_is_worth_nothing() -> None:
    nothing = metrics.total_evidence([])
    assert nothing == Evidence(0, 0, 0, 0)
    assert metrics.evidence_precision(nothing) == metrics.evidence_recall(nothing) == 0.0
