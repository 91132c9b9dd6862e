"""A model small enough for a test: real code all through, only the encoder is tiny and untrained.

python -m tests.small_model     # train one and promote it in the registry of $BENTOML_HOME
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer

from training.__main__ import main as train

ROOT = Path(__file__).parents[1]
CORPUS = (ROOT / "data/corpus/seed", ROOT / "data/corpus/extension/africa.jsonl")
GATES = ROOT / "tests/gates.toml"


def tiny_encoder(folder: Path, layers: int = 2) -> Path:
    """Write a BERT of few layers with random weights and a vocabulary of the seed documents."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()), encoding="utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=128)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def vocabulary() -> list[str]:
    """The seed documents' commonest words, and their letters for all others.

    Counted here, since wordpiece trainers break ties otherwise from run to run.
    """
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(CORPUS[0].glob("*.txt")))
    counts = Counter(re.findall(r"\w+|[^\w\s]", text.lower()))
    letters = sorted(set("".join(counts)))
    common = sorted(counts, key=lambda word: (-counts[word], word))[:1_200]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*special, *letters, *(f"##{x}" for x in letters), *common]))


def arguments(encoder: Path, run: Path, *more: str) -> list[str]:
    """The command line of a small training run."""
    corpus = [str(path) for path in CORPUS]
    return [
        *("--corpus", *corpus, "--run", str(run), "--base_encoder", str(encoder)),
        *("--gates", str(GATES), "--averaged", "2", "--epochs", "3", "--max_tokens", "96"),
        *("--learning_rate", "2e-3", "--frozen_layers", "1", *more),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        encoder = tiny_encoder(Path(folder) / "encoder")
        sys.exit(train(arguments(encoder, Path(folder) / "run")))
