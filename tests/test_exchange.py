import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
from datasets import Dataset, disable_progress_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from data.__main__ import main
from data.codebook import Codebook, load_codebook
from data.exchange import FORMATS, Format, export_records, import_records, write_records
from data.records import CorpusError, Record, read_records, record_model
from data.splits import SPLITS

disable_progress_bars()

CODEBOOK = load_codebook()
MODEL = record_model(CODEBOOK)

# What breaks naive files: quotes, separators, all kinds of line break, byte order mark, astral.
awkward = st.text(
    st.one_of(
        st.sampled_from("\"',;\t\n\r\x00\\\ufeff\u2028\u0085 🛰"), st.characters(codec="utf-8")
    )
)
names = awkward.filter(lambda text: text.strip() != "")
spans = st.none() | st.integers(0, 2**40).flatmap(
    lambda start: st.tuples(st.just(start), st.integers(start + 1, 2**41))
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    span = draw(spans)
    fields = {
        "id": draw(names),
        "document": draw(names),
        "start": span and span[0],
        "end": span and span[1],
        "text": draw(names),
        "frames": draw(st.lists(st.sampled_from(CODEBOOK.frames), unique=True)),
        "date": draw(st.none() | st.dates().map(str) | st.just("1999") | st.just("1999-12")),
        "annotators": draw(st.none() | st.integers(0, 9)),
        "split": draw(st.none() | st.sampled_from(SPLITS)),
    }
    fields |= {name: draw(awkward) for name in ("source", "genre", "lang", "annotator", "note")}
    return MODEL.model_validate(fields | {key: draw(st.booleans()) for key in CODEBOOK.voices})


@pytest.mark.parametrize("tool", FORMATS)
@settings(max_examples=25, deadline=None)
@given(st.lists(records(), max_size=4, unique_by=lambda record: record.id))
def test_every_field_survives_there_and_back(tool: Format, given_records: list[Record]) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "deep" / "labels"
        export_records(given_records, CODEBOOK, tool, out)
        back = import_records(out, CODEBOOK, tool)
    dumps = [record.model_dump() for record in back]
    if tool == "datasets":
        given_records.sort(key=lambda record: SPLITS.index(record.effective_split))
    assert dumps == [record.model_dump() for record in given_records]


@settings(max_examples=25, deadline=None)
@given(st.lists(records(), max_size=4, unique_by=lambda record: record.id))
def test_the_corpus_format_reads_as_it_was_written(given_records: list[Record]) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "labels.jsonl"
        write_records(given_records, out)
        lines = out.read_bytes().decode().split("\n")[:-1]
    back = [MODEL.model_validate_json(line).model_dump() for line in lines]
    assert back == [record.model_dump() for record in given_records]


def test_the_labeling_interface_offers_the_codebooks_labels(
    tmp_path: Path, codebook: Codebook
) -> None:
    export_records([], codebook, "label-studio", tmp_path / "tasks.json")
    view = ElementTree.parse(tmp_path / "tasks.xml").getroot()
    text = view.find("Text")
    assert text is not None
    assert text.get("value") == "$text"
    found = {
        choices.get("name"): tuple(choice.get("alias") for choice in choices)
        for choices in view.findall("Choices")
        if choices.get("toName") == text.get("name") and choices.get("choice") == "multiple"
    }
    assert found == {"frames": codebook.frames, "voices": codebook.voices}


def choices(name: str, *keys: str) -> dict[str, Any]:
    return {
        "id": "Zr3",
        "type": "choices",
        "origin": "manual",
        "from_name": name,
        "to_name": "text",
        "value": {"choices": list(keys)},
    }


def test_label_studio_gives_one_record_for_each_person(tmp_path: Path, codebook: Codebook) -> None:
    known = {"id": "p-1", "document": "p", "text": "No one is ringed.", "lang": "en", "url": "x"}
    known |= {"annotator": "author-1", "note": "the author's", "split": "test"}
    people = [
        {"id": 1, "completed_by": {"id": 7, "email": "ana@example.org"}, "result": []},
        {
            "id": 2,
            "completed_by": 8,
            "was_cancelled": False,
            "result": [choices("frames", "denial", "encirclement"), choices("voices", "rebutted")],
        },
        {"id": 3, "completed_by": 9, "was_cancelled": True, "result": []},
    ]
    tasks = [
        {"id": 41, "project": 3, "data": known, "annotations": people, "predictions": []},
        {"id": 42, "data": {"text": "Not labeled yet."}, "annotations": []},
        {"id": 43, "data": {"text": "Fresh."}, "annotations": [{"completed_by": 8, "result": []}]},
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(tasks))
    ana, eight, fresh = import_records(file, codebook, "label-studio")
    assert (ana.id, ana.annotator, ana.frames) == ("p-1-ana@example.org", "ana@example.org", [])
    assert (eight.id, eight.annotator, eight.frames) == (
        "p-1-user-8",
        "user-8",
        ["denial", "encirclement"],
    )
    assert (eight.voice("rebutted"), ana.voice("rebutted")) == (True, False)
    assert (eight.document, eight.split, eight.note) == ("p", "test", "")
    assert fresh.id == "task-43-user-8"


def test_doccano_gives_each_line_to_the_person_whose_file_it_is(
    tmp_path: Path, codebook: Codebook
) -> None:
    meta = {"id": "p-1", "document": "p", "annotator": "author-1", "color": "red"}
    lines = [
        {"id": 5, "text": "We deny it.", "meta": meta, "label": ["denial", "attributed"]},
        {"id": 6, "text": "The talks go on.", "label": [], "Comments": []},
    ]
    file = tmp_path / "bea.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    one, other = import_records(file, codebook, "doccano")
    assert (one.id, one.annotator, one.document, one.frames) == ("p-1-bea", "bea", "p", ["denial"])
    assert (one.voice("attributed"), one.voice("rebutted")) == (True, False)
    assert (other.id, other.frames) == ("example-6-bea", [])


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path, codebook: Codebook) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        "\ufefftext,id,frames,attributed,rebutted,start,end,date\r\n"
        '"Two\r\nlines, one ""cell""",a-1,denial hegemony,TRUE,0,0,23,\r\n',
        newline="",
    )
    (record,) = import_records(file, codebook, "csv")
    assert record.text == 'Two\r\nlines, one "cell"'
    assert (record.frames, record.start, record.end) == (["denial", "hegemony"], 0, 23)
    assert (record.voice("attributed"), record.voice("rebutted")) == (True, False)
    assert (record.date, record.lang) == (None, "en")


