"""The longer answers of the made-up API: the model, a decision laid open, health."""

from __future__ import annotations

import math
from typing import Any

from tests.dashboard.fake_data import FEATURES, HOSTILE, MINUTE, MODEL_ID, NOW_MS, START_MS, candles, forecast


def model(kind: str) -> dict[str, Any]:
    """/api/model."""
    if kind == "empty":
        nothing: dict[str, Any] = dict.fromkeys(("drift", "live", "champion", "challenger"))
        return nothing | {"serving": None, "retrainings": [], "registry": []}
    word = HOSTILE if kind == "hostile" else "the test slice does not beat persistence"
    return {
        "serving": passport() | {"metrics": _metrics(), "calibration": _calibration()},
        "drift": {
            "level": "shrink",
            "worst_feature": FEATURES[2],
            "psi": {name: 0.41 / (at + 1) for at, name in enumerate(FEATURES)},
            "adwin_at_ms": NOW_MS - 300 * MINUTE,
        },
        "live": {"calibration_slope": 0.83, "log_loss_gain": 0.0004, "count": 4118, "from_ms": START_MS},
        "champion": MODEL_ID,
        "challenger": {
            "model_id": "lstm-20250103T000000-55aa01",
            "since_ms": NOW_MS - 90 * MINUTE,
            "hours": 24,
        },
        "retrainings": [
            {
                "began_at_ms": NOW_MS - (at + 1) * 7 * 24 * 60 * MINUTE,
                "ended_at_ms": NOW_MS - (at + 1) * 7 * 24 * 60 * MINUTE + 41 * MINUTE,
                "outcome": ("finished", "finished", "failed")[at],
                "verdict": ("promoted", "refused", None)[at],
                "reasons": [word],
                "model_id": MODEL_ID if at == 0 else None,
            }
            for at in range(3)
        ],
        "registry": [
            {
                "model_id": f"lstm-2025010{at}T000000-0f3a9c",
                "created_at_ms": START_MS,
                "recipe": "lstm",
                "aliases": ["champion"] if at == 1 else [],
                "proven": at == 3,
            }
            for at in range(1, 5)
        ],
    }


def passport() -> dict[str, Any]:
    """What a model is made of."""
    return {
        "model_id": MODEL_ID,
        "recipe": "lstm",
        "created_at_ms": START_MS,
        "features": "scalping-v1",
        "columns": list(FEATURES),
        "window": 60,
        "horizon_minutes": 15,
        "target": "log_return",
        "symbols": ["BTC/USDT:USDT"],
        "ranges": {"train": [START_MS - 90 * 1440 * MINUTE, START_MS - 20 * 1440 * MINUTE]},
        "seed": 7,
        "hashes": {"data": "9f" * 32, "code": "1c" * 32},
        "versions": {"tensorflow": "2.20.0"},
    }


def _metrics() -> list[dict[str, Any]]:
    rows = (
        ("log_loss", 0.69262, "base rate", 0.69315, 0.6921, 0.6931),
        ("directional_accuracy", 0.5132, "persistence", 0.4981, 0.507, 0.5194),
        ("mae", 0.000812, "zero", 0.000815, 0.000801, 0.000823),
    )
    names = ("name", "value", "baseline", "baseline_value", "low", "high")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _calibration() -> list[dict[str, Any]]:
    return [
        {
            "predicted": 0.44 + 0.015 * at,
            "observed": 0.455 + 0.012 * at + 0.006 * math.sin(at * 2),
            "count": 4000 - 90 * (at - 4) ** 2,
        }
        for at in range(9)
    ]


def explanation(kind: str, decision_id: str) -> dict[str, Any]:
    """/api/decision/ID, in the shape of `bot explain --json`."""
    symbol, _, at = decision_id.rpartition("@")
    closed = int(at)
    said = forecast(symbol, closed)
    word = HOSTILE if kind == "hostile" else "forecast"
    return {
        "format": 1,
        "decision_id": decision_id,
        "symbol": symbol,
        "closed_at_ms": closed,
        "decided_at_ms": closed + 312,
        "run_id": word,
        "mode": "paper",
        "simulated": True,
        "schema": 7,
        "candles": {"minutes": 60, "complete": True, "rows": candles(symbol, 60, closed)},
        "window": _window(kind),
        "prediction": _prediction(said, word),
        "strategy": _strategy(word),
        "decision": {"hold_reason": None, "approved": [_sent()], "refused": [], "cancel": []},
        "risk": {
            "verdict": "approved",
            "reason": None,
            "size_factor": 0.5,
            "size_reason": word,
            "limits": {"max_total_notional_fraction": 1.0, "max_drawdown_fraction": 0.2},
            "spread_bps": 0.8,
            "funding_rate": 0.0001,
        },
        "sizing": {
            "quantity": 0.021,
            "close": 61_000.0,
            "notional": 1281.0,
            "equity": 10_214.37,
            "wanted_notional": 2042.0,
            "bounds": [{"limit": "max_total_notional_fraction", "notional": 10_214.37}],
        },
        "model": {
            "model_id": MODEL_ID,
            "available": True,
            "missing_because": None,
            "passport": passport(),
            "proven": False,
        },
        "after": _after(symbol, closed, word),
    }


