"""What a fault plan has to know of OKX: JSON bodies, rows under ``data``, errors in its envelope. Pure.

Columns of a candle are named as in a plan's ``where`` and ``set``: ``data.c`` is its close, ``data.confirm`` whether it is
over. Of several rows the first is meant; this exchange sends one.
"""

from __future__ import annotations

import json
from typing import Any

from bot.simexchange.fault_fields import plain
from bot.simexchange.okx_codes import FIRST_OF_AN_ORDER, TEXTS, in_words_of_okx
from bot.simexchange.orders import Refusal

API = "/api/v5/"
COLUMNS = ("ts", "o", "h", "l", "c", "vol", "volCcy", "volCcyQuote", "confirm")
_TRADING = "/trade/"


def is_okx(path: str) -> bool:
    """Whether a request is one of OKX's API."""
    return path.startswith(API)


def body_params(body: str) -> dict[str, str] | None:
    """The parameters of a JSON body, of the first order where it is a list; None of any other body."""
    if not body.startswith(("{", "[")):
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    first = found[0] if isinstance(found, list) and found else found
    if not isinstance(first, dict):
        return {}
    return {name: plain(value) for name, value in first.items() if not isinstance(value, (dict, list))}


def symbol_of(inst_id: str | None) -> str | None:
    """The exchange's id of the symbol (``BTCUSDT``) of an instrument (``BTC-USDT-SWAP``)."""
    return None if not inst_id else "".join(inst_id.split("-")[:2])


def opened(message: Any) -> Any:
    """A message with its first row in place of the list of rows, a candle's columns by their names."""
    rows = message.get("data") if isinstance(message, dict) else None
    if not isinstance(rows, list) or not rows:
        return message
    row = rows[0]
    return {**message, "data": dict(zip(COLUMNS, row, strict=False)) if isinstance(row, list) else row}


def closed(message: Any, like: Any) -> Any:
    """The message that ``opened`` was given, with what was changed in it; ``like`` is as it was."""
    if message is like or not isinstance(message, dict) or "data" not in message:
        return message
    row = message["data"]
    if isinstance(like["data"][0], list) and isinstance(row, dict):
        row = list(row.values())
    return {**message, "data": [row, *like["data"][1:]]}


def error_body(method: str, path: str, code: int, text: str | None) -> dict[str, Any]:
    """The body of an error, by a code of OKX or of Binance; ``text`` None takes the exchange's own."""
    told = in_words_of_okx(Refusal(code, text or TEXTS.get(code, "An error occurred.")))
    message = text or str(told)
    if method == "POST" and _TRADING in path and told.code >= FIRST_OF_AN_ORDER:
        row = {"clOrdId": "", "ordId": "", "sCode": str(told.code), "sMsg": message, "tag": ""}
        return {"code": "1", "data": [row], "msg": "All operations failed"}
    return {"code": str(told.code), "data": [], "msg": message}
