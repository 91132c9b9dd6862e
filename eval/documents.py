"""Whole documents: rebuilt from the corpus, or read from a file of their own."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)

from data.codebook import Codebook
from data.records import (
    CorpusError,
    Name,
    Problem,
    Record,
    corpus_files,
    document_text,
    frame_type,
    schema_problems,
)


@dataclass(frozen=True)
class Document:
    """A document, its frames, and where each is: spans or starts, in code points.

    `evidence` has every frame of the codebook, or is None where nobody marked passages.
    """

    id: str
    text: str
    frames: tuple[str, ...]
    evidence: dict[str, tuple[int | tuple[int, int], ...]] | None


def rebuild_documents(
    records: Sequence[Record], paths: Iterable[Path], codebook: Codebook
) -> list[Document]:
    """The documents of all records with offsets; a document has its passages' frames together.

    `paths` are what the records were read from: a document's text is a file beside theirs. Of
    files of one name, the first that holds all the passages where they should be is taken.
    """
    of_document: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.start is not None:
            of_document[record.document].append(record)
    folders = list(dict.fromkeys(file.parent for file in corpus_files(paths)))
    found = []
    for name, passages in of_document.items():
        texts = (document_text(f / name) for f in folders if (f / name).is_file())
        text = next(t for t in texts if all(t[r.start : r.end] == r.text for r in passages))
        evidence = {
            frame: tuple((r.start, r.end) for r in passages if frame in r.frames)
            for frame in codebook.frames
        }
        frames = tuple(frame for frame in codebook.frames if evidence[frame])
        found.append(Document(name, text, frames, evidence))  # type: ignore[arg-type]
    return found


def documents_sha256(documents: Iterable[Document]) -> str:
    """SHA-256 over all documents and their labels, in whatever order they stand."""
    lines = sorted(json.dumps(asdict(document)) for document in documents)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Row(BaseModel):
    """A line of a documents file; the frames' types are made from the codebook."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Name
    text: Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
    frames: list[str]
    evidence_starts: dict[str, list[int]] | None = None
    source: str = ""
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")] | None = None


def read_documents(file: Path, codebook: Codebook) -> list[Document]:
    """Read `{id, text, frames, evidence_starts?, source, date}`, one document a line of JSON.

    `evidence_starts` gives, for each of the document's frames, where the passages that carry it
    start. Raises `CorpusError` with all problems, or `FileNotFoundError`.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no documents here; give a .jsonl file")
    model = _row_model(codebook)
    problems: list[Problem] = []
    documents: dict[str, Document] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = model.model_validate_json(line)
        except ValidationError as error:
            problems += schema_problems(error, file, number, "document")
            continue
        reason = _evidence_fault(row)
        if reason:
            problems.append(Problem(file, number, "evidence_starts", reason))
        if row.id in documents:
            problems.append(Problem(file, number, "id", f"{row.id!r} stands in the file twice"))
        starts = row.evidence_starts
        documents[row.id] = Document(
            row.id,
            row.text,
            tuple(frame for frame in codebook.frames if frame in row.frames),
            None
            if starts is None
            else {frame: tuple(starts.get(frame, ())) for frame in codebook.frames},
        )
    if problems:
        raise CorpusError(sorted(problems))
    return list(documents.values())


def _row_model(codebook: Codebook) -> type[_Row]:
    frame: Any = frame_type(codebook)
    start: Any = Annotated[int, Field(ge=0)]
    evidence: Any = dict[frame, list[start]] | None
    return create_model(
        "Document", __base__=_Row, frames=(list[frame], ...), evidence_starts=(evidence, None)
    )


def _evidence_fault(row: _Row) -> str:
    for frame, starts in (row.evidence_starts or {}).items():
        if starts and frame not in row.frames:
            return f"{frame!r} has starts and is not among the frames"
        beyond = [start for start in starts if start >= len(row.text)]
        if beyond:
            return f"{beyond[0]} lies beyond the text's {len(row.text)} characters"
    return ""
