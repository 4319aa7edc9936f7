"""Stands in for ``bot retrain``: takes its words, and does the next step of a plan in the time that it takes to copy.

``PLAN`` is a JSON list of steps; each run does the next one, by a count kept beside it. A step has an ``action``:
``promote`` or ``refuse`` (copies ``model`` from the folder ``prepared`` beside the plan and writes its verdict), ``die``
(kills itself) or ``fail`` (exit code 5).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path


def main(words: list[str]) -> int:
    """Do one step."""
    plan = Path(words[0])
    counter = plan.with_suffix(".count")
    number = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(number + 1))
    step = json.loads(plan.read_text())[number]
    with plan.with_suffix(".words").open("a") as file:
        file.write(json.dumps(words) + "\n")
    sys.stderr.write(f"step {number}\n")
    sys.stderr.flush()
    if step["action"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if step["action"] == "fail":
        sys.stderr.write("error: there are too few candles\n")
        return 5
    root = Path(next(word for word in words if word.startswith("model.root=")).partition("=")[2])
    at_ms = int(words[words.index("--now-ms") + 1])
    promote = step["action"] == "promote"
    made = deliver(plan.parent / "prepared", root, step["model"], at_ms, promote=promote)
    sys.stdout.write(json.dumps(made) + "\n")
    return 0


def deliver(prepared: Path, root: Path, model_id: str, at_ms: int, *, promote: bool) -> dict[str, object]:
    """Put a model into the folder of models with its verdict; a promoted one is challenger."""
    shutil.copytree(prepared / model_id, root / model_id, dirs_exist_ok=True)
    (root / "verdicts").mkdir(exist_ok=True)
    verdict = {
        "model_id": model_id,
        "at_ms": at_ms,
        "kind": "recipe",
        "promote": promote,
        "reasons": [{"name": "gain", "passed": promote, "sentence": "0.2 millinats gained"}],
        "evidence": {},
        "proven": promote,
        "champion_then": None,
    }
    path = root / "verdicts" / f"{model_id}.json"
    path.write_text(json.dumps(verdict))
    if promote:
        (root / "challenger.new").write_text(model_id + "\n")
        (root / "challenger.new").replace(root / "challenger")
    return {"model_id": model_id, "promote": promote, "proven": promote, "verdict": str(path)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
