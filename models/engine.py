"""The scoring engine: texts to logits, over the exported graph. No torch in here.

Batches run side by side on as many streams as the network has; on a CPU that is one thread each,
which wastes no time on threads that wait for one another.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from models.bundle import TOKENIZER, Precision
from models.cpu_network import CpuNetwork, padded
from models.gpu_network import GpuNetwork, has_gpu

Logits = npt.NDArray[np.float32]

BATCH_TOKENS = 4_096
"""Padded tokens of one batch of a pass through torch on a CPU."""

PADDING = 16
"""For so many tokens of the largest batch, one may be padding; another batch costs as much."""

MIN_BATCH_TOKENS = 256
"""Below this, splitting work over idle streams costs more than it gains."""


class Network(Protocol):
    """A bundle's network on one device."""

    precision: str  # of the matrix products, such as "bf16"
    labels: int
    streams: int  # calls of `infer` that run side by side
    batch_tokens: int  # padded tokens of one batch: past this a batch gains no speed

    def infer(self, rows: Sequence[Sequence[int]]) -> Logits:
        """Logits of shape (rows, labels) from token ids; may be called from several threads."""


class Engine:
    """The tokenizer and the network of a bundle."""

    def __init__(self, bundle: Path, max_tokens: int, network: Network | None = None) -> None:
        self._tokenizer = Tokenizer.from_file(str(bundle / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.network = network or load_network(bundle)

    def windows(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Each text's token ids: one window, or several where it has more than `max_tokens`."""
        return [
            [window.ids for window in (encoding, *encoding.overflowing)]
            for encoding in self._tokenizer.encode_batch_fast(list(texts))
        ]

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of shape (texts, labels).

        A text of several windows is read in full; each of its logits is the largest of any window.
        """
        logits = no_logits(len(texts), self.network.labels)
        owned = [(i, ids) for i, windows in enumerate(self.windows(texts)) for ids in windows]
        made = [[owned[i] for i in batch] for batch in self.batches([len(ids) for _, ids in owned])]
        with ThreadPoolExecutor(self.network.streams) as pool:
            outs = pool.map(lambda batch: self.network.infer([ids for _, ids in batch]), made)
            for batch, out in zip(made, outs, strict=True):
                np.maximum.at(logits, [i for i, _ in batch], out)
        return logits

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Positions in batches of alike length, large enough to be fast, one or more a stream."""
        share = -(-sum(lengths) // self.network.streams)
        most = self.network.batch_tokens
        return batches(lengths, min(max(share, MIN_BATCH_TOKENS), most), most // PADDING)


def load_network(bundle: Path, cpu_precision: Precision = "native") -> Network:
    """The bundle's network on the fastest device there is: a GPU, or else the CPU."""
    return GpuNetwork(bundle) if has_gpu() else CpuNetwork(bundle, cpu_precision)


def no_logits(texts: int, labels: int) -> Logits:
    """What the logits of each window are merged into, by `np.maximum`."""
    return np.full((texts, labels), -np.inf, np.float32)


def batches(
    lengths: Sequence[int], budget: int = BATCH_TOKENS, padding: int = BATCH_TOKENS // PADDING
) -> Iterator[list[int]]:
    """Positions in batches of alike length.

    A batch has at most `budget` tokens once padded, or a single row, and at most `padding` of them
    make its rows as long as its longest. Every position comes exactly once.
    """
    batch: list[int] = []
    tokens = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        row = padded(lengths[position])
        filled = row * len(batch) - tokens
        if batch and (filled > padding or row * (len(batch) + 1) > budget):
            yield batch
            batch, tokens = [], 0
        batch.append(position)
        tokens += row
    if batch:
        yield batch
