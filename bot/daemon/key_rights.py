"""What an API key may do, as each exchange tells it. Pure: the exchange's own row in, rights out.

Sources, the exchanges' documentation: Binance ``GET /sapi/v1/account/apiRestrictions``; OKX
``GET /api/v5/account/config`` (``perm``, ``ip``); Bybit ``GET /v5/user/query-api``. What a row does not say is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What a key may do; None where the exchange did not say.

    Attributes:
        may_trade: Orders on the market that is traded.
        may_withdraw: Take money out of the exchange: must be False.
        may_transfer: Move money between accounts of the exchange.
        bound_to_address: Whether only known IP addresses may use it.
        ends_at_ms: When its right to trade ends by itself.
    """

    may_trade: bool | None = None
    may_withdraw: bool | None = None
    may_transfer: bool | None = None
    bound_to_address: bool | None = None
    ends_at_ms: int | None = None


def binance_rights(row: Mapping[str, Any], *, spot: bool) -> KeyRights:
    """Rights by ``apiRestrictions``; booleans and a time in ms."""
    transfers = [_flag(row, name) for name in ("enableInternalTransfer", "permitsUniversalTransfer")]
    return KeyRights(
        may_trade=_flag(row, "enableSpotAndMarginTrading" if spot else "enableFutures"),
        may_withdraw=_flag(row, "enableWithdrawals"),
        may_transfer=_any(transfers),
        bound_to_address=_flag(row, "ipRestrict"),
        ends_at_ms=_time(row, "tradingAuthorityExpirationTime"),
    )


def okx_rights(row: Mapping[str, Any]) -> KeyRights:
    """Rights by the account's configuration: ``perm`` lists read_only, trade, withdraw; ``ip`` is empty where any may."""
    said = row.get("perm")
    rights = set(said.split(",")) if isinstance(said, str) and said else None
    address = row.get("ip")
    return KeyRights(
        may_trade=None if rights is None else "trade" in rights,
        may_withdraw=None if rights is None else "withdraw" in rights,
        bound_to_address=bool(address) if isinstance(address, str) else None,
    )


def bybit_rights(row: Mapping[str, Any], *, spot: bool) -> KeyRights:
    """Rights by ``query-api``: ``permissions`` by group, ``readOnly`` 0 or 1, ``ips`` with ``*`` where any may."""
    groups = row.get("permissions")
    if not isinstance(groups, Mapping):
        return KeyRights()
    wallet = groups.get("Wallet") or []
    trading = groups.get("Spot" if spot else "ContractTrade") or []
    addresses = row.get("ips")
    return KeyRights(
        may_trade=row.get("readOnly") == 0 and any(name in trading for name in ("Order", "SpotTrade")),
        may_withdraw="Withdraw" in wallet,
        may_transfer=any("Transfer" in name for name in wallet),
        bound_to_address=None if not isinstance(addresses, list) else "*" not in addresses,
    )


def _flag(row: Mapping[str, Any], name: str) -> bool | None:
    value = row.get(name)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _any(flags: list[bool | None]) -> bool | None:
    known = [flag for flag in flags if flag is not None]
    return any(known) if known else None


def _time(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else None
