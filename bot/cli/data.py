"""``bot data``: bring candles in, look at them, list them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.data_tables import (
    failed_after_json,
    print_json,
    print_report,
    print_table,
    progress_bars,
    show_bad_rows,
    time_words,
)
from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from bot.candles.download import DownloadOutcome, DownloadProgress
    from bot.candles.quality import QualityReport
    from bot.candles.store import CandleStore

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bring candles in, check them, list them.")

StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Candle store (default: BOT_STATE_DIR/candles).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ExchangeOption = Annotated[
    str, typer.Option("--exchange", metavar="ID", help="ccxt id, such as binanceusdm.")
]


def default_store_root() -> Path:
    """Where the candles are kept unless a command says otherwise."""
    return Path(os.environ.get("BOT_STATE_DIR") or "var") / "candles"


@app.command()
def download(
    exchange: ExchangeOption,
    symbols: Annotated[
        list[str], typer.Option("--symbol", metavar="S", help="Unified name; may be repeated.")
    ],
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="First day or time, UTC.")],
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="End, not included (default: now).")
    ] = None,
    store: StoreOption = None,
    refill_holes: Annotated[
        bool, typer.Option("--refill-holes", help="Ask again for minutes missing inside what is stored.")
    ] = False,
    connect_to: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A simulated exchange on this machine.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Its certificate authority, PEM.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Download one-minute candles; continues where it stopped.

    Example: bot data download --exchange binanceusdm --symbol BTC/USDT:USDT --from 2024-01-01 --to 2024-02-01
    """
    since_ms = _moment_ms("--from", since)
    until_ms = _moment_ms("--to", until) if until else None
    if until_ms is not None and until_ms <= since_ms:
        raise UsageError(f"--to {until} is not after --from {since}")
    target = _store(store)
    with progress_bars(quiet=as_json) as bar:
        outcomes = asyncio.run(
            _download_all(
                exchange,
                symbols,
                target,
                since_ms,
                until_ms,
                refill_holes,
                _address(connect_to),
                ca_file,
                bar,
            )
        )
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
        return
    print_table(
        ["symbol", "from", "to", "fetched", "stored", "missing"],
        [
            [o.symbol, time_words(o.since_ms), time_words(o.until_ms), o.fetched, o.stored, o.missing_minutes]
            for o in outcomes
        ],
        title=f"{exchange} in {target.root}",
    )


