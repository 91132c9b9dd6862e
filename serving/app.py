"""The HTTP routes around a classifier, as an ASGI application."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from models.classifier import Classifier, Prediction
from models.registry import NAME
from serving.answers import Answers
from serving.batcher import Batcher, QueueFullError
from serving.errors import ApiError, respond
from serving.openapi import openapi
from serving.schemas import MAX_BODY_BYTES, Document, parse_request

CONSOLE = Path(__file__).parent / "console.html"

QUEUE_CHARS = int(os.environ.get("FRAMESCOPE_QUEUE_CHARS", 2 * MAX_BODY_BYTES))
"""Characters that may wait for an answer: two of the largest requests there can be."""

LARGE_BODY = 64 * 1024
"""Bytes from which a body is parsed off the event loop."""


def create_app(classifier: Classifier, version: str) -> Starlette:
    """All routes of the service but BentoML's own probes and metrics.

    It answers its first request as quickly as any other.
    """
    app = Starlette(
        routes=[
            Route("/v1/classify", classify, methods=["POST"]),
            Route("/v1/model", model),
            Route("/v1/codebook", codebook),
            Route("/docs.json", docs),
            Route("/", console),
        ],
        exception_handlers={ApiError: respond},
    )
    answers = Answers(classifier)
    first = Document(id="first", text="Compiles the network and loads the languages.")
    answers.document(first, *classifier.predict([first.text]), passages=True)
    app.state.classifier, app.state.version, app.state.answers = classifier, version, answers
    app.state.batcher = Batcher(classifier, QUEUE_CHARS)
    return app


async def classify(request: Request) -> Response:
    """Score the documents of a request."""
    body = await read_body(request)
    if len(body) > LARGE_BODY:
        asked = await asyncio.to_thread(parse_request, body)
    else:
        asked = parse_request(body)
    answers: Answers = request.app.state.answers
    batcher: Batcher = request.app.state.batcher

    def finish(predictions: list[Prediction]) -> bytes:
        documents = [
            answers.document(document, prediction, passages=asked.passages)
            for document, prediction in zip(asked.documents, predictions, strict=True)
        ]
        return to_json({"model": served_model(request), "documents": documents})

    texts = [document.text for document in asked.documents]
    try:
        answer = await while_connected(request, batcher.run(texts, finish))
    except QueueFullError as full:
        message = (
            f"{full.waiting:,} of the {full.limit:,} characters that may wait for an answer wait; "
            f"send this again in {full.retry_after} seconds."
        )
        retry = {"Retry-After": str(full.retry_after)}
        raise ApiError(503, "queue_full", message, headers=retry) from None
    return Response(answer, media_type="application/json")


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


async def model(request: Request) -> Response:
    """The served bundle's card."""
    classifier: Classifier = request.app.state.classifier
    framing = classifier.framing
    keys = framing.codebook.keys
    described = framing.model_dump(mode="json", exclude={"codebook", "calibration"})
    labels = {
        "labels": list(keys),
        "thresholds": dict(zip(keys, classifier.thresholds.tolist(), strict=True)),
    }
    return JSONResponse(served_model(request) | labels | described)


async def codebook(request: Request) -> Response:
    """The labels with their definitions and rules."""
    return JSONResponse(request.app.state.classifier.framing.codebook.model_dump(mode="json"))


async def docs(request: Request) -> Response:
    """The OpenAPI description."""
    return JSONResponse(openapi(request.app.state.classifier.framing.codebook))


async def console(request: Request) -> Response:
    """The web page."""
    return FileResponse(CONSOLE)


def served_model(request: Request) -> dict[str, str]:
    """Name, version and codebook of the served model, as every response names it."""
    state = request.app.state
    codebook_version = state.classifier.framing.codebook.version
    return {"name": NAME, "version": state.version, "codebook": codebook_version}


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
