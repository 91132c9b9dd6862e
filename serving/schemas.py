"""The HTTP contract as types: what comes in, what goes out, and what is refused."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from serving.errors import ApiError

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_DOCUMENTS = 64
MAX_CHARS = 200_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Document(_Strict):
    """A text to score, under the caller's own name for it."""

    id: Annotated[str, Field(min_length=1, max_length=256, description="Comes back as it is.")]
    text: Annotated[str, Field(max_length=MAX_CHARS, description="Plain text, in full.")]


class ClassifyRequest(_Strict):
    """The body of `POST /v1/classify`."""

    documents: Annotated[list[Document], Field(min_length=1, max_length=MAX_DOCUMENTS)]
    passages: Annotated[bool, Field(description="Whether to list the passages as well.")] = True


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str
    codebook: str


class FrameScore(BaseModel):
    """A frame's calibrated probability, and whether it reaches the frame's threshold."""

    score: float
    present: bool
    threshold: float


class Passage(BaseModel):
    """A passage; offsets are Unicode code points, so that Python's `text[start:end]` is it."""

    start: int
    end: int
    frames: dict[str, float]
    labels: list[str]
    voice: dict[str, float]


class Warning(BaseModel):
    """Why a document's scores may not be relied on."""

    code: str
    message: str


class DocumentResult(BaseModel):
    """A document's frames; `passages` is empty where they were not asked for."""

    id: str
    frames: dict[str, FrameScore]
    labels: list[str]
    passages: list[Passage]
    warnings: list[Warning]


class ClassifyResponse(BaseModel):
    """The answer of `POST /v1/classify`; documents stand in the order of the request."""

    model: ModelName
    documents: list[DocumentResult]


def parse_request(body: bytes) -> ClassifyRequest:
    """Check a body against the contract. Raises `ApiError`, never showing the text itself."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(
            400, "invalid_utf8", f"The body is not valid UTF-8 at byte {error.start:,}."
        ) from None
    try:
        request = ClassifyRequest.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)[0]) from None
    for i, document in enumerate(request.documents):
        field = f"documents.{i}.text"
        if not document.text.strip():
            size = f"{len(document.text):,} characters of white space" if document.text else "empty"
            raise ApiError(422, "empty_text", f"{field} is {size}; send some text.", field)
        if "\0" in document.text:
            position = document.text.index("\0")
            message = f"{field} holds a NUL character at position {position:,}; remove it."
            raise ApiError(422, "nul_character", message, field)
    return request


def _refusal(error: ErrorDetails) -> ApiError:
    """One of pydantic's errors in our words: its field, its size, and what to send instead."""
    field = ".".join(map(str, error["loc"])) or None
    name, value, context = field or "The body", error["input"], error.get("ctx", {})
    match error["type"]:
        case "json_invalid" if "hex escape" in str(context.get("error")):
            message = (
                f"The body holds a \\u escape that is half a surrogate pair ({context['error']})."
            )
            return ApiError(400, "invalid_unicode", message)
        case "json_invalid":
            return ApiError(400, "invalid_json", f"The body is not JSON: {context['error']}.")
        case "too_long":
            message = f"documents holds {len(value):,} documents; send at most {MAX_DOCUMENTS}."
            return ApiError(413, "too_many_documents", message, field)
        case "string_too_long" if error["loc"][-1] == "text":
            message = f"{name} has {len(value):,} characters; send at most {MAX_CHARS:,}."
            return ApiError(413, "document_too_long", message, field)
        case "missing":
            return ApiError(422, "missing_field", f"{name} is missing.", field)
        case "extra_forbidden":
            known = ", ".join(_known_fields(error["loc"]))
            message = f"{_clip(name)} is not a field; here there are {known}."
            return ApiError(422, "unknown_field", message, _clip(name))
        case _:
            reason = error["msg"][0].lower() + error["msg"][1:]
            message = f"{name}: {reason} (got {_size(value)})."
            return ApiError(422, "invalid_field", message, field)


def _known_fields(location: tuple[int | str, ...]) -> list[str]:
    model = ClassifyRequest if len(location) == 1 else Document
    return list(model.model_fields)


def _clip(name: str) -> str:
    """A field's name as the client wrote it, which may be anything of any length."""
    return name if len(name) <= 80 else name[:80] + "…"


def _size(value: Any) -> str:
    """A value's kind and size, without the value."""
    match value:
        case str():
            return f"a string of {len(value):,} characters"
        case list():
            return f"a list of {len(value):,}"
        case dict():
            return f"an object of {len(value):,} fields"
        case None:
            return "null"
        case bool():
            return "a Boolean"
        case _:
            return "a number"
