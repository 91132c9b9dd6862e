from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eval import bootstrap, metrics
from eval.bootstrap import interval, resample_weights
from eval.metrics import Bools, Floats, Ints

names = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@settings(deadline=None)
@given(names, st.integers(0, 20), st.integers(0, 3))
def test_as_many_documents_as_there_are_are_drawn_whole(
    documents: list[str], repeats: int, seed: int
) -> None:
    weights = resample_weights(documents, repeats, seed)
    assert weights.shape == (repeats, len(documents))
    first = {name: documents.index(name) for name in documents}
    for row in weights:
        drawn = {name: row[i] for name, i in first.items()}
        assert [drawn[name] for name in documents] == list(row)
        assert sum(drawn.values()) == len(first)
        assert row.sum() == sum(times * documents.count(name) for name, times in drawn.items())


@settings(deadline=None)
@given(names)
def test_the_order_of_the_passages_does_not_change_the_draw(documents: list[str]) -> None:
    weights = resample_weights(documents, 5, seed=1)
    order = np.random.default_rng(0).permutation(len(documents))
    shuffled = [documents[i] for i in order]
    assert (resample_weights(shuffled, 5, seed=1) == weights[:, order]).all()


def test_every_document_is_drawn_equally_often_and_seeds_differ() -> None:
    documents = ["long"] * 50 + ["a", "b", "c"]
    weights = resample_weights(documents, 4_000, seed=0)
    assert np.allclose(weights.mean(axis=0), 1, atol=0.06)
    assert (weights != resample_weights(documents, 4_000, seed=1)).any()


@st.composite
def drawn_passages(draw: st.DrawFn) -> tuple[Bools, Floats, Ints]:
    n, labels = draw(st.integers(0, 25)), draw(st.integers(1, 4))
    truth = draw(hnp.arrays(np.bool_, (n, labels)))
    ties, all_distinct = st.sampled_from([0, 0.1, 0.5, 0.9, 1]), st.floats(0, 1, width=16)
    elements = draw(st.sampled_from([ties, all_distinct]))
    scores = draw(hnp.arrays(np.float64, (n, labels), elements=elements))
    repeats = draw(st.integers(0, 4))
    weights = draw(hnp.arrays(np.int64, (repeats, n), elements=st.integers(0, 3)))
    return truth, scores, weights


@settings(deadline=None)
@given(drawn_passages())
def test_a_weight_of_k_is_the_row_k_times(case: tuple[Bools, Floats, Ints]) -> None:
    truth, scores, weights = case
    predicted = scores >= 0.5
    c = bootstrap.counts(truth, predicted, weights)
    of_decisions = {
        "precision": bootstrap.precision(c),
        "recall": bootstrap.recall(c),
        "f1": bootstrap.f1(c),
    }
    of_scores = {
        name: getattr(bootstrap, name)(truth, scores, weights)
        for name in ("average_precision", "roc_auc", "expected_calibration_error")
    }
    macro = bootstrap.macro_f1(truth, predicted, weights)
    micro = bootstrap.micro_f1(truth, predicted, weights)
    for values in (*of_decisions.values(), *of_scores.values()):
        assert values.shape == (len(weights), truth.shape[1])
    for repeat, times in enumerate(weights):
        t, p = np.repeat(truth, times, axis=0), np.repeat(predicted, times, axis=0)
        s = np.repeat(scores, times, axis=0)
        assert np.isclose(macro[repeat], metrics.macro_f1(t, p))
        assert np.isclose(micro[repeat], metrics.micro_f1(t, p))
        for label in range(truth.shape[1]):
            counted = metrics.counts(t[:, label], p[:, label])
            for name, values in of_decisions.items():
                assert np.isclose(values[repeat, label], getattr(metrics, name)(counted))
            for name, values in of_scores.items():
                plain = getattr(metrics, name)(t[:, label], s[:, label])
                assert np.isclose(values[repeat, label], plain), name


Resampled = Callable[[Bools, Floats, Ints], Floats]

ALL: dict[str, Resampled] = {
    "precision": lambda t, s, w: bootstrap.precision(bootstrap.counts(t, s >= 0.5, w)),
    "recall": lambda t, s, w: bootstrap.recall(bootstrap.counts(t, s >= 0.5, w)),
    "f1": lambda t, s, w: bootstrap.f1(bootstrap.counts(t, s >= 0.5, w)),
    "macro_f1": lambda t, s, w: bootstrap.macro_f1(t, s >= 0.5, w),
    "micro_f1": lambda t, s, w: bootstrap.micro_f1(t, s >= 0.5, w),
    "average_precision": bootstrap.average_precision,
    "roc_auc": bootstrap.roc_auc,
    "expected_calibration_error": bootstrap.expected_calibration_error,
}


