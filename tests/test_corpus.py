"""The corpus in the repository."""

import csv
from collections import Counter, defaultdict

import pytest

from data.__main__ import SCENARIOS
from data.codebook import Codebook
from data.corpus import DEFAULT_PATHS
from data.near_duplicates import near_duplicates
from data.records import Record, read_records
from data.splits import SPLITS


@pytest.fixture(scope="module")
def records(codebook: Codebook) -> list[Record]:
    return read_records(DEFAULT_PATHS, codebook)


def test_no_near_duplicate_crosses_the_splits(records: list[Record]) -> None:
    crossing = [
        (pair.first.id, pair.second.id)
        for pair in near_duplicates(records)
        if pair.first.effective_split != pair.second.effective_split
    ]
    assert crossing == []


def test_near_duplicates_are_found(records: list[Record]) -> None:
    long = max(records, key=lambda r: len(r.text))
    words = long.text.split()
    copy = long.model_copy(update={"id": "copy", "text": " ".join([*words[:-2], "indeed"])})
    assert [pair.second.id for pair in near_duplicates([*records[:200], long, copy])][-1] == "copy"


def test_every_label_is_in_every_split_often_enough_to_measure(
    records: list[Record], codebook: Codebook
) -> None:
    for split in SPLITS:
        present = Counter(f for r in records if r.effective_split == split for f in r.frames)
        assert all(present[frame] >= 30 for frame in codebook.frames), (split, present)
        assert sum(r.effective_split == split and r.voice("rebutted") for r in records) >= 10


def test_a_rebutted_passage_carries_the_frame_and_its_denial(records: list[Record]) -> None:
    for record in records:
        if record.voice("rebutted"):
            assert "denial" in record.frames, record.id
            assert len(record.frames) >= 2, record.id


def test_every_genre_is_both_framed_and_unframed(records: list[Record]) -> None:
    framed: dict[str, list[bool]] = defaultdict(list)
    for record in records:
        if record.kind == "authored" and record.start is None:
            framed[record.genre].append(bool(record.frames))
    shares = {genre: sum(g) / len(g) for genre, g in framed.items() if len(g) >= 50}
    assert all(0.1 < share < 0.9 for share in shares.values()), shares


def test_every_scenario_is_described(records: list[Record]) -> None:
    with SCENARIOS.open(encoding="utf-8", newline="") as file:
        described = {row["document"] for row in csv.DictReader(file)}
    assert described == {r.document_id for r in records if r.kind == "authored"}
