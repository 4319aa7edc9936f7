"""The search after the last test finds what a run leaves behind."""

from __future__ import annotations

from pathlib import Path

from tests import canary
from tests.session_search import holds_a_secret, leaks


def test_a_run_that_leaves_a_secret_is_found(tmp_path: Path) -> None:
    """In a log of any folder and in what was said; not where secrets are meant to lie, nor in candles."""
    for place in ("state/logs", "keys"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "bot.jsonl").write_text(f"x{canary.SECRET}y")
    (tmp_path / "candles.parquet").write_text(canary.SECRET)
    assert leaks(tmp_path) == [str(tmp_path / "state" / "logs" / "bot.jsonl")]
    assert leaks(tmp_path / "keys" / "none", [("out", canary.KEY), ("err", "nothing")]) == ["out"]
    assert not holds_a_secret(b"Canary")
