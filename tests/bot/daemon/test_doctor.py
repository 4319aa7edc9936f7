"""What a check-up makes of facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.limits import RiskLimits
from bot.core.market import DAY_MS, Instrument, InstrumentKind
from bot.core.sizing import SizingRule
from bot.daemon.doctor import (
    DISK_FAILS_BYTES,
    DISK_WARNS_BYTES,
    Finding,
    JournalFacts,
    Level,
    ModelFact,
    PackageFact,
    StateFacts,
    Unknown,
    broken,
    failures,
    fine,
    judge_candle_age,
    judge_journal,
    judge_model,
    judge_packages,
    judge_python,
    judge_state,
    summary,
    to_json,
)
from bot.daemon.doctor_account import AccountFacts, Balance, SymbolTerms, Wanted, judge_account, judge_rights
from bot.daemon.doctor_market import ClockReading, MarketFacts, judge_clock, judge_market, judge_sizes
from bot.daemon.key_rights import KeyRights

OK, WARNING, FAILED = Level.OK, Level.WARNING, Level.FAILED
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
NOW = 1_700_000_000_000
GOOD_RIGHTS = KeyRights(may_trade=True, may_withdraw=False, may_transfer=False, bound_to_address=True)
WANTED = Wanted("USDT", 2, "isolated")
GOOD = AccountFacts(
    accepted=None,
    rights=GOOD_RIGHTS,
    balance=Balance(900.0, 1000.0),
    hedged=False,
    multi_assets=False,
    fees_in_other_coin=False,
    terms={BTC: SymbolTerms(2, "isolated")},
    orders=(("abcdef01xs", BTC),),
    positions={BTC: 0.5},
)
JOURNAL = JournalFacts(exists=True, run_id="abcdef01", held={BTC: 0.5}, open_orders={"abcdef01xs": BTC})


def of(findings: list[Finding], name: str) -> Finding:
    """The worst finding of a name."""
    named = [one for one in findings if one.name == name]
    return max(named, key=lambda one: list(Level).index(one.level))


def levels(findings: list[Finding]) -> set[Level]:
    """Which levels there are."""
    return {one.level for one in findings}


def account(**changes: Any) -> list[Finding]:
    """Judge an account that is right but for the changes."""
    return judge_account(replace(GOOD, **changes), WANTED, JOURNAL, NOW)


# --- this machine -----------------------------------------------------------------------------------------


def test_python_and_packages():
    """An old Python and a missing package fail; another version than wanted is a warning that names it."""
    assert judge_python((3, 11), (3, 11)).level is OK
    assert judge_python((3, 10), (3, 11)).level is FAILED
    good = PackageFact("ccxt", ">=4.5", "4.5.90", fits=True)
    old = PackageFact("numpy", ">=2", "1.26", fits=False)
    none = PackageFact("orjson", "any", None, fits=False)
    assert judge_packages([good]).level is OK
    warned = judge_packages([good, old])
    assert (warned.level, "numpy 1.26 (wanted >=2)" in warned.says) == (WARNING, True)
    failed = judge_packages([good, old, none])
    assert (failed.level, failed.says) == (FAILED, "not installed: orjson")


@pytest.mark.parametrize(
    ("free", "level"),
    [
        (DISK_FAILS_BYTES - 1, FAILED),
        (DISK_FAILS_BYTES, WARNING),
        (DISK_WARNS_BYTES - 1, WARNING),
        (DISK_WARNS_BYTES, OK),
    ],
)
def test_a_disk_fills_up(free, level):
    """Little space is a warning, next to none a failure; a folder that can't be written fails whatever is free."""
    assert of(judge_state(StateFacts("var", None, free)), "disk").level is level
    (finding,) = judge_state(StateFacts("var", "Read-only file system", free))
    assert finding.level is FAILED
    assert "Read-only" in finding.says


def test_a_journal():
    """None yet is fine, an older one too; a damaged and a newer one fail."""
    assert judge_journal(JournalFacts(exists=False), 4).level is OK
    assert judge_journal(JournalFacts(exists=True, schema=3), 4).level is OK
    newer = JournalFacts(exists=True, fault="it has schema 5, this version knows 4")
    assert judge_journal(newer, 4).level is FAILED
    assert judge_journal(JournalFacts(exists=True, fault="malformed"), 4).level is FAILED


def test_only_a_running_daemon_must_keep_up():
    """An old candle fails while a daemon runs, and is fine where none does."""
    assert judge_candle_age(NOW - 60_000, NOW, running=True).level is OK
    assert judge_candle_age(NOW - 600_000, NOW, running=True).level is FAILED
    assert judge_candle_age(NOW - 600_000, NOW, running=False).level is OK
    assert judge_candle_age(None, NOW, running=True).level is OK
    assert "10 minutes" in judge_candle_age(NOW - 600_000, NOW, running=True).says


