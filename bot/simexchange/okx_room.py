"""OKX's side of an exchange, wired: account, journal, REST, streams."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from bot.clock import wall_ms
from bot.simexchange.conductor import Conductor
from bot.simexchange.config import SimConfig
from bot.simexchange.fault_room import Faults
from bot.simexchange.market import VisibleMarket
from bot.simexchange.okx_account import OkxAccount
from bot.simexchange.okx_algos import OkxAlgos
from bot.simexchange.okx_bills import OkxBills
from bot.simexchange.okx_listing import Swaps
from bot.simexchange.okx_market_data import OkxMarketData
from bot.simexchange.okx_rest import OkxRest
from bot.simexchange.okx_routes import OkxLimits
from bot.simexchange.okx_rows import OkxRows
from bot.simexchange.okx_signing import OkxGate
from bot.simexchange.okx_stream import OkxStreams
from bot.simexchange.okx_teller import OkxTeller
from bot.simexchange.okx_trading import OkxTrading
from bot.simexchange.signing import ExchangeTime
from bot.simexchange.trading_floor import TradingFloor
from bot.simexchange.trading_room import exchange_time, key_of, open_floor


def open_streams(
    config: SimConfig, market: VisibleMarket, conductor: Conductor, faults: Faults
) -> OkxStreams:
    """The streams, which tell of the market before there is an account."""
    gate = _gate(config, exchange_time(config, conductor, faults))
    return OkxStreams(
        Swaps(market.listings),
        gate,
        changed=conductor.wake,
        faults=faults.streams,
        make_id=partial(secrets.token_hex, 4),
    )


class OkxRoom:
    """What an exchange needs for trading; in a running event loop.

    Attributes:
        time: What it takes for the time.
        streams: Who listens to the market and to the account.
        floor: The account.
        rest: Every REST route, market data too.
    """

    def __init__(
        self,
        config: SimConfig,
        market: VisibleMarket,
        conductor: Conductor,
        faults: Faults,
        streams: OkxStreams,
        *,
        resumed: bool,
    ) -> None:
        """Open a new account, or with ``resumed`` go on with the one that belongs to the clock.

        Raises:
            StorageError: Its journal can't be read or written.
            ConfigError: The journal is of another market.
        """
        self.time = exchange_time(config, conductor, faults)
        self.streams = streams
        self.floor: TradingFloor = open_floor(config, market, conductor, streams, resumed=resumed)
        swaps, account, price = Swaps(market.listings), self.floor.account, market.trading_price
        fees = (config.maker_fee_bps, config.taker_fee_bps)
        rows = OkxRows(account, swaps, price)
        private = OkxAccount(account, swaps, key_of(config), price, conductor.now_ms, fees)
        teller = OkxTeller(rows, private, swaps)
        self.floor.teller = teller
        streams.snapshot = teller.snapshot
        account.disturb = faults.desk.on_order
        conductor.attach_floor(self.floor)
        self.rest = OkxRest(
            _gate(config, self.time),
            OkxLimits(enforced=config.enforce_limits),
            loop_s=asyncio.get_running_loop().time,
            settle=self.floor.settle,
        )
        make_id, made_ms = partial(secrets.token_hex, 11), conductor.trading_ms
        data = OkxMarketData(market, swaps, conductor.now_ms, self.time.told, config.half_spread_bps)
        trading = OkxTrading(account, rows, swaps, made_ms, make_id)
        algos = OkxAlgos(account, rows, swaps, price, made_ms, make_id)
        for part in (data, private, OkxBills(account, swaps), trading, algos):
            self.rest.routes.update(part.routes())


def _gate(config: SimConfig, time: ExchangeTime) -> OkxGate:
    return OkxGate(key_of(config), config.api_passphrase, time, wall_ms)
