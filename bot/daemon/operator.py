"""What carries out the commands of a person, and knows how things stand: the trading loop, seen from the control API."""

from __future__ import annotations

from typing import Any, Final

from bot.core.market import MINUTE_MS
from bot.core.state import StateEvent
from bot.daemon.commanding import CommandName
from bot.daemon.loop import TradingLoop
from bot.daemon.progress import Health, Progress
from bot.daemon.service_rules import WatchdogAction
from bot.daemon.telling import Teller

EVENTS: Final = {
    "pause": StateEvent.PAUSE,
    "resume": StateEvent.RESUME,
    "halt": StateEvent.HALT,
    # Who closes everything does not want the next minute to open it again.
    "flatten": StateEvent.PAUSE,
}


BLIND: Final[dict[WatchdogAction, StateEvent]] = {
    "halt": StateEvent.WATCHDOG,
    "reduce": StateEvent.PAUSE,
    "flatten": StateEvent.WATCHDOG,
}
"""What the watchdog's actions do to the state."""


class LoopOperator:
    """Acts between two minutes: the loop is the one owner of the engine, and both run in one thread.

    Args:
        loop: Of the daemon.
        progress: When the last minute was decided.
        teller: Log and journal.
        facts: What every status says: run_id, mode, simulated.
    """

    def __init__(self, loop: TradingLoop, progress: Progress, teller: Teller, facts: dict[str, Any]) -> None:
        self._loop = loop
        self._progress = progress
        self._teller = teller
        self._facts = facts

    async def command(self, name: CommandName, reason: str, origin: str) -> dict[str, Any]:
        """Carry it out; journaled when this returns."""
        # Before it: a journal that ends here says what somebody wanted.
        self._teller.note("control.commanded", command=name, reason=reason, origin=origin)
        self._loop.act(EVENTS[name], flatten=name == "flatten")
        return self.status()

    def on_blind(self, seconds: float, action: WatchdogAction) -> None:
        """No minute was decided for so long: take no new risk, and close what is held where that is wanted."""
        self._teller.warn("risk.watchdog_tripped", seconds=round(seconds), action=action)
        self._loop.act(BLIND[action], flatten=action == "flatten")

    def status(self) -> dict[str, Any]:
        """Account, positions, orders, state and model, as they are now."""
        engine = self._loop.engine
        account, risk = engine.account, engine.risk
        orders = [record.intent for symbol in engine.symbols for record in engine.open_orders(symbol)]
        return {
            **self._facts,
            **self.health().as_json(),
            "state_reason": risk.reason,
            "size_factor": risk.size_factor,
            "model_id": self._loop.predictor.model_id,
            "last_closed_ms": engine.last_opened_at_ms + MINUTE_MS,
            "minutes_decided": self._loop.batch_count,
            "equity": account.equity(),
            "cash": account.cash,
            "fees_paid": account.fees_paid,
            "funding_paid": account.funding_paid,
            "trade_count": account.trade_count,
            "positions": [
                {"symbol": one.symbol, "quantity": one.quantity, "entry_price": one.entry_price}
                for one in account.positions()
            ],
            "open_orders": [
                {
                    "client_order_id": intent.client_order_id,
                    "symbol": intent.symbol,
                    "side": intent.side.value,
                    "type": intent.type.value,
                    "quantity": intent.quantity,
                    "stop_price": intent.stop_price,
                }
                for intent in orders
            ],
        }

    def health(self) -> Health:
        """Whether the daemon gets on."""
        return self._progress.health(self._loop.engine.risk.state.value)
