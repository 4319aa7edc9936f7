"""The figures that Prometheus reads."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bot.clock import FixedClock, monotonic_ns
from bot.core.market import MINUTE_MS
from bot.core.orders import Accepted, Fill, Leg, OrderIntent, OrderType, Rejected, Side
from bot.daemon.drift_watch import DriftReport
from bot.daemon.metrics import Metrics
from bot.daemon.model_watch import WatchVerdict
from bot.ports import BatchRecord, InterimRecord
from tests.core_builders import MIDNIGHT, PERPETUAL, at, candle
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions

SNAPSHOT = {
    "account": {
        "fees_paid": 12.5,
        "funding_paid": -0.5,
        "trade_count": 7,
        "positions": [[PERPETUAL, -2.0, 100.0, 0]],
        "marks": {PERPETUAL: 90.0},
    },
    "risk": {
        "state": "reducing",
        "peak_equity": 10_000.0,
        "day_start_equity": 9_000.0,
        "size": [0.5, "doubt"],
    },
}


def metrics(clock: FixedClock | None = None, *symbols: str) -> Metrics:
    """Figures by a clock that stands still."""
    clock = clock or FixedClock(at(5))
    return Metrics(
        symbols or (PERPETUAL,),
        1.5,
        now_ms=clock.now_ms,
        wall_ms=clock.now_ms,
        monotonic_ns=clock.monotonic_ns,
    )


def batch(minute: int, reports: tuple[object, ...] = ()) -> BatchRecord:
    """A decided minute of one symbol."""
    return BatchRecord(
        closed_at_ms=at(minute) + MINUTE_MS,
        now_ms=at(minute) + MINUTE_MS,
        candles=(candle(minute),),
        sources=("stream",),
        reports=reports,  # type: ignore[arg-type]
        decisions=(),
        trades=(),
        state_changes=(),
        equity=9_500.0,
        cash=9_400.0,
        exposure=180.0,
        snapshot=SNAPSHOT,
    )


def values(page: bytes) -> dict[str, float]:
    """Every sample of a page by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_a_minute_shows_in_every_figure_of_the_account() -> None:
    """Equity, drawdown, day, fees, position, state and candle age are those of the record."""
    clock = FixedClock(at(5))
    kept = metrics(clock, PERPETUAL, "ETH/USDT:USDT")
    kept.on_batch(batch(3), 1_200_000, 300_000)
    found = values(await kept.exposition())
    expected = {
        "bot_equity": 9_500.0,
        "bot_cash": 9_400.0,
        "bot_exposure": 180.0,
        "bot_drawdown_ratio": 0.05,
        "bot_day_return_ratio": 9_500 / 9_000 - 1,
        "bot_fees_paid": 12.5,
        "bot_funding_paid": -0.5,
        "bot_trades": 7,
        f"bot_position{{symbol={PERPETUAL}}}": -2.0,
        f"bot_position_notional{{symbol={PERPETUAL}}}": -180.0,
        "bot_position{symbol=ETH/USDT:USDT}": 0.0,
        "bot_risk_state{state=reducing}": 1.0,
        "bot_risk_state{state=trading}": 0.0,
        "bot_risk_size_factor": 0.5,
        f"bot_candle_age_seconds{{symbol={PERPETUAL}}}": 60.0,
        "bot_minutes_decided_total": 1.0,
        "bot_candles_total{source=stream}": 1.0,
        "bot_close_to_decision_seconds_sum": 0.0012,
        "bot_close_to_decision_seconds_bucket{le=0.001}": 0.0,
        "bot_close_to_decision_seconds_bucket{le=0.0015}": 1.0,
        "bot_inference_seconds_sum": 0.0003,
    }
    for name, value in expected.items():
        assert math.isclose(found[name], value, abs_tol=1e-12), name
    assert found["bot_event_loop_tasks"] >= 1


