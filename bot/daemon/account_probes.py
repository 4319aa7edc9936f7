"""Asks an exchange about an account: key, money, modes, leverage, open orders, positions. Nothing is changed but by ``set_terms``.

Each family of exchanges has its own questions, in ccxt's implicit methods where ccxt has no common one; what is common
is asked by ccxt's unified methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from bot.core.market import InstrumentKind, Symbol, kind_of
from bot.daemon.asking import Asker
from bot.daemon.doctor import Unknown
from bot.daemon.doctor_account import AccountFacts, Balance, SymbolTerms, Wanted
from bot.daemon.key_rights import KeyRights, binance_rights, bybit_rights, okx_rights
from bot.errors import DataError
from bot.exchange_client import Exchange, mapped

BINANCE = frozenset({"binance", "binanceus", "binanceusdm"})


class Dialect(Protocol):
    """The questions of one family of exchanges; each raises what ccxt raises."""

    async def rights(self) -> KeyRights:
        """What the key may do."""

    async def hedged(self) -> bool:
        """Whether positions of both directions may be held at once (perpetuals)."""

    async def multi_assets(self) -> bool | None:
        """Whether other coins serve as margin (perpetuals); None where there is no such mode."""

    async def fees_in_other_coin(self) -> bool | None:
        """Whether fees are paid in another coin; None where there is no such thing."""

    async def terms(self, symbol: Symbol, margin_mode: str) -> SymbolTerms:
        """Leverage and margin mode of a perpetual."""

    async def orders(self) -> list[tuple[str, Symbol]]:
        """Client id and symbol of every open order."""


class AnyDialect:
    """What ccxt has in common for all; a question that it has no word for raises its NotSupported."""

    def __init__(self, exchange: Exchange, symbols: Sequence[Symbol]) -> None:
        self.exchange = exchange
        self.symbols = symbols
        self.spot = kind_of(symbols[0]) is InstrumentKind.SPOT

    async def rights(self) -> KeyRights:
        """Nothing is known."""
        return KeyRights()

    async def hedged(self) -> bool:
        """As ccxt tells it."""
        return bool((await self.exchange.fetch_position_mode(self.symbols[0]))["hedged"])

    async def multi_assets(self) -> bool | None:
        """Not asked."""
        return None

    async def fees_in_other_coin(self) -> bool | None:
        """Not asked."""
        return None

    async def terms(self, symbol: Symbol, margin_mode: str) -> SymbolTerms:
        """As ccxt tells it."""
        said = await self.exchange.fetch_leverage(symbol, {"marginMode": margin_mode})
        leverages = {said.get("longLeverage"), said.get("shortLeverage")} - {None}
        if len(leverages) != 1:
            raise DataError(f"{symbol} has no one leverage: {sorted(map(str, leverages))}")
        return SymbolTerms(int(leverages.pop()), said.get("marginMode"))

    order_lists: tuple[Mapping[str, Any], ...] = ({}, {"trigger": True})
    """Parameters of each list of open orders: plain ones, and those that wait for a price."""

    async def orders(self) -> list[tuple[str, Symbol]]:
        """Of our symbols, conditional ones too."""
        found = []
        for symbol in self.symbols:
            for params in self.order_lists:
                rows = await self.exchange.fetch_open_orders(symbol, None, None, params)
                found += [(self.name_of(row), symbol) for row in rows]
        return found

    def name_of(self, row: Mapping[str, Any]) -> str:
        """An order's client id, or its number where it has none."""
        return str(row.get("clientOrderId") or row.get("id"))


