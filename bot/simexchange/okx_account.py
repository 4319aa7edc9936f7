"""OKX's account endpoints: balance, positions, configuration, leverage, fees, bills, coins; and their rows on the streams."""

from __future__ import annotations

from collections.abc import Callable

from bot.simexchange.account import SimAccount
from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.leverage import maintenance_ratio
from bot.simexchange.okx_codes import refused
from bot.simexchange.okx_listing import MAX_LEVERAGE, Swaps, contracts, inst_id
from bot.simexchange.okx_messages import Row, margin_mode
from bot.simexchange.okx_routes import Given, OkxRoute, OkxRoutes, Rows, text, whole, wrong
from bot.simexchange.orders import SimPosition
from bot.simexchange.signing import ApiKey, Security

USER_ID = "44705892343619584"

_UNKNOWN_OF_A_COIN = (
    "accAvgPx", "borrowFroz", "clSpotInUseAmt", "crossLiab", "interest", "liab", "maxLoan", "maxSpotInUseAmt",
    "mgnRatio", "openAvgPx", "spotBal", "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl", "totalPnlRatio",
    "uplLiab",
)  # fmt: skip
_NONE_OF_A_COIN = (
    "fixedBal", "isoEq", "isoLiab", "isoUpl", "notionalLever", "rewardBal", "smtSyncEq", "spotCopyTradingEq",
    "spotIsoBal", "stgyEq", "twap", "disEq",
)  # fmt: skip
_UNKNOWN_OF_AN_ACCOUNT = (
    "adjEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd", "notionalUsdForBorrow", "notionalUsdForFutures",
    "notionalUsdForOption", "notionalUsdForSwap", "ordFroz", "upl",
)  # fmt: skip
_UNKNOWN_OF_A_POSITION = (
    "baseBal", "bizRefId", "bizRefType", "deltaBS", "deltaPA", "gammaBS", "gammaPA", "interest", "liab", "liabCcy",
    "mgnRatio", "optVal", "pendingCloseOrdLiabVal", "posCcy", "quoteBal", "quoteBorrowed", "quoteInterest",
    "spotInUseAmt", "spotInUseCcy", "thetaBS", "thetaPA", "usdPx", "vegaBS", "vegaPA",
)  # fmt: skip


