"""A live start waits for its exchange and compares the books first; an end leaves nothing in the air."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.core.execution_rules import ExecutionRules
from bot.core.state import StateEvent, TradingState
from bot.core.venue import CommandFailed, ReadState, VenueCommand, VenueEvent
from bot.daemon.live_side import TRIES, LiveSide, pause_seconds
from bot.daemon.loop import TradingLoop
from bot.daemon.telling import Teller
from bot.errors import ConfigError, DataError, TransientError
from bot.simexchange.account import SimAccount
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.orders import AccountTerms
from tests.core_builders import MIDNIGHT, PERPETUAL, instrument
from tests.daemon_harness import Daemon, random_market, random_predictions
from tests.venue_stand_in import VenueStandIn


class Moody(VenueStandIn):
    """An exchange that does not open, and does not tell its state, as often as told."""

    def __init__(self, refusals: Sequence[Exception] = (), silent: int = 0) -> None:
        listing = list_symbol("BTCUSDT", Market.USDM, 100.0)
        terms = AccountTerms({"BTCUSDT": listing}, {"USDT": 5_000.0})
        super().__init__(
            SimAccount(Market.USDM, terms, lambda _, __: 100.0), Market.USDM, terms.listings, now_ms=MIDNIGHT
        )
        self.refusals = list(refusals)
        self.silent = silent

    async def open(self) -> None:
        """Raise what is next."""
        if self.refusals:
            raise self.refusals.pop(0)

    async def perform(self, command: VenueCommand) -> Sequence[VenueEvent]:
        """Say nothing of the state for a while."""
        if isinstance(command, ReadState) and self.silent:
            self.silent -= 1
            return [CommandFailed(command, self.now_ms, "no answer")]
        return await super().perform(command)


def side_of(daemon: Daemon, venue: Moody, *, reconcile_seconds: float = 5.0) -> LiveSide:
    """A side that is not patient."""
    teller = Teller(daemon.log, daemon.journal, lambda: MIDNIGHT)
    return LiveSide(
        venue,
        ExecutionRules(),
        0.1,
        teller,
        lambda: int(asyncio.get_running_loop().time() * 1e9),
        pause=lambda _: 0.0,
        reconcile_seconds=reconcile_seconds,
    )


async def daemon_of(folder: Path) -> tuple[Daemon, TradingLoop]:
    """A daemon that has started on a few candles."""
    candles = random_market(1, 3)
    daemon = Daemon(folder, candles, random_predictions(1, candles), now_ms=MIDNIGHT)
    await daemon.start()
    assert daemon.loop is not None
    return daemon, daemon.loop


async def test_a_start_waits_for_an_exchange_that_does_not_answer(tmp_path: Path) -> None:
    """It is asked again, each time it is told; what no waiting mends is raised at once, and patience ends."""
    daemon, _ = await daemon_of(tmp_path)
    venue = Moody([TransientError("429"), DataError("an empty text")], silent=2)
    side = side_of(daemon, venue)
    await side.open({PERPETUAL: instrument()}, MIDNIGHT)
    assert await side.wallet() == 5_000.0
    assert [event for event, _ in daemon.log.lines].count("service.waiting") == 4
    with pytest.raises(ConfigError):
        await side_of(daemon, Moody([ConfigError("keys")])).open({}, MIDNIGHT)
    with pytest.raises(TransientError, match="down"):
        await side_of(daemon, Moody([TransientError("down")] * TRIES)).open({}, MIDNIGHT)
    with pytest.raises(DataError, match="nonsense"):
        await side_of(daemon, Moody([DataError("nonsense")] * TRIES)).open({}, MIDNIGHT)
    with pytest.raises(TransientError, match="balance"):
        await side_of(daemon, Moody(silent=TRIES)).wallet()
    daemon.close()


def test_the_pauses_grow_to_half_a_minute() -> None:
    """Half a second first, and less than two minutes and a half in all."""
    pauses = [pause_seconds(failures) for failures in range(1, TRIES)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]


async def test_the_books_are_compared_before_the_start_is_done(tmp_path: Path) -> None:
    """After it the state was read and nothing is in flight; new risk may be taken."""
    daemon, loop = await daemon_of(tmp_path)
    venue = Moody()
    side = side_of(daemon, venue)
    broker = await side.open({PERPETUAL: instrument()}, MIDNIGHT)
    assert await side.begin(loop, recovered=False)
    assert any(isinstance(command, ReadState) for command in venue.performed)
    assert broker.is_quiet
    assert daemon.engine.risk.state is not TradingState.HALTED
    await side.end()
    daemon.close()


async def test_a_start_whose_comparison_does_not_come_goes_on_halted(tmp_path: Path) -> None:
    """The exchange tells nothing of its books: no new risk, sticky, and the log says why."""
    daemon, loop = await daemon_of(tmp_path)
    side = side_of(daemon, Moody(silent=10_000), reconcile_seconds=0.2)
    await side.open({PERPETUAL: instrument()}, MIDNIGHT)
    assert await side.begin(loop, recovered=False)
    assert daemon.engine.risk.state is TradingState.HALTED
    assert daemon.engine.risk.reason == StateEvent.RECONCILIATION.value
    assert "reconciliation.late" in [event for event, _ in daemon.log.lines]
    await side.end()
    daemon.close()
