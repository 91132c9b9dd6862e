"""What a client is told when a request cannot be answered."""

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

    def response(self) -> JSONResponse:
        """What the client gets."""
        body = {"code": self.code, "message": self.message, "field": self.field}
        return JSONResponse({"error": body}, status_code=self.status, headers=self.headers)
