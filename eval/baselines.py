"""What a model has to beat: simpler classifiers trained on the same corpus.

Each baseline is a function of training texts (n), their labels (n, labels) and the texts to score
(m); it returns scores of shape (m, labels).
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoConfig, AutoTokenizer
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from eval.metrics import Bools, Floats
from models.base_encoder import locate
from models.engine import Engine
from models.export import export_graph
from models.network import LabelAttentionForSequenceClassification

MAX_TOKENS = 256

Baseline = Callable[[Sequence[str], Bools, Sequence[str]], Floats]


def tfidf(train: Sequence[str], truth: Bools, texts: Sequence[str]) -> Floats:
    """TF-IDF of words and word pairs, and one logistic regression a label."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(train)
    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=2_000)
    return _one_model_a_label(model, features, truth, vectorizer.transform(texts))


def linear_probe(encoder: str) -> Baseline:
    """Mean-pooled states of the frozen encoder, and one logistic regression a label."""

    def probe(train: Sequence[str], truth: Bools, texts: Sequence[str]) -> Floats:
        states = embed(encoder, [*train, *texts])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2_000))
        return _one_model_a_label(model, states[: len(train)], truth, states[len(train) :])

    return probe


def embed(encoder: str, texts: Sequence[str]) -> Floats:
    """Mean-pooled last hidden states of a base encoder, shape (texts, width).

    Computed as scores are: over an exported graph, whose head passes the states on as they are.
    Of a text longer than the encoder reads, each state is the largest of any window.
    """
    path = locate(encoder)
    disable_progress_bar()  # of loading the weights
    set_verbosity_error()  # what it warns of here is how its own parts fit together
    tokenizer = AutoTokenizer.from_pretrained(path)
    width = AutoConfig.from_pretrained(path).hidden_size
    network = LabelAttentionForSequenceClassification.from_encoder(
        path, list(map(str, range(width)))
    )
    torch.nn.init.eye_(network.classifier.mean.weight)
    for unused in (network.classifier.mean.bias, network.classifier.value.weight):
        torch.nn.init.zeros_(unused)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        export_graph(folder)
        return Engine(folder, min(MAX_TOKENS, tokenizer.model_max_length)).logits(texts)


def _one_model_a_label(model: Any, features: Any, truth: Bools, queries: Any) -> Floats:
    """Scores of shape (queries, labels); a label of one class alone gets that class's score."""
    scores = np.zeros((queries.shape[0], truth.shape[1]))
    for label, present in enumerate(truth.T):
        if present.all() or not present.any():
            scores[:, label] = float(present.all())
        else:
            scores[:, label] = clone(model).fit(features, present).predict_proba(queries)[:, 1]
    return scores
