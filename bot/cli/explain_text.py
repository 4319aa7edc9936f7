"""An explanation as text for a person: sections, small tables, and the window drawn in a line.

It takes the object of ``backtests.explain`` and knows nothing else: pure text, no color.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

BARS: Final = "▁▂▃▄▅▆▇█"
NEWEST_CANDLES: Final = 5
"""Candles that are written out; the line above them draws all."""
_BPS: Final = 10_000
_WIDTH: Final = 100
_FIGURES: Final = (
    ("expected_return", "expected return"),
    ("probability_up", "probability up"),
    ("uncertainty", "uncertainty"),
    ("volatility", "volatility"),
    ("raw", "model's output"),
)


def explained_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The whole explanation, line by line."""
    yield from _head(told)
    for title, section in (
        ("DECIDED", _decided(told)),
        ("CANDLES", _candles(told["candles"])),
        ("WINDOW", _window(told)),
        ("FORECAST", _forecast(told["prediction"])),
        ("STRATEGY", _strategy(told)),
        ("RISK", _risk(told)),
        ("MODEL", _model(told["model"])),
        ("AFTERWARDS", _after(told["after"])),
    ):
        yield ""
        yield title
        yield from (f"  {line}".rstrip() for line in section)


def sparkline(values: Sequence[float | None]) -> str:
    """Numbers as one line of bars, the least as the lowest; one that is missing is a blank, equal ones lie in the middle."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, span = min(known), max(known) - min(known)
    top = len(BARS) - 1
    return "".join(
        " " if value is None else BARS[top // 2 if span <= 0 else round((value - low) / span * top)]
        for value in values
    )


def table(rows: Iterable[Sequence[str]], *, right_from: int = 1) -> Iterator[str]:
    """Rows with columns below each other; from ``right_from`` on they stand to the right."""
    kept = [list(row) for row in rows]
    widths = [max(len(row[place]) for row in kept) for place in range(len(kept[0]))] if kept else []
    for row in kept:
        cells = [
            cell.rjust(width) if place >= right_from else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _head(told: Mapping[str, Any]) -> Iterator[str]:
    words = [told["decision_id"], told["mode"] or "mode unknown"]
    if told["simulated"]:
        words.append("SIMULATED MARKET")
    if told["model"]["proven"] is False:
        words.append("UNPROVEN MODEL")
    words.append(f"run {told['run_id']}")
    yield "  ".join(words)
    yield f"decided {(told['decided_at_ms'] - told['closed_at_ms']) / 1000:g} s after the close, on the exchange's clock"


def _decided(told: Mapping[str, Any]) -> Iterator[str]:
    decision = told["decision"]
    for order in decision["approved"]:
        yield f"sent: {_order_words(order)}, order {order['client_order_id']}"
    for order in decision["refused"]:
        yield f"refused by risk ({order['reason']}): {_order_words(order)}"
    for wish in decision["cancel"]:
        yield f"called back: order {wish['client_order_id']} ({wish['reason']})"
    if not decision["approved"] and not decision["refused"]:
        yield f"nothing was sent: {decision['hold_reason']}"


def _order_words(order: Mapping[str, Any]) -> str:
    legs = {"e": "entry", "x": "exit", "f": "flatten", "s": "stop-loss", "t": "take-profit"}
    at = f"at {order['limit_price']:g} or better" if order["limit_price"] is not None else "at market"
    return f"{order['side']} {order['quantity']:g} {at} ({legs.get(order['leg'], order['leg'])})"


def _candles(candles: Mapping[str, Any]) -> Iterator[str]:
    rows = candles["rows"]
    if not rows:
        yield "the journal holds none of them any more"
        return
    whole = "all there" if candles["complete"] else f"only {len(rows)} THERE"
    sources = ", ".join(
        f"{count} by {name}" for name, count in Counter(row["source"] for row in rows).items()
    )
    yield f"{candles['minutes']} minutes from {_time(rows[0]['opened_at_ms'])} on, {whole} ({sources})"
    closes = [row["close"] for row in rows]
    yield f"close   {sparkline(closes)}  {closes[0]:g} to {closes[-1]:g} ({closes[-1] / closes[0] - 1:+.2%})"
    yield f"volume  {sparkline([row['volume'] for row in rows])}"
    if revised := sum(row["revised"] for row in rows):
        yield f"the exchange changed {revised} of them afterwards; shown is what was decided on"
    names = ("open", "high", "low", "close", "volume")
    yield from table(
        [
            ("newest", *names, "source"),
            *(
                (_time(row["opened_at_ms"])[11:], *(f"{row[name]:g}" for name in names), row["source"])
                for row in rows[-NEWEST_CANDLES:]
            ),
        ]
    )


def _window(told: Mapping[str, Any]) -> Iterator[str]:
    window = told["window"]
    if window is None:
        yield f"not known: {told['prediction']['remark']}"
        return
    count, most = window["outside_count"], window["outside_most"]
    verdict = "no forecast beyond that" if count <= most else "so the model abstains"
    yield f"{count} of its values lie beyond what the model saw in training, {most} may ({verdict})"
    columns = zip(*window["normalized"], strict=True)
    yield from table(
        [
            ("feature", "newest", "normalized", "normalized window"),
            *(
                (name, _number(window["features"][-1][place]), _number(column[-1]), sparkline(column))
                for place, (name, column) in enumerate(zip(window["columns"], columns, strict=True))
            ),
        ]
    )


def _forecast(prediction: Mapping[str, Any]) -> Iterator[str]:
    journaled, remade = prediction["journaled"], prediction["recomputed"]
    if journaled is None:
        yield "none was made"
    else:
        yield f"by {prediction['model_id']}, {prediction['horizon_minutes']} minutes ahead"
    if journaled is not None or remade is not None:
        yield from table(
            [
                ("", "journaled", "made again"),
                *(
                    (words, _number((journaled or {}).get(name)), _number((remade or {}).get(name)))
                    for name, words in _FIGURES
                ),
            ]
        )
    if prediction["same"]:
        yield "made again it is the same to the last digit"
    elif prediction["same"] is False:
        yield "made again it DIFFERS"
    if prediction["remark"]:
        yield (
            f"not made again: {prediction['remark']}" if remade is None else f"it may: {prediction['remark']}"
        )


def _strategy(told: Mapping[str, Any]) -> Iterator[str]:
    strategy = told["strategy"]
    if strategy["name"] is not None:
        yield f"{strategy['name']}, a round trip costs {_bps(strategy['round_trip_cost'])}"
        told_values = [f"{name} {_setting(value)}" for name, value in strategy["parameters"].items()]
        yield from textwrap.wrap(", ".join(told_values), _WIDTH)
    if strategy["needed_return"] is not None:
        yield f"an entry needs more than {_bps(strategy['needed_return'])}"
        if strategy["sure_return"] is not None:
            less = f", less {_bps(strategy['doubt'])} of doubt" if strategy["doubt"] else ""
            yield f"the forecast is worth {_bps(strategy['sure_return'])}{less}"
    if strategy["indicators"] is not None:
        rsi, histogram = strategy["indicators"]["rsi"], strategy["indicators"]["macd_histogram"]
        yield f"RSI {_number(rsi)}, MACD histogram {_number(histogram)}"
    signal = strategy["signal"]
    if signal is None:
        yield "it was not asked"
    else:
        yield f"it wanted: {signal['direction']}, strength {signal['strength']:g} ({signal['reason']})"
    if strategy["unknown_because"]:
        yield f"its rules are not known: {strategy['unknown_because']}"


def _risk(told: Mapping[str, Any]) -> Iterator[str]:
    risk, sizing = told["risk"], told["sizing"]
    verdicts = {
        "approved": "approved",
        "refused": f"REFUSED: {risk['reason']}",
        "not_asked": "there was nothing to judge",
    }
    yield verdicts[risk["verdict"]]
    if risk["size_factor"] != 1.0:
        yield f"entries were at {risk['size_factor']:.0%} ({risk['size_reason']})"
    if sizing is None:
        return
    if sizing["notional"] is not None:
        share = (
            f", {sizing['notional'] / sizing['equity']:.1%} of equity {sizing['equity']:,.2f}"
            if sizing["equity"]
            else ""
        )
        yield f"size {sizing['quantity']:g} = {sizing['notional']:,.2f}{share}"
    if sizing["wanted_notional"] is not None:
        yield f"wished for {sizing['wanted_notional']:,.2f} before limits and lot step"
    yield from table((bound["limit"], f"{bound['notional']:,.2f}") for bound in sizing["bounds"])


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    if model["missing_because"]:
        yield f"{model['model_id'] or 'none'}: {model['missing_because']}"
    passport = model["passport"]
    if passport is None:
        return
    proven = {True: "proven", False: "UNPROVEN", None: "not judged"}[model["proven"]]
    yield f"{model['model_id']}, {proven}, made {_time(passport['created_at_ms'])}"
    yield f"recipe {passport['recipe']}, features {passport['features']}, target {passport['target']}, seed {passport['seed']}"
    yield f"trained on {', '.join(passport['symbols'])}"
    for name, (since, until) in passport["ranges"].items():
        yield f"{name}: {_time(since)} to {_time(until)}"
    for name, digest in passport["hashes"].items():
        yield f"{name} {digest[:16]}"


def _after(after: Mapping[str, Any]) -> Iterator[str]:
    yield f"held before: {after['held_before']:g}"
    if after["orders"]:
        yield from table(
            [
                ("order", "type", "side", "quantity", "price", "state"),
                *(
                    (
                        row["client_order_id"],
                        row["type"],
                        row["side"],
                        f"{row['quantity']:g}",
                        _number(row["stop_price"]),
                        row["state"],
                    )
                    for row in after["orders"]
                ),
            ],
            right_from=3,
        )
    for fill in after["fills"]:
        yield (
            f"filled {_time(fill['filled_at_ms'])}: {fill['side']} {fill['quantity']:g} at {fill['price']:g}, "
            f"fee {fill['fee']:.4f}"
        )
    yield from _trade(after["trade"], after["trade_role"])
    yield from _price(after["price"])


def _trade(trade: Mapping[str, Any] | None, role: str | None) -> Iterator[str]:
    if trade is None:
        if role is not None:
            yield "the round trip is not over"
        return
    words = {"opened": "it opened", "closed": "it closed", "held": "it was made within"}[role or "held"]
    yield (
        f"{words} a {trade['direction']} round trip: {trade['entry_price']:g} to {trade['exit_price']:g}, "
        f"{_time(trade['entry_at_ms'])} to {_time(trade['exit_at_ms'])}"
    )
    yield (
        f"net {trade['pnl']:+,.2f} (fees {trade['fees']:.2f}, funding {trade['funding']:.2f}), "
        f"ended by {trade['exit_reason']}"
    )
    for name, verb in (("opened_by", "opened"), ("closed_by", "closed")):
        if trade[name] is not None:
            yield f"{verb} by {trade[name]}"


def _price(price: Mapping[str, Any]) -> Iterator[str]:
    if price["realized_return"] is None:
        yield f"what the price did: not known, {price['unknown_because']}"
        return
    right = {True: "the direction was right", False: "the direction was WRONG", None: "no direction to judge"}
    yield (
        f"over {price['horizon_minutes']} minutes the price did {_bps(price['realized_return'], sign=True)} "
        f"(forecast {_bps(price['expected_return'], sign=True)}): {right[price['direction_right']]}"
    )
    yield f"on the way from {_bps(price['lowest'], sign=True)} to {_bps(price['highest'], sign=True)}"


def _bps(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value * _BPS:+.1f} bps" if sign else f"{value * _BPS:.1f} bps"


def _setting(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
