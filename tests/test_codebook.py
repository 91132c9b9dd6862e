from pathlib import Path

import pytest

from data.codebook import DEFAULT_PATH, Codebook, CodebookError, load_codebook


def test_the_fingerprint_ignores_layout_and_sees_content(tmp_path: Path) -> None:
    text = DEFAULT_PATH.read_text(encoding="utf-8")
    commented, changed = tmp_path / "commented.yaml", tmp_path / "changed.yaml"
    commented.write_text("# another comment\n" + text, encoding="utf-8")
    changed.write_text(text.replace("ringed", "circled", 1), encoding="utf-8")
    fingerprint = load_codebook().fingerprint
    assert load_codebook(commented).fingerprint == fingerprint
    assert load_codebook(changed).fingerprint != fingerprint


@pytest.mark.parametrize("text", ["labels: [", "version: '1'", "- a list"])
def test_a_file_that_is_no_codebook_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CodebookError, match=r"other\.yaml"):
        load_codebook(file)


def test_two_labels_must_not_share_a_key(codebook: Codebook) -> None:
    with pytest.raises(ValueError, match="share a key"):
        Codebook.model_validate(
            codebook.model_dump() | {"labels": [codebook.labels[0].model_dump()] * 2}
        )


def test_each_label_shows_what_carries_it_and_what_does_not(codebook: Codebook) -> None:
    for label in codebook.labels:
        assert {example.present for example in label.examples} == {True, False}
