"""The questions of the pages, over real sockets on the journal of a real daemon."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from bot.errors import DataError, UsageError
from bot.journal.pages import PageReader
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS
from tests.dashboard_rig import LAST_MS, LINES, MINUTES, MODEL, served

BTC, ETH = SYMBOLS


async def test_the_overview_is_the_journals_last_word(folder: Path) -> None:
    """Account, positions with their protection, orders, symbols and model are those of the last commit."""
    reader = JournalReader(folder / "journal.sqlite")
    async with served(folder) as one:
        shown = await one.json("/api/overview")
        last = reader.last_equity()
        assert last is not None
        assert shown["equity"] == last.equity
        assert shown["last_closed_at_ms"] == last.at_ms == LAST_MS
        assert shown["mode"] == "paper"
        assert shown["simulated"] is True
        assert shown["unproven"] is True
        assert shown["ended"] is False
        assert shown["version"] == "1.2.3"
        ids = [order["client_order_id"] for order in reader.open_orders()]
        assert sorted(order["client_order_id"] for order in shown["open_orders"]) == sorted(ids)
        for held in shown["positions"]:
            assert held["stop"] is not None
            assert held["take_profit"] is not None
            assert held["notional"] == pytest.approx(held["quantity"] * held["mark"])
            sign = 1 if held["direction"] == "long" else -1
            gain = sign * held["quantity"] * (held["mark"] - held["entry_price"])
            assert held["unrealized"] == pytest.approx(gain)
        assert [row["symbol"] for row in shown["symbols"]] == sorted(SYMBOLS)
        assert {row["state"] for row in shown["symbols"]} == {"fresh"}
        assert shown["model"]["model_id"] == MODEL
        assert shown["model"]["recipe"] == "tiny"
        assert shown["model"]["age_seconds"] > 0
        one.daemon.process = None
    reader.close()


async def test_the_curve_keeps_its_ends_and_extremes(folder: Path) -> None:
    """First, last, highest and lowest are those of the journal; the drawdown is that of the whole past."""
    reader = JournalReader(folder / "journal.sqlite")
    points = reader.equity()
    reader.close()
    async with served(folder) as one:
        curve = await one.json("/api/equity", points=20)
        assert len(curve["at_ms"]) == len(curve["equity"]) == len(curve["drawdown"]) <= 20
        values = [point.equity for point in points]
        assert (curve["at_ms"][0], curve["at_ms"][-1]) == (points[0].at_ms, points[-1].at_ms)
        assert (max(curve["equity"]), min(curve["equity"])) == (max(values), min(values))
        part = await one.json("/api/equity", since_ms=points[100].at_ms, points=5_000)
        assert part["at_ms"] == [point.at_ms for point in points[100:]]
        assert part["drawdown"][-1] == pytest.approx(1 - values[-1] / max(values))
        assert (await one.json("/api/equity", since_ms=LAST_MS + 1))["at_ms"] == []


async def test_a_chart_has_candles_forecasts_and_marks(folder: Path) -> None:
    """Candles are the journal's, each mark is an execution with its leg, results add up to those of the trades."""
    reader = JournalReader(folder / "journal.sqlite")
    async with served(folder) as one:
        shown = await one.json("/api/candles", symbol=BTC, minutes=MINUTES + 10)
        stored = reader.candles(BTC, 0, 2**60)
        assert [row["close"] for row in shown["candles"]] == [candle.close for candle in stored]
        assert shown["gaps"] == []
        fills = [row for row in reader.fills(0, 2**60) if row["symbol"] == BTC]
        assert [(mark["at_ms"], mark["price"]) for mark in shown["marks"]] == [
            (fill["filled_at_ms"], fill["price"]) for fill in fills
        ]
        assert {mark["kind"] for mark in shown["marks"]} >= {"entry", "exit", "stop", "take_profit"}
        results = {mark["at_ms"]: mark["pnl"] for mark in shown["marks"] if mark["pnl"] is not None}
        trades = [trade for trade in reader.trades() if trade.symbol == BTC]
        assert sum(results.values()) == pytest.approx(sum(trade.pnl for trade in trades))
        assert all(mark["pnl"] is None for mark in shown["marks"] if mark["kind"] == "entry")
        assert len(shown["forecasts"]) == MINUTES
        assert not any(row["abstained"] for row in shown["forecasts"])
        earlier = await one.json("/api/candles", symbol=BTC, minutes=10, until_ms=LAST_MS - 60 * MINUTE_MS)
        assert [row["opened_at_ms"] for row in earlier["candles"]] == [
            LAST_MS - (60 + back) * MINUTE_MS for back in range(10, 0, -1)
        ]
        assert "DOGE" in (await one.json("/api/candles", 404, symbol="DOGE/USDT"))["error"]
    reader.close()