def passages(
    documents: int, size: int = 6, labels: int = 3, seed: int = 0
) -> tuple[Bools, Floats, list[str]]:
    """Random passages whose documents differ in how well they are scored."""
    random = np.random.default_rng(seed)
    n = documents * size
    truth = random.random((n, labels)) < 0.4
    clarity = np.repeat(random.normal(1, 2, documents), size)[:, None]
    scores = 1 / (1 + np.exp(-(random.normal(size=(n, labels)) + clarity * (2 * truth - 1))))
    return truth, scores, [f"document {i // size}" for i in range(n)]


@pytest.mark.parametrize("name", ALL)
def test_identical_documents_leave_no_doubt(name: str) -> None:
    truth, scores, _ = passages(1, size=20, labels=1)
    truth, scores = np.tile(truth, (8, 1)), np.tile(scores, (8, 1))
    documents = [f"document {i // 20}" for i in range(160)]
    value = ALL[name](truth, scores, np.ones((1, 160), np.int64)).item()
    low, high = interval(ALL[name](truth, scores, resample_weights(documents, 50, 0)).ravel())
    # All documents are drawn to the same effect.
    assert low == pytest.approx(value)
    assert high == pytest.approx(value)


@pytest.mark.parametrize("name", ALL)
def test_fewer_documents_give_wider_intervals(name: str) -> None:
    def width(documents: int) -> float:
        """The mean over a few samples, because one may be uncommonly uniform."""
        widths = []
        for seed in range(8):
            truth, scores, of_passages = passages(documents, labels=1, seed=seed)
            weights = resample_weights(of_passages, 300, seed)
            low, high = interval(ALL[name](truth, scores, weights).ravel())
            widths.append(high - low)
        return float(np.mean(widths))

    assert width(10) > 1.3 * width(40) > 1.3**2 * width(160) > 0


def test_passages_of_one_document_count_as_less_than_as_many_documents() -> None:
    truth, scores, documents = passages(30, size=20, labels=1)

    def width(of_passages: Sequence[str]) -> float:
        weights = resample_weights(of_passages, 400, 0)
        low, high = interval(bootstrap.macro_f1(truth, scores >= 0.5, weights))
        return high - low

    assert width(documents) > 1.5 * width([str(i) for i in range(len(documents))])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # The true F1 is that of very many documents.
    truth, scores, _ = passages(50_000, labels=1)
    true_f1 = metrics.macro_f1(truth, scores >= 0.5)
    covered = 0
    for seed in range(200):
        truth, scores, documents = passages(40, labels=1, seed=seed + 1)
        weights = resample_weights(documents, 300, seed)
        low, high = interval(bootstrap.macro_f1(truth, scores >= 0.5, weights))
        covered += low <= true_f1 <= high
    assert 0.89 <= covered / 200 <= 0.99


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-1, 1)))
def test_an_interval_lies_within_its_values_around_the_median(values: Floats) -> None:
    low, high = interval(values)
    assert values.min() <= low <= np.median(values) <= high <= values.max()


def test_an_interval_holds_95_percent_of_its_values() -> None:
    assert np.allclose(interval(np.arange(1_001) / 1_000), (0.025, 0.975))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("repeats", [0, 5])
def test_without_passages_every_metric_has_its_empty_value(name: str, repeats: int) -> None:
    weights = resample_weights([], repeats, seed=0)
    values = ALL[name](np.zeros((0, 2), bool), np.zeros((0, 2)), weights)
    assert len(values) == repeats
    assert (values == (0.5 if name == "roc_auc" else 0.0)).all()
    empty = 0.5 if name == "roc_auc" and repeats else 0.0
    assert interval(values.ravel()) == (empty, empty)
    no_label = ALL[name](np.zeros((3, 0), bool), np.zeros((3, 0)), np.ones((repeats, 3), np.int64))
    assert no_label.size == (repeats if name in {"macro_f1", "micro_f1"} else 0)
    assert not no_label.any()


def test_a_share_of_nothing_is_zero() -> None:
    found = bootstrap.share(np.array([[1, 0], [2, 3]]), np.array([2, 0]))
    assert found.tolist() == [[0.5, 0.0], [1.0, 0.0]]