def test_a_dataset_without_a_column_for_it_keeps_its_split(
    tmp_path: Path, codebook: Codebook
) -> None:
    row = {"id": "a-1", "text": "It is dull.", "frames": [], "attributed": False, "rebutted": False}
    Dataset.from_list([row]).save_to_disk(tmp_path / "set" / "test")
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["test"]}')
    (record,) = import_records(tmp_path / "set", codebook, "datasets")
    assert record.split == "test"


WRONG = {
    "label-studio": (
        [
            {"data": {"id": "a"}, "annotations": [{"result": []}]},
            {"data": {"text": "t"}, "annotations": [{"result": [choices("frames", "denal")]}]},
            {"annotations": []},
            {"data": {"text": "t"}, "annotations": [{"result": [{"type": "choices"}]}]},
        ],
        [(1, "text"), (2, "frames"), (3, "data"), (4, "annotations")],
    ),
    "doccano": (
        [
            {"text": "t", "label": ["denal"]},
            {"label": []},
            {"id": 1, "text": "t", "label": "denial"},
            {"text": "t", "meta": {"id": "a", "date": "May"}},
            {"text": "t", "meta": {"id": "b"}},
            {"text": "t", "meta": {"id": "b"}},
        ],
        [(1, "frames"), (2, "text"), (3, "label"), (4, "date"), (6, "id")],
    ),
    "csv": (
        "id,text,frames,attributed,rebutted,start,color\n"
        "a,t,denal,1,0,,\nb,t,,maybe,0,,\nc,t,,1,0,x,\nd,t,,1,0,,red\n",
        [(2, "frames"), (3, "attributed"), (4, "start"), (5, "color")],
    ),
}


@pytest.mark.parametrize("tool", WRONG)
def test_every_problem_is_told_with_its_place(
    tool: Format, tmp_path: Path, codebook: Codebook
) -> None:
    content, expected = WRONG[tool]
    if tool == "doccano":
        content = "\n".join(map(json.dumps, content))
    elif tool == "label-studio":
        content = json.dumps(content)
    file = tmp_path / "wrong"
    file.write_text(str(content))
    with pytest.raises(CorpusError) as caught:
        import_records(file, codebook, tool)
    found = [(p.line, p.field.split(".")[0]) for p in caught.value.problems]
    assert list(dict.fromkeys(found)) == expected
    assert all(str(p).startswith(f"{file}:{p.line}: {p.field}: ") for p in caught.value.problems)


@pytest.mark.parametrize(
    ("tool", "content"),
    [
        ("label-studio", b'{"data": '),
        ("label-studio", b'{"data": {}}'),
        ("label-studio", b"[\xff]"),
        ("doccano", b"\xff\n"),
        ("csv", b"id,text\n1,secret,3\n"),
        ("csv", b""),
        ("csv", b"id,text\n1,\xff\n"),
        ("parquet", b"secret"),
    ],
)
def test_a_file_of_another_kind_is_refused_without_its_text(
    tool: Format, content: bytes, tmp_path: Path, codebook: Codebook
) -> None:
    file = tmp_path / "wrong"
    file.write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        import_records(file, codebook, tool)
    assert "secret" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_commands_write_what_the_corpus_reads(
    tmp_path: Path, codebook: Codebook, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = Path("data/corpus/seed")
    tasks = tmp_path / "tasks.json"
    assert main(["export", str(seed), "--to", "label-studio", "--out", str(tasks)]) == 0
    back = tmp_path / "back.jsonl"
    assert main(["import", str(tasks), "--from", "label-studio", "--out", str(back)]) == 0
    for text in seed.glob("*.txt"):
        (tmp_path / text.name).write_bytes(text.read_bytes())
    read = [record.model_dump() for record in read_records([back], codebook)]
    assert read == [record.model_dump() for record in read_records([seed], codebook)]
    tasks.write_text("[]]")
    assert main(["import", str(tasks), "--from", "label-studio", "--out", str(back)]) == 1
    assert f"{tasks}:1: file: " in capsys.readouterr().err
    gone = str(tmp_path / "gone")
    assert main(["import", gone, "--from", "csv", "--out", str(back)]) == 2
    assert gone in capsys.readouterr().err
    assert main(["import", gone, "--from", "semeval2023", "--out", str(back)]) == 2
    assert "--mapping" in capsys.readouterr().err
