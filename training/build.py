"""From a fine-tuned network to a bundle: export, calibration, evaluation, manifest."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data.codebook import Codebook
from data.corpus import to_dataset_dict
from data.records import Record
from eval.measures import Measures, measure
from eval.metrics import Bools, Floats
from models.bundle import CARD, FRAMING, PRECISIONS, Framing, write_manifest
from models.card import model_card
from models.classifier import DOCUMENT_RULE, Classifier
from models.cpu_network import CpuNetwork
from models.engine import Engine, Logits
from models.export import export_graph
from models.gpu_network import GpuNetwork, has_gpu
from models.parity import TOLERANCE, Parity, ParityError, checkpoint_logits, compare
from training.calibrate import calibrate
from training.provenance import provenance
from training.recipe import Recipe

ALONE = 0.2
"""What a passage that stands by itself counts in calibration, and one of a whole text counts 1.

Whole texts are what is served, and a frame is far rarer in them than among passages written one by
one, half of which carry it. docs/training.md says how the value was chosen.
"""

logger = logging.getLogger("training")


def build_bundle(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Record],
    codebook: Codebook,
    recipe: Recipe,
    folder: Path,
) -> Measures:
    """Write the bundle and return its measures on the test split.

    Calibration and thresholds come from the validation split alone, over the exported graph that
    will be served. An earlier bundle in the folder is replaced only once the new one is whole.
    Raises `ParityError` if what would be served strays from the checkpoint on the test split.
    """
    corpus = to_dataset_dict(records, codebook)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    round_weights(network)
    network.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    export_graph(partial)
    framing = Framing(
        codebook=codebook,
        codebook_fingerprint=codebook.fingerprint,
        calibration=(),
        max_tokens=recipe.max_tokens,
        document_rule=DOCUMENT_RULE,
        metrics={},
        provenance=provenance(recipe, records),
    )
    classifier, logits, parity = fastest_in_parity(partial, framing, corpus)
    framing = classifier.framing
    results = {
        split: measure(
            truth(corpus[split]),
            classifier.calibrate(of_split),
            classifier.thresholds,
            corpus[split]["document"][:],
            codebook.keys,
            codebook.frames,
        )
        for split, of_split in logits.items()
    }
    framing = framing.model_copy(
        update={
            "metrics": {split: points(result) for split, result in results.items()}
            | {"parity": [found.as_json() for found in parity]}
        }
    )
    (partial / FRAMING).write_text(framing.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (partial / CARD).write_text(model_card(framing), encoding="utf-8")
    write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return results["test"]


def round_weights(network: PreTrainedModel) -> None:
    """Round every matrix to values that bf16 holds, and every vector to values of fp16, for good.

    Wherever the products are in bf16, half of what they would stray is then in the calibrated
    checkpoint already; and the graph, which stores weights as fp16, holds the same vectors.
    """
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(weights.bfloat16() if weights.ndim > 1 else weights.half())


def fastest_in_parity(
    bundle: Path, framing: Framing, corpus: DatasetDict
) -> tuple[Classifier, dict[str, Logits], list[Parity]]:
    """Calibrate the graph in the fastest precision that gives the checkpoint's scores on the test
    split, and check the GPU, where there is one, against the same scores.

    Also returns the graph's logits of `validation` and `test`, of shape (passages, labels). Raises
    `ParityError` if the graph strays in every precision, or the GPU does.
    """
    texts = {split: corpus[split]["text"][:] for split in ("validation", "test")}
    expected = checkpoint_logits(bundle, framing.max_tokens, texts["test"])

    def checked(classifier: Classifier, found: Logits) -> Parity:
        precision = classifier.engine.network.precision
        scores = classifier.calibrate(expected), classifier.calibrate(found)
        measured = compare(precision, *scores, classifier.thresholds)
        logger.info("Parity with the checkpoint: %s.", measured)
        return measured

    for precision in PRECISIONS:
        engine = Engine(bundle, framing.max_tokens, CpuNetwork(bundle, precision))
        logits = {split: engine.logits(of_split) for split, of_split in texts.items()}
        validation = corpus["validation"]
        calibration = calibrate(logits["validation"], truth(validation), weights(validation))
        framing = framing.model_copy(
            update={"calibration": tuple(calibration), "cpu_precision": precision}
        )
        classifier = Classifier(framing, engine)
        parity = [checked(classifier, logits["test"])]
        if parity[0].holds:
            break
    if has_gpu():
        gpu = Engine(bundle, framing.max_tokens, GpuNetwork(bundle))
        parity.append(checked(Classifier(framing, gpu), gpu.logits(texts["test"])))
    for found in parity:
        if not found.holds:
            raise ParityError(
                f"The exported model is not the trained one and is not registered: {found} "
                f"on the test split (at most {TOLERANCE} and none are allowed). The checkpoint "
                f"and the graph are in {bundle}."
            )
    return classifier, logits, parity


def points(measures: Measures) -> dict[str, Any]:
    """The measures that a bundle carries, without their intervals."""
    return {
        "passages": measures.items,
        "macro_f1": measures.macro.f1.value,
        "micro_f1": measures.micro.f1.value,
        "macro_average_precision": measures.macro.average_precision.value,
        "labels": {
            key: {
                "precision": label.precision.value,
                "recall": label.recall.value,
                "f1": label.f1.value,
                "average_precision": label.average_precision.value,
                "support": label.support,
                "threshold": label.threshold,
            }
            for key, label in measures.labels.items()
        },
    }


def truth(split: Dataset) -> Bools:
    """The labels as Booleans of shape (rows, labels)."""
    return np.asarray(split["labels"][:]).reshape(len(split), -1) > 0.5


def weights(split: Dataset) -> Floats:
    """What each row counts in calibration, of shape (rows,)."""
    return np.array([ALONE if start is None else 1.0 for start in split["start"][:]])
