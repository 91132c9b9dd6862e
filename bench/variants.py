"""What the default recipe is compared with: each variant changes one thing about it.

What earned its place moved into `training/`; what stands here did not, or not yet.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import DatasetDict
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cosine_similarity,
    cross_entropy,
    logsigmoid,
)
from transformers import AutoModel, PrinterCallback

from data.codebook import Codebook
from data.corpus import to_dataset_dict
from data.records import Record
from models.base_encoder import locate
from models.head import mean_pool
from training.finetune import BucketTrainer, arguments, optimizer
from training.frozen import StatesCollator, encoder_layers
from training.recipe import Recipe

FOCAL_GAMMA = 2.0
SMOOTHING = 0.1
RATE_DECAY = 0.8
TEMPERATURE = 0.1
REAL_WEIGHT = 3.0
MASKED = 0.15
"""Share of the tokens that are masked."""
IGNORED = -100
"""In the place of a token's id where it is not masked."""
CONTEXT_MARK = " [SEP] "

Loss = Callable[[Tensor, Tensor], Tensor]
"""Mean loss from logits and labels, both of shape (batch, labels)."""


Adjust = Callable[[Any, Recipe], None]
"""A change to a `Trainer`, which has a fresh network, before it trains."""


def unchanged(trainer: Any, recipe: Recipe) -> None:
    """Leave the trainer as it is."""


@dataclass(frozen=True)
class Variant:
    """One change to the default: to the recipe's fields, the corpus, or the trainer."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    corpus: Callable[[Sequence[Record], Codebook], DatasetDict] = to_dataset_dict
    adjust: Adjust = unchanged


def first_token(trainer: Any, recipe: Recipe) -> None:
    """Pool by the first token: put in the place of every token, it is their mean."""

    def spread(module: nn.Module, args: Any, output: Any) -> None:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden[:, :1].expand_as(hidden)

    trainer.model.encoder.register_forward_hook(spread)


class Mean(nn.Module):
    """In the place of the head: the mean of the tokens' states."""

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Shape (batch, width) from (batch, tokens, width) and (batch, tokens)."""
        return mean_pool(hidden, attention_mask)


def without(part: str) -> Adjust:
    """Leave a part of the head out of the logits: `value` attends, `mean` reads all alike."""

    def adjust(trainer: Any, recipe: Recipe) -> None:
        weights = trainer.model.classifier.get_parameter(f"{part}.weight")
        nn.init.zeros_(weights)
        weights.requires_grad_(False)

    return adjust


def layer_decay(trainer: Any, recipe: Recipe) -> None:
    """Each layer learns at `RATE_DECAY` times the rate of the one above it."""
    network = trainer.model
    layers = list(encoder_layers(network.encoder))[::-1]
    groups = [
        {"params": list(layer.parameters()), "lr": recipe.learning_rate * RATE_DECAY**depth}
        for depth, layer in enumerate(layers)
    ]
    head = {"params": list(network.classifier.parameters()), "lr": recipe.head_learning_rate}
    trainer.optimizer = torch.optim.AdamW(
        [*groups, head], weight_decay=recipe.weight_decay, fused=True
    )


def with_loss(loss: Loss) -> Adjust:
    """Train with another loss; the epoch is still chosen by average precision."""

    def adjust(trainer: Any, recipe: Recipe) -> None:
        trainer.compute_loss_func = trainer_loss(loss)

    return adjust


def trainer_loss(loss: Loss) -> Callable[..., Tensor]:
    """The loss as `Trainer` calls it."""

    def compute(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return loss(outputs.logits, labels.float())

    return compute


def class_weights(trainer: Any, recipe: Recipe) -> None:
    """Let each label's positives weigh as much, all together, as its negatives."""
    labels = torch.tensor(trainer.train_dataset["labels"][:])
    weights = (1 - labels).sum(0) / labels.sum(0).clamp(min=1)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        weight = weights.to(logits.device)
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)

    trainer.compute_loss_func = trainer_loss(loss)


