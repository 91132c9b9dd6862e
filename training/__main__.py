"""Train a model, evaluate it, register it, and promote it if it passes the gates.

python -m training [--resume] [--corpus PATH ...] [--run FOLDER] [--gates FILE] [recipe options]
torchrun --nproc-per-node 2 -m training     # the same on several devices
"""

import json
import logging
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from transformers import HfArgumentParser
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from data.codebook import Codebook, CodebookError, load_codebook
from data.corpus import DEFAULT_PATHS, corpus_fingerprint, to_dataset_dict
from data.records import CorpusError, Record, read_entries, with_text
from data.splits import SPLITS
from eval.gates import DEFAULT_PATH, load_gates
from eval.inputs import InputError
from models import registry
from models.base_encoder import BaseEncoderError
from models.bundle import BundleError
from models.parity import ParityError
from training.build import build_bundle
from training.finetune import prepare_finetuning
from training.promotion import promote_if_it_passes
from training.provenance import passages_by_kind
from training.recipe import Recipe

logger = logging.getLogger("training")


@dataclass(frozen=True)
class Options:
    """Where a run reads and writes."""

    corpus: list[str] = field(
        default_factory=lambda: [str(path) for path in DEFAULT_PATHS],
        metadata={"help": "corpus files and folders"},
    )
    codebook: str = field(default="", metadata={"help": "another codebook than the project's"})
    run: str = field(default="runs/default", metadata={"help": "folder of checkpoints and bundle"})
    gates: str = field(
        default=str(DEFAULT_PATH), metadata={"help": "TOML file of what a promoted model keeps to"}
    )
    resume: bool = field(default=False, metadata={"help": "go on with the run in this folder"})


class RunError(ValueError):
    """The run cannot go on as asked; the message says why."""


COULD_NOT_RUN = (
    CodebookError,
    CorpusError,
    InputError,
    BaseEncoderError,
    BundleError,
    ParityError,
    registry.RegistryError,
    RunError,
    FileNotFoundError,
)


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    0: trained, registered and promoted; 1: registered, but it failed a gate; 2: could not start
    or not judge, and why; 130: stopped.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    disable_progress_bar()  # of loading and saving weights; the training bar is another
    set_verbosity_error()  # what it warns of here is how its own parts fit together
    dataclasses: list[Any] = [Options, Recipe]
    parser = HfArgumentParser(dataclasses, prog="python -m training", description=__doc__)
    options, recipe = parser.parse_args_into_dataclasses(argv)
    try:
        return 0 if train(options, recipe) else 1
    except COULD_NOT_RUN as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; `python -m training --resume` goes on.", file=sys.stderr)
        return 130


def train(options: Options, recipe: Recipe) -> bool:
    """Corpus to registered bundle; whether it passed the gates and is promoted."""
    if recipe.averaged < 1:
        raise RunError(f"averaged is {recipe.averaged}; give 1 or more.")
    codebook = load_codebook(Path(options.codebook)) if options.codebook else load_codebook()
    gates = load_gates(Path(options.gates), codebook)
    entries = read_entries(map(Path, options.corpus), codebook)
    records = with_text(entries, codebook)
    learned = passages_by_kind(records)["train"]
    logger.info("Learning from %s.", ", ".join(f"{n} {kind}" for kind, n in learned.items()))
    if len(records) < len(entries):
        logger.info(
            "Left out: %d passages whose text is not here; `python -m data hydrate` fetches it.",
            len(entries) - len(records),
        )
    corpus = to_dataset_dict(records, codebook)
    for split in SPLITS:
        if not len(corpus[split]):
            raise RunError(f"The corpus has no {split} passages; add documents or set `split`.")
    run = Path(options.run)
    finetuning = prepare_finetuning(recipe, corpus, codebook)
    prepare(run, recipe, records, codebook, resume=options.resume)
    logger.info(
        "Training on %d passages (%d for validation, %d for test).", *map(len, corpus.values())
    )
    finetuning.train(run, resume=options.resume)
    if not is_first_process():
        return True
    bundle = run / "bundle"
    result = build_bundle(
        finetuning.network, finetuning.tokenizer, records, codebook, recipe, bundle
    )
    version = registry.add(bundle)
    logger.info(
        "Registered as %s: macro-F1 %.3f on the test split.", version, result.macro.f1.value
    )
    return promote_if_it_passes(version, records, gates, codebook)


def is_first_process() -> bool:
    """Whether this process speaks and writes for all that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def prepare(
    run: Path, recipe: Recipe, records: list[Record], codebook: Codebook, *, resume: bool
) -> None:
    """Empty the folder for a new run, or check that a resumed one has not changed its terms.

    Raises `RunError` where going on would mix two recipes or corpora in one model.
    """
    if not is_first_process():
        return
    terms = {
        "recipe": asdict(recipe),
        "corpus": corpus_fingerprint(records),
        "codebook": codebook.fingerprint,
    }
    file = run / "run.json"
    if resume and file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = [name for name in terms if before.get(name) != terms[name]]
        if changed:
            raise RunError(
                f"{run} was begun with another {' and '.join(changed)}; start it anew without "
                "--resume, or undo the change."
            )
        return
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    file.write_text(json.dumps(terms, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
