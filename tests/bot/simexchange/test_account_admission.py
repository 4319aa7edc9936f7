"""What an account refuses that no filter sees: ids in use, the current price, pairs, position mode."""

from __future__ import annotations

from functools import partial

import pytest

from bot.simexchange.config import Market
from bot.simexchange.orders import Disturbance, OrderKind, Refusal
from tests.sim_accounts import SYMBOL, SimWorld, limit, refused, request, sim_world, stop, target

SPOT, USDM = Market.SPOT, Market.USDM
MARKETS = pytest.mark.parametrize("market", list(Market))


@MARKETS
def test_a_symbol_that_is_not_listed(market):
    """It is refused wherever it is asked for."""
    world = sim_world(market)
    account = world.account
    for act in (
        lambda: world.place(request(symbol="ZZZUSDT")),
        lambda: account.cancel("ZZZUSDT", order_id=1, now_ms=0),
        lambda: account.cancel_all("ZZZUSDT", now_ms=0),
        lambda: account.find("ZZZUSDT", order_id=1),
    ):
        assert refused(act) == (-1121, "Invalid symbol.")


@pytest.mark.parametrize(
    ("market", "answer"),
    [(SPOT, (-2010, "Duplicate order sent.")), (USDM, (-4116, "ClientOrderId is duplicated."))],
)
def test_a_client_id_of_an_open_order_is_refused(market, answer):
    """It is free again when the order is done, and was never taken on another symbol."""
    world = sim_world(market)
    world.place(limit("BUY", 99.0, client_id="same"))
    world.place(limit("BUY", 99.0, client_id="same", symbol="BBBUSDT"))
    assert refused(lambda: world.place(limit("BUY", 98.0, client_id="same"))) == answer
    assert refused(lambda: world.place(request(client_id="same"))) == answer
    world.account.cancel(SYMBOL, client_order_id="same", now_ms=world.now_ms)
    assert world.place(limit("BUY", 98.0, client_id="same")).order_id == 3