@pytest.mark.parametrize("unproven", [True, False])
def test_live_takes_a_promoted_model_only(unproven):
    """An unproven model fails in live mode whatever the flag says; on paper the flag makes it a warning."""
    model = ModelFact("lstm-1", proven=False)
    assert judge_model(model, live=True, unproven=unproven).level is FAILED
    assert judge_model(model, live=False, unproven=unproven).level is (WARNING if unproven else FAILED)
    assert judge_model(ModelFact("lstm-1", proven=True), live=True, unproven=unproven).level is OK
    assert judge_model(ModelFact(None, refused="altered"), live=False, unproven=unproven).level is FAILED
    assert judge_model(ModelFact("no-trade"), live=True, unproven=unproven).level is WARNING
    fallback = ModelFact("forest-1", proven=True, refused="the champion is damaged")
    assert judge_model(fallback, live=True, unproven=unproven).level is WARNING


# --- the exchange -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "round_trip", "level"),
    [
        (0, 100, OK),
        (-999, 0, OK),
        (1_200, 0, WARNING),
        (1_200, 500, OK),
        (-5_000, 100, WARNING),
        (70_000, 100, FAILED),
        (-70_000, 100, FAILED),
        (0, 3_000, WARNING),
    ],
)
def test_a_clock(skew, round_trip, level):
    """A second off, beyond what the round trip leaves open, is a warning; a minute fails, five seconds do not."""
    assert judge_clock(ClockReading(skew, round_trip)).level is level


def test_an_exchange_that_does_not_answer():
    """No answer fails and may pass; an unknown symbol fails for good; a market with its own time has no skew."""
    facts = MarketFacts(None, Unknown("offline", may_pass=True), {})
    (finding,) = judge_market("okx", (BTC,), facts)
    assert (finding.level, finding.may_pass) == (FAILED, True)
    (finding,) = judge_market("okx", (BTC,), replace(facts, symbols=Unknown("no such symbol")))
    assert (finding.level, finding.may_pass) == (FAILED, False)
    assert levels(judge_market("okx", (BTC,), replace(facts, symbols={}))) == {OK}
    clock = of(judge_market("okx", (BTC,), MarketFacts(Unknown("late", may_pass=True), {}, {})), "clock")
    assert (clock.level, clock.may_pass) == (FAILED, True)


def rules(symbol: str, least: float) -> Instrument:
    """A market whose smallest order is so much quote."""
    return Instrument(symbol, InstrumentKind.PERPETUAL, 0.1, 0.001, 0.001, least)


def sizes(equity: float, *, holding: bool = False, prices: dict[str, float] | None = None) -> Finding:
    """Judge order sizes: 10 % of equity in each of two symbols, whose least are 5 and 100."""
    facts = MarketFacts(None, {BTC: rules(BTC, 100), ETH: rules(ETH, 5)}, prices or {BTC: 1000.0, ETH: 100.0})
    found = judge_sizes(facts, SizingRule(0.1), RiskLimits(), equity, holding=holding)
    assert found is not None
    return found


def test_the_smallest_order_must_be_possible():
    """Enough for both is fine, for one a warning, for none a failure, but while something is held a warning."""
    assert sizes(2_000).level is OK
    assert sizes(500).level is WARNING
    assert "BTC/USDT:USDT (50.00, the least is 100.00)" in sizes(500).says
    assert sizes(30).level is FAILED
    assert sizes(30, holding=True).level is WARNING
    assert sizes(2_000, prices={BTC: 1000.0}).level is WARNING


@given(
    equity=st.floats(1, 1e6),
    fraction=st.floats(0.001, 1),
    least=st.floats(1, 1e4),
    price=st.floats(0.01, 1e5),
)
def test_what_is_called_possible_is_an_order(equity, fraction, least, price):
    """A fine finding means that sizing gives at least the least quantity and notional of the market."""
    instrument = rules(BTC, least)
    facts = MarketFacts(None, {BTC: instrument}, {BTC: price})
    finding = judge_sizes(facts, SizingRule(fraction), RiskLimits(), equity, holding=False)
    assert finding is not None
    notional = min(fraction, 0.25) * equity
    if finding.level is OK:
        assert notional * (1 + 1e-9) >= max(least, instrument.min_quantity * price)
    else:
        # One lot below the least, at most.
        assert notional - instrument.lot_step * price <= max(least, instrument.min_quantity * price)


# --- the account ------------------------------------------------------------------------------------------


def test_a_good_account_is_good():
    """Nothing is said against an account that is as it should be."""
    assert levels(account()) == {OK}


