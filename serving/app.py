"""The HTTP routes around a classifier, as an ASGI application."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, Router

from models.classifier import Classifier, Prediction
from models.registry import NAME
from serving.answers import Answers
from serving.batcher import Batcher, QueueFullError
from serving.errors import ApiError
from serving.openapi import openapi
from serving.schemas import MAX_BODY_BYTES, Document, parse_request

CONSOLE = Path(__file__).parent / "console.html"

QUEUE_CHARS = int(os.environ.get("FRAMESCOPE_QUEUE_CHARS", 2 * MAX_BODY_BYTES))
"""Characters that may wait for an answer: two of the largest requests there can be."""

LARGE_BODY = 64 * 1024
"""Bytes from which a body is parsed off the event loop."""


class App(Router):
    """All routes of the service but BentoML's own probes and metrics.

    A router alone, since BentoML's application around it has the rest. It answers its first request
    as quickly as any other.
    """

    def __init__(self, classifier: Classifier, version: str) -> None:
        super().__init__(
            [
                Route("/v1/classify", self.classify, methods=["POST"]),
                Route("/v1/model", self.model),
                Route("/v1/codebook", self.codebook),
                Route("/docs.json", self.docs),
                Route("/", self.console),
            ]
        )
        self._framing, self._thresholds = classifier.framing, classifier.thresholds
        codebook_version = classifier.framing.codebook.version
        self._model = {"name": NAME, "version": version, "codebook": codebook_version}
        self._answers = Answers(classifier)
        first = Document(id="first", text="Compiles the network and loads the languages.")
        self._answers.document(first, *classifier.predict([first.text]), passages=True)
        self._batcher = Batcher(classifier, QUEUE_CHARS)

    async def classify(self, request: Request) -> Response:
        """Score the documents of a request."""
        try:
            return Response(await self._classified(request), media_type="application/json")
        except ApiError as error:
            return error.response()

    async def _classified(self, request: Request) -> bytes:
        body = await read_body(request)
        if len(body) > LARGE_BODY:
            asked = await asyncio.to_thread(parse_request, body)
        else:
            asked = parse_request(body)

        def finish(predictions: list[Prediction]) -> bytes:
            documents = [
                self._answers.document(document, prediction, passages=asked.passages)
                for document, prediction in zip(asked.documents, predictions, strict=True)
            ]
            return to_json({"model": self._model, "documents": documents})

        texts = [document.text for document in asked.documents]
        try:
            return await while_connected(request, self._batcher.run(texts, finish))
        except QueueFullError as full:
            message = (
                f"{full.waiting:,} of the {full.limit:,} characters that may wait for an answer "
                f"wait; send this again in {full.retry_after} seconds."
            )
            retry = {"Retry-After": str(full.retry_after)}
            raise ApiError(503, "queue_full", message, headers=retry) from None

    async def model(self, request: Request) -> Response:
        """The served bundle's card."""
        keys = self._framing.codebook.keys
        labels = {
            "labels": list(keys),
            "thresholds": dict(zip(keys, self._thresholds.tolist(), strict=True)),
        }
        described = self._framing.model_dump(mode="json", exclude={"codebook", "calibration"})
        return JSONResponse(self._model | labels | described)

    async def codebook(self, request: Request) -> Response:
        """The labels with their definitions and rules."""
        return JSONResponse(self._framing.codebook.model_dump(mode="json"))

    async def docs(self, request: Request) -> Response:
        """The OpenAPI description."""
        return JSONResponse(openapi(self._framing.codebook))

    async def console(self, request: Request) -> Response:
        """The web page."""
        return FileResponse(CONSOLE)


async def while_connected(request: Request, work: Coroutine[None, None, bytes]) -> bytes:
    """The work's result; the work is cancelled once the client has gone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())  # past the body, only a disconnect comes
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else b""
    finally:
        working.cancel()
        leaving.cancel()


async def read_body(request: Request) -> bytes:
    """The whole body, refused as soon as it is known to be too large."""
    declared = request.headers.get("content-length", "")
    body = bytearray()
    if not declared.isdecimal() or int(declared) <= MAX_BODY_BYTES:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        else:
            return bytes(body)
    size = f"{int(declared):,} bytes" if declared.isdecimal() else f"over {MAX_BODY_BYTES:,} bytes"
    message = f"The body has {size}; send at most {MAX_BODY_BYTES:,} (4 MiB), in several requests."
    raise ApiError(413, "body_too_large", message)
