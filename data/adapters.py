"""Corpora that users bring themselves, read as they are handed out.

EUvsDisinfo (Leite et al. 2024), SemEval-2023 task 3 and SemEval-2025 task 10 are not ours to
ship, and their labels are not our frames: a mapping file says which of their labels counts as
which frames. None of them knows voices; all voices are absent.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ConfigDict, ValidationError, create_model

from data.codebook import Codebook
from data.exchange import csv_table
from data.passages import split_passages
from data.records import CorpusError, Problem, Record, frame_type, schema_problems
from data.rows import Row, checked_records, foreign_text, labels_fields

Corpus = Literal["euvsdisinfo", "semeval2023", "semeval2025"]
CORPORA: tuple[Corpus, ...] = get_args(Corpus)

Mapping = dict[str, list[str]]
"""Their label to our frames; an empty list says that the label is none of them."""

_EUVSDISINFO = (
    "debunk_id",
    "keywords",
    "article_id",
    "article_publisher",
    "article_language",
    "article_text",
    "debunk_date",
    "class",
)
# SemEval-2023 names languages in its own way.
_LANGUAGES = {"ge": "de", "po": "pl", "gr": "el"}
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


@dataclass(frozen=True)
class Adapted:
    """The records, and how often each of the corpus's labels was and was not in the mapping."""

    records: list[Record]
    mapped: Counter[str]
    unmapped: Counter[str]


def read_mapping(file: Path, codebook: Codebook) -> Mapping:
    """Read a TOML file whose table `labels` gives for each of their labels a list of frames.

    Raises `CorpusError`.
    """
    frame: Any = frame_type(codebook)
    labels = (dict[str, list[frame]], ...)
    model = create_model("Mapping", __config__=ConfigDict(extra="forbid"), labels=labels)
    try:
        return dict(model.model_validate(tomllib.loads(foreign_text(file))).model_dump()["labels"])
    except tomllib.TOMLDecodeError as error:
        raise CorpusError([Problem(file, 1, "file", f"not valid TOML ({error})")]) from error
    except ValidationError as error:
        raise CorpusError(schema_problems(error, file, 1, "mapping")) from error


def adapt(path: Path, codebook: Codebook, corpus: Corpus, mapping: Mapping) -> Adapted:
    """Read a corpus, or one of its label files, with the frames that its labels are mapped to.

    A label that is not mapped stands for no frame. Raises `CorpusError` with all problems,
    `FileNotFoundError` if no label file is there.
    """
    rows: list[Row | Problem]
    match corpus:
        case "euvsdisinfo":
            rows = list(_euvsdisinfo(path))
        case "semeval2023":
            rows = list(_semeval2023(_label_files(path, "*-labels-subtask-[23].txt")))
        case "semeval2025":
            rows = list(_semeval2025(_label_files(path, "subtask-[12]-annotations.txt")))
    counts = Counter(
        label for row in rows if isinstance(row, Row) for label in row.fields["labels"]
    )
    return Adapted(
        checked_records((_with_frames(row, mapping, codebook) for row in rows), codebook),
        Counter({label: n for label, n in counts.items() if label in mapping}),
        Counter({label: n for label, n in counts.items() if label not in mapping}),
    )


def _with_frames(row: Row | Problem, mapping: Mapping, codebook: Codebook) -> Row | Problem:
    """The row with frames, and voices that are all absent, in place of the corpus's `labels`."""
    if isinstance(row, Problem):
        return row
    labels = row.fields["labels"]
    frames = dict.fromkeys(frame for label in labels for frame in mapping.get(label, []))
    kept = {name: value for name, value in row.fields.items() if name != "labels"}
    return row._replace(fields=kept | labels_fields(frames, codebook))


def _euvsdisinfo(file: Path) -> Iterator[Row]:
    """A row an article: its labels are its `class` and its debunk's keywords.

    Articles of one debunk share a document, so that they stand in one split. An article whose
    text could not be collected is left out.
    """
    table = csv_table(file, _EUVSDISINFO)
    missing = [name for name in _EUVSDISINFO if name not in table.column_names]
    if missing:
        reason = "no such column; the published file has links only, so collect the texts first"
        raise CorpusError([Problem(file, 1, name, reason) for name in missing])
    for number, cells in enumerate(table.to_pylist(), 2):
        get = {name: (cells[name] or "").strip() for name in _EUVSDISINFO}
        if not get["article_text"]:
            continue
        language = get["article_language"].lower()
        date = re.sub(r"^(\d\d)-(\d\d)-(\d{4})$", r"\3-\2-\1", get["debunk_date"])
        fields = {
            "id": f"euvsdisinfo-{get['article_id']}",
            "document": f"euvsdisinfo-{get['debunk_id']}",
            "text": get["article_text"],
            "labels": _listed(f"{get['class']},{get['keywords']}", ","),
            "source": get["article_publisher"],
            "date": date or None,
            # Names of languages; the corpus's other records have codes.
            "lang": "en" if language == "english" else language,
            "annotator": "euvsdisinfo",
        }
        yield Row(file, number, fields)