def focal(logits: Tensor, labels: Tensor, gamma: float = FOCAL_GAMMA) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p the probability of what is true.

    Lin et al., "Focal loss for dense object detection", 2017, without its class weight.
    """
    log_p = logsigmoid(logits * (2 * labels - 1))
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def smoothed(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with targets `SMOOTHING / 2` away from 0 and 1."""
    targets = labels * (1 - SMOOTHING) + SMOOTHING / 2
    return binary_cross_entropy_with_logits(logits, targets)


def weighted(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, the passages weighted by the column that `labels` has beyond the logits'."""
    labels, weights = labels[:, :-1], labels[:, -1]
    losses = binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)
    return (losses * weights).sum() / weights.sum()


def real_weighted(records: Sequence[Record], codebook: Codebook) -> DatasetDict:
    """Weights as a last column of the labels: `REAL_WEIGHT` for a real passage, else 1."""
    corpus = to_dataset_dict(records, codebook)
    weights = {r.id: REAL_WEIGHT if r.kind == "real" else 1.0 for r in records}
    return corpus.map(lambda row: {"labels": [*row["labels"], weights[row["id"]]]})


def contrastive_stage(trainer: Any, recipe: Recipe) -> None:
    """First train the encoder for one epoch to bring passages with the same labels together."""
    first_stage(trainer, recipe, Mean(), trainer_loss(contrastive), trainer.data_collator)


def first_stage(
    trainer: Any, recipe: Recipe, head: nn.Module, loss: Callable[..., Tensor], collator: Any
) -> None:
    """Train the encoder for one epoch under another head, which then makes room for its own.

    `loss` is as `Trainer` calls it.
    """
    network = trainer.model
    own, network.classifier = network.classifier, head
    args = arguments(replace(recipe, epochs=1), Path(trainer.args.output_dir))
    args.eval_strategy = args.save_strategy = "no"
    args.load_best_model_at_end = False
    args.disable_tqdm = True
    stage = BucketTrainer(
        model=network,
        args=args,
        train_dataset=trainer.train_dataset,
        data_collator=collator,
        compute_loss_func=loss,
        optimizers=(optimizer(network, recipe), None),
    )
    stage.remove_callback(PrinterCallback)
    stage.train()
    network.classifier = own


def contrastive(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss of embeddings (batch, width); positives share all labels.

    Khosla et al., "Supervised contrastive learning", 2020, the mean outside the logarithm. 0.0
    where no two passages of the batch share their labels.
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positive = (labels[:, None] == labels[None]).all(-1) & ~itself
    similar = cosine_similarity(embeddings[:, None], embeddings[None], dim=-1) / TEMPERATURE
    # Finite, so that a batch of one gives 0.0 and no NaN.
    others = similar.masked_fill(itself, torch.finfo(similar.dtype).min)
    log_p = similar - others.logsumexp(1, keepdim=True)
    anchors = positive.any(1)
    of_anchor = (log_p * positive).sum(1) / positive.sum(1).clamp(min=1)
    return -(of_anchor * anchors).sum() / anchors.sum().clamp(min=1)


class Predictor(nn.Module):
    """In the place of the head: for each token, an embedding of the word that it stands for."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Shape (batch, tokens, width), from the same and (batch, tokens)."""
        embeddings: Tensor = self.linear(hidden)
        return embeddings


@dataclass(frozen=True)
class MaskedCollator:
    """Batches in which the states of some tokens are zero, and `labels` are those tokens' ids."""

    states: StatesCollator

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Tensor]:
        """As `StatesCollator` makes them, but for `labels` (batch, tokens), -100 where kept."""
        batch = self.states(features)
        ids = torch.zeros_like(batch["attention_mask"])
        for row, feature in zip(ids, features, strict=True):
            row[: len(feature["input_ids"])] = torch.tensor(feature["input_ids"])
        masked = (torch.rand(ids.shape) < MASKED) & batch["attention_mask"].bool()
        embeds = batch["inputs_embeds"].masked_fill(masked[..., None], 0.0)
        return batch | {"inputs_embeds": embeds, "labels": ids.masked_fill(~masked, IGNORED)}


