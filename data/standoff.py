"""Stand-off passages: the labels are here, the text elsewhere, and a hash says it is the right one.

The cache holds texts alone, each in a file named by its SHA-256. Labels always come from the
stand-off record, so that nothing in the cache can be out of date.
"""

import csv
import hashlib
import html
import io
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SUFFIX = ".standoff.jsonl"
"""What the name of a file of stand-off records ends with."""


class SourceError(ValueError):
    """A source does not give a passage; the message says why."""


class Source(NamedTuple):
    """A file: of a GitHub repository at one commit or, without these, one of the user's own."""

    repository: str | None
    commit: str | None
    path: str

    def __str__(self) -> str:
        return f"{self.repository}/{self.path}" if self.repository else self.path


class Pointer(BaseModel):
    """Where a passage's text is: `start` and `end` are code points into a file or a table's cell.

    Code points are counted after a byte-order mark, where there is one, with line endings as they
    are. `row`, from 0, and `field` name a cell of a JSON list of objects or of a CSV file with a
    header.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    path: Annotated[str, StringConstraints(min_length=1)]
    row: Annotated[int, Field(ge=0)] | None = None
    field: str | None = None
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.repository is None) != (self.commit is None):
            raise ValueError("give both repository and commit, or neither")
        if (self.row is None) != (self.field is None):
            raise ValueError("give both row and field, or neither")
        if self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be greater than start ({self.start})")
        if self.path.startswith("/") or ".." in PurePosixPath(self.path).parts:
            raise ValueError(f"path {self.path!r} must be relative and without '..'")
        return self

    @property
    def source(self) -> Source:
        """The file that the passage is in."""
        return Source(self.repository, self.commit, self.path)


@dataclass(frozen=True)
class SourceFile:
    """A source's content."""

    path: str
    text: str

    @classmethod
    def decode(cls, path: str, content: bytes) -> Self:
        """From UTF-8, with or without a byte-order mark. Raises `SourceError`."""
        try:
            return cls(path, content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise SourceError(f"it is not valid UTF-8 ({error.reason})") from error

    def passage(self, pointer: Pointer) -> str:
        """The passage as it is labeled and hashed. Raises `SourceError`."""
        text = self.text if pointer.field is None else self._cell(pointer.row, pointer.field)
        return plain_text(text[pointer.start : pointer.end])

    def _cell(self, row: int | None, field: str) -> str:
        try:
            cell = self._rows[row]
            cell = cell[field]
        except (IndexError, KeyError, TypeError) as error:
            raise SourceError(f"it has no field {field!r} in row {row}") from error
        if not isinstance(cell, str):
            raise SourceError(f"field {field!r} in row {row} is not text")
        return cell

    @cached_property
    def _rows(self) -> Any:
        try:
            if self.path.endswith(".json"):
                return json.loads(self.text)
            return list(csv.DictReader(io.StringIO(self.text, newline="")))
        except (ValueError, csv.Error) as error:
            raise SourceError(f"it cannot be read as a table ({error})") from error


def plain_text(excerpt: str) -> str:
    """HTML entities resolved, and every run of white space made one space."""
    text = " ".join(html.unescape(excerpt).split())
    # JSON can spell half a surrogate pair, which has no UTF-8 and so no hash.
    return text.encode("utf-8", "replace").decode("utf-8")


def text_sha256(text: str) -> str:
    """SHA-256 of the text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def cache_folder() -> Path:
    """Where hydrated text is: `$FRAMESCOPE_CACHE`, or `data/hydrated`, which git ignores."""
    return Path(os.environ.get("FRAMESCOPE_CACHE") or Path(__file__).parent / "hydrated")


def cached_text(cache: Path, sha256: str) -> str | None:
    """The text with this hash, or None if the cache does not have it whole."""
    try:
        content = (cache / f"{sha256}.txt").read_bytes()
    except FileNotFoundError:
        return None
    return content.decode("utf-8") if hashlib.sha256(content).hexdigest() == sha256 else None


def cache_text(cache: Path, sha256: str, text: str) -> None:
    """Keep a text, whole or not at all. Raises `SourceError` if it is not the one of the hash."""
    if text_sha256(text) != sha256 or not text:
        raise SourceError("it has changed: its text there is not what was labeled")
    partial = cache / f"{sha256}.partial"
    partial.write_bytes(text.encode("utf-8"))
    partial.replace(cache / f"{sha256}.txt")
