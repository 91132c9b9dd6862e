"""What the machine can do at most: its matrix products, and the engine without a server.

python -m bench.limits BUNDLE TEXTS.json SECONDS

Prints JSON. TEXTS.json holds, for each way of calling the engine, its name and the lists of texts
to call it with in turn. It runs in a process of its own, so that nothing else holds its threads.
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.classifier import Classifier
from training.finetune import native_bf16

WARM_UP_CALLS = 3
LARGE = 2048


@dataclass(frozen=True)
class Alone:
    """The engine's speed when called with lists of texts in turn."""

    texts_per_s: float
    p50_ms: float
    """Median time of one call."""


@dataclass(frozen=True)
class Limits:
    """One measurement of the machine and of the engine on it."""

    tflops: dict[str, float]
    """Matrix products: 10^12 floating-point operations a second, by type of number."""
    engine: dict[str, Alone]


def main() -> None:
    """Measure both and print them."""
    bundle, texts, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    calls: dict[str, list[list[str]]] = json.loads(texts.read_text(encoding="utf-8"))
    classifier = Classifier.load(bundle)
    engine = {name: time_calls(classifier.logits, lists, seconds) for name, lists in calls.items()}
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["encoder"]
    print(json.dumps(asdict(Limits(matrix_products(config, seconds), engine))))


def time_calls(
    call: Callable[[Sequence[str]], object], lists: Sequence[Sequence[str]], seconds: float
) -> Alone:
    """Call with one list after another for this long, after a few calls that do not count."""
    turns = itertools.cycle(lists)
    for _ in range(WARM_UP_CALLS):
        call(next(turns))
    times, texts = [], 0
    begun = now = time.perf_counter()
    while now - begun < seconds:
        chosen = next(turns)
        call(chosen)
        before, now = now, time.perf_counter()
        times.append(now - before)
        texts += len(chosen)
    return Alone(texts / (now - begun), statistics.median(times) * 1e3)


def matrix_products(encoder: dict[str, Any], seconds: float) -> dict[str, float]:
    """TFLOP/s of torch's matrix product, by type: the fastest of the encoder's shapes and a large.

    bf16 only where the processor multiplies it; emulated, it says nothing.
    """
    width, inner = encoder["hidden_size"], encoder["intermediate_size"]
    shapes = [(LARGE, width, width), (LARGE, width, inner), (LARGE, inner, width)]
    shapes.append((LARGE, LARGE, LARGE))
    types = [torch.float32] + [torch.bfloat16] * native_bf16()
    return {
        str(dtype).removeprefix("torch."): max(
            _product(shape, dtype, seconds / len(shapes)) for shape in shapes
        )
        for dtype in types
    }


def _product(shape: tuple[int, int, int], dtype: torch.dtype, seconds: float) -> float:
    rows, inner, columns = shape
    left, right = torch.rand(rows, inner).to(dtype), torch.rand(inner, columns).to(dtype)
    with torch.inference_mode():
        torch.mm(left, right)
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            torch.mm(left, right)
            count += 1
        spent = time.perf_counter() - begun
    return 2 * rows * inner * columns * count / spent / 1e12


def flops_per_token(encoder: dict[str, Any], tokens: int) -> float:
    """Multiplications and additions of the encoder's matrix products for one of `tokens` tokens.

    Each layer has four square products, two with the inner width, and attention's two with the
    other tokens; everything else is left out.
    """
    width, inner = encoder["hidden_size"], encoder["intermediate_size"]
    layer = 2 * (4 * width * width + 2 * width * inner) + 2 * 2 * tokens * width
    return float(encoder["num_hidden_layers"] * layer)


if __name__ == "__main__":
    main()
