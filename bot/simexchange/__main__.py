"""``python -m bot.simexchange``: the simulated exchange as a process of its own, or its market as tapes."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from bot.errors import BotError, StorageError
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.exchange_info import symbol_id
from bot.simexchange.server import serve
from bot.simexchange.synthetic import DAY_MS, DEFAULT_SYMBOLS, ORIGIN_MS, SyntheticSource
from bot.simexchange.tape import write_tape

PROGRAM = "python -m bot.simexchange"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    given = _parser().parse_args(arguments)
    try:
        if given.write_tape is not None:
            write_tapes(given.write_tape, tuple(given.symbols or DEFAULT_SYMBOLS), given.seed, given.days)
        else:
            serve(_config(given))
    except BotError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return error.exit_code
    except OSError as error:
        place = error.filename or given.state_dir
        sys.stderr.write(f"{PROGRAM}: {place} can't be written or read: {error.strerror or error}\n")
        return StorageError.exit_code
    return 0


def write_tapes(folder: Path, symbols: tuple[str, ...], seed: int, days: int) -> list[Path]:
    """Write the first days of the synthetic market as tapes, ``simusdm-SYMBOL-1m-seedN-Dd.parquet``."""
    source = SyntheticSource(tuple(symbol_id(symbol) for symbol in symbols), seed)
    written = []
    for symbol in source.symbols:
        path = folder / f"simusdm-{symbol}-1m-seed{seed}-{days}d.parquet"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_tape(path, source.between(symbol, ORIGIN_MS, ORIGIN_MS + days * DAY_MS))
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error}") from error
        written.append(path)
    return written


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="A local exchange that speaks the protocols of Binance or OKX; its market is simulated.",
        epilog=f"example: {PROGRAM} --tape binanceusdm-BTCUSDT-1m-2023-01-01_2023-12-31.parquet --start-at +30d --speed 60",
    )
    add = parser.add_argument
    add(
        "--tape",
        action="append",
        default=[],
        metavar="[SYMBOL=]PARQUET",
        help="recorded bars to play; repeatable",
    )
    add("--funding", action="append", default=[], metavar="[SYMBOL=]PARQUET", help="funding rates of a tape")
    add(
        "--synthetic",
        action="store_true",
        help="play the seeded synthetic market (what is played without --tape)",
    )
    add("--seed", type=int, default=1, help="of the synthetic market")
    add(
        "--symbols",
        nargs="+",
        default=[],
        metavar="SYMBOL",
        help="symbols of the synthetic market, or tapes to play",
    )
    add(
        "--market",
        choices=[market.value for market in Market],
        help="default: by the tapes' names, else usdm",
    )
    add(
        "--speed",
        type=float,
        default=1.0,
        help="market seconds a second; 0 goes as fast as a client acknowledges",
    )
    add("--start-at", metavar="WHEN", help="+30d after the first bar, an ISO time, or milliseconds")
    add("--history-days", type=int, default=30, help="of the synthetic market, before its start")
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--state-dir", type=Path, default=Path("var"), help="its files lie in sim/ in here")
    add("--resume", action="store_true", help="go on where the clock was")
    add("--parent-pid", type=int, help="end when this process is gone")
    add(
        "--hold-without-clients", action=argparse.BooleanOptionalAction, help="default: unless the speed is 1"
    )
    add(
        "--wait-for-symbols",
        type=int,
        metavar="N",
        help="how many must be subscribed for time to move; default all",
    )
    add("--faults", type=Path, metavar="YAML", help="a fault plan: how it misbehaves (docs/faults.md)")
    _add_account(parser)
    add("--write-tape", type=Path, metavar="DIR", help="write the synthetic market as tapes and end")
    add("--days", type=int, default=30, help="how many days --write-tape writes")
    return parser


def _add_account(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    plain = SimConfig(state_dir=Path())
    add("--cash", type=float, default=plain.cash, help="what the account begins with, of each quote currency")
    add("--taker-fee-bps", type=float, default=plain.taker_fee_bps, help="of the notional")
    add("--maker-fee-bps", type=float, default=plain.maker_fee_bps, help="of the notional")
    add("--half-spread-bps", type=float, default=plain.half_spread_bps, help="a market order pays this...")
    add("--slippage-bps", type=float, default=plain.slippage_bps, help="...and this beyond the price")
    add("--api-key", default=plain.api_key, help="the key of the account")
    add("--api-secret", default=plain.api_secret, help="what requests are signed with")
    add("--api-passphrase", default=plain.api_passphrase, help="what an OKX client sends beside its key")
    add("--enforce-limits", action="store_true", help="answer with 429 and 418 over the rate limits")


def _config(given: argparse.Namespace) -> SimConfig:
    return SimConfig(
        state_dir=given.state_dir,
        tapes=() if given.synthetic else tuple(given.tape),
        funding=tuple(given.funding),
        seed=given.seed,
        symbols=tuple(given.symbols),
        market=Market(given.market) if given.market else None,
        speed=given.speed,
        start_at=given.start_at,
        history_days=given.history_days,
        port=given.port,
        resume=given.resume,
        parent_pid=given.parent_pid,
        hold_without_clients=given.hold_without_clients,
        wait_for_symbols=given.wait_for_symbols,
        faults=given.faults,
        cash=given.cash,
        taker_fee_bps=given.taker_fee_bps,
        maker_fee_bps=given.maker_fee_bps,
        half_spread_bps=given.half_spread_bps,
        slippage_bps=given.slippage_bps,
        api_key=given.api_key,
        api_secret=given.api_secret,
        api_passphrase=given.api_passphrase,
        enforce_limits=given.enforce_limits,
    )


if __name__ == "__main__":
    sys.exit(main())
