"""What a training run is: everything that, with the corpus, decides the weights."""

from dataclasses import dataclass, field

from models.base_encoder import EMBEDDED


@dataclass(frozen=True)
class Recipe:
    """The defaults are the default model; docs/training.md says how they were chosen."""

    base_encoder: str = field(
        default=EMBEDDED, metadata={"help": f"{EMBEDDED} (embedded), a hub id, or a folder"}
    )
    seed: int = field(default=0, metadata={"help": "seed of the head, the order and the dropout"})
    averaged: int = field(
        default=3, metadata={"help": "trainings in different orders, whose weights are averaged"}
    )
    epochs: int = field(default=3, metadata={"help": "passes over the corpus at most"})
    patience: int = field(
        default=2, metadata={"help": "epochs without a better validation score before stopping"}
    )
    batch_size: int = field(default=16, metadata={"help": "passages a step, on each device"})
    learning_rate: float = field(default=2.5e-4, metadata={"help": "peak rate of the encoder"})
    head_learning_rate: float = field(default=3e-3, metadata={"help": "peak rate of the new head"})
    warmup: float = field(default=0.1, metadata={"help": "share of the steps that warm up"})
    weight_decay: float = field(default=0.01, metadata={"help": "AdamW's weight decay"})
    frozen_layers: int = field(
        default=2, metadata={"help": "lowest layers left as they are, besides the embeddings"}
    )
    max_tokens: int = field(default=256, metadata={"help": "tokens that the network reads at once"})
