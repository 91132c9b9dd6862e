"""The other systems that a report sets beside the model, scored on the same passages."""

from collections.abc import Sequence

import numpy as np

from data.codebook import Codebook
from data.corpus import corpus_fingerprint
from data.records import Record
from eval.baselines import Baseline, linear_probe, tfidf
from eval.inputs import of_split, texts_and_truth
from eval.judgment import Scored
from eval.lexicon import LexiconError, keywords
from eval.metrics import Bools
from models.bundle import Provenance
from models.calibration import best_threshold


def baseline_systems(
    origin: Provenance, training: Sequence[Record], texts: Sequence[str], codebook: Codebook
) -> tuple[dict[str, Scored], list[str]]:
    """Baselines trained on the training corpus, on the base encoder of the model's origin.

    Also what a reader must know of them, in sentences.
    """
    notes = []
    if corpus_fingerprint(training) != origin.corpus_sha256:
        notes.append("The baselines learned from another state of the corpus than the model.")
    baselines: dict[str, Baseline] = {}
    try:
        baselines["keywords"] = keywords(codebook)
    except LexiconError as error:
        notes.append(f"The keyword baseline was left out: {error}")
    baselines["TF-IDF + logistic regression"] = tfidf
    baselines["linear probe"] = linear_probe(origin.base_encoder.name)
    return {
        title: score_baseline(baseline, training, texts, codebook)
        for title, baseline in baselines.items()
    }, notes


def score_baseline(
    baseline: Baseline, corpus: Sequence[Record], texts: Sequence[str], codebook: Codebook
) -> Scored:
    """Train on the corpus's training split, choose thresholds on validation, score the texts."""

    def labeled(split: str) -> tuple[list[str], Bools]:
        return texts_and_truth(of_split(corpus, split), codebook)

    (train, train_truth), (validation, validation_truth) = labeled("train"), labeled("validation")
    scored = baseline(train, train_truth, [*validation, *texts])
    thresholds = [
        best_threshold(scores, present)
        for scores, present in zip(scored[: len(validation)].T, validation_truth.T, strict=True)
    ]
    return Scored(scored[len(validation) :], np.array(thresholds))
