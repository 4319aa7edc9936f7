"""The pages of the control API that only tell: positions, orders, trades, decisions, the model, commands, the log.

Positions and orders are those of this moment. The rest is read from journal and log by ``Recordings``, newest first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import FastAPI, Query, Response
from pydantic import BaseModel

from bot.daemon.control_answers import answers, as_json, by_token
from bot.daemon.control_reads import MOST_ROWS, Recordings
from bot.errors import BotError

Limit: TypeAlias = Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many at most, newest first.")]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LONGEST_WORD: Final = 100


class PositionRow(BaseModel):
    """What is held of a symbol; below 0 it is short."""

    symbol: str
    quantity: float
    entry_price: float


class OrderRow(BaseModel):
    """An order that may still trade."""

    client_order_id: str
    symbol: str
    side: str
    type: str
    quantity: float
    stop_price: float | None


class TradeRow(BaseModel):
    """A round trip; times are UTC milliseconds, money is quote currency."""

    symbol: str
    direction: str
    entry_at_ms: int
    entry_price: float
    exit_at_ms: int
    exit_price: float
    quantity: float
    fees: float
    funding: float
    pnl: float
    exit_reason: str


class DecisionRow(BaseModel):
    """What was decided on a candle, as the journal has it.

    ``signal`` is direction, strength and reason; an order begins with its id, side, quantity, type and leg, and one that
    was refused ends with why.
    """

    decision_id: str
    symbol: str
    closed_at_ms: int
    hold_reason: str | None
    prediction: dict[str, Any] | None
    signal: list[Any] | None
    approved: list[list[Any]]
    refused: list[list[Any]]


class CommandRow(BaseModel):
    """A command of a person; ``origin`` says which way it came, where the journal is new enough to know."""

    at_ms: int
    command: str
    reason: str
    origin: str | None = None


class LogRow(BaseModel):
    """A line of the log; its other fields are those of its event (docs/events.md)."""

    ts: str
    level: str
    event: str


class ModelBody(BaseModel):
    """Who predicts."""

    model_id: str | None
    proven: bool | None
    since: dict[str, Any]
    rolled_back: dict[str, Any] | None
    last_retrain: dict[str, Any] | None
    watch: dict[str, Any] | None


def add_pages(app: FastAPI, status: Callable[[], dict[str, Any]], recordings: Recordings) -> None:
    """Give an application these pages.

    Args:
        app: The application.
        status: What ``/v1/status`` answers.
        recordings: Journal and log.
    """
    _add_present(app, status)
    _add_past(app, recordings)
    _add_told(app, recordings)


def _add_present(app: FastAPI, status: Callable[[], dict[str, Any]]) -> None:
    """What is held and what is open, now."""
    token = by_token()

    @app.get(
        "/v1/positions",
        operation_id="positions",
        dependencies=token,
        responses=answers(list[PositionRow]),
    )
    async def read_positions() -> Response:
        """What is held."""
        return as_json(status().get("positions", []))

    @app.get("/v1/orders", operation_id="orders", dependencies=token, responses=answers(list[OrderRow]))
    async def read_orders() -> Response:
        """Orders that may still trade."""
        return as_json(status().get("open_orders", []))


def _add_past(app: FastAPI, recordings: Recordings) -> None:
    """What the journal holds of trading."""
    token = by_token()

    @app.get(
        "/v1/trades",
        operation_id="trades",
        dependencies=token,
        responses=answers(list[TradeRow], 422, 503),
    )
    async def read_trades(limit: Limit = 20) -> Response:
        """The newest round trips."""
        return await _told(recordings.trades(limit))

    @app.get(
        "/v1/decisions",
        operation_id="decisions",
        dependencies=token,
        responses=answers(list[DecisionRow], 422, 503),
    )
    async def read_decisions(
        limit: Limit = 20,
        symbol: Annotated[
            str | None,
            Query(
                min_length=1, max_length=LONGEST_WORD, description="Only this symbol, such as BTC/USDT:USDT."
            ),
        ] = None,
    ) -> Response:
        """The newest decisions, each with what was foretold and wished for."""
        return await _told(recordings.decisions(limit, symbol))

    @app.get("/v1/model", operation_id="model", dependencies=token, responses=answers(ModelBody, 503))
    async def read_model() -> Response:
        """Who predicts, since when and why, and what the watch says of it."""
        return await _told(recordings.model())


def _add_told(app: FastAPI, recordings: Recordings) -> None:
    """What people commanded, and what the log says."""
    token = by_token()

    @app.get(
        "/v1/commands",
        operation_id="commands",
        dependencies=token,
        responses=answers(list[CommandRow], 422, 503),
    )
    async def read_commands(limit: Limit = 20) -> Response:
        """The newest commands of people, and which way they came."""
        return await _told(recordings.commands(limit))

    @app.get("/v1/logs", operation_id="logs", dependencies=token, responses=answers(list[LogRow], 422, 503))
    async def read_logs(
        limit: Limit = 50,
        level: Annotated[Level, Query(description="The least level.")] = "debug",
        event: Annotated[
            str, Query(max_length=LONGEST_WORD, description="How the event begins, such as order.")
        ] = "",
    ) -> Response:
        """The newest lines of the log file, of its last mebibyte at most."""
        return await _told(recordings.log_lines(limit, level, event))


async def _told(reading: Awaitable[Any]) -> Response:
    """What was read; a file that can't be read is a sentence."""
    try:
        return as_json(await reading)
    except BotError as fault:
        return as_json({"error": str(fault)}, 503)
