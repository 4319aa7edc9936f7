"""The paper broker fills by the bars that close."""

from __future__ import annotations

from bot.brokers.paper import PaperBroker
from bot.core.decision import CancelWish
from bot.core.entry import EntryRule, EntryStyle
from bot.core.matching import Costs, FundingRates
from bot.core.orders import Accepted, Canceled, Fill, Leg, OrderRecord, OrderState
from bot.core.position import Position
from tests.core_builders import PERPETUAL, approved, at, candle, instrument, order


def broker() -> PaperBroker:
    """A broker of one perpetual with the default costs."""
    return PaperBroker(Costs(), {PERPETUAL: instrument()}, FundingRates(0.0001))


def test_an_order_fills_at_the_next_open_with_its_protection() -> None:
    """Nothing happens on submission; the next bar brings the fill and both protective orders."""
    paper = broker()
    paper.submit([approved(order(minute=1))])
    reports = paper.on_candles([candle(1)])
    assert [type(report) for report in reports] == [Fill, Accepted, Accepted]
    assert isinstance(reports[0], Fill)
    assert reports[0].filled_at_ms == at(1)


def test_a_broker_recovered_from_the_journal_goes_on_like_the_one_that_died() -> None:
    """Orders, what is held, and the last candle seen are all that it needs."""
    first = broker()
    first.submit([approved(order(minute=1))])
    reports = first.on_candles([candle(1)])
    fill = reports[0]
    assert isinstance(fill, Fill)
    records = [
        OrderRecord(report.intent, OrderState.ACCEPTED)
        for report in reports
        if isinstance(report, Accepted) and report.intent is not None
    ]
    second = broker()
    held = Position(PERPETUAL, fill.quantity, fill.price, fill.filled_at_ms)
    second.recover(records, [held], {PERPETUAL: at(1)}, {})
    falling = candle(2, 100.0, low=50.0)
    assert second.on_candles([falling]) == first.on_candles([falling])
    assert records[0].intent.leg is Leg.STOP


def test_a_resting_entry_is_canceled_before_the_next_bar() -> None:
    """A wish to cancel reaches the book: the bar that would have filled it finds nothing."""
    paper = broker()
    rule = EntryRule(EntryStyle.MAKER, 5)
    entry = rule.applied(order(minute=1), 100.0, Costs(), instrument())
    paper.submit([approved(entry)])
    paper.on_candles([candle(1)])
    paper.cancel([CancelWish(entry.client_order_id, PERPETUAL, at(2), "halted")])
    assert paper.on_candles([candle(2, low=50.0)]) == [
        Canceled(entry.client_order_id, PERPETUAL, at(2), "halted")
    ]