class BinanceDialect(AnyDialect):
    """Binance: spot, and USD-M perpetuals."""

    async def rights(self) -> KeyRights:
        """One key is good for spot and perpetuals, so one question tells."""
        row = await self.exchange.sapiGetAccountApiRestrictions()
        return binance_rights(row, spot=self.spot)

    async def multi_assets(self) -> bool | None:
        """Multi-Assets Mode of the perpetuals' account."""
        return _true((await self.exchange.fapiPrivateGetMultiAssetsMargin())["multiAssetsMargin"])

    async def fees_in_other_coin(self) -> bool | None:
        """BNB burn; spot and perpetuals have one each."""
        if self.spot:
            return _true((await self.exchange.sapiGetBnbBurn())["spotBNBBurn"])
        return _true((await self.exchange.fapiPrivateGetFeeBurn())["feeBurn"])

    async def terms(self, symbol: Symbol, margin_mode: str) -> SymbolTerms:  # noqa: ARG002 - one answer for both modes
        """The symbol's configuration."""
        rows = await self.exchange.fapiPrivateGetSymbolConfig({"symbol": self.exchange.market(symbol)["id"]})
        row = rows[0]
        mode = {"ISOLATED": "isolated", "CROSSED": "cross"}[str(row["marginType"]).upper()]
        return SymbolTerms(int(row["leverage"]), mode)

    async def orders(self) -> list[tuple[str, Symbol]]:
        """Of every symbol of the account; conditional orders of perpetuals are asked for by themselves."""
        if self.spot:
            rows = [(row["clientOrderId"], row) for row in await self.exchange.privateGetOpenOrders()]
        else:
            plain = await self.exchange.fapiPrivateGetOpenOrders()
            waiting = await self.exchange.fapiPrivateGetOpenAlgoOrders()
            rows = [(row["clientOrderId"], row) for row in plain]
            rows += [(row["clientAlgoId"], row) for row in waiting]
        kind = "spot" if self.spot else "swap"
        return [
            (str(client_id), str(self.exchange.safe_symbol(row["symbol"], None, None, kind)))
            for client_id, row in rows
        ]


class OkxDialect(AnyDialect):
    """OKX: one configuration tells much; the margin mode goes with each order, and each kind of order has its list."""

    order_lists = ({}, {"ordType": "conditional"}, {"ordType": "oco"}, {"trigger": True})

    async def rights(self) -> KeyRights:
        """By the account's configuration."""
        return okx_rights((await self.exchange.privateGetAccountConfig())["data"][0])

    def name_of(self, row: Mapping[str, Any]) -> str:
        """A conditional order has its client id where ccxt does not look."""
        return str((row.get("info") or {}).get("algoClOrdId") or super().name_of(row))

    async def terms(self, symbol: Symbol, margin_mode: str) -> SymbolTerms:
        """Leverage in the margin mode that we order with."""
        said = await super().terms(symbol, margin_mode)
        return SymbolTerms(said.leverage, None)


class BybitDialect(AnyDialect):
    """Bybit."""

    async def rights(self) -> KeyRights:
        """By the key's own row."""
        return bybit_rights((await self.exchange.privateGetV5UserQueryApi())["result"], spot=self.spot)


def dialect_of(exchange: Exchange, symbols: Sequence[Symbol]) -> Dialect:
    """The questions for an exchange."""
    if exchange.id in BINANCE:
        return BinanceDialect(exchange, symbols)
    return {"okx": OkxDialect, "bybit": BybitDialect}.get(exchange.id, AnyDialect)(exchange, symbols)


async def ask_account(
    exchange: Exchange, symbols: Sequence[Symbol], wanted: Wanted, asker: Asker
) -> AccountFacts:
    """Ask everything about an account.

    Args:
        exchange: With keys, its markets loaded.
        symbols: What is traded, all of one kind.
        wanted: Whose quote currency and margin mode are asked for.
        asker: How to ask.
    """
    dialect = dialect_of(exchange, symbols)
    spot = kind_of(symbols[0]) is InstrumentKind.SPOT
    missing = _missing_keys(exchange)
    if missing:
        return AccountFacts(Unknown(f"not set: {', '.join(missing)}"))
    answer = await asker.ask(exchange.fetch_balance)
    if isinstance(answer, Unknown):
        return AccountFacts(answer)
    terms: dict[Symbol, SymbolTerms | Unknown] | None = None
    if not spot:
        terms = {}
        for symbol in symbols:
            terms[symbol] = await _terms(dialect, symbol, wanted.margin_mode, asker)
    orders = await asker.ask(dialect.orders, needed=False)
    return AccountFacts(
        accepted=None,
        rights=await asker.ask(dialect.rights, needed=False),
        balance=_balance(answer, wanted.quote),
        hedged=None if spot else await asker.ask(dialect.hedged),
        multi_assets=None if spot else await asker.ask(dialect.multi_assets),
        fees_in_other_coin=await asker.ask(dialect.fees_in_other_coin, needed=False),
        terms=terms,
        orders=orders if isinstance(orders, Unknown) else tuple(orders),
        positions=_owned(answer, symbols) if spot else await _held(exchange, answer, asker),
    )


