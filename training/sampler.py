"""The order in which training sees the passages."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

WINDOW_BATCHES = 50
"""Passages are sorted by length within this many batches at a time: enough to fill batches with
like lengths, and few enough that the batches differ from epoch to epoch."""


class LengthBuckets(Sampler[int]):
    """Batches of like length, in random order; another order every epoch.

    transformers' own `group_by_length` runs from long to short within each stretch of batches, so
    that the gradient drifts with the length; shuffling the batches learns much faster here.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called at each epoch's start, also of a resumed one, so that the order is the same."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=random).tolist()
        window = self.batch_size * WINDOW_BATCHES
        full: list[list[int]] = []
        rest: list[int] = []
        for start in range(0, len(order), window):
            alike = sorted(order[start : start + window], key=self.lengths.__getitem__)
            batches = [
                alike[i : i + self.batch_size] for i in range(0, len(alike), self.batch_size)
            ]
            for batch in batches:
                full.append(batch) if len(batch) == self.batch_size else rest.extend(batch)
        for i in torch.randperm(len(full), generator=random).tolist():
            yield from full[i]
        yield from rest
