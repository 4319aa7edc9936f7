"""What exchanges say of a key, in their own words."""

from __future__ import annotations

from typing import Any

from bot.daemon.key_rights import KeyRights, binance_rights, bybit_rights, okx_rights

BINANCE = {
    "ipRestrict": False,
    "createTime": 1_623_840_271_000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "enableSpotAndMarginTrading": True,
    "tradingAuthorityExpirationTime": 1_628_985_600_000,
}


def test_binance_tells_spot_from_perpetuals():
    """Each market has a right of its own; any way to move money counts as a transfer."""
    rights = binance_rights(BINANCE, spot=True)
    assert rights == KeyRights(
        may_trade=True,
        may_withdraw=False,
        may_transfer=False,
        bound_to_address=False,
        ends_at_ms=1_628_985_600_000,
    )
    assert binance_rights(BINANCE, spot=False).may_trade is False
    assert binance_rights({**BINANCE, "enableWithdrawals": True}, spot=True).may_withdraw is True
    assert binance_rights({**BINANCE, "permitsUniversalTransfer": "true"}, spot=True).may_transfer is True


def test_what_a_row_does_not_say_is_unknown():
    """A missing or strange field is None, and never a permission or its absence."""
    assert binance_rights({}, spot=True) == KeyRights()
    assert binance_rights({"enableWithdrawals": 3, "ipRestrict": "perhaps"}, spot=True) == KeyRights()
    assert okx_rights({}) == KeyRights()
    assert bybit_rights({"permissions": None}, spot=False) == KeyRights()


def test_okx_lists_rights_in_one_text():
    """Rights are one text with commas, and ip is empty where any address may."""
    assert okx_rights({"perm": "read_only,trade", "ip": "1.2.3.4"}) == KeyRights(
        may_trade=True, may_withdraw=False, bound_to_address=True
    )
    rights = okx_rights({"perm": "read_only,withdraw,trade", "ip": ""})
    assert (rights.may_withdraw, rights.bound_to_address) == (True, False)
    assert okx_rights({"perm": "read_only", "ip": ""}).may_trade is False


def test_bybit_groups_rights():
    """Trading needs a right of the market's group and a key that may write."""
    row: dict[str, Any] = {
        "readOnly": 0,
        "ips": ["*"],
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer"],
        },
    }
    assert bybit_rights(row, spot=False) == KeyRights(
        may_trade=True, may_withdraw=False, may_transfer=True, bound_to_address=False
    )
    assert bybit_rights(row, spot=True).may_trade is True
    assert bybit_rights({**row, "readOnly": 1}, spot=False).may_trade is False
    row["permissions"]["Wallet"] = ["Withdraw"]
    assert bybit_rights(row, spot=False).may_withdraw is True
