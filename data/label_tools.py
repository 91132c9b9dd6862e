"""Label Studio's and doccano's files: passages out to people who label, and their labels back in.

What the tools do not know of a record rides along: in Label Studio in a task's `data` (it drops
a task's `meta` on import), in doccano in `meta`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from data.codebook import Codebook
from data.records import CorpusError, Problem, Record, schema_problems
from data.rows import Row, foreign_text, labels_fields

# What belongs to one annotator's labels, and so does not carry over to another's.
_OF_ANNOTATOR = ("annotator", "annotators", "note")


class _Result(BaseModel):
    type: str
    from_name: str
    value: dict[str, Any]


class _User(BaseModel):
    id: int | None = None
    email: str = ""


class _Annotation(BaseModel):
    result: list[_Result]
    completed_by: int | _User | None = None
    was_cancelled: bool = False


class _Task(BaseModel):
    id: int | None = None
    data: dict[str, Any]
    annotations: list[_Annotation] = []


class _Choices(BaseModel):
    choices: list[str]


class _Example(BaseModel):
    id: int | None = None
    text: str
    label: list[str] = Field(default_factory=list)
    meta: dict[str, Any] = Field(default_factory=dict)


def labeling_config(codebook: Codebook) -> str:
    """Label Studio's labeling interface for this codebook, as XML."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", name="text", value="$text")
    for group in ("frames", "voices"):
        ElementTree.SubElement(view, "Header", value=group.capitalize())
        choices = ElementTree.SubElement(
            view, "Choices", name=group, toName="text", choice="multiple"
        )
        for label in codebook.labels:
            if f"{label.kind}s" == group:
                # The alias is what Label Studio stores.
                ElementTree.SubElement(
                    choices, "Choice", value=label.name, alias=label.key, hint=label.definition
                )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def to_label_studio(records: Sequence[Record], codebook: Codebook) -> str:
    """A JSON array of tasks, one a record, with its labels as an annotation."""
    tasks = []
    for record in records:
        chosen = {"frames": record.frames, "voices": _voices(record, codebook)}
        result = [
            {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": keys}}
            for name, keys in chosen.items()
            if keys
        ]
        tasks.append({"data": _unlabeled(record, codebook), "annotations": [{"result": result}]})
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def from_label_studio(file: Path, codebook: Codebook) -> Iterator[Row | Problem]:
    """A row for each annotation of each task; a row's number is its task's place in the file.

    An annotation that says who completed it is that person's: their email address or number is
    the annotator, and is added to the record's id. One that does not is as `to_label_studio`
    wrote it. Skipped (canceled) annotations and tasks without any give nothing. Raises
    `CorpusError` if the file is no list of tasks.
    """
    text = foreign_text(file)
    try:
        tasks = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(file, error.lineno, "file", f"not valid JSON ({error.msg})")
        raise CorpusError([problem]) from error
    if not isinstance(tasks, list):
        reason = "not a JSON array of tasks; export as JSON, not as JSON-MIN or CSV"
        raise CorpusError([Problem(file, 1, "file", reason)])
    for number, value in enumerate(tasks, 1):
        try:
            task = _Task.model_validate(value)
            for annotation in task.annotations:
                if not annotation.was_cancelled:
                    yield Row(file, number, _annotation_fields(task, annotation, number, codebook))
        except ValidationError as error:
            yield from schema_problems(error, file, number, "task")


def _annotation_fields(
    task: _Task, annotation: _Annotation, number: int, codebook: Codebook
) -> dict[str, Any]:
    labels = [
        key
        for result in annotation.result
        if result.type == "choices" and result.from_name in ("frames", "voices")
        for key in _Choices.model_validate(result.value).choices
    ]
    known = {"id": f"task-{task.id or number}"} | _known(task.data)
    match annotation.completed_by:
        case None:
            person = ""
        case int(user):
            person = f"user-{user}"
        case _User(id=user, email=email):
            person = email or f"user-{user}"
    return (_by(person, known) if person else known) | labels_fields(labels, codebook)


def to_doccano(records: Sequence[Record], codebook: Codebook) -> str:
    """JSON Lines for a doccano project of text classification, one example a record."""
    lines = []
    for record in records:
        meta = _unlabeled(record, codebook)
        labels = [*record.frames, *_voices(record, codebook)]
        example = {"text": meta.pop("text"), "label": labels, "meta": meta}
        lines.append(json.dumps(example, ensure_ascii=False) + "\n")
    return "".join(lines)


def from_doccano(file: Path, codebook: Codebook) -> Iterator[Row | Problem]:
    """A row for each line.

    doccano numbers the examples that it exports, and writes one file for each person, named
    after them, or `all.jsonl` where they label together. So an example with a number is that
    person's, and their name is added to the record's id; one without is as `to_doccano` wrote
    it. Raises `CorpusError` if the file is not UTF-8.
    """
    examples = TypeAdapter(_Example)
    for number, line in enumerate(foreign_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            example = examples.validate_json(line)
        except ValidationError as error:
            yield from schema_problems(error, file, number, "example")
            continue
        known = {"id": f"example-{example.id or number}"} | _known(example.meta)
        if example.id is not None:
            known = _by(file.stem, known)
        labels = labels_fields(example.label, codebook)
        yield Row(file, number, known | {"text": example.text} | labels)


def _by(person: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The passage's fields with this person as its annotator."""
    kept = {name: value for name, value in fields.items() if name not in _OF_ANNOTATOR}
    return kept | {"id": f"{fields['id']}-{person}", "annotator": person}


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """Only what a record holds: people keep columns of their own in these tools."""
    return {name: fields[name] for name in Record.model_fields if name in fields}


def _unlabeled(record: Record, codebook: Codebook) -> dict[str, Any]:
    """All fields but the labels; those that are None are left out."""
    return record.model_dump(exclude={"frames", *codebook.voices}, exclude_none=True)


def _voices(record: Record, codebook: Codebook) -> list[str]:
    return [key for key in codebook.voices if record.voice(key)]
