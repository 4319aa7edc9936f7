"""Questions about an account, asked of the simulated exchange over real sockets by the unmodified client, and judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.clock import monotonic_ns, wall_ms
from bot.core.limits import RiskLimits
from bot.core.sizing import SizingRule
from bot.daemon.account_probes import ask_account, set_terms
from bot.daemon.asking import Asker
from bot.daemon.doctor import Finding, JournalFacts, Level, Unknown
from bot.daemon.doctor_account import AccountFacts, Balance, SymbolTerms, Wanted
from bot.daemon.fitness import FitnessPlan, Watches, check_exchange_side, require_fit
from bot.daemon.market_probes import SignedTime
from bot.errors import ConfigError, TransientError
from bot.exchange_client import Exchange, open_exchange
from bot.simexchange.config import API_PASSPHRASE, Market, SimConfig
from bot.simexchange.server import running
from bot.simexchange.tape import write_tape
from tests.canary import KEY, SECRET
from tests.daemon_harness import Silent
from tests.feed_rig import Line, TcpProxy, sim, walk

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
WANTED = Wanted("USDT", 3, "isolated")
PLAN = FitnessPlan((BTC, ETH), WANTED, SizingRule(0.1), RiskLimits(), 10_000.0)
CREDENTIALS = {"apiKey": KEY, "secret": SECRET}
TAPES = {"BTCUSDT": walk("BTCUSDT", 30), "ETHUSDT": walk("ETHUSDT", 30)}


@asynccontextmanager
async def exchange_with(folder: Path, **settings: Any) -> AsyncIterator[Line]:
    """A simulated exchange whose account has the canary's key."""
    given = {"api_key": KEY, "api_secret": SECRET, "start_at": "+20m", **settings}
    async with sim(folder, TAPES, **given) as line:
        yield line


@asynccontextmanager
async def client_of(line: Line, **credentials: str) -> AsyncIterator[tuple[Exchange, Asker]]:
    """An unmodified client with keys, whose signed requests have the exchange's time."""
    async with open_exchange(
        line.exchange_id,
        connect_to=line.address,
        ca_file=line.ca_file,
        rate_limited=False,
        timeout_ms=5_000,
        options={"fetchCurrencies": False},
        credentials={**CREDENTIALS, **credentials},
    ) as exchange:
        time = SignedTime(exchange, wall_ms)
        await time.synchronise()
        await exchange.load_markets()
        yield exchange, Asker(time.synchronise)


def watches() -> Watches:
    """Clocks of a market with a time of its own."""
    return Watches(wall_ms, monotonic_ns, None)


async def checked(
    line: Line, *, fix: bool = False, credentials: Mapping[str, str] | None = None
) -> dict[str, Finding]:
    """A check-up, the worst finding by name."""
    async with client_of(line, **(credentials or {})) as (exchange, asker):
        found = await check_exchange_side(
            exchange, PLAN, JournalFacts(exists=False), watches(), asker, account=True, fix=fix
        )
    order = list(Level)
    return {one.name: one for one in sorted(found, key=lambda one: order.index(one.level))}


async def test_everything_about_an_account_of_perpetuals_is_asked(tmp_path: Path) -> None:
    """The client's answers become facts: key, money, modes, leverage, and nothing foreign."""
    async with exchange_with(tmp_path) as line, client_of(line) as (exchange, asker):
        facts = await ask_account(exchange, (BTC, ETH), WANTED, asker)
    assert facts.accepted is None
    assert facts.balance == Balance(10_000.0, 10_000.0)
    assert (facts.hedged, facts.multi_assets) == (False, False)
    assert not isinstance(facts.rights, Unknown)
    assert (facts.rights.may_trade, facts.rights.may_withdraw) == (True, False)
    assert facts.terms is not None
    assert set(facts.terms) == {BTC, ETH}
    assert (facts.orders, facts.positions) == ((), {})


