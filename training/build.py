"""From a fine-tuned network to a bundle: export, calibration, evaluation, manifest."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data.codebook import Codebook
from data.corpus import to_dataset_dict
from data.records import Record
from eval.evaluation import Evaluation, evaluate
from eval.metrics import Bools
from models.bundle import CARD, FRAMING, Framing, write_manifest
from models.card import model_card
from models.classifier import DOCUMENT_RULE, Classifier
from models.engine import Engine
from models.export import export_graph
from training.calibrate import calibrate
from training.provenance import provenance
from training.recipe import Recipe


def build_bundle(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Record],
    codebook: Codebook,
    recipe: Recipe,
    folder: Path,
) -> Evaluation:
    """Write the bundle and return its evaluation on the test split.

    Calibration and thresholds come from the validation split alone, over the exported graph that
    will be served. An earlier bundle in the folder is replaced only once the new one is whole.
    """
    corpus = to_dataset_dict(records, codebook)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    network.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    export_graph(partial)
    engine = Engine(partial, recipe.max_tokens)
    validation = corpus["validation"]
    framing = Framing(
        codebook=codebook,
        codebook_fingerprint=codebook.fingerprint,
        calibration=tuple(calibrate(engine.logits(validation["text"][:]), truth(validation))),
        max_tokens=recipe.max_tokens,
        document_rule=DOCUMENT_RULE,
        metrics={},
        provenance=provenance(recipe, records),
    )
    classifier = Classifier(framing, engine)
    results = {
        split: evaluate(
            truth(corpus[split]),
            classifier.score_passages(corpus[split]["text"][:]),
            classifier.thresholds,
            codebook,
        )
        for split in ("validation", "test")
    }
    framing = framing.model_copy(
        update={"metrics": {split: result.as_json() for split, result in results.items()}}
    )
    (partial / FRAMING).write_text(framing.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (partial / CARD).write_text(model_card(framing), encoding="utf-8")
    write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return results["test"]


def truth(split: Dataset) -> Bools:
    """The labels as Booleans of shape (rows, labels)."""
    return np.asarray(split["labels"][:]).reshape(len(split), -1) > 0.5