async def test_orders_are_counted_by_what_became_of_them() -> None:
    """In a minute and between two; fills are measured against the model of costs."""
    kept = metrics()
    kept.on_batch(batch(0), None, None)
    stop = OrderIntent(
        "s", PERPETUAL, Side.SELL, 1.0, OrderType.STOP, Leg.STOP, at(0), "stop", stop_price=100.0
    )
    reports = (
        Accepted("s", PERPETUAL, at(1), stop),
        Fill("t", "s", PERPETUAL, Side.SELL, 1.0, 99.9, 0.04, "USDT", at(1)),
        Rejected("x", PERPETUAL, at(1), "no"),
    )
    kept.on_interim(InterimRecord(at(1), reports, (), (), (), SNAPSHOT))
    kept.on_batch(batch(1, reports[2:]), None, None)
    found = values(await kept.exposition())
    assert found["bot_orders_total{status=accepted}"] == 1
    assert found["bot_orders_total{status=filled}"] == 1
    assert found["bot_orders_total{status=rejected}"] == 2
    assert found["bot_orders_total{status=unknown}"] == 0
    assert found["bot_fills_total{leg=stop}"] == 1
    assert math.isclose(found["bot_slippage_sum_bps{leg=stop}"], 8.5, abs_tol=1e-6)
    assert found["bot_close_to_decision_seconds_count"] == 0


async def test_lines_of_the_log_are_counted() -> None:
    """Reconnects, gaps, odd candles, retrainings, model changes, and warnings whatever they say."""
    clock = FixedClock(1_704_067_200_000 + 3_600_000)
    kept = metrics(clock)
    kept.on_line("service.ready", "info", {"model_id": "scalping-20240101T000000-abcdef", "proven": False})
    for event in ("feed.reconnected", "feed.stalled", "candle.gap_found", "candle.late", "anything.else"):
        kept.on_line(event, "warning", {})
    kept.on_line("retrain.started", "info", {"began_ms": 1_000})
    assert values(await kept.exposition())["bot_retrain_running"] == 1
    kept.on_line("retrain.finished", "info", {"began_ms": 1_000})
    kept.on_line("retrain.failed", "warning", {"began_ms": 2_000})
    kept.on_line("retrain.missed", "warning", {})
    clock.advance(1_000)
    found = values(await kept.exposition())
    assert found["bot_feed_reconnects_total"] == found["bot_feed_stalls_total"] == 1
    assert found["bot_candle_gaps_total{stage=found}"] == 1
    assert found["bot_odd_candles_total{kind=late}"] == 1
    assert found["bot_log_lines_total{level=warning}"] == 7
    assert found["bot_retrain_running"] == 0
    assert found["bot_retrain_runs_total{outcome=missed}"] == 1
    assert found["bot_retrain_last_success_timestamp_seconds"] == 1
    assert found["bot_retrain_last_failure_timestamp_seconds"] == 2
    assert found["bot_model_age_seconds"] == 3601
    name = "bot_model_info{model_id=scalping-20240101T000000-abcdef,proven=false,recipe=scalping}"
    assert found[name] == 1
    kept.on_line("model.swapped", "info", {"model_id": "no-trade", "proven": None})
    clock.advance(1_000)
    found = values(await kept.exposition())
    assert name not in found
    assert found["bot_model_info{model_id=no-trade,proven=,recipe=}"] == 1
    assert math.isnan(found["bot_model_age_seconds"])


async def test_the_next_retraining_is_that_of_the_last_minute() -> None:
    """Its time in seconds where one is due, and 0 where none ever is."""
    kept = metrics()
    kept.on_batch(batch(3), None, None)
    assert values(await kept.exposition())["bot_retrain_due_timestamp_seconds"] == 0.0
    clock = FixedClock(at(9))
    later = metrics(clock)
    snapshot = {**SNAPSHOT, "models": {"next_retrain_ms": 1_700_000_000_000}}
    later.on_batch(replace(batch(4), snapshot=snapshot), None, None)
    assert values(await later.exposition())["bot_retrain_due_timestamp_seconds"] == 1_700_000_000.0


async def test_what_alerts_watch_begins_at_nothing() -> None:
    """The first failure is a growth from 0 that Prometheus sees, and not a series that has always been 1."""
    found = values(await metrics().exposition())
    for name in (
        "bot_orders_total{status=unknown}",
        "bot_notifications_total{outcome=dropped}",
        "bot_log_lines_total{level=error}",
        "bot_retrain_runs_total{outcome=failed}",
        "bot_model_changes_total{kind=rolled_back}",
        "bot_candle_gaps_total{stage=remains}",
        "bot_replay_divergences_total",
        "bot_feed_reconnects_total",
    ):
        assert found[name] == 0.0, name


