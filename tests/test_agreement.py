import json
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.__main__ import main
from data.agreement import (
    AgreementError,
    Ratings,
    agreement_text,
    alpha,
    measure_agreement,
    pairwise_f1,
)
from data.codebook import Codebook, load_codebook
from data.corpus import DEFAULT_PATHS
from data.records import Record, read_records, record_model

CODEBOOK = load_codebook()
MODEL = record_model(CODEBOOK)

ratings = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 4), st.integers(0, 12)),
    elements=st.sampled_from([0.0, 1.0, float("nan")]),
)


def defined(table: Ratings) -> float | None:
    """Alpha by its definition: over all pairs of ratings, within passages and in general."""
    units = [column[~np.isnan(column)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    pooled = np.concatenate([*units, np.zeros(0)])
    n = len(pooled)
    if len(set(pooled)) < 2:
        return None
    observed = sum((unit[:, None] != unit[None, :]).sum() / (len(unit) - 1) for unit in units) / n
    expected = (pooled[:, None] != pooled[None, :]).sum() / (n * (n - 1))
    return float(1 - observed / expected)


def record(name: str, annotator: str, text: str, **fields: object) -> Record:
    voices = dict.fromkeys(CODEBOOK.voices, False)
    values = {"id": name, "document": "d", "text": text, "frames": [], "annotator": annotator}
    return MODEL.model_validate(values | voices | fields)


def test_alpha_by_hand() -> None:
    # Ten passages, two raters: 8 agree (2 yes, 6 no), 2 do not. Ratings: 6 yes and 14 no, so
    # expected 2*6*14/(20*19) = 0.4421, observed 0.2: 1 - 0.2/0.4421 = 0.5476.
    one = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    other = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert alpha(np.array([one, other], float)) == pytest.approx(1 - 0.2 / (168 / 380))
    # Always opposite, twice: observed 1, expected 2*2*2/(4*3) = 2/3.
    assert alpha(np.array([[1, 0], [0, 1]], float)) == pytest.approx(-0.5)


def test_alpha_of_the_published_example() -> None:
    # Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, section A: 0.095.
    one = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    other = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha(np.array([one, other], float)) == pytest.approx(0.095, abs=5e-4)


@given(ratings)
def test_alpha_is_what_its_definition_says(table: Ratings) -> None:
    assert alpha(table) == pytest.approx(defined(table))


@given(ratings, st.randoms(use_true_random=False))
def test_alpha_does_not_hang_on_any_order_or_on_the_names_of_the_values(
    table: Ratings, random: Random
) -> None:
    rows, columns = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    assert alpha(table[rows][:, columns]) == pytest.approx(alpha(table))
    assert alpha(1 - table) == pytest.approx(alpha(table))


@given(hnp.arrays(np.bool_, st.integers(2, 30)), st.integers(2, 4))
def test_perfect_agreement_is_one_unless_nothing_varies(
    labels: npt.NDArray[np.bool_], raters: int
) -> None:
    table = np.tile(labels.astype(float), (raters, 1))
    assert alpha(table) == (1.0 if 0 < labels.sum() < len(labels) else None)
    assert pairwise_f1(table[0], table[1]) == (1.0 if labels.any() else None)


@given(ratings)
def test_pairwise_f1_is_symmetric_and_between_0_and_1(table: Ratings) -> None:
    found = pairwise_f1(table[0], table[1])
    assert found == pairwise_f1(table[1], table[0])
    assert found is None or 0 <= found <= 1


def test_the_annotators_of_a_corpus_are_compared(codebook: Codebook) -> None:
    frame, other = codebook.frames[:2]
    records = [
        record("1-a", "anna", "One.", frames=[frame]),
        record("1-b", "ben", "One.", frames=[frame, other]),
        record("2-a", "anna", "Two."),
        record("2-b", "ben", "Two."),
        record("2-c", "carl", "Two.", frames=[frame]),
        record("3-a", "anna", "Only mine.", frames=[other]),
    ]
    found = measure_agreement(records, codebook)
    assert found == measure_agreement(records, codebook)
    assert (found.annotators, found.passages) == (("anna", "ben", "carl"), 2)
    # Ratings of the frame: yes yes / no no yes. Observed (2/(3-1)*2)/5, expected 2*3*2/(5*4).
    assert found.labels[frame].alpha == pytest.approx(1 - 0.4 / 0.6)
    assert found.labels[frame].pairwise_f1 == {
        ("anna", "ben"): 1.0,
        ("anna", "carl"): 0.0,
        ("ben", "carl"): 0.0,
    }
    assert found.labels[frame].mean_f1 == pytest.approx(1 / 3)
    assert found.labels[codebook.voices[0]].alpha is None
    first, second = found.disputes
    assert (first.ids, first.votes) == (("1-a", "1-b"), {other: {"anna": False, "ben": True}})
    assert second.votes == {frame: {"anna": False, "ben": False, "carl": True}}
    assert measure_agreement(records[::-1], codebook).labels == found.labels
    text = agreement_text(found)
    assert f"  {frame}: yes carl; no anna, ben" in text
    assert "anna and carl 0.000, ben and carl 0.000, anna and ben 1.000" in text


def test_a_passage_labeled_twice_by_one_annotator_is_named(codebook: Codebook) -> None:
    records = [record("1", "anna", "One."), record("1-x", "anna", "One.")]
    with pytest.raises(AgreementError, match="anna labels one passage twice, as 1 and 1-x"):
        measure_agreement(records, codebook)


@pytest.mark.parametrize(
    ("annotators", "sentence"),
    [
        ([], "There is no record here"),
        (["anna"], "All 1 records are by one annotator, anna"),
        (["anna", "ben"], "No passage has labels of two annotators (anna, ben)"),
    ],
)
def test_what_shows_no_agreement_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], annotators: list[str], sentence: str
) -> None:
    file = tmp_path / "corpus.jsonl"
    lines = [
        record(str(i), name, f"Text {i}.").model_dump_json() for i, name in enumerate(annotators)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert main(["agreement", str(file)]) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "corpus.jsonl"
    both = [record("1-a", "anna", "One."), record("1-b", "ben", "One.", attributed=True)]
    file.write_text("\n".join(json.dumps(r.model_dump()) for r in both), encoding="utf-8")
    assert main(["agreement", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "1 passages in dispute\n\n1-a, 1-b: One.\n  attributed: yes ben; no anna" in printed


def test_every_dispute_of_the_two_readings_is_settled_with_a_reason() -> None:
    folder = Path("data/second_labels")
    first = {
        r.id.removesuffix("-first"): r for r in read_records([folder / "first.jsonl"], CODEBOOK)
    }
    second = {
        r.id.removesuffix("-second"): r for r in read_records([folder / "second.jsonl"], CODEBOOK)
    }
    settled = {r.id: r for r in read_records(DEFAULT_PATHS, CODEBOOK)}
    assert first.keys() == second.keys()
    for name, one in first.items():
        readings = [one.multi_hot(CODEBOOK), second[name].multi_hot(CODEBOOK)]
        assert settled[name].text == one.text == second[name].text, name
        final = settled[name].multi_hot(CODEBOOK)
        assert ("settled: " in settled[name].note) == any(r != final for r in readings), name
        assert final in readings or "settled: a third reading" in settled[name].note, name
