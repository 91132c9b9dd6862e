"""The trained network as a graph that serving runs without torch."""

import warnings
from pathlib import Path
from xml.etree import ElementTree

import openvino as ov
import torch
from transformers import AutoModelForSequenceClassification

import models.network  # noqa: F401 - registers the network with transformers
from models.bundle import GRAPH

EXACT = {"Add", "MVN", "Multiply"}
"""Operations that stay in f32 where matrix products are in bf16: residual sums and layer norms.

They take no time to speak of, and rounding the sums at every layer is a third of what bf16 strays.
So does all of the head.
"""

HEAD = "network.classifier"
"""In the names of the head's operations."""


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
    _keep_exact(bundle / GRAPH)


def _keep_exact(file: Path) -> None:
    """Mark the operations of a graph's file that stay in f32; OpenVINO's Python has no call."""
    tree = ElementTree.parse(file)
    for layer in tree.iterfind("layers/layer"):
        kind, name = layer.get("type"), layer.get("name", "")
        if kind in EXACT or (HEAD in name and kind != "Const"):
            info = layer.find("rt_info")
            if info is None:
                info = ElementTree.Element("rt_info")
                # The schema wants it before inputs and outputs, and after the operation's own data.
                layer.insert(0 if layer.find("data") is None else 1, info)
            mark = {"name": "DisablePrecisionConversion", "version": "0"}
            ElementTree.SubElement(info, "attribute", mark, value="dynamic:f16,bf16")
    tree.write(file)
