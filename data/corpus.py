"""The corpus as training and evaluation see it: a `datasets.DatasetDict`."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, List, Value

from data.codebook import Codebook
from data.records import Record, canonical_json, read_records
from data.splits import SPLITS

DEFAULT_PATHS = (Path(__file__).parent / "corpus",)


def load_corpus(codebook: Codebook, paths: Iterable[Path] = DEFAULT_PATHS) -> DatasetDict:
    """Read corpus files into one dataset a split.

    Each row has `id, document, start, end, text, frames, source, genre, date, lang, annotator,
    note` and `labels`, a multi-hot vector in the codebook's order. Raises `CorpusError`.
    """
    return to_dataset_dict(read_records(paths, codebook), codebook)


def to_dataset_dict(records: Sequence[Record], codebook: Codebook) -> DatasetDict:
    """One dataset for each split, empty ones included."""
    features = Features(
        {name: Value("string") for name in ("id", "document", "text", "source", "genre")}
        | {name: Value("string") for name in ("date", "lang", "annotator", "note")}
        | {"start": Value("int64"), "end": Value("int64"), "frames": List(Value("string"))}
        | {"labels": List(Value("float32"))}
    )
    rows = {
        split: [_row(r, codebook) for r in records if r.effective_split == split]
        for split in SPLITS
    }
    columns = {
        split: {name: [row[name] for row in rows[split]] for name in features} for split in SPLITS
    }
    return DatasetDict(
        {split: Dataset.from_dict(columns[split], features=features) for split in SPLITS}
    )


def _row(record: Record, codebook: Codebook) -> dict[str, object]:
    fields = ("id", "start", "end", "text", "frames", "source", "genre", "date", "lang")
    row: dict[str, object] = {name: getattr(record, name) for name in fields}
    row |= {"document": record.document_id, "annotator": record.annotator, "note": record.note}
    return row | {"labels": record.multi_hot(codebook)}


def corpus_fingerprint(records: Iterable[Record]) -> str:
    """SHA-256 over all records, the same for the same records in any order of files."""
    digest = hashlib.sha256()
    for line in sorted(map(canonical_json, records)):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
