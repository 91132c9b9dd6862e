"""What the commands are given: models by name, and labeled passages."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.codebook import Codebook
from data.corpus import DEFAULT_PATHS
from data.records import Record, read_records
from data.splits import SPLITS
from eval.metrics import Bools
from models import registry
from models.bundle import bundle_sha256


class InputError(ValueError):
    """What a command was given cannot be used; the message says what, and why."""


def bundle_folder(model: str) -> Path:
    """The folder of a bundle given as a path, a version, or `promoted`."""
    if Path(model).is_dir():
        return Path(model)
    return registry.path(registry.promoted() if model == "promoted" else model)


def promoted_bundle(other_than: Path) -> Path | None:
    """The promoted bundle's folder, or where it is this very bundle the one promoted before it.

    None if there is no such. Raises `RegistryError` where the promoted version is gone.
    """
    if not registry.promotions():
        return None
    *earlier, latest = registry.promotions()
    here, there = bundle_sha256(other_than), registry.versions()
    candidates = [latest, *(version for version in reversed(earlier) if version in there)]
    folders = map(registry.path, candidates)
    return next((folder for folder in folders if bundle_sha256(folder) != here), None)


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say which passages to score, for `chosen_records`."""
    passages = parser.add_mutually_exclusive_group()
    passages.add_argument("--corpus", nargs="+", type=Path, help="files to score whole")
    passages.add_argument("--split", choices=SPLITS, default="test", help="of the training corpus")
    parser.add_argument(
        "--training", nargs="+", type=Path, default=DEFAULT_PATHS,
        help="the corpus that splits and baselines come from; the project's if not given",
    )  # fmt: skip


def chosen_records(args: argparse.Namespace, codebook: Codebook) -> tuple[list[Record], str]:
    """The passages that the options ask for, and a name for them. Raises if there are none."""
    if args.corpus:
        records, name = read_records(args.corpus, codebook), ", ".join(p.name for p in args.corpus)
    else:
        records = of_split(read_records(args.training, codebook), args.split)
        name = f"the {args.split} split"
    if not records:
        raise InputError(f"{name}: there is no passage to score.")
    return records, name


def of_split(records: Sequence[Record], split: str) -> list[Record]:
    """The records of one split."""
    return [record for record in records if record.effective_split == split]


def texts_and_truth(records: Sequence[Record], codebook: Codebook) -> tuple[list[str], Bools]:
    """Passages and their labels, shape (passages, labels)."""
    rows = [record.multi_hot(codebook) for record in records]
    return [r.text for r in records], np.array(rows).reshape(-1, len(codebook.keys)) > 0.5
