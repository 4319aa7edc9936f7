"""Made-up answers in the shapes of the dashboard's API: an ordinary run, an empty one, many symbols, hostile words."""

from __future__ import annotations

import math
import random
from typing import Any, Final

MINUTE: Final = 60_000
START_MS: Final = 1_735_689_600_000
NOW_MS: Final = START_MS + 3 * 24 * 60 * MINUTE
HOSTILE: Final = '<script>window.stung=1</script><img src=x onerror="window.stung=1"><a href="javascript:window.stung=1">x</a>'
FEATURES: Final = ("log_return", "range", "volume_z", "rsi", "macd", "atr", "ema_gap", "hour_sin")
MODEL_ID: Final = "lstm-20250101T000000-0f3a9c"

_NAMES: Final = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "LINK", "AVAX")


def symbols_of(kind: str) -> list[str]:
    """The symbols of a kind of run."""
    if kind == "empty":
        return []
    if kind == "hostile":
        return [f"{HOSTILE}/USDT", "BTC/USDT:USDT"]
    count = {"one": 1, "many": 40}.get(kind, 5)
    return [f"{_NAMES[at % 10]}{at // 10 or ''}/USDT:USDT" for at in range(count)]


def candles(symbol: str, minutes: int, until_ms: int, *, gap_at: int | None = None) -> list[dict[str, Any]]:
    """A walk that depends on nothing but symbol and minute."""
    rows = []
    for at in range(minutes):
        opened = until_ms - (minutes - at) * MINUTE
        if gap_at is not None and gap_at <= at < gap_at + 4:
            continue
        before, close = (_level(symbol, opened + step * MINUTE) for step in (0, 1))
        reach = abs(close - before) + close * 0.0002
        rows.append(
            {
                "opened_at_ms": opened,
                "open": before,
                "high": max(before, close) + reach * 0.6,
                "low": min(before, close) - reach * 0.5,
                "close": close,
                "volume": 12 + 9 * math.sin(opened / 7e5) ** 2,
                "source": "stream",
            }
        )
    return rows


