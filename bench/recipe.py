"""What each part of the recipe is worth: variants trained beside the default, on validation data.

python -m bench.recipe [VARIANT ...] [--share 0.25] [--seeds 1] [--out FILE]

Without a VARIANT, all of `bench.variants`. docs/recipe.md says how to read the table.
"""

import argparse
import hashlib
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import disable_progress_bars
from torch import nn
from transformers import ProgressCallback
from transformers.utils.logging import disable_progress_bar

from bench.variants import DEFAULT, NEEDS_REAL, VARIANTS, Variant
from data.codebook import Codebook, load_codebook
from data.corpus import DEFAULT_PATHS
from data.records import KINDS, CorpusError, Record, read_records
from eval.metrics import Bools, Floats, average_precision
from models.base_encoder import BaseEncoderError
from training.finetune import average, prepare_finetuning
from training.recipe import Recipe

HEADER = (
    "| variant | macro AP | authored | real | attributed | time | trained tokens |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Result:
    """One variant with one seed. Average precision is NaN where there is nothing to find."""

    macro: float
    authored: float
    real: float
    attributed: float
    seconds: float
    tokens: int


def main(argv: list[str] | None = None) -> int:
    """Print the table row by row. 0: done; 2: could not start, and why."""
    parser = argparse.ArgumentParser(prog="python -m bench.recipe", description=__doc__)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(VARIANTS))
    parser.add_argument("--share", type=float, default=0.25, help="share of training documents")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each variant")
    parser.add_argument(
        "--out", type=Path, default=Path(os.devnull), help="file that gets the table as well"
    )
    options = parser.parse_args(argv)
    if unknown := [name for name in options.variants if name not in VARIANTS]:
        parser.error(f"there is no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
    if not 0 < options.share <= 1:
        parser.error(f"--share is {options.share}; give a number above 0 and at most 1")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; give 1 or more")
    disable_progress_bar()
    disable_progress_bars()
    logging.disable(logging.WARNING)
    try:
        codebook = load_codebook()
        records = selected(read_records(DEFAULT_PATHS, codebook), options.share)
        names = options.variants or list(VARIANTS)
        with options.out.open("w", encoding="utf-8") as out:
            for line in table(names, records, codebook, options.seeds):
                print(line, flush=True)
                print(line, file=out, flush=True)
    except (CorpusError, BaseEncoderError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def selected(records: Sequence[Record], share: float) -> list[Record]:
    """A share of the training documents and all of validation; nothing of the test split.

    The same documents every time, and those of a smaller share are among those of a larger one.
    """

    def chosen(record: Record) -> bool:
        digest = hashlib.sha256(f"share of {record.document_id}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64 < share

    return [
        r
        for r in records
        if r.effective_split == "validation" or (r.effective_split == "train" and chosen(r))
    ]


def table(
    names: Sequence[str],
    records: Sequence[Record],
    codebook: Codebook,
    seeds: int,
    recipe: Recipe | None = None,
) -> Iterator[str]:
    """The table's lines, each as soon as it is known; the default's row comes first."""
    recipe = recipe or Recipe(averaged=1)
    counts = Counter((r.effective_split, r.kind) for r in records)
    for split in ("train", "validation"):
        yield f"{split}: " + ", ".join(f"{counts[split, kind]:,} {kind}" for kind in KINDS) + "  "
    yield f"seeds: {seeds}; threads: {torch.get_num_threads()}"
    yield ""
    yield from HEADER
    baseline: list[Result] = []
    for name in dict.fromkeys((DEFAULT, *names)):
        if name == NEEDS_REAL and not counts["train", "real"]:
            print(f"{name} left out: `python -m data hydrate` fetches its text.", file=sys.stderr)
            continue
        results = [
            result(VARIANTS[name], replace(recipe, seed=recipe.seed + i), records, codebook)
            for i in range(seeds)
        ]
        baseline = baseline or results
        yield row(name, results, baseline)


def row(name: str, results: Sequence[Result], baseline: Sequence[Result]) -> str:
    """One line of the table: means over the seeds, and the range of several."""

    def cell(measure: Callable[[Result], float]) -> str:
        values = [measure(r) for r in results]
        if np.isnan(values).any():
            return "-"
        mean = f"{np.mean(values):.3f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.3f}-{max(values):.3f})"

    ratio = sum(r.seconds for r in results) / sum(r.seconds for r in baseline)
    tokens = sum(r.tokens for r in results) // len(results)
    cells = [
        name,
        cell(lambda r: r.macro),
        cell(lambda r: r.authored),
        cell(lambda r: r.real),
        cell(lambda r: r.attributed),
        f"{ratio:.1f}",
        f"{tokens:,}",
    ]
    return f"| {' | '.join(cells)} |"


def result(
    variant: Variant, recipe: Recipe, records: Sequence[Record], codebook: Codebook
) -> Result:
    """Train the variant and measure it on the validation split."""
    with tempfile.TemporaryDirectory() as folder:
        logits, seconds, tokens = trained(variant, recipe, records, codebook, Path(folder))
    return Result(**precisions(logits, records, codebook), seconds=seconds, tokens=tokens)


def precisions(logits: Floats, records: Sequence[Record], codebook: Codebook) -> dict[str, float]:
    """Average precision of the frames on all of validation and on each kind, and of a voice."""
    validation = [r for r in records if r.effective_split == "validation"]
    truth = np.array([r.multi_hot(codebook) for r in validation]) > 0.5
    kinds = np.array([r.kind for r in validation])

    def precision(keys: Sequence[str], rows: Bools) -> float:
        columns = [codebook.keys.index(key) for key in keys]
        return macro_average_precision(truth[rows][:, columns], logits[rows][:, columns])

    everything = np.ones(len(validation), bool)
    return {
        "macro": precision(codebook.frames, everything),
        "authored": precision(codebook.frames, kinds == "authored"),
        "real": precision(codebook.frames, kinds == "real"),
        "attributed": precision(["attributed"], everything),
    }


def macro_average_precision(truth: Bools, logits: Floats) -> float:
    """Mean over the labels that occur, from arrays of shape (n, labels); NaN if none does."""
    values = [average_precision(t, z) for t, z in zip(truth.T, logits.T, strict=True) if t.any()]
    return float(np.mean(values)) if values else float("nan")


def trained(
    variant: Variant, recipe: Recipe, records: Sequence[Record], codebook: Codebook, folder: Path
) -> tuple[Floats, float, int]:
    """Validation logits (n, labels), seconds of training, and tokens that it went over."""
    recipe = replace(recipe, **variant.fields)
    begun = time.perf_counter()
    corpus = variant.corpus(records, codebook)
    seen: list[int] = []
    weights = []
    finetuning = prepare_finetuning(recipe, corpus, codebook)
    for order in range(recipe.averaged):
        trainer: Any = finetuning.trainer(folder / str(order), order)
        trainer.remove_callback(ProgressCallback)
        count_tokens(trainer.model, seen)
        variant.adjust(trainer, recipe)
        trainer.train()
        weights.append(trainer.model.state_dict())
    trainer.model.load_state_dict(average(weights))
    seconds = time.perf_counter() - begun
    return validation_logits(trainer), seconds, sum(seen)


def count_tokens(network: nn.Module, seen: list[int]) -> None:
    """Append to `seen` how many tokens each training step reads."""

    def count(module: nn.Module, args: Any, inputs: dict[str, Any]) -> None:
        if module.training:
            seen.append(int(inputs["attention_mask"].sum()))

    network.register_forward_pre_hook(count, with_kwargs=True)


def validation_logits(trainer: Any) -> Floats:
    """Logits of the validation split, of shape (n, labels), in the order of its records."""
    return np.asarray(trainer.predict(trainer.eval_dataset).predictions)


if __name__ == "__main__":
    sys.exit(main())
