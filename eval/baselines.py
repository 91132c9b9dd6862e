"""What a model has to beat: simpler classifiers trained on the same corpus.

Each baseline is a function of training texts (n), their labels (n, labels) and the texts to score
(m); it returns scores of shape (m, labels).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

from eval.metrics import Bools, Floats
from models.base_encoder import locate
from models.engine import batches
from models.network import mean_pool

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
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2_000))
        return _one_model_a_label(model, embed(encoder, train), truth, embed(encoder, texts))

    return probe


def embed(encoder: str, texts: Sequence[str]) -> Floats:
    """Mean-pooled last hidden states of a base encoder, shape (texts, width)."""
    path = locate(encoder)
    tokenizer = AutoTokenizer.from_pretrained(path)
    network = AutoModel.from_pretrained(path, dtype=torch.float32).eval()
    longest = min(MAX_TOKENS, tokenizer.model_max_length)
    encoded = tokenizer(list(texts), truncation=True, max_length=longest)
    out = np.zeros((len(texts), network.config.hidden_size), np.float32)
    for batch in batches([len(ids) for ids in encoded.input_ids]):
        rows = {name: [encoded[name][i] for i in batch] for name in ("input_ids", "attention_mask")}
        padded = tokenizer.pad(rows, return_tensors="pt")
        with torch.inference_mode():
            hidden = network(**padded).last_hidden_state
            out[batch] = mean_pool(hidden, padded["attention_mask"]).numpy()
    return out


def _one_model_a_label(model: Any, features: Any, truth: Bools, queries: Any) -> Floats:
    """Scores of shape (queries, labels); a label of one class alone gets that class's score."""
    scores = np.zeros((queries.shape[0], truth.shape[1]))
    for label, present in enumerate(truth.T):
        if present.all() or not present.any():
            scores[:, label] = float(present.all())
        else:
            scores[:, label] = clone(model).fit(features, present).predict_proba(queries)[:, 1]
    return scores
