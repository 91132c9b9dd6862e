"""What a client is told when a request cannot be answered."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class ApiError(Exception):
    """A refusal: its status, a stable code, one sentence, and the field it is about."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field
        self.headers = headers

    def body(self) -> dict[str, Any]:
        """The response's JSON."""
        return {"error": {"code": self.code, "message": self.message, "field": self.field}}


async def respond(request: Request, error: Exception) -> JSONResponse:
    """The one place where errors become responses."""
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)
