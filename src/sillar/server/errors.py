"""One place where everything that goes wrong becomes OpenAI's error JSON."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sillar.errors import (
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    RequestError,
    ResourceError,
    SillarError,
)

_log = logging.getLogger(__name__)

_KINDS: tuple[tuple[type[SillarError], int, str, str | None], ...] = (
    (ContextLengthError, 400, "invalid_request_error", "context_length_exceeded"),
    (RequestError, 400, "invalid_request_error", None),
    (ModelNotFoundError, 404, "invalid_request_error", "model_not_found"),
    (OverloadedError, 429, "rate_limit_error", "overloaded"),
    (ResourceError, 503, "server_error", "resources_exhausted"),
    (SillarError, 500, "server_error", None),
)
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(HTTPException):
    """An answer other than success, with OpenAI's fields."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.param = param
        self.code = code


def describe(error: BaseException) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers for any error. What was not foreseen is logged, and told by number only."""
    if isinstance(error, RequestValidationError):
        message, param = _validation(error)
        return 400, _body(message, "invalid_request_error", param, None), {}
    if _is_lack_of_memory(error) or _is_lack_of_memory(error.__cause__):
        error = ResourceError("The memory for this request is not there. Try again later, or ask for less.")
    if isinstance(error, HTTPException):
        kind = _TYPES.get(error.status_code, "invalid_request_error")
        kind = "server_error" if error.status_code >= 500 else kind
        body = _body(str(error.detail), kind, getattr(error, "param", None), getattr(error, "code", None))
        return error.status_code, body, dict(error.headers or {})
    for cls, status, kind, code in _KINDS:
        if isinstance(error, cls) and type(error) is not SillarError:
            headers = {"Retry-After": str(getattr(error, "retry_after", 2))} if status in {429, 503} else {}
            return status, _body(str(error), kind, None, code), headers
    number = secrets.token_hex(4)
    _log.error("error %s", number, exc_info=error)
    return 500, _body(f"Something failed here. The log has it as {number}.", "server_error", None, None), {}


def error_response(error: BaseException) -> JSONResponse:
    status, body, headers = describe(error)
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    """Makes describe() the answer to every exception."""

    async def handle(_: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    for kind in (RequestValidationError, HTTPException, SillarError, MemoryError, Exception):
        app.add_exception_handler(kind, handle)


def _is_lack_of_memory(error: BaseException | None) -> bool:
    """Also of a thread's stack, and where the framework calls it a body that cannot be parsed."""
    return isinstance(error, MemoryError) or "start new thread" in str(error)


def _body(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _validation(error: RequestValidationError) -> tuple[str, str | None]:
    """The first complaint, without the input: it may be huge, or a secret."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part != "body"]
    param = ".".join(where[:6])[:200] or None
    message = str(first["msg"])[:500]
    return (f"{param}: {message}" if param else message), param
