import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from eval import metrics
from eval.metrics import Bools, Floats

shapes = st.tuples(st.integers(0, 40), st.integers(1, 6))


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[Bools, Floats]:
    shape = draw(shapes)
    truth = draw(hnp.arrays(np.bool_, shape))
    # Few distinct scores, so that ties are common.
    scores = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0, 0.1, 0.5, 0.9, 1])))
    return truth, scores


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


@given(labels_and_scores())
def test_average_precision_is_that_of_scikit_learn(case: tuple[Bools, Floats]) -> None:
    truth, scores = case
    for t, s in zip(truth.T, scores.T, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns where nothing is true
            theirs = sk.average_precision_score(t, s) if len(t) else 0.0
        assert np.isclose(metrics.average_precision(t, s), theirs)