async def set_terms(
    exchange: Exchange, terms: Mapping[Symbol, SymbolTerms | Unknown], wanted: Wanted
) -> list[str]:
    """Set leverage and margin mode where they are not as wanted; returns what was done, a line each.

    Raises:
        BotError: The exchange refused, such as while a position is held.
    """
    done = []
    try:
        for symbol, said in terms.items():
            if isinstance(said, Unknown):
                continue
            if said.margin_mode not in {None, wanted.margin_mode}:
                await _unless_so(exchange.set_margin_mode(wanted.margin_mode, symbol))
                done.append(f"{symbol}: margin mode {said.margin_mode} -> {wanted.margin_mode}")
            if said.leverage not in {None, wanted.leverage}:
                await _unless_so(
                    exchange.set_leverage(wanted.leverage, symbol, _leverage_params(exchange, wanted))
                )
                done.append(f"{symbol}: leverage {said.leverage} -> {wanted.leverage}")
    except Exception as error:
        raise mapped(error) from error
    return done


async def _unless_so(change: Awaitable[object]) -> None:
    """Make a change; that it is so already, as where another start was faster, is as good."""
    try:
        await change
    except Exception as error:
        if "NoChange" not in {kind.__name__ for kind in type(error).__mro__}:
            raise


def _leverage_params(exchange: Exchange, wanted: Wanted) -> dict[str, str]:
    """OKX keeps one leverage for each margin mode."""
    return {"mgnMode": wanted.margin_mode} if exchange.id == "okx" else {}


def _missing_keys(exchange: Exchange) -> list[str]:
    """Settings of the credentials that ccxt needs for this exchange and has not."""
    names = {
        "apiKey": "exchange.api_key",
        "secret": "exchange.api_secret",
        "password": "exchange.api_password",
    }
    needed = exchange.requiredCredentials
    return [said for name, said in names.items() if needed.get(name) and not getattr(exchange, name, None)]


async def _terms(dialect: Dialect, symbol: Symbol, mode: str, asker: Asker) -> SymbolTerms | Unknown:
    return await asker.ask(lambda: dialect.terms(symbol, mode))


async def _held(
    exchange: Exchange, balance: Mapping[str, Any], asker: Asker
) -> Mapping[Symbol, float] | Unknown:
    return await asker.ask(lambda: _positions(exchange, balance), needed=False)


async def _positions(exchange: Exchange, balance: Mapping[str, Any]) -> dict[Symbol, float]:
    """Of Binance they are in the answer to the balance; others are asked."""
    rows = (balance.get("info") or {}).get("positions") if exchange.id in BINANCE else None
    if rows is None:
        held = await exchange.fetch_positions()
        return {
            row["symbol"]: float(row["contracts"] or 0.0)
            * float(row.get("contractSize") or 1.0)
            * (-1 if row["side"] == "short" else 1)
            for row in held
        }
    return {
        str(exchange.safe_symbol(row["symbol"], None, None, "swap")): float(row["positionAmt"])
        for row in rows
        if float(row["positionAmt"]) != 0
    }


def _owned(balance: Mapping[str, Any], symbols: Sequence[Symbol]) -> dict[Symbol, float]:
    """What is owned of the symbols' base currencies."""
    totals = balance.get("total") or {}
    return {symbol: float(totals.get(symbol.partition("/")[0]) or 0.0) for symbol in symbols}


def _balance(answer: Mapping[str, Any], quote: str) -> Balance:
    row = answer.get(quote)
    if not isinstance(row, Mapping):
        return Balance(0.0, 0.0)
    return Balance(float(row.get("free") or 0.0), float(row.get("total") or 0.0))


def _true(value: Any) -> bool:
    """A flag, which some exchanges write as a word."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise DataError(f"{value!r} is neither true nor false")
