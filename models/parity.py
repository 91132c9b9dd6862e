"""Whether what is served gives the scores of the checkpoint that it was made from.

Needs torch, so only training imports it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

import models.network  # noqa: F401 - registers the network with transformers
from models.calibration import Scores
from models.cpu_network import pad
from models.engine import BATCH_TOKENS, Engine, Logits, Network

TOLERANCE = 0.01
"""Largest difference of a score, and how near its threshold a score may lie to change sides."""


class ParityError(ValueError):
    """What would be served strays from the checkpoint; the message says by how much."""


@dataclass(frozen=True)
class Parity:
    """How far an engine's scores on some texts lie from the checkpoint's."""

    precision: str
    largest_difference: float
    changed_labels: int  # scores on the other side of a threshold that lies over TOLERANCE away

    @property
    def holds(self) -> bool:
        """Whether this may be served."""
        return self.largest_difference <= TOLERANCE and not self.changed_labels

    def as_json(self) -> dict[str, Any]:
        """The figures, as `framing.json` keeps them."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"in {self.precision} the largest difference of a score is "
            f"{self.largest_difference:.4f}, and {self.changed_labels} labels change"
        )


class CheckpointNetwork:
    """The checkpoint itself in torch, in f32 on the CPU: what the others are measured against."""

    precision = "f32"
    streams = 1
    batch_tokens = BATCH_TOKENS

    def __init__(self, bundle: Path) -> None:
        self._network: Any = AutoModelForSequenceClassification.from_pretrained(
            bundle, dtype=torch.float32
        ).eval()
        self.labels = int(self._network.config.num_labels)

    def infer(self, rows: Sequence[Sequence[int]]) -> Logits:
        """Logits of shape (rows, labels) from token ids."""
        ids, mask = map(torch.from_numpy, pad(rows))
        with torch.inference_mode():
            logits: Logits = self._network(ids, mask).logits.numpy()
        return logits


def checkpoint_logits(bundle: Path, max_tokens: int, texts: Sequence[str]) -> Logits:
    """The checkpoint's own logits of shape (texts, labels)."""
    network: Network = CheckpointNetwork(bundle)
    return Engine(bundle, max_tokens, network).logits(texts)


def compare(precision: str, expected: Scores, found: Scores, thresholds: Scores) -> Parity:
    """Compare the checkpoint's scores with an engine's, both of shape (texts, labels)."""
    changed = (expected >= thresholds) != (found >= thresholds)
    near = np.abs(expected - thresholds) <= TOLERANCE
    return Parity(
        precision=precision,
        largest_difference=round(float(np.abs(expected - found).max(initial=0.0)), 6),
        changed_labels=int((changed & ~near).sum()),
    )
