"""The page of models: figures beside the best baseline, and folders that are damaged."""

from __future__ import annotations

from pathlib import Path

from bot.dashboard.model_page import ModelFacts, metric_rows, model_page, retraining
from models.hashing import canonical_json
from models.registry import NO_TRADE, set_challenger, set_champion
from models.verdicts import StoredVerdict, VerdictReason, write_verdict
from tests.tiny_model import write_tiny_model

REPORT = {
    "forecasts": {
        "model": {
            "auc": 0.53,
            "auc_interval": [0.52, 0.54],
            "brier": 0.249,
            "brier_interval": None,
            "mcc": None,
        },
        "persistence": {"auc": 0.5, "brier": 0.26},
        "logistic_regression": {"auc": 0.51, "brier": 0.248},
    },
    "reliability": [{"said": 0.4, "came": 0.45, "count": 10}],
    "verdict": {"sentence": "No edge was found."},
}


def facts(model_id: str | None, **serving: object) -> ModelFacts:
    """Of a journal in which this model serves."""
    return ModelFacts(
        {} if model_id is None else {"model_id": model_id, "at_ms": 5, **serving}, {}, None, [], []
    )


def test_a_figure_stands_beside_the_best_baseline() -> None:
    """The highest where more is better, the lowest where less is; what was not measured is left out."""
    rows = {row["name"]: row for row in metric_rows(REPORT)}
    assert set(rows) == {"auc", "brier"}
    assert (rows["auc"]["baseline"], rows["auc"]["baseline_value"]) == ("logistic_regression", 0.51)
    assert (rows["auc"]["low"], rows["auc"]["high"]) == (0.52, 0.54)
    assert (rows["brier"]["baseline_value"], rows["brier"]["low"]) == (0.248, None)
    assert metric_rows({}) == []


def test_the_page_of_a_stored_model(tmp_path: Path) -> None:
    """Passport, figures, calibration, verdict, and who is champion and challenger."""
    first = write_tiny_model(tmp_path, extra={"metrics.json": canonical_json(REPORT)})
    second = write_tiny_model(tmp_path, seed=8)
    set_champion(tmp_path, first.name)
    set_challenger(tmp_path, second.name)
    write_verdict(
        tmp_path, StoredVerdict(first.name, 9, "recipe", True, (VerdictReason("edge", True, "It has one."),))
    )
    page = model_page(facts(first.name, proven=True, why="by hand"), tmp_path, {"forecasts": 3, "live": None})
    serving = page["serving"]
    assert serving["recipe"] == "tiny"
    assert serving["window"] == 60
    assert "files" not in serving
    assert serving["calibration"] == [{"predicted": 0.4, "observed": 0.45, "count": 10}]
    assert serving["sentence"] == "No edge was found."
    assert serving["verdict"]["reasons"][0]["sentence"] == "It has one."
    assert (page["champion"], page["challenger"]) == (first.name, second.name)
    assert [row["aliases"] for row in page["registry"] if row["model_id"] == first.name] == [["champion"]]
    assert {row["model_id"]: row["proven"] for row in page["registry"]} == {
        first.name: True,
        second.name: False,
    }
    assert page["live"]["count"] == 3


def test_what_is_damaged_is_a_sentence(tmp_path: Path) -> None:
    """An altered file, a folder that is gone, a verdict that is none: the rest of the page is there."""
    folder = write_tiny_model(tmp_path)
    (folder / "metrics.json").write_bytes(b"{")
    (tmp_path / "verdicts").mkdir()
    (tmp_path / "verdicts" / f"{folder.name}.json").write_text("x")
    (tmp_path / "champion").write_text("../../etc")
    page = model_page(facts(folder.name), tmp_path, None)
    assert "altered" in page["serving"]["fault"]
    assert page["champion"] is None
    assert page["registry"][0]["fault"]
    for odd in ("../../../etc/passwd", "x", "tiny-20200101T000000-000000"):
        assert model_page(facts(odd), tmp_path, None)["serving"]["fault"]
    nobody = model_page(facts(NO_TRADE), tmp_path, None)["serving"]
    assert nobody["fault"] is None
    assert "baselines" in nobody["sentence"]
    assert model_page(facts(None), tmp_path / "none", None)["registry"] == []


def test_a_retraining_says_how_it_ended() -> None:
    """Promoted, refused, failed."""
    failed = retraining({"kind": "retrain.failed", "at_ms": 2, "began_ms": 1, "reason": "no candles"})
    assert (failed["outcome"], failed["verdict"], failed["reasons"]) == ("failed", None, ["no candles"])
    for promote, word in ((True, "promoted"), (False, "refused")):
        note = {"kind": "retrain.finished", "at_ms": 2, "began_ms": 1, "promote": promote, "reasons": ["r"]}
        assert retraining(note)["verdict"] == word
