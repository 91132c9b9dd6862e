"""Score an archive on this machine, as fast as the engine goes.

python -m serving.bulk IN OUT [--format jsonl|parquet] [--model VERSION] [--no-passages]

IN: a .parquet, .jsonl or .csv file with `id` and `text`, or a folder of .txt files. OUT: a folder
of shards with one row for each document, of the same shape as an answer over HTTP; stopped or
killed, the same command goes on where the last whole shard ends. Needs the `bulk` extra.
"""

import argparse
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow
import pyarrow.parquet
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json
from tqdm import tqdm

from data.codebook import Codebook
from models import registry
from models.bundle import BundleError, bundle_sha256
from models.classifier import Classifier
from serving.answers import Answers
from serving.bulk_input import BulkError, documents, files, fingerprint
from serving.schemas import Document

MANIFEST = "manifest.json"
SHARD_CHARS = 200_000
"""Characters from which a shard is full: what a kill loses at most, and what is held in memory."""
FORMATS = ("jsonl", "parquet")

In = TypeVar("In")
Out = TypeVar("Out")


class Terms(BaseModel):
    """What the rows of an output folder follow from; another run must not add to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    bundle_sha256: str
    input_sha256: str
    format: str
    passages: bool


def main(argv: list[str] | None = None) -> int:
    """Run the command. 0: all scored; 2: could not, and why; 130: stopped, the same goes on."""
    parser = argparse.ArgumentParser(prog="python -m serving.bulk", description=__doc__)
    parser.add_argument("source", metavar="IN", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--format", choices=FORMATS, default="jsonl")
    parser.add_argument("--model", metavar="VERSION", help="another version than the promoted")
    parser.add_argument("--passages", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args(argv)
    # Every core already has a thread that scores; the tokenizer's own would only fight them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        score(options)
    except (BulkError, BundleError, registry.RegistryError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on.", file=sys.stderr)
        return 130
    return 0


def score(options: argparse.Namespace) -> None:
    """Score all that is not scored yet. Raises `BulkError`."""
    files(options.source)
    version = options.model or registry.promoted()
    bundle = registry.path(version)
    terms = Terms(
        model=version,
        bundle_sha256=bundle_sha256(bundle),
        input_sha256=fingerprint(options.source),
        format=options.format,
        passages=options.passages,
    )
    begin(options.out, terms)
    done = finished(options.out, options.format)
    total = sum(1 for _ in documents(options.source))  # finds bad rows before the long part
    classifier = Classifier.load(bundle)
    answers = Answers(classifier)
    columns = schema(classifier.framing.codebook)

    def rows(chunk: list[Document]) -> list[dict[str, Any]]:
        predictions = classifier.predict([document.text for document in chunk])
        return [
            answers.document(document, prediction, passages=options.passages)
            for document, prediction in zip(chunk, predictions, strict=True)
        ]

    left = chunks(islice(documents(options.source), done, None))
    with tqdm(total=total, initial=done, unit=" documents", smoothing=0.1) as bar:
        for shard in one_ahead(rows, left):
            write_shard(options.out, done, shard, options.format, columns)
            done += len(shard)
            bar.update(len(shard))


def one_ahead(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """`function` of each item in order; the next item's is begun before one is handed out.

    So the cores tokenize one chunk or write up another while neither has them all.
    """
    with ThreadPoolExecutor(2) as pool:
        pending: deque[Future[Out]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def begin(out: Path, terms: Terms) -> None:
    """Write the manifest, or check that an earlier run had the same terms. Raises `BulkError`."""
    manifest = out / MANIFEST
    if manifest.is_file():
        try:
            before = Terms.model_validate_json(manifest.read_bytes())
        except ValidationError:
            raise BulkError(f"{manifest} is not of bulk scoring; choose another OUT.") from None
        changed = [name for name, value in terms if getattr(before, name) != value]
        if changed:
            raise BulkError(
                f"{out} was begun with another {' and '.join(changed)}; choose another OUT, or "
                "remove it to begin anew."
            )
        for partial in out.glob("*.partial"):
            partial.unlink()
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BulkError(f"{out} holds something else; choose another OUT.")
    out.mkdir(parents=True, exist_ok=True)
    _write_whole(manifest, (terms.model_dump_json(indent=2) + "\n").encode())


def finished(out: Path, kind: str) -> int:
    """How many documents the whole shards hold; each is named after its first and last."""
    done = 0
    for shard in sorted(out.glob(f"*.{kind}")):
        first, last = map(int, shard.stem.split("-"))
        if first != done:
            raise BulkError(f"{out} lacks the shard before {shard.name}; remove OUT to begin anew.")
        done = last
    return done


def chunks(left: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents of about `SHARD_CHARS` characters at a time."""
    chunk: list[Document] = []
    size = 0
    for document in left:
        chunk.append(document)
        size += len(document.text)
        if size >= SHARD_CHARS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def write_shard(
    out: Path, first: int, rows: list[dict[str, Any]], kind: str, columns: pyarrow.Schema
) -> None:
    """Write a shard that is either there in full or not at all."""
    shard = out / f"{first:012}-{first + len(rows):012}.{kind}"
    if kind == "jsonl":
        _write_whole(shard, b"".join(to_json(row) + b"\n" for row in rows))
    else:
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, columns), sink)
        _write_whole(shard, sink.getvalue().to_pybytes())


def schema(codebook: Codebook) -> pyarrow.Schema:
    """The columns of a Parquet shard: those of `serving.schemas.DocumentResult`."""
    text, number, whole = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    frame = pyarrow.struct(
        {"score": number, "present": pyarrow.bool_(), "threshold": number}.items()
    )
    passage = pyarrow.struct(
        {
            "start": whole,
            "end": whole,
            "frames": pyarrow.struct([(name, number) for name in codebook.frames]),
            "labels": pyarrow.list_(text),
            "voice": pyarrow.struct([(name, number) for name in codebook.voices]),
        }.items()
    )
    return pyarrow.schema(
        {
            "id": text,
            "frames": pyarrow.struct([(name, frame) for name in codebook.frames]),
            "labels": pyarrow.list_(text),
            "passages": pyarrow.list_(passage),
            "warnings": pyarrow.list_(pyarrow.struct([("code", text), ("message", text)])),
        }.items()
    )


def _write_whole(file: Path, content: bytes) -> None:
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main())
