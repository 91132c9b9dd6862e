import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.codebook import Codebook, load_codebook
from eval import metrics
from eval.compare import MIN_DOCUMENTS, Comparison, Difference, compare, markdown
from eval.metrics import Bools, Floats

CODEBOOK = load_codebook()
LABELS = len(CODEBOOK.keys)
HALF = [0.5] * LABELS


def documents_of(n: int, size: int = 8) -> list[str]:
    return [f"document {i // size}" for i in range(n)]


def system(truth: Bools, wrong: float, seed: int) -> Floats:
    """Scores that are on the wrong side of one half in this share of cases."""
    random = np.random.default_rng(seed)
    right = random.random(truth.shape) >= wrong
    side = 0.5 * (truth == right)
    scores: Floats = side + 0.5 * random.random(truth.shape)
    return scores


@pytest.fixture(scope="module")
def truth() -> Bools:
    return np.random.default_rng(0).random((400, LABELS)) < 0.3


def rows(comparison: Comparison) -> list[Difference]:
    return [comparison.macro_f1, *comparison.labels.values()]


def run(truth: Bools, old: Floats, new: Floats, size: int = 8) -> Comparison:
    documents = documents_of(len(truth), size)
    return compare(truth, old, HALF, new, HALF, documents, CODEBOOK, repeats=400)


@settings(deadline=None)
@given(st.data(), st.integers(0, 40))
def test_a_system_does_not_differ_from_itself(data: st.DataObject, n: int) -> None:
    truth = data.draw(hnp.arrays(np.bool_, (n, LABELS)))
    scores = data.draw(hnp.arrays(np.float64, (n, LABELS), elements=st.floats(0, 1)))
    thresholds = data.draw(hnp.arrays(np.float64, LABELS, elements=st.floats(0.01, 0.99)))
    documents = documents_of(n, size=3)
    same = compare(truth, scores, thresholds, scores, thresholds, documents, CODEBOOK, repeats=20)
    for row in rows(same):
        assert row.old == row.new
        assert (row.difference, row.low, row.high) == (0, 0, 0)
        assert row.verdict == "no difference shown"
    assert (same.passages, same.documents) == (n, len(set(documents)))


def test_the_point_values_are_those_of_the_report(truth: Bools) -> None:
    old, new = system(truth, 0.3, 1), system(truth, 0.25, 2)
    thresholds = np.linspace(0.3, 0.7, LABELS)
    documents = documents_of(len(truth))
    comparison = compare(truth, old, HALF, new, thresholds, documents, CODEBOOK)
    assert tuple(comparison.labels) == tuple(comparison.support) == CODEBOOK.keys
    for i, (key, row) in enumerate(comparison.labels.items()):
        assert row.old == metrics.f1(metrics.counts(truth[:, i], old[:, i] >= 0.5))
        assert row.new == metrics.f1(metrics.counts(truth[:, i], new[:, i] >= thresholds[i]))
        assert comparison.support[key] == truth[:, i].sum()
    frames = [CODEBOOK.keys.index(frame) for frame in CODEBOOK.frames]
    macro = metrics.macro_f1(truth[:, frames], (new >= thresholds)[:, frames])
    assert comparison.macro_f1.new == macro
    for row in rows(comparison):
        assert row.low < row.difference < row.high
        assert row.difference == pytest.approx(row.new - row.old)


def test_a_clearly_better_system_is_better_and_swapped_it_is_worse(truth: Bools) -> None:
    poor, good = system(truth, 0.4, 1), system(truth, 0.05, 2)
    forward, backward = run(truth, poor, good), run(truth, good, poor)
    for there, back in zip(rows(forward), rows(backward), strict=True):
        assert (there.verdict, back.verdict) == ("better", "worse")
        assert there.low > 0
        assert (back.old, back.new, back.difference) == (there.new, there.old, -there.difference)
        assert np.allclose((back.low, back.high), (-there.high, -there.low))


