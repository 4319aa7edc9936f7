"""Weeks of scored forecasts with a known edge, made without candles."""

import numpy as np

from bot.retraining.scored import WEEK_MS, ScoredForecasts

START_MS = 1_704_067_200_000
MINUTE_MS = 60_000


def scored_week(
    number: int,
    *,
    edge: float = 0.04,
    boldness: float = 1.0,
    sigma: float = 0.001,
    stay: int = 40,
    horizon: int = 5,
    minutes: int = 10_080,
    symbols: tuple[str, ...] = ("BTC/USDT",),
    seed: int = 1,
) -> ScoredForecasts:
    """A week whose forecasts know a drift that stays for some minutes.

    Args:
        number: Which week.
        edge: Drift of a minute in units of sigma; 0 is noise.
        boldness: What is said, over what is true, of the log odds.
        sigma: Deviation of a minute's return.
        stay: Minutes that a drift stays.
        horizon: Minutes ahead.
        minutes: Of the week.
        symbols: Each with a market of its own.
        seed: Of everything.
    """
    start_ms = START_MS + number * WEEK_MS
    pieces = []
    for place in range(len(symbols)):
        rng = np.random.default_rng([seed, number, place])
        size = minutes + horizon + 3
        drift = np.repeat(rng.choice([-1.0, 1.0], size // stay + 1), stay)[:size]
        moves = sigma * (rng.normal(size=size) + edge * drift)
        price = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
        # price[t] is the close of minute t; moves[t] leads from it to the next one.
        ahead = np.convolve(drift, np.ones(horizon), "valid")[:minutes]
        mean = np.full(minutes, 0.0) if edge == 0.0 else edge * ahead
        said = drift[:minutes] * 0.02 if edge == 0.0 else mean / np.sqrt(horizon)
        pieces.append(
            {
                "symbol": np.full(minutes, place, np.int16),
                "ts": start_ms + np.arange(minutes, dtype=np.int64) * MINUTE_MS,
                "realized": np.log(price[horizon : horizon + minutes] / price[:minutes]),
                "probability": 1.0 / (1.0 + np.exp(-boldness * 1.6 * said)),
                "expected": said * np.sqrt(horizon) * sigma,
                "uncertainty": np.zeros(minutes),
                "fill": price[:minutes],
                "late_fill": price[1 : 1 + minutes],
            }
        )
    joined = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
    size = len(joined["ts"])
    return ScoredForecasts(
        start_ms=start_ms,
        horizon=horizon,
        symbols=symbols,
        baselines={"base_rate": np.full(size, 0.501), "persistence": np.full(size, 0.5)},
        **joined,
    )
