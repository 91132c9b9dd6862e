"""The authored items of the behavioral suite, read and checked. `eval/suite` holds them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from data.codebook import Codebook
from data.records import CorpusError, Problem, schema_problems
from eval.actors import Actor, Item, Text, fits, template_faults

FOLDER = Path(__file__).parent / "suite"

ItemT = TypeVar("ItemT", bound=Item)


class Known(NamedTuple):
    """What an item may refer to: labels, and actors by key. Validation gets it as its context."""

    codebook: Codebook
    actors: dict[str, Actor]


class Labeled(Item):
    """Something with labels; each voice of the codebook is a further, required Boolean field."""

    frames: tuple[str, ...]

    @field_validator("frames")
    @classmethod
    def _are_frames(cls, frames: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _all_among(frames, _known(info).codebook.frames)
        return frames

    def carries(self, label: str) -> bool:
        """Whether the frame or the voice is there."""
        return label in self.frames or getattr(self, label, False) is True


class SwapPassage(Labeled):
    """A passage whose actors can be exchanged; its labels do not depend on them."""

    id: Text
    slots: dict[str, Literal["any", "state", "organization"]] = Field(min_length=1)
    original: dict[str, str]
    accused: tuple[str, ...]
    text: Text
    genre: Text

    @field_validator("original")
    @classmethod
    def _actors_fit(cls, original: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        slots, actors = info.data.get("slots", {}), _known(info).actors
        _all_among(original.values(), actors)
        if original.keys() != slots.keys():
            raise ValueError(f"must fill the slots {', '.join(slots)} and no other")
        if not fits([actors[original[slot]] for slot in slots], list(slots.values())):
            raise ValueError("an actor is of the wrong kind, or two share a capital")
        return original

    @field_validator("accused")
    @classmethod
    def _are_slots(cls, accused: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _all_among(accused, info.data.get("slots", {}))
        return accused

    @field_validator("text")
    @classmethod
    def _is_a_template(cls, text: str, info: ValidationInfo) -> str:
        faults = template_faults(text, list(info.data.get("slots", {})))
        if faults:
            raise ValueError("; ".join(faults))
        return text


class Topic(Labeled):
    """A passage on a frame's topic, without the frame."""

    id: Text
    text: Text
    rule: Text
    tempts: tuple[str, ...] = Field(min_length=1)
    genre: Text

    @field_validator("tempts")
    @classmethod
    def _are_absent(cls, tempts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _all_among(tempts, _known(info).codebook.frames)
        if set(tempts) & set(info.data.get("frames", ())):
            raise ValueError("names a frame that the passage carries")
        return tempts


class Side(Labeled):
    """One half of a minimal pair."""

    text: Text


class Pair(Item):
    """Two passages one edit apart, of which one carries the label `frame`, a frame or a voice."""

    id: Text
    frame: str
    genre: Text
    without: Side
    with_: Side = Field(alias="with")
    edit: Text

    @model_validator(mode="after")
    def _differ_in_the_label(self, info: ValidationInfo) -> Self:
        _all_among([self.frame], _known(info).codebook.keys)
        if self.without.carries(self.frame) or not self.with_.carries(self.frame):
            raise ValueError(f"{self.frame!r} must be in `with` and not in `without`")
        return self


@dataclass(frozen=True)
class Suite:
    """All items, each kind in the order of its file, and the SHA-256 of the files together."""

    actors: dict[str, Actor]
    swaps: tuple[SwapPassage, ...]
    topics: tuple[Topic, ...]
    pairs: tuple[Pair, ...]
    sha256: str


def load_suite(codebook: Codebook, folder: Path = FOLDER) -> Suite:
    """Read the suite. Raises `data.records.CorpusError` with all problems of all files."""
    actors_file, swaps_file, topics_file, pairs_file = files = [
        folder / f"{name}.jsonl"
        for name in ("actors", "actor_swap", "topic_without_frame", "minimal_pairs")
    ]
    problems: list[Problem] = []
    known = Known(codebook, {})
    for actor in _read(actors_file, Actor, known, problems):
        known.actors[actor.key] = actor
    voices: dict[str, Any] = dict.fromkeys(codebook.voices, (bool, ...))
    swap = create_model("SwapPassage", __base__=SwapPassage, **voices)
    topic = create_model("Topic", __base__=Topic, **voices)
    side: Any = create_model("Side", __base__=Side, **voices)
    sides: dict[str, Any] = {"without": (side, ...), "with_": (side, Field(alias="with"))}
    pair = create_model("Pair", __base__=Pair, **sides)
    suite = Suite(
        actors=known.actors,
        swaps=_read(swaps_file, swap, known, problems),
        topics=_read(topics_file, topic, known, problems),
        pairs=_read(pairs_file, pair, known, problems),
        sha256=hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
    )
    if problems:
        raise CorpusError(sorted(problems))
    return suite


def _read(
    file: Path, model: type[ItemT], known: Known, problems: list[Problem]
) -> tuple[ItemT, ...]:
    """The file's items; what is wrong with the others is added to the problems."""
    name = "key" if model is Actor else "id"
    items: dict[str, ItemT] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            item = model.model_validate_json(line, context=known)
        except ValidationError as error:
            problems += schema_problems(error, file, number, "item")
            continue
        key = getattr(item, name)
        if key in items:
            problems.append(Problem(file, number, name, f"{key!r} stands in the file twice"))
        items[key] = item
    return tuple(items.values())


def _known(info: ValidationInfo) -> Known:
    if not isinstance(info.context, Known):
        raise TypeError("the suite's items are validated with `Known` as their context")
    return info.context


def _all_among(names: Iterable[str], allowed: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among {', '.join(allowed)}")
