"""Whether the account may take on risk: four states, and the table of what leads from one to another.

::

    state       warmed    loss_limit  new_day   drawdown  pause     halt**   resume
    WARMING_UP  TRADING   REDUCING    same      HALTED    REDUCING  HALTED   same
    TRADING     same      REDUCING    same      HALTED    REDUCING  HALTED   same
    REDUCING    same      same        TRADING*  HALTED    same      HALTED   TRADING
    HALTED      same      same        same      same      same      same     TRADING

    * only when it was the day's loss that reduced, not a person's pause. A pause while the day's loss reduces makes
      it the person's.
    ** by a person, by a watchdog (the bot can't trust its own eyes or hands), or by a reconciliation that is in doubt
       about what the exchange holds.

WARMING_UP, REDUCING and HALTED take no new risk; exits and protective orders work in all four. REDUCING ends by
itself or by ``resume``; HALTED ends only by a person's ``resume``. The state survives a restart.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class TradingState(str, Enum):
    """May the account take on risk?"""

    WARMING_UP = "warming_up"
    TRADING = "trading"
    REDUCING = "reducing"
    HALTED = "halted"


class StateEvent(str, Enum):
    """What can change the state."""

    WARMED = "warmed"
    LOSS_LIMIT = "daily_loss_limit"
    NEW_DAY = "new_day"
    DRAWDOWN = "drawdown_limit"
    PAUSE = "pause"
    HALT = "halt"
    WATCHDOG = "watchdog"
    RECONCILIATION = "reconciliation"
    RESUME = "resume"


_W, _T, _R, _H = TradingState.WARMING_UP, TradingState.TRADING, TradingState.REDUCING, TradingState.HALTED
_E = StateEvent
TRANSITIONS: Final[dict[tuple[TradingState, StateEvent], TradingState]] = {
    (_W, _E.WARMED): _T,
    (_W, _E.LOSS_LIMIT): _R,
    (_W, _E.DRAWDOWN): _H,
    (_W, _E.PAUSE): _R,
    **{(state, event): _H for state in (_W, _T, _R) for event in (_E.HALT, _E.WATCHDOG, _E.RECONCILIATION)},
    (_T, _E.LOSS_LIMIT): _R,
    (_T, _E.DRAWDOWN): _H,
    (_T, _E.PAUSE): _R,
    (_R, _E.NEW_DAY): _T,
    (_R, _E.DRAWDOWN): _H,
    (_R, _E.RESUME): _T,
    (_H, _E.RESUME): _T,
}


def next_state(state: TradingState, event: StateEvent, *, reason: str) -> TradingState:
    """The state after an event; an event that the table does not name changes nothing.

    Args:
        state: Where the account is.
        event: What happened.
        reason: Why it is in this state; a new day ends only what the daily loss limit began.
    """
    if event is StateEvent.NEW_DAY and reason != StateEvent.LOSS_LIMIT.value:
        return state
    return TRANSITIONS.get((state, event), state)
