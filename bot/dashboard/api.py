"""The questions that pages ask, as JSON over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from bot.dashboard import chart
from bot.dashboard.cache import Answer, as_json
from bot.dashboard.contracts import NotFoundError, UnavailableError
from bot.dashboard.decisions import DecisionKind, Wanted
from bot.dashboard.desk import Desk
from bot.dashboard.log_lines import CURSOR, LineFilter
from bot.errors import BotError

LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01: a later time is a mistake."""

Time = Annotated[int | None, Query(ge=0, le=LATEST_MS, description="Milliseconds UTC.")]
Symbol = Annotated[str, Query(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9/:._-]+$")]
OptionalSymbol = Annotated[str | None, Query(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9/:._-]+$")]
DecisionId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9/:._-]+@\d{4}-\d\d-\d\dT\d\d:\d\dZ$")]


def json_app(desk: Desk) -> FastAPI:
    """The application; every answer comes from the desk.

    Args:
        desk: Who answers.
    """
    app = FastAPI(
        title="Trading bot dashboard",
        version="1",
        summary="What one bot does and has done; nothing can be changed.",
        docs_url=None,  # their pages load scripts of others
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: _http_fault,
            RequestValidationError: _malformed,
            NotFoundError: _not_found,
            BotError: _unavailable,
        },
    )
    _add_account(app, desk)
    _add_market(app, desk)
    _add_service(app, desk)
    return app


def _add_account(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/overview")
    async def overview(request: Request) -> Response:
        """How things stand: account, positions, orders, symbols, model."""
        return reply(request, await desk.overview())

    @app.get("/api/equity")
    async def equity(
        request: Request,
        since_ms: Time = None,
        points: Annotated[int, Query(ge=10, le=5_000)] = 600,
    ) -> Response:
        """Equity and drawdown, thinned so that no peak and no low is lost."""
        return reply(request, await desk.equity(since_ms or 0, points))

    @app.get("/api/trades")
    async def trades(request: Request, limit: Annotated[int, Query(ge=1, le=2_000)] = 200) -> Response:
        """Round trips, newest first."""
        return reply(request, await desk.trades(limit))


def _add_market(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/candles")
    async def candles(
        request: Request,
        symbol: Symbol,
        minutes: Annotated[int, Query(ge=1, le=chart.MOST_MINUTES)] = 240,
        until_ms: Time = None,
    ) -> Response:
        """Candles of a symbol with forecasts, entries, exits and protection."""
        return reply(request, await desk.candles(symbol, minutes, until_ms))

    @app.get("/api/decisions")
    async def decisions(
        request: Request,
        symbol: OptionalSymbol = None,
        kind: DecisionKind = "all",
        before_ms: Time = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Decisions, newest first."""
        return reply(request, await desk.decisions(Wanted(symbol, kind, before_ms, limit)))

    @app.get("/api/decision/{decision_id:path}")
    async def decision(request: Request, decision_id: DecisionId) -> Response:
        """One decision, explained as `bot explain` does."""
        return reply(request, await desk.decision(decision_id))


def _add_service(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/model")
    async def model(request: Request) -> Response:
        """The model that trades, those beside it, and how they came about."""
        return reply(request, await desk.model())

    @app.get("/api/log")
    async def log(
        request: Request,
        level: Literal["debug", "info", "warning", "error", "critical"] | None = None,
        event: Annotated[str | None, Query(max_length=100, pattern=r"^[a-z0-9_.]*$")] = None,
        symbol: OptionalSymbol = None,
        before: Annotated[str | None, Query(pattern=f"^{CURSOR.pattern}$")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    ) -> Response:
        """Lines of the log of this level and above, newest first."""
        return reply(request, await desk.log(LineFilter(level, event or None, symbol), before, limit))

    @app.get("/api/health")
    async def health(request: Request) -> Response:
        """Whether everything gets on, with figures and sentences."""
        return reply(request, await desk.health())


def reply(request: Request, answer: Answer) -> Response:
    """An answer as a response, compressed where it is worth it and the client takes it."""
    packed = answer.compressed() if "gzip" in request.headers.get("accept-encoding", "") else None
    headers = {} if packed is None else {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(answer.body if packed is None else packed, headers=headers, media_type="application/json")


def refusal(sentence: str, status: int) -> Response:
    """One sentence."""
    return Response(as_json({"error": sentence}), status, media_type="application/json")


async def _http_fault(_request: Request, fault: Exception) -> Response:
    code = getattr(fault, "status_code", 500)
    sentence = {404: "there is no such page", 405: "this page is not asked so"}.get(code, str(fault))
    return refusal(sentence, code)


async def _malformed(_request: Request, fault: Exception) -> Response:
    """A parameter of another kind, or out of bounds."""
    found: dict[str, Any] = {"loc": (), "msg": str(fault)}
    if isinstance(fault, RequestValidationError):
        found = dict(fault.errors()[0])
    name = ".".join(str(part) for part in found["loc"][1:])
    return refusal(f"{name or 'the question'}: {str(found['msg'])[:200]}", 422)


async def _not_found(_request: Request, fault: Exception) -> Response:
    return refusal(str(fault), 404)


async def _unavailable(_request: Request, fault: Exception) -> Response:
    """There is no journal yet, or a disk refuses: perhaps it can be answered in a second."""
    if not isinstance(fault, UnavailableError) and type(fault).__name__ == "EngineProtocolError":
        raise fault  # a bug of ours: the log gets it whole
    return refusal(str(fault), 503)
