"""The image ``runtime``, made step by step in a fresh folder by an ordinary user: minutes, and the network of packages.

Tried with ``TESTS=all``. What it cannot show is named in docs/docker.md.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from bot.candles.parquet import replace_candles
from tests.dockerfile_steps import Workshop, base_python
from tests.planted import planted_candles

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "python:3.11-slim-bookworm@sha256:" + "0" * 64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        os.environ.get("TESTS") != "all", reason="installs every package: minutes; TESTS=all tries it"
    ),
]


class Image(NamedTuple):
    """A made image: its file system, its variables, and who runs in it."""

    root: Path
    environ: dict[str, str]
    ordinary: dict[str, Any]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A program of it, as ENTRYPOINT would start it."""
        return subprocess.Popen(
            [self.root / "opt/bot/bin" / words[0], *words[1:]],
            env=self.environ,
            cwd=self.root / "srv/bot",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.ordinary,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a program of it."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said


def everything(tree: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file."""
    return {str(file): (file.lstat().st_size, file.lstat().st_mtime_ns) for file in tree.rglob("*")}


@pytest.fixture(name="image", scope="module")
def _image() -> Iterator[Image]:
    """The image, its root made read-only but for the volume and /tmp."""
    python = base_python()
    if python is None:
        pytest.skip("no interpreter that an ordinary user may run")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shop = Workshop(
            Path(folder), ROOT, (ROOT / "Dockerfile").read_text(), {"PYTHON_IMAGE": DIGEST}, python
        )
        shop.arguments["BOT_UID"] = str(shop.uid)
        shop.carry_out("runtime")
        root = shop.bring_out("runtime")
        closed = [path for part in ("opt", "srv") for path in ((root / part), *(root / part).rglob("*"))]
        closed = [path for path in closed if not path.is_symlink()]
        for path in closed:
            path.chmod(path.stat().st_mode & ~0o222)
        yield Image(root, shop.environment("runtime"), shop.as_ordinary())
        for path in closed:
            if path.is_dir():
                path.chmod(0o755)  # so that it can be removed


def test_the_runtime_has_no_tensorflow_and_all_that_it_needs(image: Image) -> None:
    """The version is told, every command is listed, and no TensorFlow, Keras or pip lies in the environment."""
    assert image.run("bot", "--version") == (0, "bot 0.1.0\n")
    packages = {path.name.lower() for path in image.root.glob("opt/bot/lib/python3.*/site-packages/*")}
    assert {"ccxt", "onnxruntime", "bot", "config"} <= packages
    assert not [name for name in packages if name.startswith(("tensorflow", "keras", "pip", "sklearn"))]
    code, said = image.run("python", "-c", "import tensorflow")
    assert code == 1
    assert "ModuleNotFoundError" in said
    code, said = image.run("bot", "retrainer")
    assert (code, said.startswith("error: retrain.enabled is false")) == (4, True)


def test_its_bytecode_is_compiled(image: Image) -> None:
    """Every module of ccxt has it, so that no start compiles them."""
    (folder,) = image.root.glob("opt/bot/lib/python3.*/site-packages/ccxt")
    modules = list(folder.rglob("*.py"))
    compiled = {file.name.partition(".")[0] for file in folder.rglob("*.pyc")}
    assert len(modules) > 300
    assert not [file.name for file in modules if file.stem not in compiled]


def test_it_trades_on_a_read_only_root_is_healthy_and_ends_by_sigterm(image: Image) -> None:
    """Health: 3 before, 0 while minutes are decided, 3 after; SIGTERM ends it with 0; nothing is written beside the volume."""
    before = everything(image.root / "opt") | everything(image.root / "srv")
    assert image.run("bot", "healthcheck")[0] == 3
    tape = image.root / "tmp" / "tape.parquet"
    replace_candles(tape, planted_candles(3 * 1440, seed=1))
    tape.chmod(0o644)
    words = ("run", "--model", "no-trade", "--tape", f"BTC/USDT:USDT={tape}", "--speed", "600", "--json")
    bot = image.start("bot", *words)
    try:
        deadline = time.monotonic() + 90
        while (code := image.run("bot", "healthcheck")[0]) != 0:
            assert bot.poll() is None, bot.communicate()[0][-3000:]
            assert time.monotonic() < deadline, f"healthcheck still says {code}"
            time.sleep(0.5)
        state = json.loads(image.run("bot", "status", "--json")[1])
        assert state["simulated"] is True
    finally:
        bot.send_signal(signal.SIGTERM)
        said, _ = bot.communicate(timeout=60)
    assert bot.returncode == 0, said[-3000:]
    assert json.loads(said.splitlines()[-1])["event"] == "service.stopped"
    assert image.run("bot", "healthcheck")[0] == 3
    assert everything(image.root / "opt") | everything(image.root / "srv") == before
    journal = image.root / "var/lib/bot/journal.sqlite"
    assert journal.stat().st_size > 0