def test_systems_equal_but_for_chance_rarely_differ(truth: Bools) -> None:
    verdicts = [
        row.verdict
        for seed in range(10, 50, 2)
        for row in rows(run(truth, system(truth, 0.2, seed), system(truth, 0.2, seed + 1)))
    ]
    assert verdicts.count("no difference shown") >= 0.88 * len(verdicts)


def test_pairing_shows_a_small_difference_that_the_systems_share_their_errors(
    truth: Bools,
) -> None:
    old = system(truth, 0.3, 1)
    mended = np.random.default_rng(3).random(truth.shape) < 0.15
    new = np.where(mended, truth * 1.0, old)
    paired = run(truth, old, new)
    unpaired = run(truth, system(truth, 0.3, 5), new)
    assert {row.verdict for row in rows(paired)} == {"better"}
    for a, b in zip(rows(paired), rows(unpaired), strict=True):
        assert a.high - a.low < b.high - b.low


def test_fewer_documents_give_wider_intervals(truth: Bools) -> None:
    def width(n: int) -> float:
        """The mean over a few pairs of systems."""
        macros = [
            run(truth[:n], system(truth[:n], 0.3, seed), system(truth[:n], 0.2, seed + 50)).macro_f1
            for seed in range(8)
        ]
        return float(np.mean([macro.high - macro.low for macro in macros]))

    assert width(80) > 1.5 * width(400)


def test_too_few_documents_show_no_difference_however_large(truth: Bools) -> None:
    worst, best = 1.0 - truth, truth * 1.0
    enough = len(truth) // MIN_DOCUMENTS
    few = run(truth, worst, best, size=enough + 20)
    assert few.documents == MIN_DOCUMENTS - 1
    assert {row.verdict for row in rows(few)} == {"no difference shown"}
    assert "cannot show a difference" in markdown(few)
    n = enough * MIN_DOCUMENTS
    many = run(truth[:n], worst[:n], best[:n], size=enough)
    assert many.documents == MIN_DOCUMENTS
    assert {row.verdict for row in rows(many)} == {"better"}
    assert "cannot show a difference" not in markdown(many)


def test_voices_do_not_enter_the_macro_value(truth: Bools, codebook: Codebook) -> None:
    old = system(truth, 0.2, 1)
    new = old.copy()
    voices = [codebook.keys.index(voice) for voice in codebook.voices]
    new[:, voices] = (1.0 - truth)[:, voices]
    comparison = run(truth, old, new)
    assert comparison.macro_f1.difference == comparison.macro_f1.low == 0
    assert {comparison.labels[voice].verdict for voice in codebook.voices} == {"worse"}


def test_the_same_seed_gives_the_same_comparison(truth: Bools) -> None:
    old, new = system(truth, 0.3, 1), system(truth, 0.25, 2)
    assert run(truth, old, new) == run(truth, old, new)


def test_without_passages_nothing_is_shown() -> None:
    nothing = run(np.zeros((0, LABELS), bool), np.zeros((0, LABELS)), np.zeros((0, LABELS)))
    empty = Difference(0.0, 0.0, 0.0, 0.0, 0.0, "no difference shown")
    assert rows(nothing) == [empty] * (LABELS + 1)
    assert (nothing.passages, nothing.documents) == (0, 0)
    assert "0 passages of 0 documents" in markdown(nothing)


def test_markdown_says_the_verdict_first_and_one_row_a_label(truth: Bools) -> None:
    comparison = run(truth, system(truth, 0.4, 1), system(truth, 0.05, 2))
    text = markdown(comparison)
    macro = comparison.macro_f1
    assert text.startswith(f"**Macro-F1: better** ({macro.difference:+.3f})\n")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 1 + LABELS
    assert {line.count("|") for line in table} == {8}
    for key, line in zip(CODEBOOK.keys, table[3:], strict=True):
        row = comparison.labels[key]
        assert line == (
            f"| {key} | {row.old:.3f} | {row.new:.3f} | {row.difference:+.3f} "
            f"| {row.low:+.3f} to {row.high:+.3f} | better | {comparison.support[key]} |"
        )
    assert "400 passages of 50 documents" in text
