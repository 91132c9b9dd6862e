"""Corpus records: one labelled passage a line of JSON, checked field by field.

A file whose name ends in `.standoff.jsonl` holds stand-off records: a pointer and a hash in place
of the text, which is read from the cache that `python -m data hydrate` fills.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)

from data.codebook import Codebook
from data.splits import Split, assign_split
from data.standoff import SUFFIX, Pointer, cache_folder, cached_text

Kind = Literal["seed", "authored", "real"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Problem(NamedTuple):
    """What is wrong with one record: where it stands, which field, and why."""

    file: Path
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.reason}"


class CorpusError(ValueError):
    """Some records break the schema; `problems` holds every one of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


class Labels(BaseModel):
    """What is known of a passage besides its text.

    Each voice of the codebook is a further, required Boolean field (see `record_model`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Name
    document: Name = ""
    frames: list[str]
    source: str = ""
    genre: str = ""
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")] | None = None
    lang: str = "en"
    annotator: str = ""
    annotators: int | None = None
    split: Split | None = None
    note: str = ""

    @model_validator(mode="after")
    def _frames_differ(self) -> Self:
        if len(set(self.frames)) != len(self.frames):
            raise ValueError("a frame is listed twice")
        return self

    @property
    def document_id(self) -> str:
        """The document or scenario, or the record itself where it stands alone."""
        return self.document or self.id

    @property
    def kind(self) -> Kind:
        """Whether the passage is of the seed, by the project's writers, or published elsewhere."""
        if self.annotator == "seed":
            return "seed"
        return "authored" if self.source == "authored" else "real"

    @property
    def effective_split(self) -> Split:
        """The record's split: its own, or the one that its document hashes to."""
        return self.split or assign_split(self.document_id)

    def voice(self, key: str) -> bool:
        """Whether the passage speaks in this voice of the codebook."""
        return bool(getattr(self, key))

    def multi_hot(self, codebook: Codebook) -> list[float]:
        """1.0 for each label present, in the codebook's order."""
        return [
            float(key in self.frames if key in codebook.frames else self.voice(key))
            for key in codebook.keys
        ]