def _window(kind: str) -> dict[str, Any]:
    names = [HOSTILE, *FEATURES[1:]] if kind == "hostile" else list(FEATURES)
    rows = [[2.1 * math.sin(at / 7 + column) for column in range(8)] for at in range(60)]
    return {
        "columns": names,
        "features": rows,
        "normalized": rows,
        "outside": [[at == 40 and column == 3 for column in range(8)] for at in range(60)],
        "outside_count": 1,
        "outside_most": 24,
        "farthest_column": names[3],
    }


def _prediction(said: dict[str, Any], word: str) -> dict[str, Any]:
    journaled = {
        "expected_return": said["expected_return"],
        "probability_up": said["probability_up"],
        "uncertainty": 0.0002,
        "volatility": 0.0021,
        "raw": 0.41,
    }
    return {
        "model_id": MODEL_ID,
        "horizon_minutes": 15,
        "journaled": journaled,
        "recomputed": journaled,
        "difference": dict.fromkeys(journaled, 0.0),
        "same": True,
        "remark": word,
    }


def _strategy(word: str) -> dict[str, Any]:
    return {
        "name": "lstm_scalping",
        "parameters": {"threshold": 0.0005, "rsi_overbought": 70, "require_macd": True},
        "round_trip_cost": 0.0011,
        "needed_return": 0.0012,
        "doubt": 0.0002,
        "sure_return": 0.0007,
        "indicators": {"rsi": 55.2, "macd_histogram": 1.8},
        "signal": {
            "direction": "long",
            "strength": 1.0,
            "reason": word,
            "stop_loss_fraction": 0.005,
            "take_profit_fraction": 0.01,
        },
        "unknown_because": None,
    }


def _sent() -> dict[str, Any]:
    return {
        "client_order_id": "b000000009e",
        "side": "buy",
        "quantity": 0.021,
        "type": "market",
        "leg": "e",
        "limit_price": None,
        "expires_at_ms": None,
        "taker_fallback": False,
    }


def _after(symbol: str, closed: int, word: str) -> dict[str, Any]:
    order: dict[str, Any] = {
        "client_order_id": "b000000009e",
        "symbol": symbol,
        "decided_at_ms": closed,
        "side": "buy",
    }
    order |= {
        "type": "market",
        "leg": "e",
        "quantity": 0.021,
        "stop_price": None,
        "reason": word,
        "state": "filled",
    }
    price = candles(symbol, 1, closed + MINUTE)[0]["open"]
    fill: dict[str, Any] = {
        "trade_id": "1",
        "client_order_id": "b000000009e",
        "symbol": symbol,
        "side": "buy",
    }
    fill |= {"quantity": 0.021, "price": price, "fee": 0.5, "filled_at_ms": closed}
    trade: dict[str, Any] = {
        "symbol": symbol,
        "direction": "long",
        "entry_at_ms": closed,
        "entry_price": price,
    }
    trade |= {"exit_at_ms": closed + 14 * MINUTE, "exit_price": price * 1.001, "quantity": 0.021, "fees": 1.0}
    trade |= {"funding": 0.0, "pnl": 4.1, "exit_reason": word, "closed_by": None}
    return {
        "orders": [order],
        "fills": [fill],
        "held_before": 0.0,
        "trade_role": "opened",
        "trade": trade | {"opened_by": f"{symbol}@{closed}"},
        "price": {
            "horizon_minutes": 15,
            "due_at_ms": closed + 15 * MINUTE,
            "expected_return": 0.0004,
            "realized_return": 0.0009,
            "highest": 0.0014,
            "lowest": -0.0003,
            "direction_right": True,
            "watch": None,
            "unknown_because": None,
        },
    }


def health(kind: str) -> dict[str, Any]:
    """/api/health."""
    word = HOSTILE if kind == "hostile" else "412 GiB are free"
    return {
        "daemon": {
            "running": kind != "empty",
            "process_id": 4711,
            "healthy": True,
            "ready": True,
            "stalled": False,
            "since_decided_seconds": 12.4,
        },
        "disk_free_bytes": 442 * 2**30,
        "journal_bytes": 37 * 2**20,
        "log_bytes": 3 * 2**20,
        "schema": 7,
        "checks": [
            {"name": "disk", "ok": True, "sentence": word},
            {"name": "candles", "ok": kind != "many", "sentence": "every symbol has closed its minute"},
        ],
        "figures": {
            "reconnects": 2,
            "gaps": 1,
            "close_to_decision_p50_ms": 3.2,
            "p99_ms": 11.8,
            "memory_bytes": 183 * 2**20,
        },
    }