async def test_an_account_of_spot_has_neither_leverage_nor_position_mode(tmp_path: Path) -> None:
    """What does not apply is not asked; what is owned of the symbols' coins counts as held."""
    write_tape(tmp_path / "spot.parquet", TAPES["BTCUSDT"])
    tape = (f"BTC/USDT={tmp_path / 'spot.parquet'}",)
    config = SimConfig(
        tmp_path, tapes=tape, speed=0, start_at="+20m", market=Market.SPOT, api_key=KEY, api_secret=SECRET
    )
    async with running(config) as (_, end):
        line = Line((end.host, end.port), Path(end.ca_file), end.exchange_id)
        await _look_at_spot(line)


async def _look_at_spot(line: Line) -> None:
    async with client_of(line) as (exchange, asker):
        facts = await ask_account(exchange, ("BTC/USDT",), WANTED, asker)
        assert (facts.accepted, facts.terms, facts.hedged, facts.multi_assets) == (None, None, None, None)
        assert facts.fees_in_other_coin is False
        assert not isinstance(facts.rights, Unknown)
        assert facts.rights.may_trade is True
        assert facts.balance == Balance(10_000.0, 10_000.0)
        assert (facts.orders, facts.positions) == ((), {"BTC/USDT": 0.0})
        await exchange.create_order("BTC/USDT", "market", "buy", 1.0)
        await exchange.create_order("BTC/USDT", "limit", "buy", 1.0, 50.0, {"newClientOrderId": "stranger"})
        facts = await ask_account(exchange, ("BTC/USDT",), WANTED, asker)
    assert facts.orders == (("stranger", "BTC/USDT"),)
    assert isinstance(facts.positions, dict)
    assert facts.positions["BTC/USDT"] > 0
    assert isinstance(facts.balance, Balance)
    assert facts.balance.free < facts.balance.total < 10_000.0


async def test_leverage_and_margin_mode_are_found_and_set(tmp_path: Path) -> None:
    """What the account has otherwise fails; fixed, it is as wanted and nothing fails any more."""
    async with exchange_with(tmp_path) as line:
        before = await checked(line)
        assert (before["leverage"].level, before["margin mode"].level) == (Level.FAILED, Level.FAILED)
        after = await checked(line, fix=True)
        assert after["leverage"].level is Level.OK
        assert "set" in after
        again = await checked(line)
        assert [one for one in again.values() if one.level is Level.FAILED] == []
        assert "set" not in again


@pytest.mark.parametrize(
    ("settings", "failed"),
    [
        ({"may_withdraw": True}, {"right to withdraw"}),
        ({"may_trade": False}, {"right to trade"}),
        ({"cash": 0.0}, {"balance"}),
        ({"cash": 30.0}, {"order sizes"}),
    ],
)
async def test_what_an_account_must_not_be(
    tmp_path: Path, settings: dict[str, Any], failed: set[str]
) -> None:
    """A key that may withdraw or may not trade, no money, and too little for any order: each fails by its name."""
    async with exchange_with(tmp_path, **settings) as line:
        found = await checked(line)
    names = {one.name for one in found.values() if one.level is Level.FAILED}
    assert names - {"leverage", "margin mode"} == failed


async def test_a_wrong_key_and_a_wrong_secret_are_told_apart_from_the_network(tmp_path: Path) -> None:
    """Both are refused for good; an exchange that is gone may come back."""
    async with exchange_with(tmp_path) as line:
        for wrong in ("apiKey", "secret"):
            found = await checked(line, credentials={wrong: "nobody-knows-or-signs-with-this"})
            assert (found["keys"].level, found["keys"].may_pass) == (Level.FAILED, False)
        async with client_of(line) as (exchange, asker):
            exchange.secret = ""
            facts = await ask_account(exchange, (BTC,), WANTED, asker)
            assert facts.accepted == Unknown("not set: exchange.api_secret")