async def test_drift_is_that_of_the_last_verdict() -> None:
    """PSI by feature and the worst, share, level, ADWIN and slope; another model's features do not linger."""
    clock = FixedClock(at(0))
    kept = metrics(clock)

    def verdict(psi: dict[str, float], slope: float | None) -> WatchVerdict:
        return WatchVerdict(1.0, False, None, (), "", DriftReport(psi, 0.5, 9_000, slope, "freeze"), {})

    assert math.isnan(values(await kept.exposition())["bot_calibration_slope"])
    kept.on_verdict(verdict({"rsi": 0.1, "vol": 0.4}, 0.8))
    clock.advance(1_000)
    found = values(await kept.exposition())
    assert found["bot_drift_psi{feature=vol}"] == found["bot_drift_psi_worst"] == 0.4
    assert (found["bot_drift_share"], found["bot_drift_level"], found["bot_calibration_slope"]) == (
        0.5,
        2,
        0.8,
    )
    assert found["bot_drift_adwin_change_timestamp_seconds"] == 9
    kept.on_verdict(verdict({"macd": 0.2}, None))
    clock.advance(1_000)
    found = values(await kept.exposition())
    assert "bot_drift_psi{feature=vol}" not in found
    assert math.isnan(found["bot_calibration_slope"])


async def test_a_page_is_made_at_most_twice_a_second() -> None:
    """Who reads without a pause gets the same page again."""
    clock = FixedClock(at(5))
    kept = metrics(clock)
    kept.on_batch(batch(3), None, None)
    first = await kept.exposition()
    kept.on_batch(batch(4), None, None)
    assert await kept.exposition() is first
    clock.advance(500)
    assert values(await kept.exposition())["bot_minutes_decided_total"] == 2


async def test_two_daemons_of_one_process_share_nothing() -> None:
    """Each has a registry of its own, and the process's memory and descriptors are in both."""
    one, other = metrics(), metrics()
    one.on_lag(0.002)
    found = values(await other.exposition())
    assert found["bot_event_loop_lag_seconds_count"] == 0
    assert found["process_resident_memory_bytes"] > 1e6
    assert found["process_open_fds"] > 2


async def test_nightly_replays_are_counted() -> None:
    """By outcome; what nothing explains is added up, and the last success is known over restarts."""
    kept = metrics()
    kept.recover_replays(5_000)
    assert values(await kept.exposition())["bot_replay_last_success_timestamp_seconds"] == 5
    other = metrics()
    other.recover_replays(None)
    other.on_line("replay.finished", "info", {"began_ms": 7_000})
    other.on_line("replay.diverged", "warning", {"began_ms": 8_000, "unexplained": 3})
    other.on_line("replay.failed", "warning", {"date": "2024-01-01"})
    found = values(await other.exposition())
    assert found["bot_replay_last_success_timestamp_seconds"] == 7
    assert found["bot_replay_divergences_total"] == 3
    for outcome in ("finished", "diverged", "failed"):
        assert found[f"bot_replay_runs_total{{outcome={outcome}}}"] == 1


async def test_a_real_run_fills_them(tmp_path: Path) -> None:
    """Records and log lines of the unmodified loop are taken in, and agree with its journal's account."""
    candles = random_market(31, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(31, candles), now_ms=MIDNIGHT)
    kept = Metrics(
        SYMBOLS, 1.5, now_ms=daemon.clock.now_ms, wall_ms=daemon.clock.now_ms, monotonic_ns=monotonic_ns
    )
    await daemon.start()
    assert daemon.loop is not None
    daemon.loop.listener = kept
    await daemon.run()
    found = values(await kept.exposition())
    assert found["bot_minutes_decided_total"] == 300
    assert found["bot_equity"] == daemon.engine.account.equity()
    assert found["bot_trades"] == daemon.engine.account.trade_count > 10
    assert found["bot_fees_paid"] == daemon.engine.account.fees_paid
    sent = found["bot_orders_total{status=sent}"]
    assert sent > 10
    assert found["bot_fills_total{leg=entry}"] <= sent
    # A market order fills at the next open moved by exactly what the model of costs says.
    assert found["bot_slippage_against_model_bps_count{leg=entry}"] == found["bot_fills_total{leg=entry}"]
    daemon.close()
