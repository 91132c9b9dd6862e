"""Records out to other tools' files, and back in.

Every field of a record survives the way there and back, in each of the formats.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
from datasets import Dataset, DatasetDict, load_from_disk
from pyarrow import csv, parquet

from data.codebook import Codebook
from data.label_tools import (
    from_doccano,
    from_label_studio,
    labeling_config,
    to_doccano,
    to_label_studio,
)
from data.records import CorpusError, Problem, Record, record_model
from data.rows import Row, checked_records
from data.splits import SPLITS

Format = Literal["label-studio", "doccano", "csv", "parquet", "datasets"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export_records(records: Sequence[Record], codebook: Codebook, to: Format, out: Path) -> None:
    """Write the records to a file, or to a folder with one dataset for each split
    that has any (`datasets`).

    Label Studio's labeling interface is written beside its tasks, as `.xml`. Raises `OSError`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    match to:
        case "label-studio":
            out.write_text(to_label_studio(records, codebook), encoding="utf-8", newline="")
            out.with_suffix(".xml").write_text(labeling_config(codebook), encoding="utf-8")
        case "doccano":
            out.write_text(to_doccano(records, codebook), encoding="utf-8", newline="")
        case "csv":
            schema = _schema(codebook)
            frames = schema.get_field_index("frames")
            rows = [record.model_dump() | {"frames": " ".join(record.frames)} for record in records]
            flat = schema.set(frames, pa.field("frames", pa.string()))
            csv.write_csv(pa.Table.from_pylist(rows, schema=flat), out)
        case "parquet":
            parquet.write_table(_table(records, codebook), out)
        case "datasets":
            parts = {split: [r for r in records if r.effective_split == split] for split in SPLITS}
            # An empty dataset cannot be read back from disk.
            full = {split: Dataset(_table(part, codebook)) for split, part in parts.items() if part}
            DatasetDict(full).save_to_disk(out)


def import_records(path: Path, codebook: Codebook, source: Format) -> list[Record]:
    """Read a file or folder that `export_records` or the tool itself wrote.

    Raises `CorpusError` with all problems: a problem's line is the line, row or task that it
    stands in. Raises `OSError` if there is nothing to read.
    """
    match source:
        case "label-studio":
            return checked_records(from_label_studio(path, codebook), codebook)
        case "doccano":
            return checked_records(from_doccano(path, codebook), codebook)
        case "csv":
            return checked_records(_csv_rows(path, codebook), codebook, strict=False)
        case "parquet":
            return checked_records(_parquet_rows(path), codebook)
        case "datasets":
            return checked_records(_dataset_rows(path), codebook)


def write_records(records: Sequence[Record], out: Path) -> None:
    """Write JSON Lines, the corpus's own format; fields at their default are left out."""
    lines = [
        json.dumps(record.model_dump(exclude_defaults=True), ensure_ascii=False) + "\n"
        for record in records
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(lines), encoding="utf-8", newline="")


def csv_table(file: Path, columns: Sequence[str]) -> pa.Table:
    """A CSV file with these columns as text; an empty cell without quotes is None.

    Raises `CorpusError` with every row that is too short or too long.
    """
    problems: list[Problem] = []

    def note(row: csv.InvalidRow) -> Literal["skip"]:
        reason = f"{row.actual_columns} cells, but the header has {row.expected_columns}"
        problems.append(Problem(file, row.number, "row", reason))
        return "skip"

    try:
        table = csv.read_csv(
            file,
            # One thread, or the rows have no numbers.
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise CorpusError([_unreadable(file, "CSV", error)]) from error
    if problems:
        raise CorpusError(problems)
    return table


def _csv_rows(file: Path, codebook: Codebook) -> Iterator[Row]:
    rows = csv_table(file, _schema(codebook).names).to_pylist()
    for number, fields in enumerate(rows, 2):
        yield Row(file, number, fields | {"frames": (fields.get("frames") or "").split()})


def _parquet_rows(file: Path) -> Iterator[Row]:
    try:
        rows = parquet.read_table(file).to_pylist()
    except pa.ArrowInvalid as error:
        raise CorpusError([_unreadable(file, "Parquet", error)]) from error
    yield from (Row(file, number, fields) for number, fields in enumerate(rows, 1))


def _dataset_rows(folder: Path) -> Iterator[Row]:
    """The rows of each split; without a column `split`, a known split's name is the row's."""
    found = load_from_disk(folder)
    parts = found if isinstance(found, DatasetDict) else {"": found}
    for name, part in parts.items():
        split = {} if "split" in part.column_names or name not in SPLITS else {"split": name}
        for number, fields in enumerate(part, 1):
            yield Row(folder / name, number, {**fields, **split})


def _table(records: Sequence[Record], codebook: Codebook) -> pa.Table:
    return pa.Table.from_pylist([r.model_dump() for r in records], schema=_schema(codebook))


def _schema(codebook: Codebook) -> pa.Schema:
    """One column for each field of a record, in the record's order."""
    types: dict[str, Any] = dict.fromkeys(("start", "end", "annotators"), pa.int64())
    types |= dict.fromkeys(codebook.voices, pa.bool_()) | {"frames": pa.list_(pa.string())}
    names = record_model(codebook).model_fields
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


def _unreadable(file: Path, what: str, error: pa.ArrowInvalid) -> Problem:
    # What follows the first clause may quote the file.
    return Problem(file, 1, "file", f"no {what} file that can be read ({str(error).split(':')[0]})")
