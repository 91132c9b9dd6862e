"""Frozen layers run once: their output for each passage is kept, and only the rest is trained.

The embeddings and the lowest layers do not change in training, so neither does what they make of
a passage. Keeping that (4 bytes a hidden unit and token) saves their share of every epoch, and
the layers above train as they would have.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.base_encoder import BaseEncoderError
from models.engine import batches
from models.network import LabelAttentionForSequenceClassification


class GivenEmbeddings(nn.Module):
    """In the place of an encoder's embeddings: passes on what it is given."""

    def forward(self, *, inputs_embeds: Tensor, **_: Any) -> Tensor:
        """Return `inputs_embeds`, of shape (batch, tokens, width)."""
        return inputs_embeds


def split_off(network: LabelAttentionForSequenceClassification, layers: int) -> nn.Module:
    """Take the embeddings and lowest layers out of the network; returns an encoder of just those.

    Raises `BaseEncoderError` if the encoder has fewer layers, or is built in another way.
    """
    encoder, stack = network.encoder, encoder_layers(network.encoder)
    if layers > len(stack):
        raise BaseEncoderError(f"frozen_layers is {layers}, but the encoder has {len(stack)}.")
    if not isinstance(getattr(encoder, "embeddings", None), nn.Module):
        raise BaseEncoderError(f"{type(encoder).__name__} keeps its embeddings elsewhere.")
    lower: nn.Module = copy.deepcopy(encoder).requires_grad_(False).eval()
    del encoder_layers(lower)[layers:]
    encoder.embeddings = GivenEmbeddings()
    del stack[:layers]
    return lower


def join(network: LabelAttentionForSequenceClassification, lower: nn.Module) -> None:
    """Put back what `split_off` took out."""
    network.encoder.embeddings = lower.embeddings
    stack = encoder_layers(network.encoder)
    joined = [*encoder_layers(lower), *stack]
    del stack[:]
    stack.extend(joined)


def encoder_layers(encoder: nn.Module) -> nn.ModuleList:
    """The encoder's stack of layers, whatever its architecture calls it."""
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList):
            return module
    raise BaseEncoderError(f"{type(encoder).__name__} has no stack of layers.")


@torch.inference_mode()
def lower_states(lower: nn.Module, input_ids: Sequence[list[int]]) -> list[Tensor]:
    """What the frozen layers make of each passage, of shapes (tokens, width)."""
    states: list[Tensor] = [torch.empty(0)] * len(input_ids)
    for batch in batches([len(ids) for ids in input_ids]):
        rows = [torch.tensor(input_ids[i]) for i in batch]
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        hidden = lower(input_ids=pad_sequence(rows, batch_first=True), attention_mask=mask)
        for i, row, passage in zip(batch, rows, hidden.last_hidden_state, strict=True):
            states[i] = passage[: len(row)].clone()
    return states


@dataclass(frozen=True)
class StatesCollator:
    """Batches of kept states, padded to a multiple, for rows with a `row` number and `labels`."""

    states: Sequence[Tensor]
    multiple: int

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Tensor]:
        """`inputs_embeds` (batch, tokens, width), `attention_mask` and `labels`."""
        states = [self.states[feature["row"]] for feature in features]
        longest = max(len(state) for state in states)
        length = -(-longest // self.multiple) * self.multiple
        embeds = states[0].new_zeros(len(states), length, states[0].shape[1])
        mask = torch.zeros(len(states), length, dtype=torch.long)
        for i, state in enumerate(states):
            embeds[i, : len(state)] = state
            mask[i, : len(state)] = 1
        labels = torch.tensor([feature["labels"] for feature in features])
        return {"inputs_embeds": embeds, "attention_mask": mask, "labels": labels}
