"""The HTTP routes around a classifier, as an ASGI application."""

from pathlib import Path
from typing import Any

import anyio
import numpy as np
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from models.calibration import Scores
from models.classifier import Classifier, Prediction
from models.language import untrained_language
from models.registry import NAME
from serving.errors import ApiError, respond
from serving.openapi import openapi
from serving.schemas import MAX_BODY_BYTES, Document, parse_request

CONSOLE = Path(__file__).parent / "console.html"


def create_app() -> Starlette:
    """All routes of the service but BentoML's own probes and metrics.

    `app.state.classifier` and `app.state.version` are to be set before the first request.
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
    # The engine uses every core for one batch; two requests at once would only take turns.
    app.state.one_at_a_time = anyio.CapacityLimiter(1)
    return app


async def classify(request: Request) -> Response:
    """Score the documents of a request."""
    classifier: Classifier = request.app.state.classifier
    asked = parse_request(await read_body(request))

    def answer() -> list[dict[str, Any]]:
        predictions = classifier.predict([document.text for document in asked.documents])
        return [
            document_result(classifier, document, prediction, passages=asked.passages)
            for document, prediction in zip(asked.documents, predictions, strict=True)
        ]

    documents = await anyio.to_thread.run_sync(answer, limiter=request.app.state.one_at_a_time)
    body = to_json({"model": served_model(request), "documents": documents})
    return Response(body, media_type="application/json")


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


def document_result(
    classifier: Classifier, document: Document, prediction: Prediction, *, passages: bool
) -> dict[str, Any]:
    """One document's part of the response; `serving.schemas.DocumentResult` is its type."""
    codebook, thresholds = classifier.framing.codebook, classifier.thresholds
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    scores = prediction.document_scores
    present = scores >= thresholds
    trained = classifier.framing.provenance.languages
    language = untrained_language(document.text, trained)
    warnings = []
    if language:
        message = (
            f"The text looks like language {language!r}; the model was trained on "
            f"{', '.join(trained)}, and its scores for other languages are not reliable."
        )
        warnings.append({"code": "language", "message": message})
    return {
        "id": document.id,
        "frames": {
            codebook.keys[i]: {
                "score": round(float(scores[i]), 4),
                "present": bool(present[i]),
                "threshold": round(float(thresholds[i]), 4),
            }
            for i in frames
        },
        "labels": [codebook.keys[i] for i in frames if present[i]],
        "passages": _passages(classifier, prediction) if passages else [],
        "warnings": warnings,
    }


def _passages(classifier: Classifier, prediction: Prediction) -> list[dict[str, Any]]:
    codebook = classifier.framing.codebook

    def named(keys: tuple[str, ...], row: Scores) -> dict[str, float]:
        return {key: round(float(row[codebook.keys.index(key)]), 4) for key in keys}

    present: np.ndarray[Any, np.dtype[np.bool_]] = (
        prediction.passage_scores >= classifier.thresholds
    )
    return [
        {
            "start": span.start,
            "end": span.end,
            "frames": named(codebook.frames, row),
            "labels": [f for f in codebook.frames if there[codebook.keys.index(f)]],
            "voice": named(codebook.voices, row),
        }
        for span, row, there in zip(
            prediction.passages, prediction.passage_scores, present, strict=True
        )
    ]
