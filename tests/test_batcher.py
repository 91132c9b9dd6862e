"""Batching across requests, in a real served process and in its pure part."""

import asyncio
import json
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.classifier import Classifier
from serving.batcher import Request, Window, take_round
from tests.conftest import served
from tests.small_model import CORPUS, ROOT

SENTENCE = "A sentence of the usual length about the alliance stands here once again. "
QUEUE = 250_000


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[httpx.Client]:
    os.environ["FRAMESCOPE_QUEUE_CHARS"] = str(QUEUE)
    try:
        with served(home, ".", ROOT) as client:
            yield client
    finally:
        del os.environ["FRAMESCOPE_QUEUE_CHARS"]


def body(documents: int, chars: int = 19_000) -> bytes:
    text = (SENTENCE * (chars // len(SENTENCE) + 1))[:chars]
    named = [{"id": str(i), "text": text} for i in range(documents)]
    return json.dumps({"documents": named, "passages": False}).encode()


class Asked:
    """A request under way on a connection of its own."""

    def __init__(self, server: httpx.Client, content: bytes) -> None:
        url = server.base_url
        self._socket = socket.create_connection((url.host, url.port), timeout=120)
        head = (
            f"POST /v1/classify HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + content)

    def status(self) -> int:
        with self._socket, self._socket.makefile("rb") as answer:
            return int(answer.read().split()[1])

    def leave(self) -> None:
        self._socket.close()

    def answered(self) -> bool:
        return bool(select.select([self._socket], [], [], 0)[0])


def until(server: httpx.Client, status: int, content: bytes) -> httpx.Response:
    """Ask again and again until the answer has this status."""
    while True:
        response = server.post("/v1/classify", content=content)
        if response.status_code == status:
            return response
        assert response.status_code in (200, 503)


def fill(server: httpx.Client, *contents: bytes) -> tuple[list[Asked], httpx.Response]:
    """Requests that are all being scored and leave no room, and how the next one is refused."""
    while True:
        asked = [Asked(server, content) for content in contents]
        while not any(each.answered() for each in asked):
            # Always fits; meanwhile the large ones, whose parsing takes longer, come in.
            assert server.post("/v1/classify", content=body(1, 60)).status_code == 200
            response = server.post("/v1/classify", content=body(2))
            if response.status_code == 503:
                return asked, response
        # One was done, or what we asked to find out came first.
        for each in asked:
            each.leave()


def test_a_short_request_is_answered_while_a_long_one_is_scored(server: httpx.Client) -> None:
    (long,), _ = fill(server, body(12))
    order: list[str] = []
    waiting = threading.Thread(target=lambda: order.append(f"long {long.status()}"))
    waiting.start()
    assert server.post("/v1/classify", content=body(1, 60)).status_code == 200
    order.append("short")
    waiting.join()
    assert order == ["short", "long 200"]


def test_a_full_queue_is_refused_with_a_time_to_come_back(server: httpx.Client) -> None:
    (long,), refused = fill(server, body(12))
    error = refused.json()["error"]
    assert error["code"] == "queue_full"
    assert f"of the {QUEUE:,} characters" in error["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert long.status() == 200
    assert server.post("/v1/classify", content=body(13)).status_code == 200


def test_what_a_client_that_left_had_asked_is_dropped(server: httpx.Client) -> None:
    (stays, leaves), _ = fill(server, body(9), body(3))
    order: list[str] = []
    waiting = threading.Thread(target=lambda: order.append(f"stays {stays.status()}"))
    waiting.start()
    leaves.leave()
    # It fits beside the one that stays, and ends before it, only if the other makes room at once.
    until(server, 200, body(2))
    order.append("fits")
    waiting.join()
    assert order == ["fits", "stays 200"]


def test_results_do_not_depend_on_company(server: httpx.Client, classifier: Classifier) -> None:
    seed = [path.read_text(encoding="utf-8") for path in sorted(CORPUS[0].glob("*.txt"))]
    texts = [SENTENCE * n + text for n, text in zip((1, 40, 3, 120, 2), seed, strict=False)]
    found: dict[int, list[float]] = {}

    def ask(i: int) -> None:
        answer = server.post("/v1/classify", json={"documents": [{"id": "a", "text": texts[i]}]})
        last = answer.json()["documents"][0]["passages"][-1]
        found[i] = [*last["frames"].values(), *last["voice"].values()]

    asking = [threading.Thread(target=ask, args=(i,)) for i in range(len(texts))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    predictions = classifier.predict(texts)
    codebook = classifier.framing.codebook
    columns = [codebook.keys.index(key) for key in (*codebook.frames, *codebook.voices)]
    for i, prediction in enumerate(predictions):
        assert found[i] == pytest.approx(prediction.passage_scores[-1, columns], abs=0.005)
    # So small a model may learn nothing of a label, and then gives every text the same score.
    assert np.ptp([found[i] for i in range(len(texts))], axis=0).max() > 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests=st.lists(st.integers(0, 70), max_size=6), budget=st.integers(1, 400))
def test_rounds_take_every_passage_once_in_turn_within_the_budget(
    classifier: Classifier, requests: list[int], budget: int
) -> None:
    taken = asyncio.run(rounds(classifier, requests, budget))
    for windows in taken:
        assert sum(len(window.ids) for window in windows[:-1]) < budget
    flat = [(window.document, window.passage) for windows in taken for window in windows]
    assert sorted(flat) == [(n, i) for n, size in enumerate(requests) for i in range(size)]
    # Nobody has a second turn before everybody who waits has had a first.
    turns = [passage for _, passage in flat]
    assert turns == sorted(turns)


async def rounds(classifier: Classifier, sizes: list[int], budget: int) -> list[list[Window]]:
    """All rounds of requests with so many one-line passages; `document` is the request's number."""
    requests = []
    for number, size in enumerate(sizes):
        texts = [""] * number + [f"{SENTENCE}\n" * size]
        requests.append(Request(classifier, texts, lambda _: b""))
        requests[-1].prepare()
    queue = deque(request for request in requests if request.waiting)
    made = []
    while queue:
        made.append(take_round(queue, budget))
    return made
