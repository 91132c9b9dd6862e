import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import MARGIN, best_threshold, expected_f1_threshold, scores
from training.calibrate import calibrate, fit_platt

logits = st.floats(-30, 30, allow_nan=False)
samples = st.lists(st.tuples(logits, st.booleans()), max_size=60).map(
    lambda rows: (np.array([x for x, _ in rows]), np.array([t for _, t in rows], bool))
)


def test_platt_finds_the_distortion_that_was_put_in() -> None:
    random = np.random.default_rng(0)
    true_logits = random.normal(0, 3, 20_000)
    present = random.random(20_000) < scores(true_logits, 1.0, 0.0)
    slope, intercept = fit_platt((true_logits + 2.0) / 0.5, present, np.ones(20_000))
    assert (slope, intercept) == pytest.approx((0.5, -2.0), abs=0.1)


@given(samples)
def test_calibration_is_finite_and_keeps_the_order(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, present = sample
    slope, intercept = fit_platt(x, present, np.ones(len(x)))
    calibrated = scores(np.sort(x), slope, intercept)
    assert slope > 0
    assert np.isfinite(intercept)
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (np.diff(calibrated) >= 0).all()


@given(samples)
def test_the_threshold_has_the_best_f1_there_is(sample: tuple[np.ndarray, np.ndarray]) -> None:
    x, present = sample
    probabilities = np.round(scores(x, 0.3, 0.0), 3)

    def f1(threshold: float) -> float:
        found = probabilities >= threshold
        total = found.sum() + present.sum()
        return float(2 * (found & present).sum() / total) if total else 0.0

    best = best_threshold(probabilities, present)
    assert 0 < best < 1
    if present.any():
        assert f1(best) == pytest.approx(
            max(f1(p) for p in np.append(probabilities[probabilities > 0], 1 - MARGIN))
        )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array))
def test_no_cut_is_expected_to_do_better(probabilities: np.ndarray) -> None:
    def expected_f1(threshold: float) -> float:
        found = probabilities >= threshold
        total = found.sum() + probabilities.sum()
        return float(2 * probabilities[found].sum() / total) if total else 0.0

    found = expected_f1(expected_f1_threshold(probabilities, np.ones(len(probabilities))))
    assert found == pytest.approx(max(expected_f1(p) for p in probabilities), abs=1e-5)


def test_each_label_is_calibrated_by_itself() -> None:
    random = np.random.default_rng(1)
    present = random.random((500, 2)) < [0.5, 0.1]
    noise = random.normal(0, 1, (500, 2))
    logits, ones = np.where(present, 2.0, -2.0) + noise, np.ones(500)
    both = calibrate(logits, present, ones)
    alone = calibrate(logits[:, 1:], present[:, 1:], ones)
    assert both[1] == alone[0]
    assert both[0] != both[1]


def test_a_label_that_never_occurs_gets_its_plain_sigmoid() -> None:
    (only,) = calibrate(np.zeros((4, 1)), np.zeros((4, 1), bool), np.ones(4))
    assert (only.slope, only.intercept) == (1.0, 0.0)
    assert only.threshold == pytest.approx(1 / 3)


counted = st.lists(st.tuples(logits, st.booleans(), st.integers(1, 3)), min_size=2, max_size=40)


@given(counted)
def test_a_weight_counts_a_passage_so_many_times(
    rows: list[tuple[float, bool, int]],
) -> None:
    x, present, times = (np.array(column) for column in zip(*rows, strict=True))
    (weighted,) = calibrate(x[:, None], present[:, None], times)
    repeated = np.repeat(np.arange(len(rows)), times)
    (plain,) = calibrate(x[repeated, None], present[repeated, None], np.ones(len(repeated)))
    middle = (x.min() + x.max()) / 2
    assert scores(middle, weighted.slope, weighted.intercept) == pytest.approx(
        scores(middle, plain.slope, plain.intercept), abs=1e-3
    )
