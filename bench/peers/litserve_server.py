"""LitServe with batching, one worker a core (as its guide says for CPUs), and its fast queue."""

import os
import sys
from typing import Any

import litserve
import torch
from transformers import pipeline

BATCH = 32


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        torch.set_num_threads(1)  # as many workers as cores
        self.classify = pipeline(
            "text-classification",
            model=os.environ["BENCH_WEIGHTS"],
            dtype=os.environ["BENCH_DTYPE"],
            top_k=None,
        )

    def decode_request(self, request: dict[str, Any]) -> list[str]:
        return request["texts"]

    def predict(self, requests: list[list[str]]) -> list[Any]:
        texts = [text for texts in requests for text in texts]
        scores = iter(self.classify(texts, batch_size=BATCH, truncation=True))
        return [[next(scores) for _ in texts] for texts in requests]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"scores": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Classifier(max_batch_size=BATCH, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=len(os.sched_getaffinity(0)),
        timeout=False,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
