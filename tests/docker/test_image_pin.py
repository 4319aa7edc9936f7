"""`make image-pin`: the base's digest and Grafana's password, each made once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "python@sha256:" + "ab" * 32


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A checkout that has nothing but the Makefile, and an engine that says what digest it pulled."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    return tmp_path


def pin(folder: Path, said: str) -> subprocess.CompletedProcess[str]:
    """Run the target with an engine that says this."""
    engine = folder / "engine"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n[ "$1" = pull ] || echo "{said}"\n')
    engine.chmod(0o755)
    return subprocess.run(
        [str(shutil.which("make")), "image-pin", f"DOCKER={engine}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_digest_goes_to_env_and_the_rest_of_it_stays(folder: Path) -> None:
    """What else .env says is kept; a second time replaces the digest alone."""
    (folder / ".env").write_text("BOT_SYMBOLS=BTC/USDT:USDT\nPYTHON_IMAGE=old\n")
    for _ in range(2):
        done = pin(folder, DIGEST)
        assert done.returncode == 0, done.stderr
        assert (folder / ".env").read_text() == f"BOT_SYMBOLS=BTC/USDT:USDT\nPYTHON_IMAGE={DIGEST}\n"
    assert (folder / "asked").read_text().startswith("pull --quiet python:3.11-slim-bookworm\n")


def test_the_password_is_made_once_and_nobody_else_gets_at_it(folder: Path) -> None:
    """The folder is private, the file is what a container's user can read, and a second run keeps it."""
    assert pin(folder, DIGEST).returncode == 0
    file = folder / "secrets" / "grafana_admin_password"
    first = file.read_text()
    assert len(first.strip()) == 32
    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o444)
    assert pin(folder, DIGEST).returncode == 0
    assert file.read_text() == first
    assert first.strip() not in pin(folder, DIGEST).stdout


def test_an_image_without_a_digest_is_refused(folder: Path) -> None:
    """Where the engine knows none, .env stays as it is."""
    (folder / ".env").write_text("A=1\n")
    done = pin(folder, "python:3.11-slim-bookworm")
    assert done.returncode != 0
    assert "has no digest" in done.stderr
    assert (folder / ".env").read_text() == "A=1\n"
