"""``bot run`` with forecasts from a file on an exchange that is not its own: ``python -m tests.chaos.connected_bot run …``.

The product reads forecasts only beside the tape that it plays. ``FORECAST_TAPES`` names the tapes that the exchange plays.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from bot.cli import main, run

_stored = run.stored_predictor


def _of_the_exchange(predictions: Path, tapes: list[str]) -> Any:
    return _stored(predictions, tapes or os.environ["FORECAST_TAPES"].split(os.pathsep))


run.stored_predictor = _of_the_exchange

if __name__ == "__main__":
    sys.exit(main())
