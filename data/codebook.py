"""The codebook: the versioned list of labels and what each of them means."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

DEFAULT_PATH = Path(__file__).parent / "codebook.yaml"


class CodebookError(ValueError):
    """The codebook file cannot be used; the message says where and why."""


class Example(BaseModel):
    """A passage that shows the label, or shows what does not carry it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)
    present: bool


class Label(BaseModel):
    """One label: a frame, or a voice in which a passage speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["frame", "voice"]
    name: str
    definition: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    examples: tuple[Example, ...] = ()


class Codebook(BaseModel):
    """All labels in their fixed order, which is the order of every score array."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    language: str
    unit: str
    principles: tuple[str, ...]
    labels: tuple[Label, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        if len(set(self.keys)) != len(self.keys):
            raise ValueError("two labels share a key")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all labels."""
        return tuple(label.key for label in self.labels)

    @property
    def frames(self) -> tuple[str, ...]:
        """Keys of the frames."""
        return tuple(label.key for label in self.labels if label.kind == "frame")

    @property
    def voices(self) -> tuple[str, ...]:
        """Keys of the voices."""
        return tuple(label.key for label in self.labels if label.kind == "voice")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content, independent of the YAML's layout."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_codebook(path: Path = DEFAULT_PATH) -> Codebook:
    """Read a codebook. Raises `CodebookError` if the file does not describe one."""
    try:
        return Codebook.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise CodebookError(f"{path}: {error}") from error