def masked_language_stage(trainer: Any, recipe: Recipe) -> None:
    """First train the encoder for one epoch to tell masked words of the corpus.

    Devlin et al., "BERT", 2019; in the domain, Gururangan et al., "Don't stop pretraining", 2020.
    No layer may be frozen: what one made of a passage has read the masked words.
    """
    base = AutoModel.from_pretrained(locate(recipe.base_encoder), dtype=torch.float32)
    words = base.get_input_embeddings().weight.detach()

    def loss(outputs: Any, ids: Tensor, num_items_in_batch: Any = None) -> Tensor:
        masked = ids != IGNORED
        logits = outputs.logits[masked] @ words.to(ids.device).T
        total = cross_entropy(logits.float(), ids[masked], reduction="sum")
        return total / masked.sum().clamp(min=1)

    head = Predictor(words.shape[1])
    first_stage(trainer, recipe, head, loss, MaskedCollator(trainer.data_collator))


def documents(records: Sequence[Record]) -> list[list[Record]]:
    """The passages of whole documents, in the order of their text."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.start is not None:
            found.setdefault(record.document_id, []).append(record)
    return [sorted(passages, key=lambda r: r.start or 0) for passages in found.values()]


def windows(passages: Sequence[Record], codebook: Codebook) -> list[Record]:
    """A document cut into two and three passages by turns, each carrying all their labels."""
    cut: list[Record] = []
    sizes, start = cycle((2, 3)), 0
    while len(group := passages[start : start + next(sizes)]) > 1:
        frames = [frame for frame in codebook.frames if any(frame in r.frames for r in group)]
        voices = {voice: any(r.voice(voice) for r in group) for voice in codebook.voices}
        joined = {"text": " ".join(r.text for r in group), "end": group[-1].end, "frames": frames}
        cut.append(group[0].model_copy(update=joined | voices))
        start += len(group)
    return cut


def with_windows(records: Sequence[Record], codebook: Codebook) -> DatasetDict:
    """Windows of authored training documents beside their single passages."""
    learned = [r for r in records if r.effective_split == "train" and r.kind == "authored"]
    added = [window for passages in documents(learned) for window in windows(passages, codebook)]
    return to_dataset_dict([*records, *added], codebook)


def with_context(records: Sequence[Record], codebook: Codebook) -> DatasetDict:
    """After each passage of a whole document, the one before it, to which the mean extends too.

    After and not before, so that what is cut off at `max_tokens` is context.
    """
    before = {r.id: p.text for passages in documents(records) for p, r in pairwise(passages)}
    return to_dataset_dict(
        [
            r.model_copy(update={"text": r.text + CONTEXT_MARK + before[r.id]})
            if r.id in before
            else r
            for r in records
        ],
        codebook,
    )


DEFAULT = "default"
NEEDS_REAL = "real-x3"
VARIANTS: dict[str, Variant] = {
    DEFAULT: Variant(),
    "frozen-0": Variant({"frozen_layers": 0, "learning_rate": 1.5e-4}),
    "frozen-4": Variant({"frozen_layers": 4, "learning_rate": 4e-4}),
    "frozen-6": Variant({"frozen_layers": 6}),
    "first-token": Variant(adjust=first_token),
    "mean-only": Variant(adjust=without("value")),
    "attention-only": Variant(adjust=without("mean")),
    "class-weights": Variant(adjust=class_weights),
    "focal": Variant(adjust=with_loss(focal)),
    "label-smoothing": Variant(adjust=with_loss(smoothed)),
    "layer-decay": Variant(adjust=layer_decay),
    "layer-decay-0": Variant({"frozen_layers": 0}, adjust=layer_decay),
    "epochs-2": Variant({"epochs": 2}),
    "epochs-5": Variant({"epochs": 5}),
    "batch-32": Variant({"batch_size": 32}),
    "contrastive": Variant(adjust=contrastive_stage),
    "adapted": Variant({"frozen_layers": 0, "learning_rate": 1.5e-4}, adjust=masked_language_stage),
    "averaged-3": Variant({"averaged": 3}),
    NEEDS_REAL: Variant(corpus=real_weighted, adjust=with_loss(weighted)),
    "windows": Variant(corpus=with_windows),
    "context": Variant(corpus=with_context),
}
