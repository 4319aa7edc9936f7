"""A simulated exchange as a child process, for runs on tapes and for the demonstration."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.core.matching import Costs
from bot.daemon.child import without_settings
from bot.errors import BotError, ConfigError, DataError, StorageError

START_SECONDS = 60.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SimAccountPlan:
    """The account that live trading on a simulated exchange finds there.

    Attributes:
        cash: What it begins with, quote currency.
        costs: What it charges.
    """

    cash: float
    costs: Costs

    def arguments(self) -> list[str]:
        """The words of a command line."""
        told = {
            "--cash": self.cash,
            "--taker-fee-bps": self.costs.taker_fee_bps,
            "--maker-fee-bps": self.costs.maker_fee_bps,
            "--half-spread-bps": self.costs.half_spread_bps,
            "--slippage-bps": self.costs.slippage_bps,
        }
        return [f"{name}={value!r}" for name, value in told.items()]


@dataclass(frozen=True, slots=True)
class SimPlan:
    """What the simulated exchange shall play.

    Attributes:
        tapes: Parquet files, each a path or ``SYMBOL=path``; none plays the synthetic market.
        speed: Market seconds a second; 0 is as fast as the daemon keeps up.
        start_at: Where the clock starts (``+3d``, ISO time, ms); what lies before is history.
        history_days: Days of the synthetic market before its start.
        seed: Of the synthetic market.
        symbols: Of the synthetic market, or which of the tapes to play.
        resume: Go on where the clock stood when it was last stopped.
        until_end: End the daemon when the tape has ended.
        funding: Parquet files of funding rates.
        faults: A fault plan, YAML: how the exchange misbehaves.
        account: The account to trade on; None leaves it as the exchange comes.
        goes_on: Once the daemon has connected, market time also passes while it is not, as in the world.
    """

    tapes: tuple[str, ...] = ()
    speed: float = 60.0
    start_at: str | None = None
    history_days: int = 30
    seed: int = 1
    symbols: tuple[str, ...] = ()
    resume: bool = False
    until_end: bool = False
    funding: tuple[str, ...] = ()
    faults: Path | None = None
    account: SimAccountPlan | None = None
    goes_on: bool = False

    def arguments(self, state_dir: Path) -> list[str]:
        """The words of its command line."""
        words = ["--state-dir", str(state_dir), "--speed", str(self.speed), "--parent-pid", str(os.getpid())]
        for tape in self.tapes:
            words += ["--tape", tape]
        for path in self.funding:
            words += ["--funding", path]
        if not self.tapes:
            words += ["--synthetic", "--seed", str(self.seed), "--history-days", str(self.history_days)]
        if self.symbols:
            words += ["--symbols", *self.symbols]
        if self.start_at is not None:
            words += ["--start-at", self.start_at]
        if self.faults is not None:
            words += ["--faults", str(self.faults)]
        if self.resume:
            words.append("--resume")
        if self.goes_on:
            words += ["--no-hold-without-clients", "--wait-for-symbols", str(max(len(self.tapes), 1))]
        return words if self.account is None else [*words, *self.account.arguments()]


@dataclass(frozen=True, slots=True)
class SimEndpoint:
    """Where a simulated exchange listens.

    Attributes:
        address: Loopback address and port.
        ca_file: The certificate authority to trust.
        exchange_id: The ccxt exchange to talk to it with.
        symbols: Unified names of what it plays.
    """

    address: tuple[str, int]
    ca_file: Path
    exchange_id: str
    symbols: tuple[str, ...] = field(default=())


@asynccontextmanager
async def running_sim(plan: SimPlan, state_dir: Path) -> AsyncIterator[SimEndpoint]:
    """Start a simulated exchange, give its address, and end it with the block.

    Raises:
        DataError: It refused a tape; StorageError: its folder can't be written; ConfigError: anything else.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a folder named bot or models where the user stands is not ours
        "-m",
        "bot.simexchange",
        *plan.arguments(state_dir),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=without_settings(os.environ),  # the keys of a real exchange are none of its business
        start_new_session=True,  # Ctrl-C is for the daemon, which then ends it in order
    )
    try:
        endpoint = await _ready(process)
        drains = [asyncio.ensure_future(_drain(stream)) for stream in (process.stdout, process.stderr)]
        try:
            yield endpoint
        finally:
            for drain in drains:
                drain.cancel()
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> SimEndpoint:
    """Wait for the line that says where it listens."""
    if process.stdout is None or process.stderr is None:
        raise ConfigError("the simulated exchange was started without pipes")
    line = b""
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
            if not line:
                said = (await process.stderr.read()).decode(errors="replace").strip()
                await process.wait()
                raise _refusal(process.returncode, said)
    except TimeoutError as error:
        raise ConfigError(
            f"the simulated exchange did not start within {START_SECONDS:.0f} seconds"
        ) from error
    ready = json.loads(line)
    return SimEndpoint(
        ("127.0.0.1", int(ready["port"])),
        Path(ready["ca_file"]),
        ready["exchange_id"],
        tuple(ready["symbols"]),
    )


def _refusal(code: int | None, said: str) -> BotError:
    last = said.splitlines()[-1] if said else f"it ended with exit code {code}"
    sentence = last.rpartition("error: ")[2].removeprefix("python -m bot.simexchange: ")
    kinds: dict[int | None, type[BotError]] = {
        DataError.exit_code: DataError,
        StorageError.exit_code: StorageError,
    }
    return kinds.get(code, ConfigError)(sentence)


async def _drain(stream: asyncio.StreamReader | None) -> None:
    """Read on, so that a full pipe never blocks the child."""
    while stream is not None and await stream.read(65_536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