async def test_orders_and_positions_of_others_are_seen(tmp_path: Path) -> None:
    """Orders of both kinds and a position that no journal knows are warned of, each with its id or symbol."""
    async with exchange_with(tmp_path) as line:
        await checked(line, fix=True)
        async with client_of(line) as (exchange, asker):
            await exchange.create_order(BTC, "market", "buy", 2.0, None, {"newClientOrderId": "stranger1"})
            await exchange.create_order(BTC, "limit", "buy", 3.0, 50.0, {"newClientOrderId": "stranger2"})
            stop = {"triggerPrice": 50.0, "reduceOnly": True, "clientAlgoId": "stranger3"}
            await exchange.create_order(BTC, "market", "sell", 2.0, None, stop)
            facts = await ask_account(exchange, (BTC, ETH), WANTED, asker)
        assert facts.positions == {BTC: 2.0}
        assert not isinstance(facts.orders, Unknown)
        assert set(facts.orders) == {("stranger2", BTC), ("stranger3", BTC)}
        found = await checked(line)
    assert found["other orders"].level is Level.WARNING
    assert "stranger3" in found["other orders"].says
    assert "BTC/USDT:USDT +2" in found["other positions"].says


async def test_a_start_is_refused_with_every_reason_and_goes_on_once_all_is_right(tmp_path: Path) -> None:
    """Failed checks refuse with what to do, in the log too; warnings are logged and let it start."""
    async with exchange_with(tmp_path) as line, client_of(line) as (exchange, asker):
        log = _Log()
        with pytest.raises(ConfigError, match=r"leverage: of .*bot doctor --live --fix"):
            await require_fit(exchange, PLAN, journal_path=tmp_path / "none", watches=watches(), log=log)
        assert {name for name, _ in log.lines} == {"doctor.failed", "doctor.warned"}
        facts = await ask_account(exchange, (BTC, ETH), WANTED, asker)
        assert facts.terms is not None
        await set_terms(exchange, facts.terms, WANTED)
        await set_terms(
            exchange, facts.terms, WANTED
        )  # a second start that read them before the first set them
        log = _Log()
        await require_fit(exchange, PLAN, journal_path=tmp_path / "none", watches=watches(), log=log)
        assert [fields["check"] for _, fields in log.lines] == ["IP restriction"]


async def test_an_exchange_that_is_gone_may_come_back(tmp_path: Path) -> None:
    """Where nothing but the network fails, a start ends with an error that a later start may not have."""
    async with (
        exchange_with(tmp_path) as line,
        TcpProxy(line.address) as proxy,
        client_of(line.through(proxy)) as (exchange, _),
    ):
        proxy.refuses = True
        proxy.cut()
        with pytest.raises(TransientError, match="live trading is refused"):
            await require_fit(
                exchange, PLAN, journal_path=tmp_path / "none", watches=watches(), log=_Log(), tries=1
            )


class _Log(Silent):
    """A log that takes errors too."""

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))


def test_facts_that_were_not_asked_are_unknown() -> None:
    """A fact nobody asked for is never taken for a good one."""
    facts = AccountFacts(None)
    assert isinstance(facts.rights, Unknown)
    assert isinstance(facts.balance, Unknown)
    assert isinstance(facts.orders, Unknown)