class OkxAccount:
    """Tells a client how its account stands, and takes its settings."""

    def __init__(
        self,
        account: SimAccount,
        swaps: Swaps,
        key: ApiKey,
        price: Callable[[str, int], float | None],
        now_ms: Callable[[], int],
        fees_bps: tuple[float, float],
    ) -> None:
        """``fees_bps``: of a maker and of a taker."""
        self._account = account
        self._swaps = swaps
        self._key = key
        self._price = price
        self._now_ms = now_ms
        self._fees_bps = fees_bps

    def routes(self) -> OkxRoutes:
        """What it serves."""
        account = "/api/v5/account"

        def read(answer: Callable[[Given], Rows], per_stretch: int = 10) -> OkxRoute:
            return OkxRoute(answer, Security.READ, per_stretch=per_stretch)

        return {
            ("GET", f"{account}/balance"): read(lambda _: [self.balance()]),
            ("GET", f"{account}/positions"): read(self._positions),
            ("GET", f"{account}/config"): read(self._config, 5),
            ("GET", f"{account}/leverage-info"): read(self._leverages, 20),
            ("GET", f"{account}/trade-fee"): read(self._fees, 5),
            ("POST", f"{account}/set-leverage"): OkxRoute(self._set_leverage, Security.TRADE),
            ("POST", f"{account}/set-position-mode"): OkxRoute(self._set_mode, Security.TRADE),
            ("GET", "/api/v5/asset/currencies"): read(self._coins, 12),
            ("GET", "/api/v5/asset/balances"): read(lambda _: [], 12),
        }

    # --- how it stands ----------------------------------------------------------------------------------------

    def balance(self) -> Row:
        """The account, as ``account/balance`` and the stream ``account`` tell it."""
        now = self._now_ms()
        details = [self._coin(one.asset, now) for one in self._account.balances()]
        total = number(sum(float(detail["eq"]) for detail in details))
        unknown = dict.fromkeys(_UNKNOWN_OF_AN_ACCOUNT, "")
        return {
            **unknown,
            "availEq": "",
            "details": details,
            "isoEq": "0",
            "totalEq": total,
            "uTime": str(now),
        }

    def _coin(self, asset: str, now_ms: int) -> Row:
        margin = self._account.margin(asset, now_ms)
        bound = margin.position_margin + margin.order_margin
        equity = number(margin.wallet + margin.unrealized)
        free = number(max(margin.available, 0.0))
        return {
            **dict.fromkeys(_UNKNOWN_OF_A_COIN, ""),
            **dict.fromkeys(_NONE_OF_A_COIN, "0"),
            "availBal": free,
            "availEq": free,
            "cashBal": number(margin.wallet),
            "ccy": asset,
            "coinUsdPrice": "1",
            "colBorrAutoConversion": "0",
            "collateralEnabled": False,
            "collateralRestrict": False,
            "eq": equity,
            "eqUsd": equity,
            "frozenBal": number(bound),
            "imr": number(bound),
            "mmr": number(self._maintenance(asset, now_ms)),
            "ordFrozen": number(margin.order_margin),
            "uTime": str(now_ms),
            "upl": number(margin.unrealized),
        }

    def _maintenance(self, asset: str, now_ms: int) -> float:
        of_asset = (held for held in self._account.positions() if self._swaps[held.symbol].quote == asset)
        worth = [abs(held.quantity) * self._mark(held, now_ms) for held in of_asset]
        return sum(notional * maintenance_ratio(notional) for notional in worth)

    def _positions(self, given: Given) -> Rows:
        """Those that are held; ``instId`` may name several."""
        names = [name for name in text(given, "instId").split(",") if name]
        wanted = {self._swaps.named(name).symbol for name in names}
        if text(given, "instType") not in {"", "SWAP"}:
            return []
        held = (one for one in self._account.positions() if one.quantity)
        return [self.position(one) for one in held if not names or one.symbol in wanted]

    def position(self, held: SimPosition) -> Row:
        """A position, as ``account/positions`` and the stream ``positions`` tell it; flat too."""
        now, listing = self._now_ms(), self._swaps[held.symbol]
        mark, trades = self._mark(held, now), self._account.trades(held.symbol, limit=1)
        notional, last_ms = abs(held.quantity) * mark, trades[-1].at_ms if trades else now
        margin, gain = notional / held.leverage, held.quantity * (mark - held.entry_price)
        flat = not held.quantity
        size = contracts(listing, held.quantity)
        return {
            **dict.fromkeys(_UNKNOWN_OF_A_POSITION, ""),
            "adl": "1",
            "availPos": size,
            "avgPx": "" if flat else number(held.entry_price),
            "bePx": "" if flat else number(held.entry_price),
            "cTime": str(last_ms),
            "ccy": listing.quote,
            "closeOrderAlgo": [],
            "fee": "0",
            "fundingFee": "0",
            "idxPx": number(mark),
            "imr": "" if held.isolated else number(margin),
            "instId": inst_id(listing),
            "instType": "SWAP",
            "last": number(mark),
            "lever": number(float(held.leverage)),
            "liqPenalty": "0",
            "liqPx": "",
            "margin": number(margin) if held.isolated else "",
            "markPx": number(mark),
            "mgnMode": margin_mode(held),
            "mmr": number(notional * maintenance_ratio(notional)),
            "notionalUsd": number(notional),
            "pnl": "0",
            "pos": size,
            "posId": str(self._number(listing)),
            "posSide": "net",
            "realizedPnl": "0",
            "tradeId": str(trades[-1].trade_id) if trades else "",
            "uTime": str(last_ms),
            "upl": number(gain),
            "uplLastPx": number(gain),
            "uplRatio": number(gain / margin) if margin else "0",
            "uplRatioLastPx": number(gain / margin) if margin else "0",
        }

    def _mark(self, held: SimPosition, now_ms: int) -> float:
        return self._price(held.symbol, now_ms) or held.entry_price

    def _number(self, listing: Listing) -> int:
        """The number of a symbol's one position."""
        return 3_000_000_000 + list(self._swaps.listings).index(listing.symbol)

    # --- settings ---------------------------------------------------------------------------------------------

    def _config(self, given: Given) -> Rows:
        del given
        rights = [
            ("read_only", self._key.may_read),
            ("withdraw", self._key.may_withdraw),
            ("trade", self._key.may_trade),
        ]
        return [
            {
                "acctLv": "2",
                "acctStpMode": "cancel_maker",
                "autoLoan": False,
                "ctIsoMode": "automatic",
                "enableSpotBorrow": False,
                "feeType": "0",
                "greeksType": "PA",
                "ip": "",
                "kycLv": "3",
                "label": "simulated",
                "level": "Lv1",
                "levelTmp": "",
                "liquidationGear": "-1",
                "mainUid": USER_ID,
                "mgnIsoMode": "automatic",
                "opAuth": "1",
                "perm": ",".join(name for name, allowed in rights if allowed),
                "posMode": self._mode(),
                "roleType": "0",
                "settleCcy": "USDT",
                "settleCcyList": ["USDT"],
                "spotBorrowAutoRepay": False,
                "spotOffsetType": "",
                "spotRoleType": "0",
                "spotTraderInsts": [],
                "traderInsts": [],
                "type": "0",
                "uid": USER_ID,
            }
        ]

    def _mode(self) -> str:
        return "long_short_mode" if self._account.dual_side else "net_mode"

    def _set_mode(self, given: Given) -> Rows:
        asked = text(given, "posMode")
        if asked not in {"long_short_mode", "net_mode"}:
            raise wrong("posMode")
        if asked != self._mode():
            self._account.dual_side = asked == "long_short_mode"
        return [{"posMode": asked}]

    def _leverages(self, given: Given) -> Rows:
        mode = _margin_mode(given)
        symbols = {self._swaps.named(name).symbol for name in text(given, "instId").split(",")}
        return [
            {**self._named(held), "ccy": "", "lever": str(held.leverage), "mgnMode": mode, "posSide": "net"}
            for held in self._account.positions()
            if held.symbol in symbols
        ]

    def _set_leverage(self, given: Given) -> Rows:
        """One leverage a symbol: OKX keeps another for each margin mode, of which this exchange has one at a time."""
        mode, leverage = _margin_mode(given), whole(given, "lever")
        listing = self._swaps.named(text(given, "instId"))
        if leverage is None or leverage < 1:
            raise wrong("lever")
        if leverage > MAX_LEVERAGE:
            raise refused(59102)
        self._account.set_leverage(listing.symbol, leverage, self._now_ms())
        return [{"instId": inst_id(listing), "lever": str(leverage), "mgnMode": mode, "posSide": "net"}]

    def _named(self, held: SimPosition) -> Row:
        return {"instId": inst_id(self._swaps[held.symbol])}

    def _fees(self, given: Given) -> Rows:
        """Rates, negative where they are paid."""
        kind = text(given, "instType")
        if kind not in {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"}:
            raise wrong("instType")
        maker, taker = (number(-bps / 10_000 + 0.0) for bps in self._fees_bps)
        rates = {"maker": maker, "makerU": maker, "taker": taker, "takerU": taker}
        empty = dict.fromkeys(("delivery", "exercise", "makerUSDC", "settle", "takerUSDC", "uly"), "")
        fixed = {
            "category": "1",
            "feeGroup": [],
            "fiat": [],
            "instType": kind,
            "level": "Lv1",
            "ruleType": "normal",
        }
        return [{**empty, **fixed, **rates, "ts": str(self._now_ms())}]

    def _coins(self, given: Given) -> Rows:
        """Coins that can be traded, and neither paid in nor out."""
        listed = self._swaps.listings.values()
        names = sorted({listing.base for listing in listed} | {listing.quote for listing in listed})
        wanted = [name for name in text(given, "ccy").split(",") if name]
        fixed = {"canDep": False, "canInternal": False, "canWd": False, "mainNet": True}
        sizes = {"fee": "0", "maxFee": "0", "maxWd": "0", "minFee": "0", "minWd": "0", "wdTickSz": "8"}
        return [
            {"ccy": name, "chain": f"{name}-{name}", "logoLink": "", "name": name, **fixed, **sizes}
            for name in names
            if not wanted or name in wanted
        ]


def _margin_mode(given: Given) -> str:
    mode = text(given, "mgnMode")
    if mode not in {"cross", "isolated"}:
        raise wrong("mgnMode")
    return mode
