"""Commands are run with marked keys, and whatever they say or write is searched for them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bot import cli
from bot.daemon.child import without_settings
from bot.daemon.consent import FILE_NAME
from bot.errors import ConfigError
from bot.redaction import forget_secrets
from bot.settings import load_settings
from tests import canary
from tests.feed_rig import Line, sim, walk

ROOT = Path(__file__).resolve().parents[2]
SYMBOL = "BTC/USDT:USDT"
TAPES = {"BTCUSDT": walk("BTCUSDT", 200)}
NO_MODEL = ("--set", "model.id=no-trade")
SECONDS = 60


class Said(NamedTuple):
    """What a command did."""

    code: int | None
    out: str
    err: str


@pytest.fixture(autouse=True)
def forgotten():
    """Leave no secret behind."""
    yield
    forget_secrets()


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings, and what a test adds."""
    return {**without_settings(os.environ), **more}


async def start(*words: str, **environ: str) -> asyncio.subprocess.Process:
    """Start a command."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        cwd=ROOT,
        env=clean_environment(**environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def said_by(process: asyncio.subprocess.Process) -> Said:
    """Wait for the end of a command, not for ever."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        raise
    return Said(process.returncode, out.decode(), err.decode())


async def run(*words: str, **environ: str) -> Said:
    """Run a command to its end."""
    return await said_by(await start(*words, **environ))


def folder(path: Path) -> Path:
    """A folder that is there."""
    path.mkdir()
    return path


def command_line(process: asyncio.subprocess.Process) -> bytes:
    """What everybody sees of a process, where the system tells."""
    file = Path(f"/proc/{process.pid}/cmdline")
    return file.read_bytes() if file.exists() else b""


def at(line: Line, state: Path) -> list[str]:
    """The words that lead a command to a local exchange."""
    host, port = line.address
    changes = {
        "exchange.connect_to": f"{host}:{port}",
        "exchange.ca_file": line.ca_file,
        "exchange.simulated": "true",
        "exchange.clock": "market",
        "exchange.paced": "true",
        "exchange.symbols": SYMBOL,
        "logs.level": "debug",
    }
    words = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    return ["--state-dir", str(state), *words, *NO_MODEL]


# --- the search itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [*canary.forms(canary.SECRET), canary.KEY.encode()])
def test_the_search_finds_every_form(tmp_path: Path, form: bytes) -> None:
    """A planted secret is found in a text, in a file, in the name of a file and in a database, cut or encoded."""
    canary.assert_nowhere([tmp_path], ["nothing here"])
    with pytest.raises(canary.FoundError):
        canary.assert_nowhere([], [b"x" + form + b"y"])
    (tmp_path / "log").write_bytes(b"x" + form)
    with pytest.raises(canary.FoundError, match="log") as found:
        canary.assert_nowhere([tmp_path], [])
    assert canary.SECRET[:8] not in str(found.value)
    (tmp_path / "log").unlink()
    database = sqlite3.connect(tmp_path / "journal.sqlite")
    database.execute("CREATE TABLE notes (payload BLOB)")
    database.execute("INSERT INTO notes VALUES (?)", (b"a" * 4090 + form + b"b" * 5000,))
    database.commit()
    database.close()
    with pytest.raises(canary.FoundError):
        canary.assert_nowhere([tmp_path], [])


# --- commands ---------------------------------------------------------------------------------------------


async def test_commands_that_need_no_exchange(tmp_path: Path) -> None:
    """Settings shown and checked, a start without consent, a wrong value beside the key: the keys are in none of it."""
    files = canary.key_files(tmp_path / "keys")
    state = tmp_path / "state"
    as_json = await run("config", "show", "--json", **files)
    refused = await run("run", "--mode", "live", "--state-dir", str(state), "--json", **files)
    listed = {**canary.ENVIRONMENT, "BOT__EXCHANGE__API_KEY": json.dumps([canary.KEY])}
    wrong = await run("config", "check", "--set", "exchange.stall_seconds=x", **listed)
    assert (as_json.code, refused.code, wrong.code) == (0, 4, 4)
    assert json.loads(as_json.out)["exchange.api_key"]["value"] == "**********"
    assert "--i-understand-live-trading" in refused.err
    everything = [text for said in (as_json, refused, wrong) for text in (said.out, said.err)]
    canary.assert_nowhere([state], everything)


