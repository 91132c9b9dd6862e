"""BentoML's stock example: a pipeline in a service, with its adaptive batching."""

import os
from typing import Any

import bentoml
from transformers import pipeline

BATCH = 32


@bentoml.service(resources={"cpu": str(os.cpu_count())}, traffic={"timeout": 600})
class Peer:
    def __init__(self) -> None:
        self.classify_texts = pipeline(
            "text-classification",
            model=os.environ["BENCH_WEIGHTS"],
            dtype=os.environ["BENCH_DTYPE"],
            top_k=None,
        )

    @bentoml.api(batchable=True)
    def classify(self, texts: list[str]) -> list[Any]:
        return self.classify_texts(texts, batch_size=BATCH, truncation=True)
