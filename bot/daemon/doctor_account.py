"""What a check-up makes of an account: its key, its money, its modes, and what is there that is not ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.core.market import DAY_MS, Symbol
from bot.daemon.doctor import Finding, JournalFacts, Unknown, broken, doubtful, fine, unanswered
from bot.daemon.key_rights import KeyRights

KEY_ENDS_DAYS: Final = 7
AGAIN: Final = "try again"
NOT_ASKED: Final = Unknown("it was not asked")
BY_HAND: Final = "look at the key's settings on the exchange's website"


@dataclass(frozen=True, slots=True)
class SymbolTerms:
    """What the account has set for a symbol; None where the exchange sets it by order."""

    leverage: int | None
    margin_mode: str | None


@dataclass(frozen=True, slots=True)
class Balance:
    """Quote currency of the account.

    Attributes:
        free: What no order and no position binds.
        total: All of it.
    """

    free: float
    total: float


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What an exchange says to the holder of a key. Where a question does not apply, the fact is None.

    Attributes:
        accepted: Why the key is refused or could not be tried; None where it was accepted.
        rights: What the key may do.
        balance: In the account's quote currency.
        hedged: Whether positions of both directions may be held at once.
        multi_assets: Whether other coins serve as margin.
        fees_in_other_coin: Whether fees are paid in another coin (BNB).
        terms: Leverage and margin mode by symbol.
        orders: Client id and symbol of every open order.
        positions: Signed base units by symbol; of spot what is owned.
    """

    accepted: Unknown | None
    rights: KeyRights | Unknown = NOT_ASKED
    balance: Balance | Unknown = NOT_ASKED
    hedged: bool | Unknown | None = None
    multi_assets: bool | Unknown | None = None
    fees_in_other_coin: bool | Unknown | None = None
    terms: Mapping[Symbol, SymbolTerms | Unknown] | None = None
    orders: tuple[tuple[str, Symbol], ...] | Unknown = NOT_ASKED
    positions: Mapping[Symbol, float] | Unknown | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What live trading asks of an account.

    Attributes:
        quote: Its currency.
        leverage: Of each symbol (perpetuals).
        margin_mode: isolated or cross.
    """

    quote: str
    leverage: int = 1
    margin_mode: str = "isolated"


def judge_account(facts: AccountFacts, wanted: Wanted, journal: JournalFacts, now_ms: int) -> list[Finding]:
    """Whether the account may be traded on, check by check."""
    if facts.accepted is not None:
        todo = AGAIN if facts.accepted.may_pass else "make a new key (docs/going-live.md) and set its files"
        says = f"the exchange does not accept the key: {facts.accepted.reason}"
        return [broken("keys", says, todo, may_pass=facts.accepted.may_pass)]
    return [
        fine("keys", "the exchange accepts the key"),
        *judge_rights(facts.rights, now_ms),
        judge_balance(facts.balance, wanted.quote, holding=bool(journal.held)),
        *judge_modes(facts),
        *judge_terms(facts.terms, wanted),
        *judge_strangers(facts, journal),
    ]


def judge_rights(rights: KeyRights | Unknown, now_ms: int) -> list[Finding]:
    """Trading yes, withdrawal no; only from known addresses."""
    if isinstance(rights, Unknown):
        says = f"what the key may do is not known: {rights.reason}"
        return [doubtful("rights of the key", says, f"{BY_HAND}: trading on, withdrawal off")]
    return [*_trading(rights, now_ms), _withdrawal(rights), *_transfer(rights), _address(rights)]


def _trading(rights: KeyRights, now_ms: int) -> Iterator[Finding]:
    name = "right to trade"
    if rights.may_trade is None:
        yield doubtful(name, "the exchange does not tell", BY_HAND)
    elif not rights.may_trade:
        yield broken(name, "the key may not trade on this market", f"{BY_HAND}: allow trading")
    else:
        yield fine(name, "yes")
    if rights.ends_at_ms is not None and rights.ends_at_ms - now_ms < KEY_ENDS_DAYS * DAY_MS:
        days = max(0, rights.ends_at_ms - now_ms) / DAY_MS
        yield doubtful(name, f"it ends in {days:.1f} days", f"{BY_HAND}: bind the key to an IP address")


def _withdrawal(rights: KeyRights) -> Finding:
    name = "right to withdraw"
    if rights.may_withdraw is None:
        return doubtful(name, "the exchange does not tell", f"{BY_HAND}: withdrawal must be off")
    if rights.may_withdraw:
        return broken(
            name, "the key may take money out", f"{BY_HAND}: a bot's key must not be able to withdraw"
        )
    return fine(name, "no")


def _transfer(rights: KeyRights) -> Iterator[Finding]:
    if rights.may_transfer:
        says = "the key may move money between accounts"
        yield doubtful("right to transfer", says, f"{BY_HAND}: the bot does not need it")


def _address(rights: KeyRights) -> Finding:
    name = "IP restriction"
    if rights.bound_to_address:
        return fine(name, "only known addresses may use the key")
    says = "the exchange does not tell" if rights.bound_to_address is None else "any address may use the key"
    return doubtful(name, says, f"{BY_HAND}: bind it to this machine's address")


def judge_balance(balance: Balance | Unknown, quote: str, *, holding: bool) -> Finding:
    """Whether there is money to trade with."""
    if isinstance(balance, Unknown):
        return unanswered("balance", "", balance, AGAIN)
    says = f"{balance.free:,.2f} {quote} free of {balance.total:,.2f}"
    if balance.free > 0:
        return fine("balance", says)
    if holding or balance.total > 0:
        return doubtful("balance", says, f"nothing can be entered until {quote} is free")
    return broken("balance", says, f"move {quote} to the account that is traded")


def judge_modes(facts: AccountFacts) -> Iterator[Finding]:
    """Modes of the whole account that the bot's books do not know."""
    yield from _mode(
        "position mode",
        facts.hedged,
        "one-way",
        "hedged: long and short at once",
        "set one-way mode on the exchange's website (Preferences, Position Mode)",
        essential=True,
    )
    yield from _mode(
        "multi-assets mode",
        facts.multi_assets,
        "off",
        "on: other coins serve as margin, and equity is not what the bot counts",
        "set single-asset mode on the exchange's website (Preferences, Asset Mode)",
        essential=True,
    )
    yield from _mode(
        "fees in another coin",
        facts.fees_in_other_coin,
        "no, in the quote currency",
        "fees are paid in BNB, which the bot's books do not hold",
        "switch it off on the exchange's website (Fee, Using BNB)",
        essential=False,
    )


