"""Fine-tuning with Hugging Face's `Trainer`, made fast on a CPU.

What makes it fast (`python -m bench.training` measures it): no dropout inside the encoder, whose
random numbers cost more than the layers they thin out; frozen embeddings, whose gradient is as
large as the rest of the network; batches of like length, padded to few distinct lengths; no
denormal numbers; and bf16 where, and only where, the processor multiplies it natively.
"""

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import nn
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
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
from models.network import MeanPoolingForSequenceClassification
from training.recipe import Recipe

PAD_MULTIPLE = 16
METRIC = "eval_macro_average_precision"

logger = logging.getLogger(__name__)


def build_trainer(recipe: Recipe, corpus: DatasetDict, codebook: Codebook, run: Path) -> Trainer:
    """A trainer on `train` that stops early on `validation`; nothing is written yet.

    Raises `BaseEncoderError` if the base encoder cannot be had, or not so.
    """
    set_seed(recipe.seed)
    torch.set_flush_denormal(True)
    path = locate(recipe.base_encoder)
    model = network(recipe, path, codebook)
    tokenizer = AutoTokenizer.from_pretrained(path)
    return Trainer(
        model=model,
        args=arguments(recipe, run),
        train_dataset=tokenize(corpus["train"], tokenizer, recipe.max_tokens),
        eval_dataset=tokenize(corpus["validation"], tokenizer, recipe.max_tokens),
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=PAD_MULTIPLE),
        processing_class=tokenizer,
        compute_metrics=lambda prediction: validation_metrics(prediction, codebook),
        callbacks=[EarlyStoppingCallback(recipe.patience), TimeLeft()],
        optimizers=(optimizer(model, recipe), None),
    )


def finetune(trainer: Trainer, run: Path, *, resume: bool) -> None:
    """Train to the end and leave the best epoch's weights in `trainer.model`.

    A checkpoint is written to `run` after every epoch; with `resume`, training goes on from the
    newest that is whole.
    """
    checkpoint = last_checkpoint(run) if resume else None
    if resume:
        where = f"from {checkpoint.name}" if checkpoint else "from the start: no checkpoint yet"
        logger.info("Resuming %s.", where)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def network(recipe: Recipe, path: str, codebook: Codebook) -> MeanPoolingForSequenceClassification:
    """The network before training, its embeddings and lowest layers frozen."""
    model = MeanPoolingForSequenceClassification.from_encoder(path, codebook.keys)
    layers = encoder_layers(model.encoder)
    positions = getattr(model.encoder.config, "max_position_embeddings", recipe.max_tokens)
    if recipe.max_tokens > positions:
        raise BaseEncoderError(
            f"max_tokens is {recipe.max_tokens}, but {recipe.base_encoder} reads at most {positions}."
        )
    if recipe.frozen_layers > len(layers):
        raise BaseEncoderError(
            f"frozen_layers is {recipe.frozen_layers}, but {recipe.base_encoder} has {len(layers)}."
        )
    model.encoder.requires_grad_(False)
    layers[recipe.frozen_layers :].requires_grad_(True)
    return model


def encoder_layers(encoder: nn.Module) -> nn.ModuleList:
    """The encoder's stack of layers, whatever its architecture calls it."""
    depth = encoder.config.num_hidden_layers  # type: ignore[union-attr]
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise BaseEncoderError(f"{type(encoder).__name__} has no stack of {depth} layers.")


def optimizer(model: MeanPoolingForSequenceClassification, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with a rate for the pretrained layers and one for the head."""
    pretrained = [p for p in model.encoder.parameters() if p.requires_grad]
    head = list(model.classifier.parameters())
    return torch.optim.AdamW(
        [
            {"params": pretrained, "lr": recipe.learning_rate},
            {"params": head, "lr": recipe.head_learning_rate},
        ],
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def arguments(recipe: Recipe, run: Path) -> TrainingArguments:
    """The recipe in `Trainer`'s terms."""
    return TrainingArguments(
        output_dir=str(run),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        warmup_steps=recipe.warmup,
        learning_rate=recipe.learning_rate,
        bf16=native_bf16(),
        seed=recipe.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=METRIC,
        greater_is_better=True,
        logging_strategy="epoch",
        report_to=[],
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

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Time the first steps after the very first, which also warms up."""
        step = state.global_step - getattr(self, "_first", state.global_step)
        if not step:
            self._first, self._begun = state.global_step, time.monotonic()
        elif step == self.MEASURED_STEPS and state.is_world_process_zero:
            left = (state.max_steps - state.global_step) * (time.monotonic() - self._begun) / step
            logger.info("Training takes at most about %.0f more minutes here.", max(left / 60, 1))