def _level(symbol: str, at_ms: int) -> float:
    base = 100 * (1 + sum(map(ord, symbol)) % 600)
    noise = random.Random(at_ms // MINUTE + len(symbol)).uniform(-1, 1)
    return round(
        base * (1 + 0.004 * math.sin(at_ms / 3.1e6) + 0.0018 * math.sin(at_ms / 4e5) + 0.0005 * noise), 2
    )


def forecast(symbol: str, at_ms: int) -> dict[str, Any]:
    """What the model said of a symbol."""
    lean = math.sin(at_ms / 6e5 + len(symbol))
    return {"expected_return": 0.0009 * lean, "probability_up": 0.5 + 0.06 * lean, "horizon_minutes": 15}


def overview(kind: str, now_ms: int = NOW_MS) -> dict[str, Any]:
    """/api/overview."""
    symbols = symbols_of(kind)
    empty = kind == "empty"
    rows = [
        {
            "symbol": symbol,
            "last_closed_at_ms": now_ms,
            "age_seconds": 14.2,
            "close": _level(symbol, now_ms),
            "change_1d": 0.012 * math.sin(at + 1),
            "state": "silent" if kind == "many" and at in {7, 19} else "late" if at == 3 else "fresh",
            "forecast": None if at == 2 else forecast(symbol, now_ms),
            "signal": "long" if at == 0 else "flat",
            "hold_reason": HOSTILE if kind == "hostile" else None if at == 0 else "below_threshold",
        }
        for at, symbol in enumerate(symbols)
    ]
    return {
        "mode": "paper",
        "simulated": True,
        "unproven": True,
        "ended": False,
        "state": "halted" if kind == "hostile" else "warming_up" if empty else "trading",
        "state_reason": HOSTILE if kind == "hostile" else None,
        "run_id": HOSTILE if kind == "hostile" else "2025-01-01-7f3c",
        "version": "0.1.0",
        "last_closed_at_ms": None if empty else now_ms,
        "age_seconds": None if empty else 14.2,
        "equity": None if empty else 10_214.37,
        "starting_cash": 10_000.0,
        "cash": None if empty else 8_170.2,
        "day_return": None if empty else 0.0041,
        "drawdown": None if empty else 0.0126,
        "fees_paid": 0.0 if empty else 61.18,
        "funding_paid": 0.0 if empty else -1.2,
        "trade_count": 0 if empty else 42,
        "positions": [_position(symbol, at, now_ms) for at, symbol in enumerate(symbols[:2])],
        "open_orders": [_order(symbol, leg) for symbol in symbols[:2] for leg in ("s", "t")],
        "symbols": rows,
        "model": None
        if empty
        else {"model_id": MODEL_ID, "recipe": "lstm", "proven": False, "age_seconds": 259_200.0},
    }


def _position(symbol: str, at: int, now_ms: int) -> dict[str, Any]:
    mark = _level(symbol, now_ms)
    long = at == 0
    return {
        "symbol": symbol,
        "direction": "long" if long else "short",
        "quantity": 0.021 if long else -0.4,
        "entry_price": mark * 0.998,
        "entry_at_ms": now_ms - 23 * MINUTE,
        "mark": mark,
        "unrealized": 4.11 if long else -1.97,
        "stop": mark * (0.994 if long else 1.006),
        "take_profit": mark * (1.008 if long else 0.99),
        "notional": 1021.4,
    }


def _order(symbol: str, leg: str) -> dict[str, Any]:
    return {
        "client_order_id": f"b0a1c2{sum(map(ord, symbol)):06d}{leg}",
        "symbol": symbol,
        "side": "sell",
        "type": "stop_market" if leg == "s" else "take_profit_market",
        "leg": leg,
        "quantity": 0.021,
        "stop_price": 61_201.5,
        "state": "open",
    }


def equity(kind: str) -> dict[str, Any]:
    """/api/equity."""
    if kind == "empty":
        return {"at_ms": [], "equity": [], "drawdown": []}
    times = [NOW_MS - (600 - at) * 2 * MINUTE for at in range(600)]
    values = [10_000 + 0.36 * at + 60 * math.sin(at / 31) for at in range(600)]
    highest, falls = 0.0, []
    for value in values:
        highest = max(highest, value)
        falls.append(1 - value / highest)
    return {"at_ms": times, "equity": values, "drawdown": falls}


def market(kind: str, symbol: str, minutes: int, until_ms: int | None) -> dict[str, Any]:
    """/api/candles."""
    end = NOW_MS if until_ms is None else min(until_ms, NOW_MS + 60 * MINUTE)
    rows = candles(symbol, minutes, end, gap_at=minutes // 2) if kind != "empty" else []
    said = [{"closed_at_ms": row["opened_at_ms"] + MINUTE, "abstained": False} for row in rows]
    for at, row in enumerate(said):
        row.update(forecast(symbol, int(row["closed_at_ms"])))
        if at % 17 == 0:
            row.update(abstained=True, expected_return=None, probability_up=None)
    marks = (
        [
            _mark("entry", "buy", rows[minutes // 4], None),
            _mark("take_profit", "sell", rows[minutes // 4 + 9], 6.2),
            _mark("entry", "buy", rows[-23], None),
        ]
        if len(rows) > 30
        else []
    )
    last = rows[-1]["close"] if rows else 0.0
    level = {
        "symbol": symbol,
        "stop": last * 0.994,
        "take_profit": last * 1.008,
        "entry_price": last * 0.998,
        "since_ms": end - 23 * MINUTE,
    }
    gap_ms = end - (minutes - minutes // 2) * MINUTE
    return {
        "symbol": symbol,
        "candles": rows,
        "forecasts": said,
        "marks": marks,
        "levels": [level] if rows else [],
        "gaps": [{"from_ms": gap_ms, "to_ms": gap_ms + 4 * MINUTE}] if rows else [],
    }


def _mark(kind: str, side: str, row: dict[str, Any], pnl: float | None) -> dict[str, Any]:
    return {
        "at_ms": row["opened_at_ms"],
        "kind": kind,
        "side": side,
        "price": row["close"],
        "quantity": 0.021,
        "client_order_id": f"b0a1{row['opened_at_ms'] % 10**8}e",
        "pnl": pnl,
    }


def decision(kind: str, number: int) -> dict[str, Any]:
    """One row of /api/decisions; a larger number is older."""
    names = symbols_of(kind) or ["BTC/USDT:USDT"]
    symbol = names[number % len(names)]
    at_ms = NOW_MS - number // len(names) * MINUTE
    said = forecast(symbol, at_ms)
    acted, refused = number % 9 == 0, number % 13 == 5
    order = {
        "side": "buy",
        "quantity": 0.021,
        "type": "market",
        "leg": "e",
        "client_order_id": f"b0{number:08d}e",
    }
    return {
        "decision_id": f"{symbol}@{at_ms}",
        "closed_at_ms": at_ms,
        "symbol": symbol,
        "signal": {"direction": "long", "strength": 1.0, "reason": "forecast"} if acted or refused else None,
        "expected_return": said["expected_return"],
        "probability_up": said["probability_up"],
        "hold_reason": None
        if acted
        else "risk_refused"
        if refused
        else HOSTILE
        if kind == "hostile"
        else "below_threshold",
        "approved": [order] if acted else [],
        "refused": [{"side": "buy", "quantity": 0.021, "reason": "max_total_notional"}] if refused else [],
    }


def trades(kind: str) -> dict[str, Any]:
    """/api/trades."""
    names = symbols_of(kind)
    rows = [
        {
            "symbol": names[at % len(names)],
            "direction": "short" if at % 3 == 0 else "long",
            "entry_at_ms": NOW_MS - (at + 2) * 47 * MINUTE,
            "entry_price": 61_000.0 + at,
            "exit_at_ms": NOW_MS - (at + 2) * 47 * MINUTE + 14 * MINUTE,
            "exit_price": 61_040.0 - at * 9,
            "quantity": 0.021,
            "fees": 1.02,
            "funding": 0.0,
            "pnl": 3.4 - at,
            "exit_reason": HOSTILE if kind == "hostile" else "take_profit",
        }
        for at in range(12 if names else 0)
    ]
    return {"trades": rows}


def log_line(kind: str, number: int) -> dict[str, Any]:
    """One line of /api/log; a larger number is older."""
    events = ("candle.closed", "prediction.made", "decision.made", "feed.reconnected", "order.rejected")
    at = number % 5
    names = symbols_of(kind) or [""]
    return {
        "ts": f"2025-01-04T{(23 - number // 60) % 24:02d}:{59 - number % 60:02d}:07.125Z",
        "level": "error" if at == 4 else "warning" if at == 3 else "info",
        "event": events[at],
        "symbol": names[number % len(names)],
        "reason": HOSTILE if kind == "hostile" else "insufficient margin for the order",
        "close": 61_234.5,
        "run_id": "7f3c",
        "mode": "paper",
        "cursor": f"1:{10_000_000 - number}",
    }
