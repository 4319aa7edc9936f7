"""Tests of the commands of ``bot data``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli.data import app, default_store_root
from bot.errors import ConfigError, DataError, UsageError
from bot.simexchange.config import SimConfig
from bot.simexchange.server import running

AT_MS = 1_714_521_600_000


def invoke(*arguments: object) -> Result:
    """Run a command; its exception is in the result."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def csv_file(tmp_path: Path, *, bad: bool = False) -> Path:
    """Three minutes of candles, the last one bad if wanted."""
    path = tmp_path / "binance-BTCUSDT-1m-a.csv"
    rows = [f"{AT_MS + minute * 60_000},1,2,0.5,1.5,7" for minute in range(3)]
    path.write_text("\n".join(rows).replace("1.5", "9", 1) if bad else "\n".join(rows))
    return path


def test_importing_listing_and_checking_fit_together(tmp_path: Path) -> None:
    """What is imported is listed and found sound, with exchange and symbol from the file's name."""
    store = ("--store", tmp_path / "store", "--json")
    imported = json.loads(invoke("import", csv_file(tmp_path), *store).stdout)
    assert imported[0]["stored"] == {"added": 3, "identical": 0, "revised": 0}
    listed = json.loads(invoke("list", *store).stdout)
    assert [(s["exchange"], s["symbol"], s["rows"], s["first_ms"]) for s in listed] == [
        ("binance", "BTC/USDT", 3, AT_MS)
    ]
    checked = json.loads(invoke("check", *store).stdout)
    assert [(report["source"], report["rows"], report["sound"]) for report in checked] == [
        ("binance BTC/USDT", 3, True)
    ]


def test_tables_name_what_the_json_holds(tmp_path: Path) -> None:
    """Without --json the same is printed for people."""
    store = ("--store", tmp_path / "store")
    assert "No candles" in invoke("list", *store).stdout
    assert "BTC/USDT" in invoke("import", csv_file(tmp_path), *store).stdout
    assert "2024-05-01" in invoke("list", *store).stdout
    report = invoke("check", csv_file(tmp_path)).stdout
    assert all(word in report for word in ("BTC/USDT", "sound", "yes", "gaps", "odd moves"))


@pytest.mark.parametrize("as_json", [True, False])
def test_bad_rows_are_shown_and_the_file_refused(tmp_path: Path, as_json: bool) -> None:
    """Every bad row is listed, the command ends with the data error, and the store stays empty."""
    path, store = csv_file(tmp_path, bad=True), ("--store", tmp_path / "store")
    result = invoke("import", path, *store, *(["--json"] if as_json else []))
    assert "close is outside low..high" in result.stdout
    if as_json:
        assert result.exit_code == DataError.exit_code
        assert [row["number"] for row in json.loads(result.stdout)["bad_rows"]] == [1]
        assert "1 bad row," in result.stderr
    else:
        assert isinstance(result.exception, DataError)
    assert json.loads(invoke("list", *store, "--json").stdout) == []
    skipped = invoke("import", path, *store, "--skip-bad", "--json")
    assert json.loads(skipped.stdout)[0]["stored"]["added"] == 2


def test_checking_a_faulty_file_reports_and_fails(tmp_path: Path) -> None:
    """The report comes out first, then the data error that names the file."""
    result = invoke("check", csv_file(tmp_path, bad=True), "--json")
    assert result.exit_code == DataError.exit_code
    assert "binance-BTCUSDT-1m-a.csv" in result.stderr
    assert json.loads(result.stdout)[0]["faults"][0]["reason"] == "close is outside low..high"
    assert isinstance(invoke("check", "--store", tmp_path / "none").exception, DataError)


def test_the_words_of_a_command_are_checked(tmp_path: Path) -> None:
    """Dates, addresses and names that cannot be meant are usage errors that say what to write."""
    base = ("download", "--exchange", "binance", "--symbol", "BTC/USDT", "--store", tmp_path)
    for more, words in (
        (("--from", "yesterday"), "--from yesterday"),
        (("--from", "2024-02-01", "--to", "2024-01-01"), "is not after"),
        (("--from", "2024-02-01", "--connect-to", "nowhere"), "HOST:PORT"),
    ):
        result = invoke(*base, *more)
        assert isinstance(result.exception, UsageError)
        assert words in str(result.exception)
    unnamed = tmp_path / "x.csv"
    unnamed.write_text("")
    assert isinstance(invoke("import", f"BTC/USDT={unnamed}", "--store", tmp_path).exception, UsageError)
    unknown = invoke("download", "--exchange", "nope", "--symbol", "BTC/USDT", "--from", "2024-01-01")
    assert isinstance(unknown.exception, ConfigError)


def test_the_store_is_in_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """BOT_STATE_DIR moves it; without, it is in var."""
    monkeypatch.setenv("BOT_STATE_DIR", "/state")
    assert default_store_root() == Path("/state/candles")
    monkeypatch.delenv("BOT_STATE_DIR")
    assert default_store_root() == Path("var/candles")


async def test_the_command_downloads_from_an_exchange(tmp_path: Path) -> None:
    """As its own process, over real sockets: candles are stored, and standard output is JSON only."""
    import asyncio

    async with running(SimConfig(tmp_path / "sim", history_days=1, speed=60)) as (server, endpoint):
        since_ms = server.conductor.now_ms() - 3_600_000
        script = "from bot.cli.data import app; app()"
        arguments = [
            *(
                "download",
                "--exchange",
                endpoint.exchange_id,
                "--symbol",
                "BTC/USDT:USDT",
                "--symbol",
                "ETH/USDT:USDT",
            ),
            *("--from", str(since_ms), "--store", str(tmp_path / "store"), "--json"),
            *("--connect-to", f"{endpoint.host}:{endpoint.port}", "--ca-file", endpoint.ca_file),
        ]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    assert [(o["symbol"], o["fetched"], o["missing_minutes"]) for o in json.loads(out)] == [
        ("BTC/USDT:USDT", 60, 0),
        ("ETH/USDT:USDT", 60, 0),
    ]


def test_help_has_an_example_and_imports_nothing_heavy() -> None:
    """Each command's help shows an example; importing the group loads neither pandas, pyarrow nor ccxt."""
    for command in ("download", "import", "check", "list"):
        assert "Example: bot data " + command in invoke(command, "--help").stdout.replace("\n", " ")
    code = "import sys, bot.cli.data; print([m for m in ('pandas', 'numpy', 'pyarrow', 'ccxt', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
