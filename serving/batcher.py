"""Batches across requests: who is scored next, and what is refused.

Requests take turns passage by passage. A round takes one passage from each waiting request after
the other until it holds enough tokens for every stream; the round is sorted by length and cut into
batches. So a request of one passage is scored in the round after it came, however many passages a
document before it has, and of two long documents neither waits for the other's end. Requests are
split and tokenized a slice at a time by the threads that score, so neither costs the event loop
or a short request more than a slice's time.

Why not BentoML's adaptive batching: it takes whole requests and counts them, so a batch holds one
sentence or a thousand, a long document stalls what comes after it, and what it refuses or drops
follows from a latency model of requests, not from the work that waits.
"""

import asyncio
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from data.passages import Span
from models.classifier import Classifier, Prediction
from models.engine import Logits, no_logits

SLICE = 32
"""Passages tokenized at a time."""

ROUND_BATCHES = 2
"""Batches of a round for each stream: more pad less, fewer let a new request in sooner."""

LONGEST_RETRY = 600
"""Seconds after which a refused client is asked to come back at most."""

Finish = Callable[[list[Prediction]], bytes]


class QueueFullError(Exception):
    """More text waits than is accepted; try again after `retry_after` seconds."""

    def __init__(self, waiting: int, limit: int, retry_after: int) -> None:
        super().__init__(f"{waiting} of {limit} characters wait")
        self.waiting, self.limit, self.retry_after = waiting, limit, retry_after


class Window(NamedTuple):
    """Token ids of a passage, or a part of it, and where their logits belong."""

    request: "Request"
    document: int
    passage: int
    ids: list[int]


class Request:
    """The documents of one request, on their way to an answer."""

    def __init__(self, classifier: Classifier, texts: Sequence[str], finish: Finish) -> None:
        self._classifier, self._texts, self._finish = classifier, texts, finish
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[bytes] = self._loop.create_future()
        self.gone = False  # nobody waits for the answer any more
        self._lock = threading.Lock()
        self._spans: list[list[Span]] = []
        self._logits: list[Logits] = []
        self._slices = self._tokenized()
        self._ready: deque[Window] = deque()
        self._unanswered = 0

    @property
    def waiting(self) -> bool:
        """Whether there is a passage left to take."""
        return bool(self._ready) and not self.gone

    def prepare(self) -> None:
        """Have the first slice ready; a request without any passage is answered here."""
        self._refill()
        if not self._ready and not self.gone:
            self._complete()

    def take(self) -> Window:
        """The next window. One slice is always ready until the last is taken."""
        with self._lock:
            self._unanswered += 1
            window = self._ready.popleft()
            if not self._ready:
                self._refill()
        return window

    def put(self, window: Window, logits: Logits) -> None:
        """Merge a window's logits, shape (labels,); the last one makes the answer."""
        with self._lock:
            row = self._logits[window.document][window.passage]
            np.maximum(row, logits, out=row)
            self._unanswered -= 1
            done = not self._unanswered and not self._ready
        if done and not self.gone:
            self._complete()

    def fail(self, error: Exception) -> None:
        """Let whoever waits have the error."""
        self.gone = True
        self._loop.call_soon_threadsafe(_settle, self.answer.set_exception, self.answer, error)

    def _tokenized(self) -> Iterator[list[Window]]:
        engine = self._classifier.engine
        for number, text in enumerate(self._texts):
            spans = self._classifier.split(text)
            self._spans.append(spans)
            self._logits.append(no_logits(len(spans), engine.network.labels))
            for first in range(0, len(spans), SLICE):
                few = [text[span.start : span.end] for span in spans[first : first + SLICE]]
                yield [
                    Window(self, number, passage, ids)
                    for passage, windows in enumerate(engine.windows(few), first)
                    for ids in windows
                ]

    def _refill(self) -> None:
        try:
            self._ready.extend(next(self._slices, ()))
        except Exception as error:  # noqa: BLE001 - the thread must live; the client gets it
            self.fail(error)

    def _complete(self) -> None:
        try:
            body = self._finish(list(map(self._classifier.prediction, self._spans, self._logits)))
        except Exception as error:  # noqa: BLE001 - the thread must live; the client gets it
            self.fail(error)
        else:
            self._loop.call_soon_threadsafe(_settle, self.answer.set_result, self.answer, body)


