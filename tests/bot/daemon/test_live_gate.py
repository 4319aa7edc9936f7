"""The gate to live trading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
from pathlib import Path
from bot.daemon.consent import LiveAccount
from bot.daemon.live_gate import enter_live
from bot.errors import ConfigError
account = LiveAccount("binanceusdm", simulated=True, key="a-key-of-the-account")
folder = Path(sys.argv[1]) / "new" / "state"
try:
    enter_live(folder, account, understood=False)
except ConfigError as error:
    print(error)
print(enter_live(folder, account, understood=True))
print(enter_live(folder, account, understood=False))
"""


def test_the_gate_opens_once_for_all(tmp_path: Path) -> None:
    """It refuses without consent, makes the folder, says that consent was kept, and is silent from then on."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    refused, given, later = done.stdout.splitlines()
    assert "--i-understand-live-trading" in refused
    assert given == f"['understood: live trading on binanceusdm, kept in {tmp_path}/new/state']"
    assert later == "[]"
