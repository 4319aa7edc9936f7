"""The control API as OpenAPI describes it: health, status, four commands, what was done so far, and the metrics.

It runs in the thread that trades: every handler hands out what is known already, or passes a word on; what has to be
read from a file (``bot.daemon.control_pages``) is read in another thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeAlias

import orjson
from fastapi import Body, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from bot.daemon.commanding import BY_HAND, LONGEST_REASON, CommandName
from bot.daemon.control_answers import answers, as_json, by_token, refusals
from bot.daemon.control_pages import add_pages
from bot.daemon.control_reads import Recordings

Give: TypeAlias = Callable[[CommandName, str], Awaitable[tuple[int, dict[str, Any]]]]
"""Gives a command; answers with the status of HTTP and the body."""

OPEN_PATHS: Final = frozenset({"/v1/health", "/metrics", "/openapi.json"})
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PAGE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/plain": {}}}}
_COMMANDS: Final[dict[CommandName, str]] = {
    "pause": "Open no new positions; those that are open are kept and protected.",
    "resume": "Take on risk again after a pause, a halt or a loss limit.",
    "halt": "Open no new positions until a person resumes, restarts and new days included.",
    "flatten": "Close every position at once, at the market, and pause.",
}


class CommandBody(BaseModel):
    """Why a command is given."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(
        BY_HAND, min_length=1, max_length=LONGEST_REASON, description="Goes into the log and the journal."
    )


class HealthBody(BaseModel):
    """Whether the daemon gets on."""

    healthy: bool
    ready: bool
    stalled: bool
    state: str
    since_decided_seconds: float
    expected_seconds: float


def control_app(
    health: Callable[[], tuple[bool, dict[str, Any]]],
    status: Callable[[], dict[str, Any]],
    give: Give,
    recordings: Recordings,
    metrics: Callable[[], Awaitable[bytes]] | None,
) -> FastAPI:
    """The application.

    Args:
        health: Whether the daemon is healthy, and the body that says so.
        status: What ``/v1/status`` answers.
        give: Gives a command.
        recordings: Journal and log, to be read.
        metrics: The text of ``/metrics``; None has no such page.
    """
    app = FastAPI(
        title="Trading bot control",
        version="1",
        summary="Health, status, commands and metrics of one daemon.",
        docs_url=None,  # their pages load scripts of others
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _http_fault, RequestValidationError: _malformed},
    )
    _add_reading(app, health, status, metrics)
    add_pages(app, status, recordings)
    token = by_token()
    for name, line in _COMMANDS.items():
        app.post(
            f"/v1/{name}",
            dependencies=token,
            summary=line,
            operation_id=name,
            responses=answers(dict[str, Any], 400, 422, 503, 504),
        )(_command(name, give))
    return app


def _add_reading(
    app: FastAPI,
    health: Callable[[], tuple[bool, dict[str, Any]]],
    status: Callable[[], dict[str, Any]],
    metrics: Callable[[], Awaitable[bytes]] | None,
) -> None:
    """The pages that change nothing."""
    token = by_token()
    unhealthy: dict[int | str, dict[str, Any]] = {
        503: {"model": HealthBody, "description": "Stalled, or not ready."}
    }

    @app.get("/v1/health", operation_id="health", responses=answers(HealthBody) | unhealthy)
    async def read_health() -> Response:
        """Whether minutes are decided as they should be; needs no token on loopback."""
        healthy, body = health()
        return as_json(body, 200 if healthy else 503)

    @app.get(
        "/v1/status",
        operation_id="status",
        dependencies=token,
        responses=answers(dict[str, Any]),
    )
    async def read_status() -> Response:
        """Account, positions, orders and state, as they are now."""
        return as_json(status())

    if metrics is None:
        return
    page = metrics

    @app.get(
        "/metrics",
        operation_id="metrics",
        response_class=Response,
        responses=refusals() | _PAGE,
    )
    async def read_metrics() -> Response:
        """Figures in the text format of Prometheus; needs no token on loopback."""
        return Response(await page(), media_type=METRICS_TYPE)


def _command(name: CommandName, give: Give) -> Callable[..., Awaitable[Response]]:
    """The handler of one command."""

    async def command(body: Annotated[CommandBody | None, Body()] = None) -> Response:
        code, answer = await give(name, (body or CommandBody()).reason)
        return as_json(answer, code)

    command.__doc__ = f"{_COMMANDS[name]} Answers with the state after it."
    return command


async def _http_fault(_request: Request, fault: Exception) -> Response:
    """No such page, or not by this method."""
    code = getattr(fault, "status_code", 500)
    sentence = {404: "there is no such page", 405: "this page is not asked so"}.get(code, str(fault))
    return Response(
        orjson.dumps({"error": sentence}),
        code,
        headers=getattr(fault, "headers", None),
        media_type="application/json",
    )


async def _malformed(_request: Request, fault: Exception) -> Response:
    """A body that is no JSON, or not what the command takes."""
    first = (
        fault.errors()[0] if isinstance(fault, RequestValidationError) else {"type": "", "msg": str(fault)}
    )
    if first["type"] == "json_invalid":
        return as_json({"error": 'the body is no JSON: send {"reason": "..."} or nothing'}, 400)
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    return as_json({"error": f"{place or 'the body'}: {str(first['msg'])[:200]}"}, 422)
