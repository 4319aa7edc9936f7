"""Leverage, margin mode and position mode: what is taken, and Binance's words for what is not."""

from __future__ import annotations

import pytest

from tests.sim_accounts import SYMBOL, SimWorld, limit, refused, request, sim_world


def setting(world: SimWorld) -> tuple[int, bool]:
    """Leverage and margin mode of the symbol."""
    position = next(one for one in world.account.positions() if one.symbol == SYMBOL)
    return position.leverage, position.isolated


def test_every_listing_has_leverage_and_margin_mode_before_anything_is_held():
    """Twenty and crossed, as a new account on Binance."""
    world = sim_world()
    assert len(world.account.positions()) == 2
    assert setting(world) == (20, False)


@pytest.mark.parametrize("leverage", [0, -1, 126])
def test_leverage_out_of_range(leverage):
    """One to 125 are taken."""
    world = sim_world()
    assert refused(lambda: world.account.set_leverage(SYMBOL, leverage)) == (
        -4028,
        f"Leverage {leverage} is not valid",
    )
    for allowed in (1, 125):
        world.account.set_leverage(SYMBOL, allowed)
        assert setting(world)[0] == allowed


def test_leverage_too_small_for_what_is_held():
    """It stays as it was."""
    world = sim_world()
    world.place(request("BUY", 500.0))
    assert refused(lambda: world.account.set_leverage(SYMBOL, 2, world.now_ms))[0] == -2028
    assert refused(lambda: world.account.set_leverage(SYMBOL, 2))[0] == -2028
    assert setting(world)[0] == 20
    world.account.set_leverage(SYMBOL, 10, world.now_ms)


def test_margin_mode():
    """Set once; not to what it is, nor with orders or a position."""
    world = sim_world()
    change = world.account.set_isolated
    assert refused(lambda: change(SYMBOL, False)) == (-4046, "No need to change margin type.")
    change(SYMBOL, True)
    assert setting(world) == (20, True)
    world.place(limit("BUY", 99.0))
    assert refused(lambda: change(SYMBOL, False)) == (
        -4047,
        "Margin type cannot be changed if there exists open orders.",
    )
    world.account.cancel_all(SYMBOL, now_ms=world.now_ms)
    world.place(request())
    assert refused(lambda: change(SYMBOL, False)) == (
        -4048,
        "Margin type cannot be changed if there exists position.",
    )


def test_position_mode():
    """Set once; not to what it is, nor with orders or a position."""
    world = sim_world()
    account = world.account
    assert refused(lambda: setattr(account, "dual_side", False)) == (
        -4059,
        "No need to change position side.",
    )
    account.dual_side = True
    assert account.dual_side
    account.dual_side = False
    world.place(limit("BUY", 99.0))
    assert refused(lambda: setattr(account, "dual_side", True))[0] == -4067
    account.cancel_all(SYMBOL, now_ms=world.now_ms)
    world.place(request())
    assert refused(lambda: setattr(account, "dual_side", True))[0] == -4068