def _mode(
    name: str, answer: bool | Unknown | None, good: str, bad: str, todo: str, *, essential: bool
) -> Iterator[Finding]:
    if answer is None:
        return
    if isinstance(answer, Unknown):
        says = f"not known: {answer.reason}"
        by_hand = f"by hand: {todo}"
        yield unanswered(name, "", answer, AGAIN) if essential else doubtful(name, says, by_hand)
    else:
        yield broken(name, bad, todo) if answer else fine(name, good)


def judge_terms(terms: Mapping[Symbol, SymbolTerms | Unknown] | None, wanted: Wanted) -> Iterator[Finding]:
    """Whether leverage and margin mode are as the settings say."""
    if terms is None:
        return
    fix = "bot doctor --live --fix"
    wrong = False
    for symbol, said in terms.items():
        if isinstance(said, Unknown):
            wrong = True
            yield unanswered("leverage", f"of {symbol} ", said, AGAIN)
            continue
        if said.leverage is not None and said.leverage != wanted.leverage:
            wrong = True
            yield broken("leverage", f"of {symbol} {said.leverage}, wanted {wanted.leverage}", fix)
        if said.margin_mode is not None and said.margin_mode != wanted.margin_mode:
            wrong = True
            yield broken("margin mode", f"of {symbol} {said.margin_mode}, wanted {wanted.margin_mode}", fix)
    if not wrong:
        yield fine("leverage", f"{wanted.leverage}, margin {wanted.margin_mode}, of every symbol")


def judge_strangers(facts: AccountFacts, journal: JournalFacts) -> Iterator[Finding]:
    """What is open on the exchange and is none of the journal's; what a start does about it is a setting.

    Never failed: a start that was refused could not look after what is its own.
    """
    if isinstance(facts.orders, Unknown):
        yield doubtful("other orders", f"not known: {facts.orders.reason}", AGAIN)
    else:
        ours = set(journal.open_orders or ())
        strange = [
            f"{client_id} ({symbol})"
            for client_id, symbol in facts.orders
            if client_id not in ours and not (journal.run_id and client_id.startswith(journal.run_id))
        ]
        if strange:
            todo = "cancel them, or see execution.stray_orders"
            yield doubtful("other orders", f"open and not ours: {_some(strange)}", todo)
        else:
            yield fine("other orders", f"none; {len(facts.orders)} of ours open")
    if isinstance(facts.positions, Unknown):
        yield doubtful("other positions", f"not known: {facts.positions.reason}", AGAIN)
    elif facts.positions is not None:
        yield _positions(facts.positions, journal)


def _positions(positions: Mapping[Symbol, float], journal: JournalFacts) -> Finding:
    """A position is ours where the journal holds one of the symbol, or an order that may have made it."""
    ours = set(journal.held or ()) | set((journal.open_orders or {}).values())
    strange = [
        f"{symbol} {quantity:+g}"
        for symbol, quantity in positions.items()
        if quantity != 0 and symbol not in ours
    ]
    if strange:
        todo = "close them, or see execution.stray_positions"
        return doubtful("other positions", f"held and not ours: {_some(strange)}", todo)
    held = sum(quantity != 0 for quantity in positions.values())
    return fine("other positions", f"none; {held} of ours held")


def _some(names: list[str]) -> str:
    """The first few of a list."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
