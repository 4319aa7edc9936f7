"""The trading side of one exchange, wired: account, journal, REST, private streams."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from bot.errors import StorageError
from bot.simexchange.account_journal import open_account
from bot.simexchange.binance_account import FuturesAccount
from bot.simexchange.binance_rest import BinanceRest
from bot.simexchange.binance_settings import FuturesSettings
from bot.simexchange.binance_spot_trading import SpotTrading
from bot.simexchange.binance_trading import FuturesTrading
from bot.simexchange.binance_wallet import Wallet
from bot.simexchange.conductor import Conductor
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.fault_room import Faults
from bot.simexchange.market import VisibleMarket
from bot.simexchange.orders import AccountTerms
from bot.simexchange.rate_limits import RateLimits
from bot.simexchange.rest import RestServer
from bot.simexchange.routes import Routes
from bot.simexchange.signing import ApiKey, ExchangeTime, Gate
from bot.simexchange.trading_floor import PrivateStreams, TradingFloor
from bot.simexchange.user_stream import UserStreams

JOURNAL_NAME = "account.jsonl"


class TradingRoom:
    """What an exchange needs for trading; in a running event loop.

    Attributes:
        time: What it takes for the time.
        streams: Who listens to the account.
        floor: The account.
        rest: Every REST route, market data too.
    """

    def __init__(
        self,
        config: SimConfig,
        market: VisibleMarket,
        conductor: Conductor,
        faults: Faults,
        *,
        resumed: bool,
    ) -> None:
        """Open a new account, or with ``resumed`` go on with the one that belongs to the clock.

        Raises:
            StorageError: Its journal can't be read or written.
            ConfigError: The journal is of another market.
        """
        self._config = config
        self._market = market
        self._conductor = conductor
        key = key_of(config)
        self.time = exchange_time(config, conductor, faults)
        gate = Gate({key.key: key}, self.time)
        limits = RateLimits(market.market, enforced=config.enforce_limits)
        self.streams = self._user_streams(gate, limits, faults)
        self.floor = open_floor(config, market, conductor, self.streams, resumed=resumed)
        self.floor.account.disturb = faults.desk.on_order
        faults.expire_listen_keys = self.streams.expire
        conductor.attach_floor(self.floor)
        loop = asyncio.get_running_loop()
        self.rest = RestServer(gate, limits, self.time, loop_s=loop.time, settle=self.floor.settle)
        self.rest.routes.update(self._routes(key))

    def _user_streams(self, gate: Gate, limits: RateLimits, faults: Faults) -> UserStreams:
        return UserStreams(
            self._market.market,
            gate,
            limits,
            self.time,
            make_key=partial(secrets.token_hex, 32),
            ping_seconds=self._config.ping_seconds,
            faults=faults.streams,
        )

    def _routes(self, key: ApiKey) -> Routes:
        config, market, conductor, account = self._config, self._market, self._conductor, self.floor.account
        data = BinanceRest(market, conductor.now_ms, self.time.told, config.half_spread_bps)
        fees = (config.maker_fee_bps, config.taker_fee_bps)
        routes = {**data.routes(), **Wallet(key, market.listings, self.time.told, fees).routes()}
        make_id = partial(secrets.token_hex, 11)
        if market.market is Market.SPOT:
            spot = SpotTrading(account, self.floor.spot_teller, conductor.trading_ms, make_id, fees)
            return {**routes, **spot.routes()}
        trading = FuturesTrading(account, conductor.trading_ms, make_id)
        private = FuturesAccount(account, market.listings, market.trading_price, conductor.now_ms)
        settings = FuturesSettings(account, market.listings, conductor.now_ms, self.streams, fees)
        return {**routes, **trading.routes(), **private.routes(), **settings.routes()}


def open_floor(
    config: SimConfig,
    market: VisibleMarket,
    conductor: Conductor,
    streams: PrivateStreams,
    *,
    resumed: bool,
) -> TradingFloor:
    """The account of an exchange, new, or with ``resumed`` as its journal holds it; raises StorageError or ConfigError."""
    path = config.sim_dir / JOURNAL_NAME
    if not resumed:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: cannot be removed: {error}") from error
    quotes = sorted({listing.quote for listing in market.listings.values()})
    terms = AccountTerms(
        listings=market.listings,
        balances=dict.fromkeys(quotes, config.cash),
        taker_fee_bps=config.taker_fee_bps,
        maker_fee_bps=config.maker_fee_bps,
        half_spread_bps=config.half_spread_bps,
        slippage_bps=config.slippage_bps,
    )
    account, journal = open_account(path, market.market, terms, market.trading_price)
    return TradingFloor(market, account, journal, streams, conductor.position_ms)


def key_of(config: SimConfig) -> ApiKey:
    """The one key of the account."""
    return ApiKey(config.api_key, config.api_secret, config.may_read, config.may_trade, config.may_withdraw)


def exchange_time(config: SimConfig, conductor: Conductor, faults: Faults) -> ExchangeTime:
    """What an exchange takes for the time."""
    return ExchangeTime(
        conductor.now_ms, conductor.event_before_ms, config.speed, lambda: faults.desk.skew_ms
    )
