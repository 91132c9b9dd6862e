"""Fine-tuning with Hugging Face's `Trainer`, made fast on a CPU.

What makes it fast (`python -m bench.training` measures it): frozen lower layers, whose output is
computed once (`training.frozen`); frozen embeddings, whose gradient is as large as the rest of the
network; no dropout inside the encoder, whose random numbers cost more than the layers they thin
out; batches of like length (`training.sampler`), padded to few distinct lengths; no denormal
numbers; and bf16 where, and only where, the processor multiplies it natively.
"""

import copy
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from data.codebook import Codebook
from eval.metrics import average_precision
from models.base_encoder import BaseEncoderError, locate
from models.network import LabelAttentionForSequenceClassification
from training.frozen import StatesCollator, join, lower_states, split_off
from training.recipe import Recipe
from training.sampler import LengthBuckets

PAD_MULTIPLE = 16
METRIC = "eval_macro_average_precision"

logger = logging.getLogger(__name__)


class BucketTrainer(Trainer):
    """`Trainer` with batches of like length in random order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthBuckets:
        assert isinstance(self.train_dataset, Dataset)
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        return LengthBuckets(lengths, self._train_batch_size, self.args.seed)


@dataclass(frozen=True)
class Finetuning:
    """The upper layers and what they are trained on; the frozen lower layers wait for the end."""

    recipe: Recipe
    codebook: Codebook
    network: LabelAttentionForSequenceClassification
    lower: nn.Module
    tokenizer: PreTrainedTokenizerBase
    splits: Mapping[str, Dataset]
    collator: StatesCollator

    def train(self, run: Path, *, resume: bool) -> None:
        """Train to the end; `network` then holds the trained weights, all layers together.

        They are the mean over `averaged` trainings from the same first weights, each in another
        order of the passages and of its best epoch (Wortsman et al., "Model soups", 2022). A
        checkpoint is written to `run` after every epoch; with `resume`, training goes on from
        the newest that is whole.
        """
        orders = range(self.recipe.averaged)
        weights = [self._upper_weights(run / f"order-{i}", i, resume=resume) for i in orders]
        self.network.load_state_dict(average(weights))
        join(self.network, self.lower)

    def trainer(self, folder: Path, order: int = 0) -> Trainer:
        """A trainer of a copy of the upper layers that stops early on `validation`."""
        network = copy.deepcopy(self.network)
        later = self.recipe.averaged - order - 1
        return BucketTrainer(
            model=network,
            args=arguments(self.recipe, folder, order),
            train_dataset=self.splits["train"],
            eval_dataset=self.splits["validation"],
            data_collator=self.collator,
            processing_class=self.tokenizer,
            compute_metrics=lambda prediction: validation_metrics(prediction, self.codebook),
            callbacks=[EarlyStoppingCallback(self.recipe.patience), TimeLeft(later)],
            optimizers=(optimizer(network, self.recipe), None),
        )

    def _upper_weights(self, folder: Path, order: int, *, resume: bool) -> dict[str, Tensor]:
        """The best epoch's weights, trained now or kept in the folder by what is resumed."""
        kept = folder / "upper.safetensors"
        if resume and kept.is_file():
            return load_file(kept)
        logger.info("Training %d of %d.", order + 1, self.recipe.averaged)
        checkpoint = last_checkpoint(folder) if resume else None
        if resume:
            where = f"from {checkpoint.name}" if checkpoint else "from the start: no checkpoint yet"
            logger.info("Resuming %s.", where)
        trainer = self.trainer(folder, order)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        assert trainer.model is not None
        weights = {name: value.cpu() for name, value in trainer.model.state_dict().items()}
        if trainer.is_world_process_zero():
            partial = kept.with_suffix(".partial")
            save_file(weights, partial)
            partial.rename(kept)
        return weights


