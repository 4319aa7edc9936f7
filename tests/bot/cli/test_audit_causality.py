"""``bot audit causality``: what it audits, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import load_command, main
from models.recipe import recipe_names

SMALL = ("--moments", "1", "--days", "5")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that a user stands in, with modules of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "audited_clean.py").write_text(
        "from bot.audits.causality import Answer, Rows\n"
        "class Made:\n"
        "    name = 'made'\n"
        "    def answer(self, market):\n"
        "        return Answer([Rows('features', s, c.ts, ('range',), (c.high - c.low)[:, None])\n"
        "                       for s, c in market.items()])\n"
        "def make():\n"
        "    return Made()\n"
    )
    (tmp_path / "audited_leaking.py").write_text(
        "import numpy as np\n"
        "from bot.audits.causality import Answer, Rows\n"
        "class Made:\n"
        "    name = 'made'\n"
        "    def answer(self, market):\n"
        "        return Answer([Rows('features', s, c.ts, ('next_close',), np.append(c.close[1:], 0.0)[:, None])\n"
        "                       for s, c in market.items()])\n"
        "def make():\n"
        "    return Made()\n"
    )
    return tmp_path


def test_a_clean_pipeline_ends_with_0(own, capsys):
    """A user's own pipeline by dotted path; the table says that all is the same, and on which market."""
    assert main(["audit", "causality", "--pipeline", "audited_clean:make", *SMALL]) == 0
    said = capsys.readouterr().out
    assert "SIMULATED MARKET" in said
    assert "no difference: 1 subject," in said


def test_the_pipeline_of_the_docs_passes(own, capsys):
    """The whole file that docs/evidence.md shows is one that the audit takes, as it stands there."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")
    (own / "docs_example.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    assert main(["audit", "causality", "--pipeline", "docs_example:make", *SMALL]) == 0
    assert "no difference: 1 subject," in capsys.readouterr().out


def test_a_leak_ends_with_8_and_is_named(own, capsys):
    """The sentence on standard error names stage, minute and column."""
    assert main(["audit", "causality", "--pipeline", "audited_leaking:make", *SMALL]) == 8
    said = capsys.readouterr()
    assert "next_close was" in said.err
    assert "looks at least 1 minute ahead" in said.err
    assert "DIFFERS" in said.out


def test_json_is_one_document_whatever_was_found(own, capsys):
    """Programs read one document; the sentence is on standard error."""
    assert main(["audit", "causality", "--pipeline", "audited_leaking:make", "--json", *SMALL]) == 8
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["passed"] is False
    assert document["simulated_market"] is True
    assert any(
        check["finding"] and check["finding"]["column"] == "next_close" for check in document["checks"]
    )
    assert said.err.startswith("error: ")
    assert main(["audit", "causality", "--pipeline", "audited_clean:make", "--json", *SMALL]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_recipes_and_pipelines_are_chosen_by_name(own, capsys):
    """Only what is named is audited."""
    words = ["audit", "causality", "--recipe", "direction", "--pipeline", "audited_clean:make", "--json"]
    assert main([*words, *SMALL]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {check["subject"] for check in checks} == {"recipe direction", "pipeline audited_clean:make"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--pipeline", "no_such_module:make"], 4, "can't be made"),
        (["--pipeline", "json"], 4, "package.module:factory"),
        (["--pipeline", "collections:OrderedDict"], 4, "has no method answer"),
        (["--recipe", "nothing"], 4, "there is no recipe"),
        (["--strategy", "nothing"], 4, "there is no strategy"),
        (["--model", "nothing", "--models", "absent"], 6, "nothing"),
        (["--recipe", "scalping", "--from", "2024-01-01"], 2, "--days"),
        (["--recipe", "scalping", "--candles", "absent.parquet"], 5, "absent.parquet"),
    ],
)
def test_wrong_words_are_one_sentence(words, code, told, capsys):
    """What cannot be audited is said before anything runs."""
    assert main(["audit", "causality", *words]) == code
    assert told in capsys.readouterr().err


def test_everything_that_is_shipped_is_audited_by_default(monkeypatch, capsys):
    """Without names: the candle path, all feature sets, all recipes, the forest trained, all parameter sets."""
    import bot.audits.causality_run as run
    from bot.audits.causality_probe import ProbePlan

    asked: list[str] = []

    def audit(subjects, market, plan, **options):
        asked.extend(subject.name for subject in subjects)
        assert plan == ProbePlan(8, 1)
        return run.CausalityReport((), plan, run.describe(market))

    monkeypatch.setattr(run, "audit", audit)
    assert main(["audit", "causality"]) == 0
    assert asked[:2] == ["candle path, flagged updates", "candle path, unflagged updates"]
    assert sum(name.startswith("features ") for name in asked) == 4
    assert {f"recipe {name}" for name in recipe_names()} <= set(asked)
    assert "trained forest" in asked
    assert sum(name.startswith("strategy lstm_scalping:") for name in asked) == 3
    assert "strategy forecast_hold:default" in asked


def test_the_group_has_the_command():
    """``bot audit`` is a group."""
    assert "causality" in load_command("audit").commands
