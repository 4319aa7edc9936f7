"""``bot audit noise`` and ``bot audit planted`` on a stand-in of the pipeline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.cli import main

ROOT = Path(__file__).resolve().parents[3]
QUIET = ["--paths", "2", "--weeks", "8", "--jobs", "2"]


def words(command: str, pipeline: str, folder: Path, *more: str) -> list[str]:
    """A command line."""
    return [
        "audit", command, "--pipeline", f"tests.path_audits:{pipeline}_pipeline", "--out", str(folder), *QUIET, *more
    ]  # fmt: skip


def test_noise_that_is_never_promoted_passes(tmp_path, capsys):
    """Both kinds by default; counts, interval and refusing tests are said, as JSON too, and kept in a file."""
    assert main(words("noise", "small", tmp_path, "--json", "--model", "lstm")) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert [kind["kind"] for kind in found["kinds"]] == ["garch_t", "bounce"]
    assert [kind["promoted"]["total"] for kind in found["kinds"]] == [2, 2]
    assert found["kinds"][0]["stopped_by"] == {"gain": 1.0, "net_return": 1 / 8}
    assert found["passed"] is True
    assert found["failed"] == []
    assert found["settings"][0]["pipeline"] == {"label": "lstm-0", "weeks": 8}
    # The stand-in needs 120 minutes before the first decision; seven weeks later comes the eighth.
    assert found["settings"][0]["market"]["minutes"] == 120 + 7 * 10_080
    assert json.loads((tmp_path / "noise.json").read_text()) == found
    assert all(Path(file).is_file() for file in found["results"])
    assert main(words("noise", "small", tmp_path, "--model", "lstm")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "0 of 2" in shown
    assert "gain │ 100.0%" in shown


def test_noise_that_is_promoted_ends_with_8(tmp_path, capsys):
    """A pipeline that promotes on a martingale fails, whatever it says of itself."""
    assert main(words("noise", "eager", tmp_path, "--kind", "bounce")) == 8
    out, err = capsys.readouterr()
    assert "2 of 2" in out
    assert "error: a model was promoted where nothing can be forecast: bounce: 2 of 2" in err
    assert "bounce: 2 of 2 paths, 2 promoted" in err
    assert main(words("noise", "eager", tmp_path, "--kind", "bounce", "--json")) == 8
    out, err = capsys.readouterr()
    assert json.loads(out)["kinds"][0]["promoted_seeds"] == [1, 2]


def test_a_failed_path_ends_with_1_and_is_named(tmp_path, capsys):
    """The reason is said, in the document too; the other path's result is kept."""
    assert main(words("noise", "unlucky", tmp_path, "--kind", "garch_t", "--json")) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["failed"] == [
        {"kind": "garch_t", "seed": 2, "reason": "ValueError: seed 2 is unlucky"}
    ]
    assert "1 of 2 paths failed (garch_t seed 2: ValueError: seed 2 is unlucky)" in err
    assert "the same command tries them again" in err


def test_planted_edges_give_a_power_curve_and_reactions(tmp_path, capsys):
    """Each edge has its shares by week, its reaction to the turn, and a curve on the page."""
    chosen = ["--accuracy", "0.51", "--accuracy", "0.53", "--watch-days", "1"]
    assert main(words("planted", "eager", tmp_path, *chosen, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert [edge["accuracy"] for edge in found["edges"]] == [0.51, 0.53]
    assert found["edges"][0]["power"]["8"]["count"] == 2
    assert found["edges"][1]["reaction"]["flat_worst"] == 2000.0
    market = found["settings"][0]["market"]
    assert (market["flip_at_minute"], market["minutes"]) == (120 + 7 * 10_080, 120 + 7 * 10_080 + 1440)
    assert "53.0% right, 2 paths" in (tmp_path / "power.html").read_text()
    assert main(words("planted", "eager", tmp_path, *chosen)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "0.53" in shown
    assert "700 … 700" in shown


def test_a_planted_edge_that_is_not_found_ends_with_8(tmp_path, capsys):
    """At 52 % the pipeline must promote; without days of watching the edge never turns."""
    assert main(words("planted", "small", tmp_path, "--accuracy", "0.52", "--watch-days", "0", "--json")) == 8
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["edges"][0]["reaction"] is None
    assert found["settings"][0]["market"]["flip_at_minute"] is None
    assert "the pipeline did not do what it must at 0.52" in err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--kind", "walk"], 2, "--kind"),
        (["--paths", "0"], 2, "--paths"),
        (["--pipeline", "tests.path_audits:no_pipeline"], 4, "gave no audit of a path"),
    ],
)
def test_wrong_words_are_refused(more, code, said, tmp_path, capsys):
    """An unknown kind, no path and a pipeline that is none end with a sentence, and nothing is run."""
    assert main(words("noise", "small", tmp_path, *more)) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_to_go_on(tmp_path):
    """130, one sentence and no traceback; the same command then does only what is left."""
    line = words("noise", "slow", tmp_path / "out", "--kind", "garch_t", "--paths", "3", "--jobs", "1")
    environment = os.environ | {"STAND_IN_FOLDER": str(tmp_path)}
    run = subprocess.Popen(
        [sys.executable, "-m", "bot", *line],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(6000):
            if list(tmp_path.glob("ran-3-*")):
                break
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=30)
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    assert run.returncode == 130
    assert "Traceback" not in said
    assert f"the finished paths are kept in {tmp_path / 'out'}: start the same command again to go on" in said
    (tmp_path / "go").touch()
    done = subprocess.run(
        [sys.executable, "-m", "bot", *line, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    # Libraries print in the children; the document stays whole.
    assert json.loads(done.stdout)["passed"] is True
    assert "a library says something" in done.stderr
    assert sorted(name.name.split("-")[1] for name in tmp_path.glob("ran-*")) == ["1", "2", "3", "3"]