def test_the_ids_of_conditional_orders_are_a_series_of_their_own():
    """The same id may be open in both series of the perpetuals, and not twice in either."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(limit("BUY", 99.0, client_id="same"))
    world.place(stop("SELL", 99.0, client_id="same"))
    assert refused(lambda: world.place(target("SELL", 101.0, client_id="same")))[0] == -4116


@pytest.mark.parametrize(
    ("asked", "spot_side"),
    [
        (stop("SELL", 100.0), "SELL"),
        (stop("SELL", 101.0), "SELL"),
        (stop("BUY", 99.0), "BUY"),
        (target("SELL", 99.0), "SELL"),
        (target("BUY", 100.0), "BUY"),
    ],
)
def test_a_conditional_order_that_would_trigger_at_once(asked, spot_side):
    """At its level or beyond it is refused, on both markets, whichever the side."""
    world = sim_world()
    assert refused(lambda: world.place(asked)) == (-2021, "Order would immediately trigger.")
    world = sim_world(SPOT, balances={"USDT": 1e4, "AAA": 9.0})
    assert asked.side == spot_side
    assert refused(lambda: world.place(asked)) == (-2010, "Stop price would trigger immediately.")


def test_a_post_only_order_that_would_take():
    """At the price or through it, it is refused and not kept."""
    for asked in (limit("BUY", 100.0, force="GTX"), limit("SELL", 100.0, force="GTX")):
        world = sim_world()
        code, text = refused(partial(world.place, asked))
        assert code == -5022
        assert text.startswith(
            "Due to the order could not be executed as maker, the Post Only order will be rejected."
        )
        world = sim_world(SPOT, balances={"USDT": 1e4, "AAA": 9.0})
        answer = refused(partial(world.place, asked))
        assert answer == (-2010, "Order would immediately match and take.")
        assert world.account.orders(None) == []


def test_an_order_that_reduces_what_is_not_held():
    """Flat, or on the side of the position, it is refused; a conditional one is not, until it triggers."""
    world = sim_world()
    answer = (-2022, "ReduceOnly Order is rejected.")
    assert refused(lambda: world.place(request("SELL", reduce_only=True))) == answer
    assert refused(lambda: world.place(limit("SELL", 101.0, reduce_only=True))) == answer
    world.place(request("BUY", 1.0))
    assert refused(lambda: world.place(request("BUY", reduce_only=True))) == answer
    assert world.place(stop("BUY", 101.0, reduce_only=True)).is_open


def test_a_second_order_that_closes_the_position():
    """One of a kind and side is enough."""
    world = sim_world()
    world.place(stop("SELL", 99.0, 0.0, close_position=True))
    world.place(target("SELL", 101.0, 0.0, close_position=True))
    world.place(stop("BUY", 101.0, 0.0, "buy", close_position=True))
    again = stop("SELL", 98.0, 0.0, "again", close_position=True)
    assert refused(lambda: world.place(again))[0] == -4130


@MARKETS
def test_before_the_first_price_nothing_trades_at_market(market):
    """A market order is refused; one that waits is taken."""
    world = sim_world(market, None)
    assert refused(lambda: world.place(request()))[0] == (-2010 if market is SPOT else -4141)
    assert world.place(limit("BUY", 99.0)).is_open
    assert world.place(stop("BUY", 99.0)).is_open


def test_orders_of_a_hedged_account_are_refused():
    """Either mode wants orders of its own kind, and hedged positions are not simulated."""
    answer = (-4061, "Order's position side does not match user's setting.")
    world = sim_world()
    assert refused(lambda: world.place(request(position_side="LONG"))) == answer
    world.account.dual_side = True
    assert refused(lambda: world.place(request())) == answer
    assert refused(lambda: world.place(request(position_side="LONG"))) == answer
    world.account.dual_side = False
    world.place(request())


def with_coins() -> SimWorld:
    """A spot account with one AAA."""
    return sim_world(SPOT, balances={"USDT": 1_000.0, "AAA": 1.0})


@pytest.mark.parametrize(
    ("pair", "code", "text"),
    [
        (
            (stop("SELL", 99.0), limit("SELL", 98.0, client_id="target", force="GTX")),
            -2010,
            "The relationship of the prices for the orders is not correct.",
        ),
        (
            (stop("SELL", 101.0), target("SELL", 102.0)),
            -2010,
            "The relationship of the prices for the orders is not correct.",
        ),
        ((stop("SELL", 99.0), target("SELL", 101.0, 0.5)), -1014, "Unsupported order combination."),
        ((stop("SELL", 99.0), target("BUY", 99.0)), -1014, "Unsupported order combination."),
        ((stop("SELL", 99.0), limit("SELL", 101.0, client_id="t")), -1014, "Unsupported order combination."),
        ((target("SELL", 101.0), stop("SELL", 99.0)), -1014, "Unsupported order combination."),
        ((stop("SELL", 99.0), target("SELL", 101.0, client_id="stop")), -2010, "Duplicate order sent."),
        (
            (stop("SELL", 99.0, 2.0), target("SELL", 101.0, 2.0)),
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        ((stop("SELL", 99.0001), target("SELL", 101.0)), -1013, "Filter failure: PRICE_FILTER"),
    ],
)
def test_pairs_that_are_refused(pair, code, text):
    """Neither order is taken, and nothing is told."""
    world = with_coins()
    near, far = pair
    assert refused(lambda: world.account.place_pair(near, far, "list", world.now_ms)) == (code, text)
    assert world.account.orders(None) == []
    assert world.account.take_events() == []


def test_a_pair_for_buying_has_its_stop_above():
    """A short of money's way: the target below the price and the stop above it."""
    world = with_coins()
    world.account.place_pair(stop("BUY", 101.0), limit("BUY", 99.0, force="GTX"), "list", world.now_ms)
    assert len(world.account.open_orders()) == 2


def test_the_id_of_an_open_list_is_refused():
    """It is free again when the list is done."""
    world = sim_world(SPOT, balances={"USDT": 1_000.0, "AAA": 9.0})
    world.account.place_pair(stop("SELL", 99.0), target("SELL", 101.0), "list", world.now_ms)
    other = (stop("SELL", 99.0, client_id="s"), target("SELL", 101.0, client_id="t"))
    act = partial(world.account.place_pair, *other, "list", world.now_ms)
    assert refused(act) == (-2010, "Duplicate order sent.")
    world.account.cancel_all(SYMBOL, now_ms=world.now_ms)
    assert act()[0] == 2


def test_the_perpetuals_have_no_pairs():
    """Stop and target are two orders there."""
    world = sim_world()
    act = partial(world.account.place_pair, stop("SELL", 99.0), target("SELL", 101.0), "list", 0)
    assert refused(act) == (-1020, "This operation is not supported.")


@MARKETS
def test_a_refusal_changes_nothing(market):
    """After any refused order the account is the one before, and has nothing to save."""
    world = sim_world(market)
    world.place(request("BUY", 1.0))
    world.account.saved()
    world.account.take_events()
    before = world.account.truth()
    world.account.disturb = lambda _: Disturbance(refuse=(-1, "No."))
    for asked in (
        request(quantity=0.0),
        request(quantity=90_000.0),
        request("SELL", 90_000.0),
        limit("SELL", 99.0, force="GTX"),
        request(kind=OrderKind.LIMIT),
        request(),
    ):
        with pytest.raises(Refusal):
            world.place(asked)
    assert world.account.truth() == before
    assert world.account.unsaved() == {}
    assert world.account.take_events() == []


def test_a_refusal_is_an_answer_with_status_400():
    """What a server sends with it."""
    world = sim_world()
    with pytest.raises(Refusal) as told:
        world.place(request(quantity=0.0))
    assert told.value.status == 400