class Record(Labels):
    """A labelled passage.

    `start` and `end` are Unicode code points into the document, a text file beside the record's
    own file; a passage that belongs to no whole document has neither, and its `document` names
    the scenario it was written for.
    """

    start: Annotated[int, Field(ge=0)] | None = None
    end: Annotated[int, Field(ge=1)] | None = None
    text: Name

    @model_validator(mode="after")
    def _offsets_fit(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("give both start and end, or neither")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be greater than start ({self.start})")
        return self


class StandoffRecord(Labels):
    """A labeled passage whose text is not here."""

    pointer: Pointer
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


Labeled = TypeVar("Labeled", bound=Labels)


def frame_type(codebook: Codebook) -> Any:
    """The type of a frame's key, for pydantic: a string that the codebook has as a frame."""

    def known(frame: str) -> str:
        if frame not in codebook.frames:
            raise ValueError(f"{frame!r} is no frame; there are {', '.join(codebook.frames)}")
        return frame

    return Annotated[str, AfterValidator(known)]


def schema_problems(error: ValidationError, file: Path, line: int, whole: str) -> list[Problem]:
    """All that pydantic found in one line; `whole` names it where no field is to blame."""
    return [
        Problem(
            file,
            line,
            ".".join(map(str, e["loc"])) or whole,
            e["msg"].removeprefix("Value error, "),
        )
        for e in error.errors(include_url=False, include_input=False)
    ]


def repeated_id(name: str, file: Path, line: int, seen: dict[str, str]) -> list[Problem]:
    """A problem if the id was seen before; `seen`, by id where it stands first, is kept up."""
    if name in seen:
        return [Problem(file, line, "id", f"{name!r} is also at {seen[name]}")]
    seen[name] = f"{file}:{line}"
    return []


def record_model(codebook: Codebook) -> type[Record]:
    """`Record` with this codebook's frames as the only ones allowed and its voices as fields."""
    return _with_labels(Record, codebook)


def _with_labels(base: type[Labeled], codebook: Codebook) -> type[Labeled]:
    frame: Any = frame_type(codebook)
    voices: dict[str, Any] = dict.fromkeys(codebook.voices, (bool, ...))
    return create_model(base.__name__, __base__=base, frames=(list[frame], ...), **voices)


def corpus_files(paths: Iterable[Path]) -> list[Path]:
    """The JSON Lines files among the paths, folders searched through, in a stable order.

    Raises `FileNotFoundError` naming the path that holds none.
    """
    found: list[Path] = []
    for path in paths:
        files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise FileNotFoundError(
                f"{path}: no corpus here; give a .jsonl file or a folder of them"
            )
        found += files
    return found


def read_records(paths: Iterable[Path], codebook: Codebook) -> list[Record]:
    """Read every record of the files and folders whose text is here.

    Raises `CorpusError` with all problems of all files, not the first alone.
    """
    return with_text(read_entries(paths, codebook), codebook)


def with_text(entries: Iterable[Record | StandoffRecord], codebook: Codebook) -> list[Record]:
    """The entries as records, without the stand-off ones that are not hydrated."""
    model, cache = record_model(codebook), cache_folder()
    records = []
    for entry in entries:
        if isinstance(entry, Record):
            records.append(entry)
        elif (text := cached_text(cache, entry.sha256)) is not None:
            records.append(model(**entry.model_dump(exclude={"pointer", "sha256"}), text=text))
    return records


def read_entries(paths: Iterable[Path], codebook: Codebook) -> list[Record | StandoffRecord]:
    """Read every record of the files and folders, stand-off ones as they stand.

    Raises `CorpusError` with all problems of all files, not the first alone.
    """
    plain, standoff = record_model(codebook), _with_labels(StandoffRecord, codebook)
    records: list[Record | StandoffRecord] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    splits: dict[str, Split] = {}
    documents: dict[Path, str | None] = {}
    for file in corpus_files(paths):
        model = standoff if file.name.endswith(SUFFIX) else plain
        for number, line in _lines(file, problems):
            try:
                record: Record | StandoffRecord = model.model_validate_json(line)
            except ValidationError as error:
                problems += schema_problems(error, file, number, "record")
                continue
            records.append(record)
            problems += repeated_id(record.id, file, number, seen)
            split = splits.setdefault(record.document_id, record.effective_split)
            if record.effective_split != split:
                reason = (
                    f"{record.effective_split!r}, but other passages of this document: {split!r}"
                )
                problems.append(Problem(file, number, "split", reason))
            if isinstance(record, Record) and record.start is not None:
                reason = _offset_problem(record, file, documents)
                if reason:
                    problems.append(Problem(file, number, "start", reason))
    if problems:
        raise CorpusError(sorted(problems))
    return records


def _lines(file: Path, problems: list[Problem]) -> list[tuple[int, str]]:
    """The file's lines with their numbers; blank lines are left out."""
    lines = []
    for number, raw in enumerate(file.read_bytes().split(b"\n"), 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            problems.append(Problem(file, number, "record", f"not valid UTF-8 ({error.reason})"))
            continue
        if line.strip():
            lines.append((number, line))
    return lines


def _offset_problem(record: Record, file: Path, documents: dict[Path, str | None]) -> str:
    path = file.parent / record.document
    if path not in documents:
        documents[path] = document_text(path) if path.is_file() else None
    text = documents[path]
    if text is None:
        return f"the document {record.document!r} is not a file beside this one"
    if text[record.start : record.end] != record.text:
        return f"document[{record.start}:{record.end}] is not the passage's text"
    return ""


def document_text(path: Path) -> str:
    """A document's text exactly as stored; offsets count its line endings as they are."""
    return path.read_bytes().decode("utf-8")


def canonical_json(record: Record) -> str:
    """One line of JSON that equal records share, whatever their file's layout."""
    return json.dumps(record.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