def test_a_refused_key_is_the_only_finding():
    """Where the key is refused nothing else is asked; what may pass is told apart from what will not."""
    (finding,) = account(accepted=Unknown("-2015 Invalid API-key"))
    assert (finding.level, finding.may_pass) == (FAILED, False)
    (finding,) = account(accepted=Unknown("timeout", may_pass=True))
    assert finding.may_pass


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"rights": replace(GOOD_RIGHTS, may_withdraw=True)}, "right to withdraw", FAILED),
        ({"rights": replace(GOOD_RIGHTS, may_withdraw=None)}, "right to withdraw", WARNING),
        ({"rights": replace(GOOD_RIGHTS, may_trade=False)}, "right to trade", FAILED),
        ({"rights": replace(GOOD_RIGHTS, may_trade=None)}, "right to trade", WARNING),
        ({"rights": replace(GOOD_RIGHTS, ends_at_ms=NOW + DAY_MS)}, "right to trade", WARNING),
        ({"rights": replace(GOOD_RIGHTS, may_transfer=True)}, "right to transfer", WARNING),
        ({"rights": replace(GOOD_RIGHTS, bound_to_address=False)}, "IP restriction", WARNING),
        ({"rights": Unknown("404")}, "rights of the key", WARNING),
        ({"balance": Balance(0.0, 0.0)}, "balance", WARNING),
        ({"balance": Unknown("timeout", may_pass=True)}, "balance", FAILED),
        ({"hedged": True}, "position mode", FAILED),
        ({"hedged": Unknown("?")}, "position mode", FAILED),
        ({"multi_assets": True}, "multi-assets mode", FAILED),
        ({"fees_in_other_coin": True}, "fees in another coin", FAILED),
        ({"fees_in_other_coin": Unknown("404")}, "fees in another coin", WARNING),
        ({"terms": {BTC: SymbolTerms(20, "isolated")}}, "leverage", FAILED),
        ({"terms": {BTC: SymbolTerms(2, "cross")}}, "margin mode", FAILED),
        ({"terms": {BTC: Unknown("?")}}, "leverage", FAILED),
        ({"terms": {BTC: SymbolTerms(2, None)}}, "leverage", OK),
        ({"orders": (("web_1234", BTC),)}, "other orders", WARNING),
        ({"orders": (("abcdef01qqe", ETH),)}, "other orders", OK),
        ({"orders": Unknown("?")}, "other orders", WARNING),
        ({"positions": {BTC: 0.5, ETH: -1.0}}, "other positions", WARNING),
        ({"positions": {BTC: 9.0}}, "other positions", OK),
    ],
)
def test_what_is_wrong_with_an_account(changes, name, level):
    """Each thing that is off is found under its name and with what to do; all the rest stays fine."""
    found = account(**changes)
    finding = of(found, name)
    assert finding.level is level
    assert (finding.todo != "") is (level is not OK)
    assert levels([one for one in found if one.name != name]) == {OK}


def test_an_empty_account_fails_only_where_nothing_is_held():
    """Without money nothing can begin; what is held already is looked after all the same."""
    empty = replace(GOOD, balance=Balance(0.0, 0.0), positions={}, orders=())
    fresh = JournalFacts(exists=False)
    assert of(judge_account(empty, WANTED, fresh, NOW), "balance").level is FAILED
    assert of(judge_account(empty, WANTED, JOURNAL, NOW), "balance").level is WARNING


def test_a_position_that_an_open_order_may_have_made_is_ours():
    """After a crash between sending and booking the journal knows the order only: that is no stranger's position."""
    journal = JournalFacts(exists=True, run_id="abcdef01", held={}, open_orders={"abcdef01xe": ETH})
    facts = replace(GOOD, positions={ETH: 1.0})
    assert of(judge_account(facts, WANTED, journal, NOW), "other positions").level is OK
    facts = replace(GOOD, positions={BTC: 1.0})
    assert of(judge_account(facts, WANTED, journal, NOW), "other positions").level is WARNING


@given(
    st.builds(
        KeyRights,
        may_trade=st.sampled_from([None, True, False]),
        may_withdraw=st.sampled_from([None, True, False]),
        may_transfer=st.sampled_from([None, True, False]),
        bound_to_address=st.sampled_from([None, True, False]),
    )
)
def test_a_key_passes_only_when_it_may_trade_and_not_withdraw(rights):
    """Whatever else is known of it: all ok means that the exchange said yes to trading and no to withdrawing."""
    found = judge_rights(rights, NOW)
    if levels(found) == {OK}:
        assert (rights.may_trade, rights.may_withdraw, rights.bound_to_address) == (True, False, True)
    assert bool(failures(found)) is (rights.may_trade is False or rights.may_withdraw is True)


def test_findings_in_words_and_json():
    """The summary names every failure with what to do; JSON is ok only without a failure."""
    found = [fine("a", "well"), broken("b", "bad", "mend it"), broken("c", "worse", "")]
    assert summary(found) == "b: bad (mend it); c: worse"
    assert to_json(found)["ok"] is False
    assert to_json(found[:1]) == {
        "ok": True,
        "checks": [{"check": "a", "level": "ok", "says": "well", "todo": ""}],
    }