class _Scripted:
    """An exchange that answers what a test says; the shapes are those of ccxt's unified methods."""

    def __init__(self, exchange_id: str, **answers: Any) -> None:
        self.id = exchange_id
        self.apiKey, self.secret, self.password = "k", "s", ""
        self.requiredCredentials = {"apiKey": True, "secret": True, "password": exchange_id == "okx"}
        self.calls: list[tuple[Any, ...]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answers = self.__dict__["_answers"]
        if name not in answers:
            raise AttributeError(name)

        async def answer(*words: Any) -> Any:
            self.calls.append((name, *words))
            return answers[name]

        return answer


OKX = {
    "fetch_balance": {"USDT": {"free": 5.0, "total": 7.0}},
    "privateGetAccountConfig": {"data": [{"perm": "read_only,trade", "ip": ""}]},
    "fetch_position_mode": {"hedged": True},
    "fetch_leverage": {"longLeverage": 3, "shortLeverage": 3, "marginMode": "isolated"},
    "fetch_open_orders": [{"clientOrderId": "abc", "id": "1"}],
    "fetch_positions": [{"symbol": BTC, "contracts": 200.0, "contractSize": 0.01, "side": "short"}],
    "set_leverage": {},
    "set_margin_mode": {},
}


async def test_another_exchange_is_asked_by_the_common_methods() -> None:
    """OKX by the shapes of its documentation and of ccxt: rights, modes, leverage by margin mode, orders of both kinds."""
    exchange: Any = _Scripted("okx", **OKX)
    assert (await ask_account(exchange, (BTC,), WANTED, Asker(tries=1))).accepted == Unknown(
        "not set: exchange.api_password"
    )
    exchange.password = "p"
    facts = await ask_account(exchange, (BTC,), WANTED, Asker(tries=1))
    assert facts.balance == Balance(5.0, 7.0)
    assert not isinstance(facts.rights, Unknown)
    assert (facts.rights.may_trade, facts.rights.bound_to_address, facts.hedged) == (True, False, True)
    assert facts.terms == {BTC: SymbolTerms(3, None)}
    assert facts.orders == (("abc", BTC),) * 4
    assert facts.positions == {BTC: -2.0}
    assert ("fetch_leverage", BTC, {"marginMode": "isolated"}) in exchange.calls
    exchange.calls.clear()
    assert await set_terms(exchange, {BTC: SymbolTerms(5, None)}, WANTED) == [f"{BTC}: leverage 5 -> 3"]
    assert exchange.calls == [("set_leverage", 3, BTC, {"mgnMode": "isolated"})]


async def test_everything_about_an_account_of_okx_is_asked(tmp_path: Path) -> None:
    """The simulated OKX answers every question, terms are set there, and a stop of ours goes by its own client id."""
    async with exchange_with(tmp_path, of="okx") as line:
        async with client_of(line, password=API_PASSPHRASE) as (exchange, asker):
            await exchange.create_order(BTC, "market", "sell", 200, None, {"tdMode": "isolated"})
            stop = {"algoClOrdId": "ours1s", "clOrdId": "ours1s", "stopLossPrice": 120.0, "reduceOnly": True}
            await exchange.create_order(BTC, "market", "buy", 200, None, {**stop, "tdMode": "isolated"})
            facts = await ask_account(exchange, (BTC, ETH), WANTED, asker)
            assert facts.terms is not None
            assert await set_terms(exchange, {ETH: facts.terms[ETH]}, WANTED) == [f"{ETH}: leverage 20 -> 3"]
        found = await checked(line, credentials={"password": API_PASSPHRASE})
    assert not isinstance(facts.rights, Unknown)
    assert (facts.rights.may_trade, facts.rights.may_withdraw) == (True, False)
    assert (facts.hedged, facts.multi_assets, facts.fees_in_other_coin) == (False, None, None)
    assert facts.orders == (("ours1s", BTC),)
    assert facts.positions == {BTC: -2.0}
    assert found["keys"].level is Level.OK
    assert found["right to trade"].level is Level.OK


async def test_a_question_that_an_exchange_does_not_know_is_unknown() -> None:
    """A reply of another form and a missing method are unknown facts, not crashes and not permissions."""
    exchange: Any = _Scripted("bybit", fetch_balance={}, privateGetV5UserQueryApi={}, fetch_leverage={})
    facts = await ask_account(exchange, (BTC,), WANTED, Asker(tries=1))
    assert facts.balance == Balance(0.0, 0.0)
    assert isinstance(facts.rights, Unknown)
    assert isinstance(facts.hedged, Unknown)
    assert facts.terms is not None
    assert isinstance(facts.terms[BTC], Unknown)
