"""What a client sets of its account on the perpetuals: leverage, margin mode, position mode."""

from __future__ import annotations

from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_ledger import PriceNow
from bot.simexchange.account_money import MAX_LEVERAGE, MarginLedger
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import Refusal


def set_leverage(ledger: MarginLedger, listing: Listing, leverage: int, price: PriceNow) -> None:
    """Set a symbol's leverage; refuses one out of range, and one too small for what is held."""
    if not 1 <= leverage <= MAX_LEVERAGE:
        raise Refusal(-4028, f"Leverage {leverage} is not valid")
    holding = ledger.holding(listing.symbol)
    before, holding.leverage = holding.leverage, leverage
    if leverage < before and ledger.margin(listing.quote, price).available < 0:
        holding.leverage = before
        raise Refusal(-2028, "Leverage is smaller than permitted: insufficient margin balance.")


def set_isolated(ledger: MarginLedger, symbol: str, *, isolated: bool, book: OrderBook) -> None:
    """Set a symbol's margin mode; refuses what is set already, and any change with open orders or a position."""
    holding = ledger.holding(symbol)
    if holding.isolated == isolated:
        raise Refusal(-4046, "No need to change margin type.")
    if book.open_orders(symbol):
        raise Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
    if holding.quantity:
        raise Refusal(-4048, "Margin type cannot be changed if there exists position.")
    holding.isolated = isolated


def check_position_mode(ledger: MarginLedger, *, before: bool, after: bool, book: OrderBook) -> None:
    """Refuse a position mode that is set already, and any change with open orders or a position."""
    if before == after:
        raise Refusal(-4059, "No need to change position side.")
    if book.open_orders():
        raise Refusal(-4067, "Position side cannot be changed if there exists open orders.")
    if any(position.quantity for position in ledger.positions()):
        raise Refusal(-4068, "Position side cannot be changed if there exists position.")
