"""The head: from an encoder's states of the tokens to logits.

It is not in `models.network` because transformers would take that, with an attention in it, for an
encoder whose attention it cannot choose.
"""

import torch
from torch import Tensor, nn


class LabelAttention(nn.Module):
    """Logits from the mean of all tokens, and from a mean that each label weighs for itself.

    A frame often hangs on one clause of a long passage, which the plain mean drowns. Label-wise
    attention is that of Mullenbach et al., "Explainable prediction of medical codes from clinical
    text", 2018, without their convolution.
    """

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, labels)
        self.value = nn.Linear(width, labels, bias=False)
        self.query = nn.Linear(width, labels, bias=False)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits of shape (batch, labels) from (batch, tokens, width) and (batch, tokens)."""
        padding = attention_mask.unsqueeze(-1) == 0
        relevance = self.query(hidden).float().masked_fill(padding, torch.finfo(torch.float).min)
        attended = (relevance.softmax(1) * self.value(hidden)).sum(1)
        logits: Tensor = self.mean(mean_pool(hidden, attention_mask)).float() + attended
        return logits


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean of the hidden states of real tokens: (batch, tokens, width) to (batch, width)."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
