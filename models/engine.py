"""The scoring engine: texts to logits, over the exported graph. No torch in here."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from tokenizers import Encoding, Tokenizer

from models.bundle import GRAPH, TOKENIZER

BATCH_TOKENS = 4096
"""Padded tokens of one batch: past this a batch gains no speed and costs memory."""


class Engine:
    """The network of a bundle on this machine's CPU."""

    def __init__(self, bundle: Path, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(bundle / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        core = ov.Core()
        self._network = core.compile_model(
            core.read_model(bundle / GRAPH), "CPU", {"PERFORMANCE_HINT": "LATENCY"}
        )

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Logits of shape (texts, labels).

        A text of more than `max_tokens` tokens is read in several windows, so that none of it is
        left out; each of its logits is the largest of any window.
        """
        if not texts:
            return np.zeros((0, self._network.output(0).partial_shape[1].get_length()), np.float32)
        owners: list[int] = []
        windows: list[Encoding] = []
        for owner, encoding in enumerate(self._tokenizer.encode_batch_fast(list(texts))):
            for window in (encoding, *encoding.overflowing):
                owners.append(owner)
                windows.append(window)
        logits: npt.NDArray[np.float32] | None = None
        for batch in batches([len(window.ids) for window in windows]):
            out = self._infer([windows[i].ids for i in batch])
            if logits is None:
                logits = np.full((len(texts), out.shape[1]), -np.inf, np.float32)
            np.maximum.at(logits, [owners[i] for i in batch], out)
        assert logits is not None
        return logits

    def _infer(self, rows: list[list[int]]) -> npt.NDArray[np.float32]:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        request = self._network.create_infer_request()
        out = request.infer({"input_ids": ids, "attention_mask": mask})[0]
        return np.asarray(out, np.float32)


def batches(lengths: Sequence[int], budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Positions in batches of alike length, each at most `budget` tokens once padded.

    Every position comes exactly once; a text longer than the budget is a batch of its own.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[position] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
