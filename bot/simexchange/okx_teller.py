"""What OKX's private streams tell of the account: its events as rows of channels, in order. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from bot.simexchange.account_execution import NOTHING_TO_REDUCE
from bot.simexchange.account_teller import Message
from bot.simexchange.okx_account import OkxAccount
from bot.simexchange.okx_listing import Swaps, inst_id
from bot.simexchange.okx_messages import Row
from bot.simexchange.okx_rows import OkxRows
from bot.simexchange.orders import AccountChanged, AccountEvent, OrderChanged, OrderKind

ORDERS, ALGOS, ACCOUNT, POSITIONS, BOTH = (
    "orders",
    "orders-algo",
    "account",
    "positions",
    "balance_and_position",
)
PRIVATE = frozenset({ORDERS, ALGOS, ACCOUNT, POSITIONS, BOTH})


class OkxTeller:
    """Rows of ``orders``, ``orders-algo``, ``positions``, ``account`` and ``balance_and_position``.

    A message is ``{"channel": …, "instId": …, "data": […]}``; the stream puts it into the frame of each subscription.
    """

    def __init__(self, rows: OkxRows, account: OkxAccount, swaps: Swaps) -> None:
        self._rows = rows
        self._account = account
        self._swaps = swaps

    def messages(self, event: AccountEvent) -> Iterator[Message]:
        """The messages of one event; events must come in order, and each once."""
        if isinstance(event, AccountChanged):
            yield from self._changed(event)
            return
        name = inst_id(self._swaps[event.order.request.symbol])
        if not event.order.request.is_conditional:
            yield _message(ORDERS, [self._rows.push(event)], name)
        elif self._tells(event):
            yield _message(ALGOS, [self._rows.algo(event.order, event.at_ms)], name)

    def snapshot(self, channel: str) -> Message | None:
        """How things stand, of a channel that begins with it."""
        held = [one for one in self._rows.positions() if one.quantity]
        positions = [self._account.position(one) for one in held]
        if channel == ACCOUNT:
            return _message(ACCOUNT, [self._account.balance()])
        if channel == POSITIONS:
            return _message(POSITIONS, positions)
        return _message(BOTH, [self._both("snapshot", positions)]) if channel == BOTH else None

    def _changed(self, event: AccountChanged) -> Iterator[Message]:
        positions = [self._account.position(one) for one in event.positions]
        for row in positions:
            yield _message(POSITIONS, [row], row["instId"])
        yield _message(ACCOUNT, [self._account.balance()])
        reason = "filled" if event.reason == "ORDER" else event.reason.lower()
        yield _message(BOTH, [self._both(reason, positions)])

    def _both(self, reason: str, positions: list[Row]) -> Row:
        balance = self._account.balance()
        coins = [{name: coin[name] for name in ("ccy", "cashBal", "uTime")} for coin in balance["details"]]
        names = (
            "avgPx",
            "ccy",
            "instId",
            "instType",
            "mgnMode",
            "pos",
            "posCcy",
            "posId",
            "posSide",
            "tradeId",
            "uTime",
        )
        held = [{name: row[name] for name in names} for row in positions]
        return {
            "pTime": balance["uTime"],
            "eventType": reason,
            "balData": coins,
            "posData": held,
            "trades": [],
        }

    def _tells(self, event: OrderChanged) -> bool:
        """Whether an event of a conditional order is news: of a pair each is told once, and a trigger once."""
        order = event.order
        if order.request.kind not in {OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET}:
            return False
        if event.execution in {"NEW", "CANCELED"}:
            return self._rows.is_primary(order)
        return event.execution in {"REJECTED", "FINISHED"} or order.reason == NOTHING_TO_REDUCE


def _message(channel: str, rows: list[Row], name: str = "") -> Message:
    return {"channel": channel, "instId": name, "data": rows}
