"""How fast training runs, against `Trainer` with its defaults on the same passages and machine.

python -m bench.training [--passages 256] [--repeats 3]
"""

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import torch
from datasets import DatasetDict
from transformers import (
    AutoModel,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)
from transformers.utils.logging import disable_progress_bar

from data.codebook import Codebook, load_codebook
from data.corpus import load_corpus
from models.base_encoder import locate
from models.network import LabelAttentionForSequenceClassification
from training.finetune import native_bf16, prepare_finetuning, tokenize
from training.recipe import Recipe

DEFAULTS, OURS = "Trainer, defaults, fp32", "python -m training"


def main() -> None:
    """Time both in turn and print tokens a second and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--passages", type=int, default=256, help="passages an epoch")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    options = parser.parse_args()
    disable_progress_bar()
    logging.disable(logging.WARNING)
    codebook, recipe = load_codebook(), Recipe()
    corpus = load_corpus(codebook)
    sample = corpus["train"].shuffle(seed=0).select(range(options.passages))
    small = DatasetDict({"train": sample, "validation": sample.select(range(8))})
    tokenizer = AutoTokenizer.from_pretrained(locate(recipe.base_encoder))
    tokens = sum(map(len, tokenize(sample, tokenizer, recipe.max_tokens)["input_ids"][:]))
    rates: dict[str, list[float]] = {DEFAULTS: [], OURS: []}
    for _ in range(options.repeats):
        rates[DEFAULTS].append(tokens / defaults_seconds(recipe, small, codebook))
        rates[OURS].append(tokens * recipe.epochs / our_seconds(recipe, small, codebook))
    print(f"{options.passages} passages, {tokens:,} tokens, {torch.get_num_threads()} threads")
    print(f"bf16 in hardware: {'yes' if native_bf16() else 'no'}")
    for name, values in rates.items():
        print(f"{name:<26}{statistics.median(values):>8,.0f} tokens/s   (of {len(values)})")
    ratios = [ours / theirs for ours, theirs in zip(rates[OURS], rates[DEFAULTS], strict=True)]
    print(f"ratio {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}")


def defaults_seconds(recipe: Recipe, corpus: DatasetDict, codebook: Codebook) -> float:
    """One epoch with what `TrainingArguments()` sets: all layers, dropout, batches of eight."""
    path = locate(recipe.base_encoder)
    network = LabelAttentionForSequenceClassification.from_encoder(path, codebook.keys)
    network.encoder = AutoModel.from_pretrained(path, dtype=torch.float32)
    network.encoder.pooler = None
    tokenizer = AutoTokenizer.from_pretrained(path)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=network,
            args=TrainingArguments(
                folder, num_train_epochs=1, save_strategy="no", report_to=[], disable_tqdm=True
            ),
            train_dataset=tokenize(corpus["train"], tokenizer, recipe.max_tokens),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        begun = time.perf_counter()
        trainer.train()
        return time.perf_counter() - begun


def our_seconds(recipe: Recipe, corpus: DatasetDict, codebook: Codebook) -> float:
    """All epochs of the recipe, the single pass through the frozen layers included."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        finetuning = prepare_finetuning(recipe, corpus, codebook)
        trainer = finetuning.trainer(Path(folder))
        trainer.args.save_strategy = "no"
        trainer.args.eval_strategy = "no"
        trainer.args.load_best_model_at_end = False
        trainer.args.disable_tqdm = True
        trainer.callback_handler.callbacks = [
            callback
            for callback in trainer.callback_handler.callbacks
            if type(callback).__name__ not in {"EarlyStoppingCallback", "PrinterCallback"}
        ]
        trainer.train()
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
