"""A live daemon with every secret there is: what it says, writes, answers and sends is searched for all of them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from bot.clock import wall_ms
from bot.daemon.control_files import read_address, read_token
from tests import canary
from tests.feed_rig import sim
from tests.secrets.test_no_secret_anywhere import (
    TAPES,
    Said,
    _until,
    at,
    command_line,
    folder,
    run,
    said_by,
    start,
)
from tests.telegram_stand_in import CHAT, STRANGER, TOKEN, TelegramStandIn, refusal, telegram

HOOK = "CanaryHookN5vBq8ZxW2kLtR7mYs4JdG"
"""Part of the address of a webhook: whoever has it can post there."""
SECRETS = (canary.KEY, canary.SECRET, TOKEN, HOOK)
PAGES = (
    "health",
    "status",
    "positions",
    "orders",
    "trades",
    "decisions",
    "model",
    "commands",
    "logs?limit=500",
)


def secret_files(place: Path, telegram_url: str, hook_url: str) -> dict[str, str]:
    """Private files with all secrets, and the variables that name them."""
    variables = canary.key_files(place)
    for name, value in (("TELEGRAM__TOKEN", TOKEN), ("NOTIFY__URLS", hook_url)):
        file = place / name.lower()
        file.touch(mode=0o600)
        file.write_text(f"{value}\n")
        variables[f"BOT__{name}_FILE"] = str(file)
    more = {
        "TELEGRAM__ENABLED": "true",
        "TELEGRAM__CHAT_IDS": str(CHAT),
        "TELEGRAM__API_URL": telegram_url,
        "TELEGRAM__POLL_SECONDS": "1",
        "NOTIFY__LEVEL": "warning",
        "NOTIFY__ATTEMPTS": "1",
    }
    return variables | {f"BOT__{name}": value for name, value in more.items()}


@asynccontextmanager
async def refusing_hook() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A webhook that keeps what it is sent, and refuses all of it with a reply that repeats its own address."""
    bodies: list[bytes] = []

    async def refuse(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=403, text=f"no such hook: {request.path}")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"json://127.0.0.1:{runner.addresses[0][1]}/{HOOK}", bodies
    finally:
        await runner.cleanup()


async def asked(state: Path) -> list[bytes]:
    """What the control API answers to everything, with the token and without."""
    address, token = read_address(state), read_token(state)
    assert address is not None
    answers = []
    async with httpx.AsyncClient(base_url=f"http://{address.netloc}", trust_env=False, timeout=30) as client:
        for head in ({}, {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {canary.SECRET}"}):
            paths = [f"/v1/{page}" for page in PAGES]
            for path in ("/metrics", "/openapi.json", "/nowhere", *paths, f"/v1/{canary.KEY}"):
                answer = await client.get(path, headers=head)
                answers.append(answer.content)
            for body in (b'{"reason": "tea"}', b"{", b'{"reason": 7}'):
                told = {**head, "Content-Type": "application/json"}
                answers.append((await client.post("/v1/pause", headers=told, content=body)).content)
    return answers


async def chatted(server: TelegramStandIn) -> None:
    """Commands, a stranger, and faults of Telegram that repeat the token."""
    server.answer_next("getUpdates", refusal(500, f"POST /bot{TOKEN}/getUpdates failed"))
    server.answer_next("sendMessage", refusal(403, f"bot{TOKEN} was blocked"))
    for text in ("/status", "/halt tea", "/trades", "/nonsense"):
        server.say(text, sent_ms=wall_ms())
    server.say("/flatten", sent_ms=wall_ms(), chat=STRANGER)
    async with asyncio.timeout(60):
        while server.count("sendMessage") < 4:
            await asyncio.sleep(0.05)


async def commands_beside(words: list[str], variables: dict[str, str]) -> list[Said]:
    """Commands that read settings and state while the daemon runs; one of them fails."""
    return [
        await run("config", "show", "--json", **variables),
        await run("doctor", "--live", "--json", *words, **variables),
        await run("notify", "test", **variables),
        await run("config", "check", "--set", "telegram.chat_ids=x", **variables),
    ]


@pytest.mark.slow
async def test_a_live_daemon_with_every_secret_shows_none(tmp_path: Path) -> None:
    """Exchange keys, Telegram's token and a webhook's address: in no log, journal, answer, message, command or command line."""
    state = tmp_path / "state"
    keys = {"api_key": canary.KEY, "api_secret": canary.SECRET}
    async with telegram() as server, refusing_hook() as (hook_url, bodies):
        variables = secret_files(tmp_path / "keys", server.url, hook_url)
        async with sim(folder(tmp_path / "sim"), TAPES, start_at="+150m", **keys) as line:
            words = at(line, state)
            process = await start("run", "--mode", "live", "--i-understand-live-trading", *words, **variables)
            log = state / "logs" / "bot.jsonl"
            await _until(process, lambda: log.exists() and "telegram.started" in log.read_text())
            await chatted(server)
            answers = await asked(state)
            seen = command_line(process)
            beside = await commands_beside(words, variables)
            process.send_signal(signal.SIGTERM)
            said = await said_by(process)
    assert said.code == 0, said
    texts: list[str | bytes] = [said.out, said.err, seen, *answers, *bodies]
    texts += [json.dumps(server.sent)]
    texts += [text for one in beside for text in (one.out, one.err)]
    canary.assert_nowhere([state, tmp_path / "sim"], texts, secrets=SECRETS)
    own = read_token(state)
    assert own is not None
    (state / "control.token").unlink()
    canary.assert_nowhere([state], texts, secrets=[own])
    told = log.read_text()
    assert bodies
    assert '"control.commanded"' in told
    assert f'"origin":"telegram chat {CHAT} user 42"' in told
    assert beside[1].code == 0 or "telegram" in beside[1].out