async def test_the_stream_of_decisions_can_be_walked_to_its_beginning(folder: Path) -> None:
    """Page by page every decision comes once; each kind is what its name says."""
    async with served(folder) as one:
        seen: list[str] = []
        before: int | None = None
        while True:
            query: dict[str, Any] = {"limit": 97} | ({} if before is None else {"before_ms": before})
            page = await one.json("/api/decisions", **query)
            seen += [row["decision_id"] for row in page["decisions"]]
            before = page["next_before_ms"]
            if before is None:
                break
        assert len(seen) == len(set(seen)) == MINUTES * len(SYMBOLS)
        acted = (await one.json("/api/decisions", kind="acted", limit=1_000))["decisions"]
        reader = JournalReader(folder / "journal.sqlite")
        decided = {
            (order["symbol"], order["decided_at_ms"])
            for order in reader.orders_between(0, 2**60)
            if order["leg"] in {"e", "x"}
        }
        reader.close()
        assert {(row["symbol"], row["closed_at_ms"]) for row in acted} == decided
        assert {order["leg"] for row in acted for order in row["approved"]} <= {"entry", "exit"}
        held = (await one.json("/api/decisions", kind="held", symbol=ETH, limit=50))["decisions"]
        assert held
        assert all(row["symbol"] == ETH and not row["approved"] and row["hold_reason"] for row in held)
        assert (await one.json("/api/decisions", kind="refused"))["decisions"] == []


async def test_trades_are_the_journals(folder: Path) -> None:
    """Newest first, with every field."""
    reader = JournalReader(folder / "journal.sqlite")
    async with served(folder) as one:
        shown = (await one.json("/api/trades", limit=5))["trades"]
        assert shown == [trade._asdict() for trade in reader.trades(5)]
    reader.close()


async def test_a_decision_is_explained_by_who_can(folder: Path) -> None:
    """The id arrives whole, with its slashes; one that is unknown is a sentence and 404."""
    asked: list[str] = []

    def explain(decision_id: str) -> dict[str, Any]:
        asked.append(decision_id)
        if "ETH" in decision_id:
            raise DataError("no such decision")
        if "SOL" in decision_id:
            raise UsageError("several begin so")
        return {"decision_id": decision_id, "raw": math.nan}

    async with served(folder, explain=explain) as one:
        known = f"{BTC}@2024-01-01T01:00Z"
        for spelled in (known, known.replace("/", "%2F").replace(":", "%3A").replace("@", "%40")):
            shown = await one.json(f"/api/decision/{spelled}")
            assert shown == {"decision_id": known, "raw": None}
        assert asked == [known]
        assert await one.json(f"/api/decision/{ETH}@2024-01-01T01:00Z", 404) == {"error": "no such decision"}
        await one.json("/api/decision/SOL/USDT@2024-01-01T01:00Z", 404)
        for odd in ("x", "../../control.token", "..%2f..%2fcontrol.token", f"{BTC}@now", "a" * 300, "%00@x"):
            answer = await one.client.get(f"/api/decision/{odd}")
            assert answer.status_code in {404, 422}, odd
            assert set(answer.json()) == {"error"}
        assert len(asked) == 3


async def test_the_log_is_walked_back_and_filtered(folder: Path) -> None:
    """Newest first, each line once; a level takes those above it, an event its beginning."""
    async with served(folder) as one:
        seen, before = [], None
        while True:
            query = {"limit": 7} | ({} if before is None else {"before": before})
            page = await one.json("/api/log", **query)
            seen += [row["number"] for row in page["lines"]]
            before = page["next_before"]
            if before is None:
                break
        assert seen == list(reversed(range(LINES)))
        loud = (await one.json("/api/log", level="warning"))["lines"]
        assert {row["level"] for row in loud} == {"warning", "error"}
        assert {row["symbol"] for row in (await one.json("/api/log", symbol=ETH))["lines"]} == {ETH}
        assert (await one.json("/api/log", event="order."))["lines"] == []
        assert "gone" in (await one.json("/api/log", 404, before="1-5"))["error"]


