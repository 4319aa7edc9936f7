"""What all pages of the control API have in common: the token, the refusals, and how an answer is written."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel


class RefusalBody(BaseModel):
    """One sentence that says what is wrong."""

    error: str


def by_token() -> list[Any]:
    """That a page needs the token; the guard before the application looks, this tells OpenAPI."""
    return [Security(HTTPBearer(auto_error=False, description="What STATE_DIR/control.token holds."))]


def answers(model: Any, *codes: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a page: what it gives, and its refusals."""
    return {200: {"model": model}} | refusals(*codes)


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Every page's refusals by the guard, and these."""
    return {code: {"model": RefusalBody} for code in (401, 408, 413, 421, 431, 500, *codes)}


def as_json(body: Any, status: int = 200) -> Response:
    """JSON; a number that is none (NaN) becomes null."""
    return Response(orjson.dumps(body, default=str), status, media_type="application/json")
