"""Contract sizes, names and rows of OKX's swaps."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.okx_listing import CONTRACTS, Swaps, base_units, contracts, inst_id, list_swap, lot
from bot.simexchange.orders import Refusal
from tests.real_messages import missing_keys, real_message

BTC, ETH, SOL = (list_swap(f"{base}/USDT:USDT", 100.0) for base in ("BTC", "ETH", "SOL"))


@given(base=st.sampled_from(sorted(CONTRACTS)), lots=st.integers(1, 10**9))
def test_contracts_and_base_units_are_one_quantity(base: str, lots: int) -> None:
    """Whole lots go from contracts to base units and back without a digit lost."""
    listing = list_swap(f"{base}USDT", 1.0)
    told = lots * lot(listing)
    assert Decimal(contracts(listing, base_units(listing, str(told)))) == told


def test_the_contracts_are_those_of_the_exchange() -> None:
    """A hundredth of a bitcoin, a tenth of an ether, one solana; the step is the least part of a contract."""
    assert (BTC.contract, ETH.contract, SOL.contract) == (0.01, 0.1, 1)
    assert (BTC.step, ETH.step, SOL.step) == (0.0001, 0.001, 0.01)
    assert inst_id(BTC) == "BTC-USDT-SWAP"
    assert (contracts(BTC, 0.0), contracts(BTC, -0.02)) == ("0", "-2")


@given(price=st.floats(1e-6, 1e6))
def test_an_unlisted_symbol_gets_a_contract_of_its_price(price: float) -> None:
    """A contract of a coin that is not in the table is worth 10 to 100 units of the quote currency."""
    listing = list_swap("NEWUSDT", price)
    assert 9.99 <= listing.contract * price <= 100.01
    assert listing.min_notional == 0


def test_rows_are_those_of_the_real_exchange() -> None:
    """Every key of a real row is told, and what sets the rules of BTC and ETH is the same."""
    rows = {row["instId"]: row for row in Swaps({one.symbol: one for one in (BTC, ETH)}).rows()}
    real = {
        row["instId"]: row
        for row in real_message("messages", "http_get_instruments_swap.json", exchange="okx")["data"]
    }
    for name, row in rows.items():
        assert missing_keys(real[name], row) == []
        ours = {
            key: row[key]
            for key in ("ctVal", "ctValCcy", "ctType", "lotSz", "minSz", "tickSz", "lever", "settleCcy")
        }
        assert ours == {key: real[name][key] for key in ours}


def test_a_swap_is_found_by_its_name_only() -> None:
    """The exchange's own code tells a name that is missing from one that is unknown."""
    swaps = Swaps({"BTCUSDT": BTC})
    assert swaps.named("BTC-USDT-SWAP") is BTC
    assert swaps.find("BTC-USDT") is None
    for name, code in (("", 51000), (None, 51000), ("BTC-USDT", 51001)):
        with pytest.raises(Refusal) as told:
            swaps.named(name)
        assert told.value.code == code