async def test_health_says_what_is_wrong_in_sentences(folder: Path) -> None:
    """A daemon that runs, one that does not answer, and one that is gone; it is asked once for many pages."""
    async with served(folder) as one:
        shown = await one.json("/api/health")
        assert shown["daemon"]["running"] is True
        assert shown["daemon"]["since_decided_seconds"] == 1.5
        assert shown["schema"] >= 5
        assert shown["journal_bytes"] > 100_000
        assert shown["figures"]["minutes_decided"] == 300.0
        checks = {row["name"]: row["ok"] for row in shown["checks"]}
        assert checks == {
            "daemon": True,
            "progress": True,
            "journal": True,
            "candles": True,
            "risk": True,
            "model": False,
            "disk": True,
        }
        await asyncio.gather(*(one.json("/api/health") for _ in range(20)))
        assert one.daemon.asked == 1


ODD: tuple[tuple[str, dict[str, str]], ...] = (
    ("/api/candles", {}),
    ("/api/candles", {"symbol": ""}),
    ("/api/candles", {"symbol": "a" * 61}),
    ("/api/candles", {"symbol": "../../etc/passwd"}),
    ("/api/candles", {"symbol": "BTC'; DROP TABLE candles; --"}),
    ("/api/candles", {"symbol": BTC, "minutes": "0"}),
    ("/api/candles", {"symbol": BTC, "minutes": "-1"}),
    ("/api/candles", {"symbol": BTC, "minutes": "1000000000"}),
    ("/api/candles", {"symbol": BTC, "minutes": "NaN"}),
    ("/api/candles", {"symbol": BTC, "minutes": "1.5"}),
    ("/api/candles", {"symbol": BTC, "until_ms": "-5"}),
    ("/api/candles", {"symbol": BTC, "until_ms": "9" * 40}),
    ("/api/decisions", {"limit": "0"}),
    ("/api/decisions", {"limit": "99999999999999999999"}),
    ("/api/decisions", {"kind": "wished"}),
    ("/api/decisions", {"before_ms": "inf"}),
    ("/api/decisions", {"before_ms": "true"}),
    ("/api/equity", {"points": "1"}),
    ("/api/equity", {"points": "1e3"}),
    ("/api/equity", {"since_ms": "nan"}),
    ("/api/trades", {"limit": "-1"}),
    ("/api/trades", {"limit": "[]"}),
    ("/api/log", {"level": "loud"}),
    ("/api/log", {"before": "1"}),
    ("/api/log", {"before": "../bot.jsonl-1"}),
    ("/api/log", {"event": "a b"}),
    ("/api/stream", {"topics": "gossip"}),
)


async def test_an_odd_question_is_a_sentence(folder: Path) -> None:
    """Values of another kind, out of bounds, or of another language: 422 that names the parameter, or 404."""
    async with served(folder) as one:
        for path, query in ODD:
            answer = await one.client.get(path, params=query)
            assert answer.status_code in {404, 422}, (path, query, answer.text)
            said = answer.json()
            assert set(said) == {"error"}, (path, query)
            assert len(said["error"]) < 400
        assert [event for event, _ in one.log.lines if event == "dashboard.request_failed"] == []


async def test_no_answer_holds_a_number_that_is_none(folder: Path) -> None:
    """Every body is strict JSON, and who takes gzip gets the same."""

    def refuse(word: str) -> float:
        raise AssertionError(word)

    async with served(folder) as one:
        for path in ("/api/overview", "/api/model", "/api/health", "/api/equity", "/api/decisions?limit=400"):
            plain = await one.client.get(path, headers={"Accept-Encoding": "identity"})
            assert "content-encoding" not in plain.headers
            assert json.loads(plain.content, parse_constant=refuse) is not None
        packed = await one.client.get("/api/decisions?limit=400")
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.json() == plain.json()


async def test_fifty_askers_are_answered_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is opened once for all who ask the same within a second."""
    opened: list[Path] = []

    class Counted(PageReader):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr("bot.dashboard.door.PageReader", Counted)
    async with served(folder) as one:
        answers = await asyncio.gather(*(one.json("/api/candles", symbol=BTC) for _ in range(50)))
        assert all(answer == answers[0] for answer in answers)
        assert len(opened) == 1


def test_midnight_is_where_the_market_begins() -> None:
    """The rig's last minute closes five hours after the market's beginning."""
    assert LAST_MS - MIDNIGHT == 5 * 3_600_000
