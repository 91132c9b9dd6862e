"""Fields of records to be, as a reader of some other format finds them, into checked records."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from data.codebook import Codebook
from data.records import CorpusError, Problem, Record, record_model, repeated_id, schema_problems


class Row(NamedTuple):
    """Fields of one record; `number` is the line, row or task of the file that they stand in.

    A reader yields a `Problem` in place of a row that it cannot make out.
    """

    file: Path
    number: int
    fields: dict[str, Any]


def checked_records(
    rows: Iterable[Row | Problem], codebook: Codebook, *, strict: bool = True
) -> list[Record]:
    """Validate every row; a field that is None takes its default.

    With `strict` off, numbers and truth values may be written as text, as a CSV file has them.
    Raises `CorpusError` with all problems: the reader's, the records', and ids used twice.
    """
    model = record_model(codebook)
    records: list[Record] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for row in rows:
        if isinstance(row, Problem):
            problems.append(row)
            continue
        file, number, fields = row
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            record = model.model_validate(given, strict=strict)
        except ValidationError as error:
            problems += schema_problems(error, file, number, "record")
            continue
        problems += repeated_id(record.id, file, number, seen)
        records.append(record)
    if problems:
        raise CorpusError(sorted(problems))
    return records


def labels_fields(labels: Iterable[str], codebook: Codebook) -> dict[str, Any]:
    """The record's fields for a plain list of labels, frames and voices mixed.

    A label that is no voice counts as a frame, so that the record's check names an unknown one.
    """
    given = list(labels)
    voices = {key: key in given for key in codebook.voices}
    return {"frames": [key for key in given if key not in voices], **voices}


def foreign_text(file: Path) -> str:
    """A text file as it is stored, without a byte order mark. Raises `CorpusError` if not UTF-8."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            [Problem(file, 1, "file", f"not valid UTF-8 ({error.reason})")]
        ) from error
