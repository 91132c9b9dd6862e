"""Bulk scoring as a user runs it: processes, files, a kill."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from models.classifier import Classifier
from serving.answers import Answers
from serving.schemas import Document
from tests.conftest import command, environment
from tests.small_model import CORPUS, ROOT

SEED = [path.read_text(encoding="utf-8") for path in sorted(CORPUS[0].glob("*.txt"))]
RECORDS = [{"id": f"d{i}", "text": SEED[i % len(SEED)] * (i % 7 + 1)} for i in range(100)]


def write_jsonl(file: Path, records: list[dict[str, str]]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def bulk(home: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return command(home, "serving.bulk", *map(str, options))


def rows(out: Path) -> list[bytes]:
    return [
        line for shard in sorted(out.glob("*.jsonl")) for line in shard.read_bytes().splitlines()
    ]


def test_killed_and_run_again_it_gives_the_rows_of_one_run(home: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", RECORDS)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert bulk(home, source, whole).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.bulk", str(source), str(out)],
        cwd=ROOT,
        env=environment(home),
        stderr=subprocess.DEVNULL,
    )
    while not list(out.glob("*.jsonl")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = sorted(out.glob("*.jsonl"))
    assert 0 < len(kept) < len(list(whole.glob("*.jsonl")))
    # The kill may also hit while a shard is being written.
    (out / "000000000099-000000000100.jsonl.partial").write_bytes(b'{"id": "d9')
    before = kept[0].stat().st_mtime_ns
    assert bulk(home, source, out).returncode == 0
    assert kept[0].stat().st_mtime_ns == before
    assert [json.loads(row)["id"] for row in rows(out)] == [record["id"] for record in RECORDS]
    assert rows(out) == rows(whole)
    assert not list(out.glob("*.partial"))


def test_every_kind_of_input_and_output_holds_what_the_service_would_answer(
    home: Path, classifier: Classifier, tmp_path: Path
) -> None:
    few = [{"id": f"d{i}", "text": text} for i, text in enumerate(SEED)]
    expected = [
        Answers(classifier).document(Document(**record), prediction, passages=True)
        for record, prediction in zip(few, classifier.predict(SEED), strict=True)
    ]
    for answer in expected:
        for frame in answer["frames"].values():
            frame["score"] = pytest.approx(frame["score"], abs=0.005)
        for passage in answer["passages"]:
            passage["frames"] = pytest.approx(passage["frames"], abs=0.005)
            passage["voice"] = pytest.approx(passage["voice"], abs=0.005)
    folder = tmp_path / "texts"
    folder.mkdir()
    for record in few:
        (folder / f"{record['id']}.txt").write_bytes(record["text"].encode())
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(few), tmp_path / "in.parquet")
    for source in (folder, tmp_path / "in.parquet"):
        out = tmp_path / f"out of {source.name}"
        done = bulk(home, source, out, "--format", "parquet")
        assert done.returncode == 0, done.stderr
        (shard,) = out.glob("*.parquet")
        assert pyarrow.parquet.read_table(shard).to_pylist() == expected
        assert f"{len(few)}/{len(few)}" in done.stderr


def test_another_input_does_not_go_on_with_an_output(home: Path, tmp_path: Path) -> None:
    source, out = write_jsonl(tmp_path / "in.jsonl", RECORDS[:2]), tmp_path / "out"
    assert bulk(home, source, out).returncode == 0
    write_jsonl(source, RECORDS[:3])
    refused = bulk(home, source, out, "--no-passages")
    assert refused.returncode == 2
    assert "was begun with another input_sha256 and passages; choose another OUT" in refused.stderr
    assert len(rows(out)) == 2


BAD: dict[str, tuple[str, str, str]] = {
    "a missing column": ("in.csv", "id,body\na,b\n", "has no column 'text'; it has id, body"),
    "a short row": ("in.csv", 'id,text\na,"b\nc"\nd\n', "in.csv, row 2: text: input should be"),
    "a number": ("in.jsonl", '{"id": "a", "text": 7}\n', "in.jsonl, line 1: text: input should be"),
    "not JSON": ("in.jsonl", '{"id": "a", "text": "b"}\n{"id\n', "line 2: the row: invalid JSON"),
    "not Parquet": ("in.parquet", "text", "in.parquet is not a Parquet file"),
    "another kind": ("in.xlsx", "text", "in.xlsx is not one of .parquet, .jsonl, .csv, nor"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_by_row_and_field_before_anything_is_scored(
    home: Path, tmp_path: Path, name: str
) -> None:
    file, content, words = BAD[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    refused = bulk(home, tmp_path / file, tmp_path / "out")
    assert refused.returncode == 2, refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.glob("out/0*"))
