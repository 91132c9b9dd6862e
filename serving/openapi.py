"""The OpenAPI description, made from the same types that check the requests."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from data.codebook import Codebook
from serving.schemas import ClassifyRequest, ClassifyResponse

REFUSALS = {
    "400": "The body is not UTF-8 or not JSON.",
    "413": "The body, the number of documents, or a document is too large.",
    "422": "A field is missing, unknown, of the wrong type, or holds no usable text.",
    "503": "As much text as may wait already does; `Retry-After` says when to try again.",
}


class ErrorBody(BaseModel):
    """What went wrong, in words that never repeat the text that was sent."""

    code: str
    message: str
    field: str | None


class ErrorResponse(BaseModel):
    """The body of every refusal."""

    error: ErrorBody


def openapi(codebook: Codebook) -> dict[str, Any]:
    """The document served at `/docs.json`."""
    _, schemas = models_json_schema(
        [
            (ClassifyRequest, "validation"),
            (ClassifyResponse, "serialization"),
            (ErrorResponse, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    refusals = {
        status: _json(text, "#/components/schemas/ErrorResponse")
        for status, text in REFUSALS.items()
    }
    answer = _json("Scores, in the order asked.", "#/components/schemas/ClassifyResponse")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Framescope",
            "version": "1",
            "description": f"Frames: {', '.join(codebook.frames)}. "
            f"Voices: {', '.join(codebook.voices)}.",
        },
        "paths": {
            "/v1/classify": {
                "post": {
                    "summary": "Score documents",
                    "operationId": "classify",
                    "requestBody": {
                        "required": True,
                        **_content("#/components/schemas/ClassifyRequest"),
                    },
                    "responses": {"200": answer, **refusals},
                }
            },
            "/v1/model": {"get": _plain("model", "The served model: thresholds, metrics, origin")},
            "/v1/codebook": {"get": _plain("codebook", "The labels and what they mean")},
            "/livez": {"get": _plain("livez", "The process is up")},
            "/readyz": {"get": _plain("readyz", "The model is loaded")},
            "/metrics": {"get": _plain("metrics", "Prometheus metrics")},
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _content(reference: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": reference}}}}


def _json(description: str, reference: str) -> dict[str, Any]:
    return {"description": description, **_content(reference)}


def _plain(operation: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": {"description": summary}},
    }