def average(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each weight."""
    return {name: torch.stack([w[name] for w in weights]).mean(0) for name in weights[0]}


def prepare_finetuning(recipe: Recipe, corpus: DatasetDict, codebook: Codebook) -> Finetuning:
    """All that training needs from the base encoder and the corpus; nothing is written yet.

    Raises `BaseEncoderError` if the base encoder cannot be had, or not so.
    """
    set_seed(recipe.seed)
    torch.set_flush_denormal(True)
    path = locate(recipe.base_encoder)
    network = LabelAttentionForSequenceClassification.from_encoder(path, codebook.keys)
    positions = getattr(network.encoder.config, "max_position_embeddings", recipe.max_tokens)
    if recipe.max_tokens > positions:
        raise BaseEncoderError(
            f"max_tokens is {recipe.max_tokens}, but the encoder reads {positions} at most."
        )
    tokenizer = AutoTokenizer.from_pretrained(path)
    # Where the processor has matrix units, the backward pass of fused attention is twice as slow.
    network.set_attn_implementation("eager")
    lower = split_off(network, recipe.frozen_layers)
    train, validation = (
        tokenize(corpus[split], tokenizer, recipe.max_tokens) for split in ("train", "validation")
    )
    states = lower_states(lower, [*train["input_ids"][:], *validation["input_ids"][:]])
    splits = {
        "train": train.add_column("row", range(len(train))),
        "validation": validation.add_column("row", range(len(train), len(states))),
    }
    collator = StatesCollator(states, PAD_MULTIPLE)
    return Finetuning(recipe, codebook, network, lower, tokenizer, splits, collator)


def optimizer(
    model: LabelAttentionForSequenceClassification, recipe: Recipe
) -> torch.optim.Optimizer:
    """AdamW with a rate for the pretrained layers and one for the head."""
    pretrained = list(model.encoder.parameters())
    head = list(model.classifier.parameters())
    return torch.optim.AdamW(
        [
            {"params": pretrained, "lr": recipe.learning_rate},
            {"params": head, "lr": recipe.head_learning_rate},
        ],
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def arguments(recipe: Recipe, folder: Path, order: int = 0) -> TrainingArguments:
    """The recipe in `Trainer`'s terms, for one of the orders of passages that are averaged."""
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        warmup_steps=recipe.warmup,
        learning_rate=recipe.learning_rate,
        # Said outright, since transformers allows bf16 on a CPU only then.
        use_cpu=not torch.accelerator.is_available(),
        bf16=native_bf16(),
        seed=recipe.seed * recipe.averaged + order,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=METRIC,
        greater_is_better=True,
        logging_strategy="epoch",
        remove_unused_columns=False,
        report_to=[],
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def native_bf16() -> bool:
    """Whether this machine multiplies bf16 in hardware; emulated, it is far slower than fp32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def tokenize(split: Dataset, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Dataset:
    """Token ids, attention mask and multi-hot labels, which is all that the network reads."""

    def encode(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = tokenizer(rows["text"], truncation=True, max_length=max_tokens)
        names = ("input_ids", "attention_mask")
        return {name: encoded[name] for name in names} | {"labels": rows["labels"]}

    return split.map(encode, batched=True, remove_columns=split.column_names)


def validation_metrics(prediction: EvalPrediction, codebook: Codebook) -> dict[str, float]:
    """Macro average precision of the frames: needs no threshold, which is chosen only later."""
    truth = np.asarray(prediction.label_ids) > 0.5
    logits = np.asarray(prediction.predictions)
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    values = [average_precision(truth[:, i], logits[:, i]) for i in frames]
    return {METRIC: float(np.mean(values))}


def last_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None.

    `Trainer` writes `trainer_state.json` last, so a checkpoint cut off by a kill lacks a
    readable one.
    """
    steps = [(int(p.name.removeprefix("checkpoint-")), p) for p in run.glob("checkpoint-*")]
    for _, path in sorted(steps, reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None


class TimeLeft(TrainerCallback):
    """Says once, after a few steps, how long training will take at most."""

    MEASURED_STEPS = 10

    def __init__(self, later: int) -> None:
        self._later = later  # trainings that follow this one
        self._first: int | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Time the first steps after the very first, which also warms up."""
        if self._first is None:
            self._first, self._begun = state.global_step, time.monotonic()
        step = state.global_step - self._first
        if step == self.MEASURED_STEPS and state.is_world_process_zero:
            steps = state.max_steps * (1 + self._later) - state.global_step
            left = steps * (time.monotonic() - self._begun) / step
            logger.info("Training takes at most about %.0f more minutes here.", max(left / 60, 1))