@app.command("import")
def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="CSV or Parquet, or SYMBOL=FILE.")],
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", metavar="ID", help="ccxt id (default: what the file name begins with)."),
    ] = None,
    store: StoreOption = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out instead of refusing the file.")
    ] = False,
    revise: Annotated[bool, typer.Option("--revise", help="Replace stored candles that differ.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import candle files; a file with a bad row is refused as a whole unless --skip-bad.

    CSV with or without header (Binance's download files too), plain, .gz or .zip; times in s, ms, us, ns or ISO. A
    file's last row is taken to be a finished minute.

    Example: bot data import --exchange binance BTC/USDT=BTCUSDT-1m-2024-03.csv
    """
    from bot.candles.importing import BadRowsError, import_file
    from bot.candles.names import exchange_of, parse_tape

    target = _store(store)
    outcomes = []
    for text in files:
        symbol, path = parse_tape(text)
        exchange_id = exchange or exchange_of(path)
        if exchange_id is None:
            raise UsageError(f"{path}: the file name does not tell the exchange; say --exchange")
        try:
            outcomes.append(import_file(path, target, exchange_id, symbol, skip_bad=skip_bad, revise=revise))
        except BadRowsError as error:
            if not as_json:
                show_bad_rows(path, error.bad_rows)
                raise
            rows = [asdict(row) for row in error.bad_rows]
            print_json(
                {"path": str(path), "bad_rows": rows, "error": str(error), "exit_code": error.exit_code}
            )
            raise failed_after_json(error) from error
    if as_json:
        print_json([{**asdict(outcome), "path": str(outcome.path)} for outcome in outcomes])
        return
    for outcome in outcomes:
        if outcome.skipped:
            show_bad_rows(outcome.path, list(outcome.skipped))
    print_table(
        ["file", "exchange", "symbol", "rows", "added", "same", "revised", "skipped"],
        [
            [
                o.path.name,
                o.exchange,
                o.symbol,
                o.rows,
                o.stored.added,
                o.stored.identical,
                o.stored.revised,
                len(o.skipped),
            ]
            for o in outcomes
        ],
        title=f"Imported into {target.root}",
    )


@app.command()
def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...]", help="CSV or Parquet (default: the whole store)."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report gaps, doubled minutes, bad rows, odd moves and dead stretches; exits with 5 when rows are faulty.

    Example: bot data check binance-BTCUSDT-1m-2024.parquet
    """
    reports = dict(_file_reports(files) if files else _store_reports(_store(store)))
    if as_json:
        print_json([{"source": source, **report.to_json()} for source, report in reports.items()])
    else:
        for source, report in reports.items():
            print_report(source, report)
    faulty = [source for source, report in reports.items() if not report.sound]
    if faulty:
        error = DataError(f"{len(faulty)} of {len(reports)} have faulty rows: {', '.join(faulty)}")
        raise failed_after_json(error) if as_json else error


@app.command("list")
def list_stored(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List what is stored.

    Example: bot data list --json
    """
    target = _store(store)
    listing = target.listing()
    if as_json:
        print_json([asdict(series) for series in listing])
        return
    if not listing:
        typer.echo(f"No candles in {target.root}.")
        return
    print_table(
        ["exchange", "symbol", "first", "last", "candles", "months", "MiB"],
        [
            [
                s.exchange,
                s.symbol,
                time_words(s.first_ms),
                time_words(s.last_ms),
                s.rows,
                s.months,
                f"{s.bytes_on_disk / 2**20:.1f}",
            ]
            for s in listing
        ],
        title=str(target.root),
    )


async def _download_all(
    exchange_id: str,
    symbols: list[str],
    store: CandleStore,
    since_ms: int,
    until_ms: int | None,
    refill_holes: bool,
    connect_to: tuple[str, int] | None,
    ca_file: Path | None,
    bar: Callable[[str], Callable[[DownloadProgress], None]],
) -> list[DownloadOutcome]:
    """Download symbol after symbol (the exchange's request limit is shared anyway)."""
    from bot.candles.download import download as download_candles
    from bot.exchange_client import mapped, open_exchange
    from bot.reply_guard import guard_candles

    async with open_exchange(exchange_id, connect_to=connect_to, ca_file=ca_file) as exchange:
        guard_candles(exchange)
        try:
            now_ms = int(await exchange.fetch_time())
        except Exception as error:
            raise mapped(error) from error
        return [
            await download_candles(
                exchange,
                store,
                symbol,
                since_ms,
                now_ms if until_ms is None else until_ms,
                now_ms=now_ms,
                on_progress=bar(symbol),
                refill_holes=refill_holes,
            )
            for symbol in symbols
        ]


def _file_reports(files: list[str]) -> Iterator[tuple[str, QualityReport]]:
    """Inspect files leniently: what cannot be read is a fault in the report, not a refusal."""
    from bot.candles.names import parse_tape
    from bot.candles.quality import inspect
    from bot.candles.rawrows import read_raw

    for text in files:
        symbol, path = parse_tape(text)
        raw = read_raw(path)
        yield str(path), inspect(raw.arrays, symbol=symbol, unreadable=raw.unreadable)


def _store_reports(store: CandleStore) -> Iterator[tuple[str, QualityReport]]:
    """Inspect every series of the store."""
    from bot.candles.quality import inspect

    listing = store.listing()
    if not listing:
        raise DataError(f"{store.root}: it holds no candles to check")
    for series in listing:
        arrays = store.read(series.exchange, series.symbol, series.first_ms, series.last_ms + 1)
        yield f"{series.exchange} {series.symbol}", inspect(arrays, symbol=series.symbol)


def _store(root: Path | None) -> CandleStore:
    from bot.candles.store import CandleStore

    return CandleStore(root or default_store_root())


def _moment_ms(option: str, text: str) -> int:
    """Read a day or a time as ms UTC."""
    from bot.candles.rawrows import time_ms

    try:
        return time_ms(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: write a day or a time, 2024-01-31 or 2024-01-31T12:00Z"
        ) from error


def _address(text: str | None) -> tuple[str, int] | None:
    """Read HOST:PORT."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--connect-to {text}: write HOST:PORT, such as 127.0.0.1:8443")
    return host, int(port)