def _semeval2023(files: Sequence[Path]) -> Iterator[Row | Problem]:
    """A row an article (subtask 2: frames) or a paragraph (subtask 3: persuasion techniques)."""
    for file in files:
        part, _, subtask = file.stem.partition("-labels-")
        folder = file.with_name(f"{part}-articles-{subtask}")
        for number, cells in _cells(file, 3 if subtask == "subtask-3" else 2):
            *place, labels = cells
            try:
                text = _article(folder / f"article{place[0]}.txt")
                if len(place) > 1:
                    text = _paragraph(text, place[1])
            except LookupError as error:
                yield Problem(file, number, "article", str(error.args[0]))
                continue
            fields = {
                "id": "-".join(["semeval2023", subtask, *place]),
                "document": f"semeval2023-{place[0]}",
                "text": text,
                "labels": _listed(labels, ","),
                "source": "semeval2023",
                "lang": _language(file.parent),
                "annotator": "semeval2023",
                "split": _SPLITS.get(part),
            }
            yield Row(file, number, fields)


def _semeval2025(files: Sequence[Path]) -> Iterator[Row | Problem]:
    """A row an entity's mention (subtask 1: roles) or an article (subtask 2: narratives).

    A mention's row is the passage around it. Its labels are its main role and each
    `main role/fine-grained role`; an article's are its narratives and its subnarratives.
    """
    for file in files:
        subtask = file.stem.removesuffix("-annotations")
        folders = [file.with_name(name) for name in (f"{subtask}-documents", "raw-documents")]
        folder = next((folder for folder in folders if folder.is_dir()), folders[-1])
        for number, cells in _cells(file, 5 if subtask == "subtask-1" else 3):
            article, *rest = cells
            document = f"semeval2025-{Path(article).stem}"
            try:
                text = _article(folder / article)
                if subtask == "subtask-1":
                    mention, start, end, role, *fine = rest
                    fields: dict[str, Any] = {
                        "id": f"{document}-{start}-{end}",
                        "text": _passage_at(text, start, end),
                        "labels": [role, *(f"{role}/{label}" for label in fine if label)],
                        "note": f"mention: {mention}",
                    }
                else:
                    labels = [label for cell in rest for label in _listed(cell, ";")]
                    fields = {"id": document, "text": text, "labels": labels}
            except LookupError as error:
                yield Problem(file, number, "article", str(error.args[0]))
                continue
            fields |= {"document": document, "source": "semeval2025"}
            fields |= {"lang": _language(file.parent), "annotator": "semeval2025"}
            yield Row(file, number, fields)


def _label_files(path: Path, pattern: str) -> list[Path]:
    """The label file itself, or all of a folder that are named so; `FileNotFoundError` if none."""
    files = [path] if path.is_file() else sorted(path.rglob(pattern))
    files = [file for file in files if not file.name.startswith("article")]
    if not files:
        raise FileNotFoundError(f"{path}: no label file here; looked for {pattern}")
    return files


def _cells(file: Path, least: int) -> Iterator[tuple[int, list[str]]]:
    """The tab-separated cells of each line that is not empty; cells that are missing are empty."""
    for number, line in enumerate(foreign_text(file).split("\n"), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if any(cells):
            yield number, cells + [""] * (least - len(cells))


def _listed(cell: str, mark: str) -> list[str]:
    return [label.strip() for label in cell.split(mark) if label.strip()]


def _language(folder: Path) -> str:
    """The code that the folder is named after; `und` (undetermined) if it is not."""
    code = folder.name.lower()
    return _LANGUAGES.get(code, code) if len(code) == 2 else "und"


def _article(file: Path) -> str:
    """Raises `LookupError` if there is no such file."""
    if not file.is_file():
        raise LookupError(f"{file} is not there")
    return foreign_text(file)


def _paragraph(article: str, place: str) -> str:
    """The article's line of this number, counted from 1, empty ones included.

    Raises `LookupError` if there is none.
    """
    lines = article.split("\n")
    if not place.isdecimal() or not 1 <= int(place) <= len(lines):
        raise LookupError(f"{place!r} is no line of the article, which has {len(lines)}")
    return lines[int(place) - 1]


def _passage_at(text: str, start: str, end: str) -> str:
    """The passages that the mention lies in, as one. Raises `LookupError` if there are none."""
    if start.isdecimal() and end.isdecimal():
        spans = [s for s in split_passages(text) if s.start <= int(end) and int(start) < s.end]
        if spans:
            return text[spans[0].start : spans[-1].end]
    raise LookupError(f"{start!r} to {end!r} is no place in the article")
