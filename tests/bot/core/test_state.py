"""Tests of the trading states, every cell of the table."""

from __future__ import annotations

import itertools

import pytest

from bot.core.state import StateEvent, TradingState, next_state

W, T, R, H = TradingState.WARMING_UP, TradingState.TRADING, TradingState.REDUCING, TradingState.HALTED
E = StateEvent
TABLE = {
    #     warmed  loss  new_day  drawdown  pause  halt  resume  watchdog  reconciliation
    W: (T, R, W, H, R, H, W, H, H),
    T: (T, R, T, H, R, H, T, H, H),
    R: (R, R, T, H, R, H, T, H, H),
    H: (H, H, H, H, H, H, T, H, H),
}
COLUMNS = (
    E.WARMED,
    E.LOSS_LIMIT,
    E.NEW_DAY,
    E.DRAWDOWN,
    E.PAUSE,
    E.HALT,
    E.RESUME,
    E.WATCHDOG,
    E.RECONCILIATION,
)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(TradingState, StateEvent)))
def test_every_cell_of_the_state_table(state: TradingState, event: StateEvent) -> None:
    """Each state and event lead where the table says, the day's loss being the reason."""
    expected = TABLE[state][COLUMNS.index(event)]
    assert next_state(state, event, reason=E.LOSS_LIMIT.value) is expected


@pytest.mark.parametrize("reason", ["pause", "starting", "new_day", "resume", ""])
def test_a_new_day_ends_only_what_the_days_loss_began(reason: str) -> None:
    """A pause, or any other reason, is not ended by midnight."""
    for state in TradingState:
        assert next_state(state, E.NEW_DAY, reason=reason) is state
