"""Reading what bulk scoring scores: documents in order, a chunk at a time, never a whole file."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet
from pydantic import ValidationError

from serving.schemas import Document

KINDS = (".parquet", ".jsonl", ".csv")


class BulkError(ValueError):
    """The input cannot be scored, or not with this output; the message says where and why."""


def files(source: Path) -> list[Path]:
    """The files to read, in order. Raises `BulkError` if there is none."""
    if source.is_dir():
        found = sorted(source.glob("*.txt"))
        if not found:
            raise BulkError(f"{source} holds no .txt file.")
        return found
    if not source.is_file():
        raise BulkError(f"{source} is neither a file nor a folder.")
    if source.suffix not in KINDS:
        raise BulkError(f"{source} is not one of {', '.join(KINDS)}, nor a folder of .txt files.")
    return [source]


def fingerprint(source: Path) -> str:
    """A hash of the names and contents of everything to read."""
    digest = hashlib.sha256()
    for file in files(source):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.name} {content}\n".encode())
    return digest.hexdigest()


def documents(source: Path) -> Iterator[Document]:
    """All documents in order. Raises `BulkError` naming the row and field of the first bad one."""
    for where, row in _rows(source):
        try:
            document = (
                Document.model_validate_json(row)
                if isinstance(row, bytes)
                else Document.model_validate(row)
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "the row"
            message = first["msg"][0].lower() + first["msg"][1:]
            raise BulkError(f"{where}: {field}: {message}.") from None
        yield document


def _rows(source: Path) -> Iterator[tuple[str, bytes | dict[str, object]]]:
    """Each row with the place to name if it is bad."""
    match source.suffix:
        case ".parquet":
            yield from _parquet_rows(source)
        case ".jsonl":
            with source.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield f"{source}, line {number}", line
        case ".csv":
            yield from _csv_rows(source)
        case _:
            for file in files(source):
                try:
                    yield str(file), {"id": file.stem, "text": file.read_text(encoding="utf-8")}
                except UnicodeDecodeError as error:
                    raise BulkError(f"{file}: not UTF-8 at byte {error.start:,}.") from None


def _csv_rows(source: Path) -> Iterator[tuple[str, dict[str, object]]]:
    csv.field_size_limit(2**31 - 1)
    with source.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        _need_columns(source, reader.fieldnames or [])
        try:
            for number, row in enumerate(reader, 1):
                yield f"{source}, row {number}", {"id": row["id"], "text": row["text"]}
        except (UnicodeDecodeError, csv.Error) as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise BulkError(f"{source}, near line {reader.line_num}: {reason}.") from None


def _parquet_rows(source: Path) -> Iterator[tuple[str, dict[str, object]]]:
    table = _parquet(source)
    _need_columns(source, table.schema_arrow.names)
    number = 0
    for batch in table.iter_batches(batch_size=256, columns=["id", "text"]):
        for row in batch.to_pylist():
            number += 1
            yield f"{source}, row {number}", row


def _parquet(source: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(source)
    except pyarrow.ArrowInvalid as error:
        raise BulkError(f"{source} is not a Parquet file: {error}.") from None


def _need_columns(source: Path, names: Sequence[str]) -> None:
    for column in ("id", "text"):
        if column not in names:
            raise BulkError(
                f"{source} has no column {column!r}; it has {', '.join(names) or 'none'}."
            )