async def test_keys_on_the_command_line_and_in_open_files_are_refused(tmp_path: Path) -> None:
    """Each is refused with what to do instead, and is not repeated."""
    typed = await run("config", "show", "--set", f"exchange.api_secret={canary.SECRET}")
    assert typed.code == 2
    assert "BOT__EXCHANGE__API_SECRET_FILE" in typed.err
    file = tmp_path / "settings.yaml"
    file.write_text(f"exchange:\n  api_secret: {canary.SECRET}\n")
    file.chmod(0o644)
    opened = await run("config", "show", "--config", str(file))
    assert opened.code == 4
    assert "chmod 600" in opened.err
    canary.assert_nowhere([], [typed.out, typed.err, opened.out, opened.err])


async def test_a_check_up_and_a_wrong_key(tmp_path: Path) -> None:
    """A check-up, and a start whose secret is wrong: every request is signed, and nothing shows with what."""
    files = canary.key_files(tmp_path / "keys")
    state = tmp_path / "state"
    keys = {"api_key": canary.KEY, "api_secret": canary.SECRET}
    async with sim(folder(tmp_path / "sim"), TAPES, start_at="+150m", **keys) as line:
        words = at(line, state)
        good = await run("doctor", "--live", "--fix", "--json", *words, **files)
        assert good.code == 0, good
        levels = {one["check"]: one["level"] for one in json.loads(good.out)["checks"]}
        assert (levels["keys"], levels["right to withdraw"]) == ("ok", "ok")
    async with sim(folder(tmp_path / "other"), TAPES, start_at="+150m", api_key=canary.KEY) as line:
        understood = "--i-understand-live-trading"
        started = await run("run", "--mode", "live", understood, *at(line, state), **files)
        assert started.code == 4, started
        assert "error: " in started.err
    said = [text for one in (good, started) for text in (one.out, one.err)]
    canary.assert_nowhere([state, tmp_path / "sim", tmp_path / "other"], said)


async def test_a_live_daemon(tmp_path: Path) -> None:
    """It trades (here: nothing) with the keys for some minutes; its words, files and command line hold none of them."""
    files = canary.key_files(tmp_path / "keys")
    state = tmp_path / "state"
    keys = {"api_key": canary.KEY, "api_secret": canary.SECRET}
    async with sim(folder(tmp_path / "sim"), TAPES, start_at="+150m", **keys) as line:
        process = await start(
            *("run", "--mode", "live", "--i-understand-live-trading", *at(line, state)), **files
        )
        log = state / "logs" / "bot.jsonl"
        await _until(process, lambda: log.exists() and log.read_text().count('"decision.made"') >= 3)
        words = command_line(process)
        process.send_signal(signal.SIGTERM)
        said = await said_by(process)
    assert said.code == 0, said
    assert (state / FILE_NAME).is_file()
    canary.assert_nowhere([state, tmp_path / "sim"], [said.out, said.err, words])


async def _until(process: asyncio.subprocess.Process, happened: Any) -> None:
    """Wait until something has happened, while a process lives, and not for ever."""
    async with asyncio.timeout(SECONDS):
        while not happened():
            if process.returncode is not None:
                raise AssertionError((await said_by(process))[:])
            await asyncio.sleep(0.05)


# --- failures of ours -------------------------------------------------------------------------------------


def test_a_bug_shows_its_traceback_without_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that nobody foresaw, with the key in its text and in its cause, is printed without it."""
    load_settings([], {}, canary.ENVIRONMENT)

    def broken(words: list[str]) -> int:
        try:
            raise ValueError(f"POST /order?signature=abcdef apiKey {canary.KEY}")
        except ValueError as error:
            raise RuntimeError(f"sent with {canary.SECRET}") from error

    monkeypatch.setattr(cli, "_invoke", broken)
    assert cli.main(["config", "show", "--json"]) == 1
    shown = capsys.readouterr()
    assert "RuntimeError: sent with ***" in shown.err
    assert "ValueError" in shown.err
    assert "abcdef" not in shown.err
    canary.assert_nowhere([], [shown.out, shown.err])


def test_an_error_of_ours_holds_no_key() -> None:
    """The text of an error that was made of a reply does not show a key that the settings hold."""
    load_settings([], {}, canary.ENVIRONMENT)
    error = ConfigError(f"refused: {canary.KEY} {canary.SECRET}")
    canary.assert_nowhere([], [str(error), repr(error), repr(error.args)])


def test_a_program_in_the_background_gets_no_settings() -> None:
    """Keys, their files and the folder of credentials are taken out of its environment; the rest stays."""
    environ = {
        **canary.ENVIRONMENT,
        "BOT__EXCHANGE__API_KEY_FILE": "/keys/api_key",
        "BOT__NOTIFY__URLS": canary.SECRET,
        "CREDENTIALS_DIRECTORY": "/run/credentials/bot",
        "PATH": "/bin",
        "BOT_STATE_DIR": "var",
    }
    assert without_settings(environ) == {"PATH": "/bin", "BOT_STATE_DIR": "var"}
