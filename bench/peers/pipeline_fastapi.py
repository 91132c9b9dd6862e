"""A transformers pipeline behind FastAPI, batching as transformers' guide to web servers says.

One queue and one worker thread; what arrives within a millisecond is one batch.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

BATCH, WAIT_SECONDS = 32, 0.001


class Texts(BaseModel):
    texts: list[str]


async def batch_loop(queue: asyncio.Queue[Any]) -> None:
    classify = pipeline(
        "text-classification",
        model=os.environ["BENCH_WEIGHTS"],
        dtype=os.environ["BENCH_DTYPE"],
        top_k=None,
    )
    loop = asyncio.get_running_loop()
    while True:
        waiting = [await queue.get()]
        deadline = loop.time() + WAIT_SECONDS
        with suppress(TimeoutError):
            while len(waiting) < BATCH:
                waiting.append(await asyncio.wait_for(queue.get(), deadline - loop.time()))
        texts = [text for texts, _ in waiting for text in texts]
        scores = iter(await asyncio.to_thread(classify, texts, batch_size=BATCH, truncation=True))
        for texts, answer in waiting:
            if not answer.cancelled():
                answer.set_result([next(scores) for _ in texts])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = asyncio.Queue()
    task = asyncio.create_task(batch_loop(app.state.queue))
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/classify")
async def classify(body: Texts) -> list[list[dict[str, Any]]]:
    answer = asyncio.get_running_loop().create_future()
    await app.state.queue.put((body.texts, answer))
    return await answer
