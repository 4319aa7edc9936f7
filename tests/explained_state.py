"""State folders of bots whose decisions are explained, and the same journal as older versions have written it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from bot.inference import OnnxPredictor
from bot.journal.schema import MIGRATIONS
from tests.daemon_harness import random_market
from tests.journal_rig import Life, live_through
from tests.tiny_model import write_tiny_model

MINUTES = 930
FIRST_LIFE = 850
"""Minutes until the bot is started anew."""

TABLES = (
    "meta",
    "candles",
    "orders",
    "fills",
    "trades",
    "equity",
    "snapshot",
    "batches",
    "notes",
    "model_performance",
    "model_watch",
    "interims",
)


def traded_state(folder: Path) -> Path:
    """A bot with a model that traded, was started anew, and traded on; two symbols."""
    model = write_tiny_model(folder / "models")
    market = random_market(31, MINUTES)
    lives = [Life(FIRST_LIFE), Life(MINUTES)]
    return asyncio.run(
        live_through(folder, lives, market=market, predictor=lambda: OnnxPredictor.load(model))
    )


def as_of_schema(state: Path, target: Path, version: int) -> Path:
    """The same state folder with a journal as a bot of that schema would have left it."""
    target.mkdir()
    shutil.copytree(state / "models", target / "models")
    older = sqlite3.connect(target / "journal.sqlite")
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            older.execute(statement)
    older.execute(f"PRAGMA user_version = {version}")
    older.execute("ATTACH ? AS newer", (str(state / "journal.sqlite"),))
    there = {row[0] for row in older.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    for table in TABLES:
        if table in there:
            older.execute(f"INSERT INTO main.{table} SELECT * FROM newer.{table}")  # noqa: S608 - constant names
    if "events" in there:
        older.execute(
            "INSERT INTO main.events (kind, at_ms, payload)"
            " SELECT 'batch', closed_at_ms, payload FROM newer.batches"
        )
        older.execute(
            "INSERT INTO main.events (kind, at_ms, payload)"
            " SELECT kind, at_ms, payload FROM newer.notes WHERE kind <> 'service.rules'"
        )
    older.commit()
    older.close()
    return target
