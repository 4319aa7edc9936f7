"""What trading cost, part by part, and what the same trades would have made at other costs.

The price that a fill is measured against is its reference price: the open at which a market order executed, the level
of a stop or target (or the open of a bar that began beyond it), and for a limit order its own price. What lies between
the reference price and the fill is spread and slippage; up to half the configured spread it is called spread.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from backtests.inputs import BacktestInput, Floats
from backtests.results import BacktestResult
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.core.orders import Accepted, ExecutionReport, Fill, Leg, OrderType
from bot.core.position import Trade, held_after
from models.bootstrap import block_totals, bounds

FACTORS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
"""What costs are multiplied by in the table."""

BPS = 10_000.0
BLOCK_DAYS = 7
LEAST_TRADES = 10
"""Fewer trades have no interval."""


class Level(NamedTuple):
    """Where a protective order stood.

    Attributes:
        symbol: The market.
        is_target: A target; else a stop.
        price: Its trigger.
        since_ms: From when on.
    """

    symbol: Symbol
    is_target: bool
    price: float
    since_ms: int


Levels = Mapping[str, Level]
"""Protective orders by client order id, in the order in which they came to life."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Spread and slippage, quote currency, positive when paid.

    Attributes:
        spread: Of all fills.
        slippage: Of all fills.
        by_trade: Both together, of each trade in the order of ``result.trades``.
    """

    spread: float
    slippage: float
    by_trade: Floats


def levels_of(reports: Iterable[ExecutionReport]) -> dict[str, Level]:
    """The protective orders that some reports tell of."""
    found = {}
    for report in reports:
        if isinstance(report, Accepted) and report.intent is not None:
            intent = report.intent
            if intent.stop_price is not None:
                target = intent.type is OrderType.TAKE_PROFIT
                found[intent.client_order_id] = Level(report.symbol, target, intent.stop_price, report.at_ms)
    return found


def moved_of(result: BacktestResult, data: BacktestInput, levels: Levels) -> Moved:
    """Spread and slippage of every fill, measured against its reference price."""
    half_spread = data.config.costs.half_spread_bps / BPS
    spread = slippage = 0.0
    paid = []
    for fill, reference in zip(result.fills, reference_prices(result.fills, data, levels), strict=True):
        distance = fill.side.sign * (fill.price - reference) * fill.quantity
        half = half_spread if fill.spread_bps is None else fill.spread_bps / BPS
        part = min(max(distance, 0.0), half * reference * fill.quantity)
        spread += part
        slippage += distance - part
        paid.append(distance)
    by_trade = _by_trade(result.trades, result.fills, paid)
    return Moved(spread, slippage, by_trade)


def reference_prices(fills: Sequence[Fill], data: BacktestInput, levels: Levels) -> list[float]:
    """The price that each fill is measured against, quote per base unit."""
    opens = _opens(fills, data)
    moved = (data.config.costs.half_spread_bps + data.config.costs.slippage_bps) / BPS
    found = []
    for fill, opened in zip(fills, opens, strict=True):
        level = levels.get(fill.client_order_id)
        if (
            fill.spread_bps is not None and fill.slippage_bps is not None
        ):  # a market with frictions says it itself
            told = (fill.spread_bps + fill.slippage_bps) / BPS
            found.append(fill.price / (1 + fill.side.sign * told))
        elif level is not None:
            # A stop below the market (to sell) that the bar opened under, a target that it opened over: the open.
            falls = (fill.side.sign < 0) != level.is_target
            beyond = opened is not None and (opened <= level.price if falls else opened >= level.price)
            found.append(opened if beyond and opened is not None else level.price)
        elif opened is not None and fill.filled_at_ms % MINUTE_MS != MINUTE_MS - 1:
            found.append(opened)
        elif data.config.entry.is_maker and fill.client_order_id.endswith(Leg.ENTRY.value):
            found.append(fill.price)
        else:  # inside a bar, and nobody told at which level: as the configured costs would have moved it
            found.append(fill.price / (1 + fill.side.sign * moved))
    return found


def costs_split(result: BacktestResult, moved: Moved, *, profit: float) -> dict[str, Any]:
    """Fee, spread, slippage and funding of all fills, in quote currency and in bps of what was turned over.

    Returns:
        ``break_even_times``: at how many times fee, spread and slippage nothing would be left; None where nothing was
        paid. Funding is the market's and stays as it is.
    """
    turnover = math.fsum(fill.price * fill.quantity for fill in result.fills)
    parts = {
        "fee": result.account.fees_paid,
        "spread": moved.spread,
        "slippage": moved.slippage,
        "funding": result.account.funding_paid,
    }
    total = math.fsum(parts.values())
    scaled = total - parts["funding"]
    return {
        **parts,
        "total": total,
        "gross_profit": profit + total,
        "net_profit": profit,
        "turnover": turnover,
        "bps_of_turnover": {
            name: part / turnover * BPS if turnover else None for name, part in parts.items()
        },
        "break_even_times": (profit + scaled) / scaled if scaled > 0 else None,
    }


def cost_sensitivity(result: BacktestResult, data: BacktestInput, moved: Moved) -> list[dict[str, Any]]:
    """The same trades at other costs, a row each: ``FACTORS`` times the costs, then as maker both ways.

    Fee, spread and slippage are multiplied; funding stays. Sizes stay too, so a gain is not put to work again. As
    maker, every order is taken to have filled at its reference price with the maker fee, which is the best case: many
    would not have filled.
    """
    trades = result.trades
    fees = np.array([trade.fees for trade in trades])
    before = np.array([trade.pnl for trade in trades]) + fees + moved.by_trade
    turned = np.array([(trade.entry_price + trade.exit_price) * trade.quantity for trade in trades])
    maker = turned * data.config.costs.maker_fee_bps / BPS
    rows = [(f"{factor:g}×", factor, before - factor * (fees + moved.by_trade)) for factor in FACTORS]
    return [
        {"costs": label, "factor": factor, "maker": factor is None, **_made(trades, net, result, data)}
        for label, factor, net in [*rows, ("as maker", None, before - maker)]
    ]


def trade_interval(trades: Sequence[Trade], net: Floats, span: tuple[int, int]) -> list[float] | None:
    """The 95 % interval of the mean trade, bps, by days drawn anew in blocks; None where too short.

    Args:
        trades: Round trips.
        net: What each earned, quote currency.
        span: First and last close of the run, ms: days without a trade are drawn too.
    """
    if len(trades) < LEAST_TRADES:
        return None
    bps = net / notionals(trades) * BPS
    first, last = ((at - 1) // DAY_MS for at in span)
    idle = np.arange(first, last + 1)
    days = np.concatenate([idle, [(trade.exit_at_ms - 1) // DAY_MS for trade in trades]]).astype(np.int64)
    nothing = np.zeros(len(idle))
    columns = [np.concatenate([nothing, bps]), np.concatenate([nothing, np.ones(len(bps))])]
    totals = block_totals(days, columns, block=BLOCK_DAYS)
    if totals is None:
        return None
    drawn = totals[totals[:, 1] > 0]
    return list(bounds(drawn[:, 0] / drawn[:, 1]))


def notionals(trades: Sequence[Trade]) -> Floats:
    """What each trade put in, quote currency."""
    return np.array([trade.entry_price * trade.quantity for trade in trades])


def _made(
    trades: Sequence[Trade], net: Floats, result: BacktestResult, data: BacktestInput
) -> dict[str, Any]:
    """The figures of trades that earned so much."""
    names = ("average_trade_bps", "average_trade_interval", "win_rate", "profit_factor")
    found: dict[str, Any] = {
        "profit": float(net.sum()),
        "return": float(net.sum()) / data.config.starting_cash,
        **dict.fromkeys(names),
    }
    if not trades:
        return found
    lost = -float(net[net < 0].sum())
    ts = result.equity.ts
    values = (
        float((net / notionals(trades)).mean() * BPS),
        trade_interval(trades, net, (int(ts[0]), int(ts[-1]))),
        float((net > 0).mean()),
        float(net[net > 0].sum()) / lost if lost > 0 else None,
    )
    return found | dict(zip(names, values, strict=True))


def _opens(fills: Sequence[Fill], data: BacktestInput) -> list[float | None]:
    """The open of the minute of each fill; None where that minute has no candle."""
    found: list[float | None] = [None] * len(fills)
    places: dict[Symbol, list[int]] = defaultdict(list)
    for place, fill in enumerate(fills):
        places[fill.symbol].append(place)
    for symbol, mine in places.items():
        if symbol not in data.candles:
            continue
        arrays = data.candles[symbol]
        minutes = np.array([fills[place].filled_at_ms // MINUTE_MS * MINUTE_MS for place in mine])
        rows = np.minimum(np.searchsorted(arrays.ts, minutes), len(arrays) - 1)
        there, opens = arrays.ts[rows] == minutes, arrays.open[rows].tolist()
        for place, known, opened in zip(mine, there.tolist(), opens, strict=True):
            found[place] = opened if known else None
    return found


def _by_trade(trades: Sequence[Trade], fills: Sequence[Fill], paid: Sequence[float]) -> Floats:
    """What was paid on the fills of each trade; a fill through zero is split by quantity.

    A trade whose entry is not among the fills (it was adopted) has what its exits paid; one with no fill at all, nothing.
    """
    closed: dict[tuple[Symbol, int], deque[float]] = defaultdict(deque)
    held: dict[Symbol, float] = defaultdict(float)
    running: dict[Symbol, float] = defaultdict(float)
    for fill, cost in zip(fills, paid, strict=True):
        symbol, before = fill.symbol, held[fill.symbol]
        after = held_after(before, fill.quantity * fill.side.sign)
        held[symbol] = after
        crosses = before != 0.0 and (after == 0.0 or (after > 0) != (before > 0))
        share = abs(before) / fill.quantity if crosses else 1.0
        running[symbol] += cost * min(share, 1.0)
        if crosses:
            closed[symbol, fill.filled_at_ms].append(running[symbol])
            running[symbol] = cost * (1 - min(share, 1.0))

    def next_of(trade: Trade) -> float:
        waiting = closed.get((trade.symbol, trade.exit_at_ms))
        return waiting.popleft() if waiting else 0.0

    return np.array([next_of(trade) for trade in trades])