def take_round(requests: deque[Request], budget: int) -> list[Window]:
    """Windows of the waiting requests in turn, until they hold `budget` tokens or none is left.

    The requests that are left wait in the order in which their next turns come.
    """
    windows: list[Window] = []
    tokens = 0
    while requests and tokens < budget:
        request = requests.popleft()
        if request.waiting:
            windows.append(request.take())
            tokens += len(windows[-1].ids)
            requests.append(request)
    return windows


class Batcher:
    """Scores the documents of many requests at once.

    It has one thread more than the network has streams: one can tokenize or make an answer while
    the network is busy with the batches of the others.
    `limit` is the number of characters that may wait for an answer.
    """

    def __init__(self, classifier: Classifier, limit: int) -> None:
        self._classifier, self._limit = classifier, limit
        self._network = classifier.engine.network
        self._arrivals: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._requests: deque[Request] = deque()
        self._batches: deque[list[Window]] = deque()
        self._turn = threading.Lock()
        self._waiting = 0  # characters; touched by the event loop alone
        self._seconds, self._chars = 0.0, 0.0  # that answers lately took, and what then waited
        for _ in range(self._network.streams + 1):
            threading.Thread(target=self._score, daemon=True).start()

    async def run(self, texts: Sequence[str], finish: Finish) -> bytes:
        """What `finish` makes of the documents' predictions, in a scoring thread.

        Cancel it to drop what is not scored yet. Raises `QueueFullError`; a request is always
        accepted where nothing waits.
        """
        size = sum(map(len, texts))
        if self._waiting and self._waiting + size > self._limit:
            excess = self._waiting + size - self._limit
            seconds = math.ceil(excess * self._seconds / max(self._chars, 1.0))
            seconds = min(max(seconds, 1), LONGEST_RETRY)
            raise QueueFullError(self._waiting, self._limit, seconds)
        self._waiting += size
        before, begun = self._waiting, time.monotonic()
        request = Request(self._classifier, texts, finish)
        self._arrivals.put(request)
        try:
            body = await request.answer
            self._seconds = 0.9 * self._seconds + time.monotonic() - begun
            self._chars = 0.9 * self._chars + before
            return body
        finally:
            request.gone = True
            self._waiting -= size

    def _score(self) -> None:
        while True:
            batch = [window for window in self._next_batch() if not window.request.gone]
            if not batch:
                continue
            try:
                logits = self._network.infer([window.ids for window in batch])
            except Exception as error:  # noqa: BLE001 - the thread must live; the clients get it
                for window in batch:
                    window.request.fail(error)
                continue
            for window, row in zip(batch, logits, strict=True):
                window.request.put(window, row)

    def _next_batch(self) -> list[Window]:
        with self._turn:
            while not self._batches:
                self._admit()
                budget = self._network.batch_tokens * self._network.streams * ROUND_BATCHES
                windows = take_round(self._requests, budget)
                lengths = [len(window.ids) for window in windows]
                for batch in self._classifier.engine.batches(lengths):
                    self._batches.append([windows[i] for i in batch])
            return self._batches.popleft()

    def _admit(self) -> None:
        """Take in what has arrived, and wait for something to arrive where nothing waits."""
        while not self._requests or not self._arrivals.empty():
            request = self._arrivals.get()
            request.prepare()
            if request.waiting:
                self._requests.append(request)


def _settle(settle: Callable[..., None], answer: asyncio.Future[bytes], value: object) -> None:
    if not answer.done():
        settle(value)
