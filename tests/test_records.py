import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.codebook import Codebook
from data.corpus import corpus_fingerprint, load_corpus
from data.records import CorpusError, read_records
from data.splits import SPLITS, assign_split
from tests.conftest import command


def record(**changes: Any) -> dict[str, Any]:
    base = {"id": "a-1", "document": "a", "text": "The ring closes.", "frames": ["encirclement"]}
    return base | {"attributed": False, "rebutted": False, "split": "train"} | changes


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def test_every_problem_is_told_with_file_line_field_and_reason(
    tmp_path: Path, codebook: Codebook
) -> None:
    missing = record(id="a-3")
    del missing["attributed"]
    file = write(
        tmp_path / "bad.jsonl",
        record(),
        record(id="a-2", frames=["encirclment"]),
        missing,
        record(id="a-4", rebutted="no"),
        record(id="a-5", text=" "),
        record(id="a-6", start=4, end=2),
        record(id="a-1"),
        record(id="a-8", split="test"),
        record(id="a-9", color="red"),
        record(id="a-10", start=0, end=5),
        record(id="a-11", date="May 2020"),
    )
    with file.open("ab") as out:
        out.write(b'{"id": \n{"id": "\xff"}\n')
    with pytest.raises(CorpusError) as caught:
        read_records([file], codebook)
    problems = caught.value.problems
    assert [(p.line, p.field.split(".")[0]) for p in problems] == [
        (2, "frames"),
        (3, "attributed"),
        (4, "rebutted"),
        (5, "text"),
        (6, "record"),
        (7, "id"),
        (8, "split"),
        (9, "color"),
        (10, "start"),
        (11, "date"),
        (12, "record"),
        (13, "record"),
    ]
    assert all(p.file == file for p in problems)
    assert "there are encirclement, hegemony, bloc_expansion, denial" in problems[0].reason
    assert f"{file}:7: id: 'a-1' is also at {file}:1" in str(caught.value)


def test_the_command_refuses_a_bad_corpus_with_exit_code_1(tmp_path: Path) -> None:
    file = write(tmp_path / "bad.jsonl", record(frames=[1]), record(id="b", frames="x"))
    done = command(tmp_path, "data", "validate", str(file))
    assert done.returncode == 1
    assert "bad.jsonl:1: frames.0:" in done.stderr
    assert "bad.jsonl:2: frames:" in done.stderr
    assert "Traceback" not in done.stderr


def test_offsets_must_give_the_passage_back(tmp_path: Path, codebook: Codebook) -> None:
    (tmp_path / "d.txt").write_bytes("Erster.\r\n😀 Zweiter.".encode())
    good = record(document="d.txt", text="😀 Zweiter.", start=9, end=19)
    assert len(read_records([write(tmp_path / "good.jsonl", good)], codebook)) == 1
    bad = record(document="d.txt", text="Zweiter.", start=10, end=18)
    with pytest.raises(CorpusError, match="not the passage's text"):
        read_records([write(tmp_path / "bad.jsonl", bad)], codebook)


def test_rows_carry_labels_in_the_order_of_the_codebook(tmp_path: Path, codebook: Codebook) -> None:
    file = write(
        tmp_path / "c.jsonl",
        record(frames=["denial", "hegemony"], attributed=True),
        record(id="b", document="b", split="test", frames=[]),
    )
    corpus = load_corpus(codebook, [file])
    assert codebook.keys[1] == "hegemony"
    assert corpus["train"]["labels"][:] == [[0, 1, 0, 1, 1, 0]]
    assert corpus["test"]["labels"][:] == [[0] * 6]
    assert len(corpus["validation"]) == 0


def test_the_fingerprint_depends_on_content_alone(tmp_path: Path, codebook: Codebook) -> None:
    one, two = record(), record(id="b", document="b")
    together = read_records([write(tmp_path / "1.jsonl", one, two)], codebook)
    turned = read_records([write(tmp_path / "2.jsonl", two, dict(reversed(one.items())))], codebook)
    changed = read_records([write(tmp_path / "3.jsonl", one, two | {"attributed": True})], codebook)
    assert corpus_fingerprint(together) == corpus_fingerprint(turned)
    assert corpus_fingerprint(together) != corpus_fingerprint(changed)


@given(st.text(), st.text())
def test_a_document_keeps_its_split(document: str, other: str) -> None:
    before = assign_split(document)
    assign_split(other)
    assert assign_split(document) == before


def test_splits_have_about_the_shares_they_should() -> None:
    assigned = [assign_split(f"document {i}") for i in range(4_000)]
    shares = [assigned.count(split) / 4_000 for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
