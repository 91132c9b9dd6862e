"""A bundle's weights in a layout that every peer loads: transformers' own BERT classifier.

Framescope's head reads all tokens through three thin matrices, and the peers' stock head the first
token through a small one. The encoder, 99.9 % of the work, is the same weight
for weight; the scores that peers answer with are not.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from models.bundle import TOKENIZER, read_framing

SMALL = 1e-3
"""The pooler's tanh is the identity on values as small as this."""


def write_peer_weights(bundle: Path, folder: Path) -> None:
    """Write the checkpoint that the peers load. Raises `ValueError` if the encoder is no BERT."""
    config = _read_json(bundle / "config.json")
    encoder = config["encoder"]
    if encoder["model_type"] != "bert":
        raise ValueError(
            f"{bundle} has a {encoder['model_type']} encoder; the peers' checkpoint is written "
            "for BERT encoders only."
        )
    tensors = load_file(bundle / "model.safetensors")
    head = {name: tensors[f"classifier.mean.{name}"] for name in ("weight", "bias")}
    tensors = {name: t for name, t in tensors.items() if not name.startswith("classifier.")}
    stock = {name.replace("encoder.", "bert.", 1): tensor for name, tensor in tensors.items()}
    width = encoder["hidden_size"]
    stock["bert.pooler.dense.weight"] = SMALL * np.eye(width, dtype=np.float32)
    stock["bert.pooler.dense.bias"] = np.zeros(width, np.float32)
    stock["classifier.weight"] = head["weight"] / np.float32(SMALL)
    stock["classifier.bias"] = head["bias"]
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stock, folder / "model.safetensors", {"format": "pt"})
    names = ("id2label", "label2id", "problem_type")
    _write_json(
        folder / "config.json",
        {name: value for name, value in encoder.items() if not name.startswith("_")}
        | {name: config[name] for name in names}
        | {"architectures": ["BertForSequenceClassification"]},
    )
    shutil.copyfile(bundle / TOKENIZER, folder / TOKENIZER)
    tokenizer = _read_json(bundle / "tokenizer_config.json")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizerFast",
            "model_max_length": read_framing(bundle).max_tokens,
            "do_lower_case": tokenizer.get("do_lower_case", True),
        },
    )


def _read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
