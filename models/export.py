"""The trained network as a graph that serving runs without torch."""

import warnings
from pathlib import Path

import openvino as ov
import torch
from transformers import AutoModelForSequenceClassification

import models.network  # noqa: F401 - registers the network with transformers
from models.bundle import GRAPH


class _Logits(torch.nn.Module):
    """The network with plain tensors at both ends, as the converter wants it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(
            input_ids=input_ids, attention_mask=attention_mask
        ).logits
        return logits


def export_graph(bundle: Path) -> None:
    """Write the checkpoint in the folder as a graph beside it.

    Weights are stored as fp16; the graph takes any batch size and number of tokens.
    """
    network = AutoModelForSequenceClassification.from_pretrained(
        bundle, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    example = {
        name: torch.ones(2, 16, dtype=torch.int64) for name in ("input_ids", "attention_mask")
    }
    with torch.inference_mode(), warnings.catch_warnings():
        # The tracer warns of branches that hold for every input of this network, and of its own
        # successor, which the converter does not use yet.
        warnings.simplefilter("ignore")
        graph = ov.convert_model(
            _Logits(network),
            example_input=example,
            input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])],
        )
    ov.save_model(graph, bundle / GRAPH, compress_to_fp16=True)
