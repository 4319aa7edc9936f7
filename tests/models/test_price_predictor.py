"""The documents' Python API: their examples run, and every error, key and file is as they say."""
# ruff: noqa: N803, N806  (X_train and the like are the documents' names)

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import models
from bot.errors import ConfigError, ModelError
from models import LSTMPricePredictor
from tests.random_candles import random_candles
from tests.shared_data import SHARED

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
SUMMARY = ["LSTM", "Dropout", "LSTM", "Dropout", "Dense"]
STEPS, FEATURES = 12, 3
DOCUMENT_IMPORTS = {
    "from src.models.lstm_model import": "from models import",
    "from src.data.preprocess import": "from models import",
    "scaler.pkl": "scaler.json",
}
"""What has another name here than in the documents."""

SMALL = """\
model:
  lstm_units: [64, 32]
  dropout_rate: 0.2
  learning_rate: 0.001
  epochs: 1
  batch_size: 64
"""


def samples(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sequences whose target can be learnt: the mean of the first feature."""
    X = np.random.default_rng(seed).random((count, STEPS, FEATURES)).astype(np.float32)
    return X, X[:, :, 0].mean(axis=1).astype(np.float64)


def small(**changes: Any) -> LSTMPricePredictor:
    """A predictor whose network is quick to train."""
    predictor = LSTMPricePredictor()
    fields = {"lstm_units": [4], "dropout_rate": 0.0, "learning_rate": 0.02, "epochs": 2}
    predictor.config["model"].update(fields | changes)
    return predictor


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained model in a file."""
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        predictor = small()
        predictor.train(*samples(64))
        predictor.save_model("model.keras")
    return folder / "model.keras"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written beside the working folder's models/ must not be the source."""
    monkeypatch.chdir(tmp_path)


# --- the examples -----------------------------------------------------------------------------------------


def write_candles(folder: Path) -> None:
    """The files that the examples read, and a configuration of few epochs."""
    for name, seed in (("processed_data", 1), ("new_data", 2)):
        candles = random_candles(400, seed=seed)
        columns = {key: getattr(candles, key) for key in ("open", "high", "low", "close", "volume")}
        df = pd.DataFrame({"datetime": pd.to_datetime(candles.ts, unit="ms"), **columns})
        (folder / "data").mkdir(exist_ok=True)
        df.to_csv(folder / "data" / f"{name}.csv", index=False)
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(SMALL)


def blocks(page: Path) -> list[str]:
    """The Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_examples(page: Path, sources: list[str], names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a page's examples one after the other, in a new session or one that goes on."""
    names = {} if names is None else names
    for source in sources:
        exec(compile(source, str(page), "exec"), names)  # noqa: S102  (our own pages)
    return names


def units(model: Any) -> list[int]:
    """Units of each layer that has some."""
    return [layer.units for layer in model.layers if hasattr(layer, "units")]


def check_pipeline(folder: Path, names: dict[str, Any]) -> None:
    """The files and values that the complete pipeline leaves behind."""
    files = ("lstm_model.keras", "training_history.png", "checkpoints/best_model.keras")
    for name in files:
        assert (folder / "models" / name).stat().st_size > 1000, name
    assert (folder / "models" / "training_history.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(folder / "data" / "predictions.csv", parse_dates=["datetime"])
    assert list(table.columns) == ["actual", "predicted", "datetime"]
    assert len(table) == len(names["X_test"]) > 40
    assert table.notna().all(axis=None)
    np.testing.assert_array_equal(table["actual"], names["y_test"])
    # the row of the prediction is the minute after its sequence
    close = names["df"].set_index("datetime")["close"][table["datetime"]].to_numpy()
    scaler = names["preprocessor"].scaler
    np.testing.assert_allclose(scaler.inverse("close", table["actual"].to_numpy()), close, rtol=1e-9)


def test_the_examples_of_the_documents_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three usage examples of the source documents run word for word, but for the names of modules and scaler."""
    pages = sorted((SHARED.parent / "seeds").glob("002_*.txt"))
    if not pages:
        pytest.skip("needs the source documents")
    text = pages[0].read_text(encoding="utf-8")
    for theirs, ours in DOCUMENT_IMPORTS.items():
        text = text.replace(theirs, ours)
    section = text.partition("## Usage Examples\n\n###")[2].partition("\n## Training Pipeline")[0]
    (tmp_path / "page.md").write_text(section)
    write_candles(tmp_path)
    pipeline, loading, custom = blocks(tmp_path / "page.md")

    names = run_examples(pages[0], [pipeline])
    check_pipeline(tmp_path, names)
    printed = capsys.readouterr().out
    for line in (
        "Train: 214, Val: 46, Test: 47",
        "Training model for up to 1 epochs...",
        "Evaluation Metrics:",
        "Test RMSE: 0.",
        "Predictions saved to data/predictions.csv",
    ):
        assert line in printed

    run_examples(pages[0], [custom], names)
    assert units(names["model"].model) == [128, 64, 32, 1]
    assert len(names["history"].history["val_loss"]) == 1

    names["preprocessor"].save_scaler("models/scaler.json")
    capsys.readouterr()
    loaded = run_examples(
        pages[0], ["import pandas as pd\nfrom models import *", loading]
    )  # a session of its own
    assert capsys.readouterr().out.strip() == str(loaded["predictions"][:10])
    assert loaded["predictions"].shape == (len(loaded["X_new"]), 1)


def test_the_examples_of_our_page_run(tmp_path: Path) -> None:
    """The examples of docs/python-api.md run in their order, and the scaled prediction goes back to prices."""
    write_candles(tmp_path)
    page = ROOT / "docs" / "python-api.md"
    pipeline, loading, custom = blocks(page)
    names = run_examples(page, [pipeline])
    check_pipeline(tmp_path, names)
    loaded = run_examples(page, [loading])
    assert loaded["prices"].shape == (len(loaded["X_new"]),)
    assert 20.0 < loaded["prices"].mean() < 500.0
    run_examples(page, [custom], names)
    assert units(names["model"].model) == [128, 64, 32, 1]


# --- each method ------------------------------------------------------------------------------------------


def test_importing_the_package_brings_no_tensorflow() -> None:
    """The names are there without an import of Keras, an instance too; a name that does not exist is refused."""
    code = (
        "import sys, models\n"
        "assert not {'pandas', 'keras', 'tensorflow'} & set(sys.modules)\n"
        "from models import DataPreprocessor, LSTMPricePredictor\n"
        "LSTMPricePredictor()\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
    assert set(models.__all__) == {"DataPreprocessor", "LSTMPricePredictor"}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        models.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_new_predictor_has_a_configuration_and_nothing_else() -> None:
    """Without a file in the working folder the packaged configuration is read; model and history are None."""
    predictor = LSTMPricePredictor("config/config.yaml")
    assert predictor.config["model"]["lstm_units"] == [64, 32]
    assert predictor.model is None
    assert predictor.history is None
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        LSTMPricePredictor("nowhere.yaml")


def test_the_network_is_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    """LSTM 64 and 32 with dropout after each and one output: 30,625 weights; Adam, MSE, MAE; the summary is printed."""
    predictor = LSTMPricePredictor()
    model = predictor.build_model(input_shape=(60, 6))
    assert model is predictor.model
    assert model.count_params() == 30_625
    assert [type(layer).__name__ for layer in model.layers] == SUMMARY
    assert [layer.count_params() for layer in model.layers] == [18_176, 0, 12_416, 0, 33]
    assert [layer.return_sequences for layer in model.layers[::2][:2]] == [True, False]
    assert [layer.rate for layer in model.layers[1::2]] == [0.2, 0.2]
    assert type(model.optimizer).__name__ == "Adam"
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert model.loss == "mse"
    assert "30,625" in capsys.readouterr().out


def test_an_edited_configuration_counts() -> None:
    """Units, dropout and learning rate of the edited dictionary are built; a value out of range is named."""
    predictor = LSTMPricePredictor()
    predictor.config["model"].update(lstm_units=[5, 4, 3], dropout_rate=0.3, learning_rate=0.0005)
    model = predictor.build_model((STEPS, FEATURES))
    assert [layer.units for layer in model.layers[::2]] == [5, 4, 3, 1]
    assert [layer.rate for layer in model.layers[1::2]] == [0.3, 0.3, 0.3]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0005)
    predictor.config["model"]["dropout_rate"] = 1.5
    with pytest.raises(ConfigError, match=r"model\.dropout_rate"):
        predictor.build_model((STEPS, FEATURES))
    assert predictor.model is model


def test_training_keeps_the_best_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """History has every metric an epoch; what is left, and the checkpoint, are the weights of the best epoch."""
    predictor = small(epochs=6, learning_rate=0.2)  # so high that the last epoch is hardly the best
    validation = samples(40, seed=1)
    history = predictor.train(*samples(96), *validation)
    assert history is predictor.history
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae", "learning_rate"}
    assert {len(values) for values in history.history.values()} == {6}
    assert "Training model for up to 6 epochs..." in capsys.readouterr().out
    best = min(history.history["val_loss"])
    assert predictor.evaluate(*validation)["mse"] == pytest.approx(best, rel=1e-4)
    checkpoint = LSTMPricePredictor()
    checkpoint.load_model(tmp_path / "models" / "checkpoints" / "best_model.keras")
    np.testing.assert_allclose(checkpoint.predict(validation[0]), predictor.predict(validation[0]), atol=1e-6)


@pytest.mark.parametrize("validated", [True, False])
def test_the_callbacks_are_the_documents(monkeypatch: pytest.MonkeyPatch, validated: bool) -> None:
    """Three callbacks with the documents' numbers watch the validation loss, or the loss where there is no validation."""
    predictor = small()
    predictor.build_model((STEPS, FEATURES))
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        type(predictor.model),
        "fit",
        lambda _, *data, **options: given.update(options) or SimpleNamespace(history={}),
    )
    predictor.train(*samples(8), *(samples(4) if validated else ()))
    stop, plateau, checkpoint = given["callbacks"]
    assert {part.monitor for part in given["callbacks"]} == {"val_loss" if validated else "loss"}
    assert (stop.patience, stop.restore_best_weights) == (10, True)
    assert (plateau.factor, plateau.patience, plateau.min_lr) == (0.5, 5, 1e-7)
    assert (checkpoint.filepath, checkpoint.save_best_only) == ("models/checkpoints/best_model.keras", True)
    assert (given["epochs"], given["batch_size"]) == (2, 32)


def test_training_without_validation_has_no_validation_figures(tmp_path: Path) -> None:
    """Loss alone is watched, kept and drawn."""
    predictor = small()
    history = predictor.train(*samples(40))
    assert set(history.history) == {"loss", "mae", "learning_rate"}
    assert (tmp_path / "models" / "checkpoints" / "best_model.keras").exists()
    predictor.plot_training_history("results/history.png")
    assert (tmp_path / "results" / "history.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"must end in \.png"):
        predictor.plot_training_history("history.pdf")


def test_without_training_nothing_is_drawn(tmp_path: Path) -> None:
    """Where there is no history the plot is left out without an error."""
    small().plot_training_history()
    assert not (tmp_path / "models").exists()


def test_a_predictor_that_is_not_trained_says_so() -> None:
    """New or merely built, it neither predicts, evaluates nor saves."""
    predictor = small()
    X, y = samples(4)
    for build in (False, True):
        if build:
            predictor.build_model((STEPS, FEATURES))
        for act in (
            lambda: predictor.predict(X),
            lambda: predictor.evaluate(X, y),
            predictor.save_model,
        ):
            with pytest.raises(ValueError, match=r"not trained: call train\(\) or load_model\(\) first"):
                act()


def test_the_metrics_are_the_documents(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """mse, mae, rmse and the share of equal signs of differences, printed with six digits."""
    predictor = LSTMPricePredictor()
    predictor.load_model(saved)
    X, y = samples(30, seed=3)
    y[10:12] = 0.5  # no move is a direction too, and a prediction that moves misses it
    found = predictor.evaluate(X, y)
    said = predictor.predict(X)
    assert said.shape == (30, 1)
    assert said.dtype == np.float32
    assert list(found) == ["mse", "mae", "rmse", "direction_accuracy"]
    assert found["mse"] == pytest.approx(np.mean((said[:, 0] - y) ** 2), rel=1e-5)
    assert found["mae"] == pytest.approx(np.mean(np.abs(said[:, 0] - y)), rel=1e-5)
    assert found["rmse"] == pytest.approx(np.sqrt(found["mse"]))
    signs = np.sign(np.diff(y)) == np.sign(np.diff(said[:, 0].astype(float)))
    assert found["direction_accuracy"] == pytest.approx(signs.mean())
    printed = capsys.readouterr().out
    assert printed.startswith("Evaluation Metrics:\n")
    assert f"direction_accuracy: {found['direction_accuracy']:.6f}" in printed
    assert predictor.evaluate(X, y[:, None]) == found
    with pytest.raises(ValueError, match="at least two samples"):
        predictor.evaluate(X[:1], y[:1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda X, y: (X[0], y), r"X_train must be \(samples, timesteps, features\)"),
        (lambda X, y: (X[:0], y[:0]), r"X_train must be"),
        (lambda X, y: (X, y[:-1]), r"y_train must have one number for each of 8 samples"),
        (lambda X, y: (X, np.stack([y, y], 1)), r"y_train must have one number"),
        (lambda X, y: (X * np.nan, y), r"X_train holds values that are not finite"),
        (lambda X, y: (X, y * np.inf), r"y_train holds values that are not finite"),
        (lambda X, y: (X, y, X), "give both or neither"),
        (lambda X, y: (X, y, None, y), "give both or neither"),
        (lambda X, y: (X, y, X, y[:3]), r"y_val must have one number"),
        (lambda X, y: (X, y, X[:, 1:], y), r"X_val has sequences of \(11, 3\); the model takes \(12, 3\)"),
    ],
)
def test_training_data_that_do_not_fit_are_refused(arguments: Any, message: str) -> None:
    """Each argument is named with what is wrong with it, before anything is written."""
    with pytest.raises(ValueError, match=message):
        small().train(*arguments(*samples(8)))
    assert not Path("models").exists()


@pytest.mark.parametrize("shape", [(60,), (60, 6, 1), (0, 6), (60, -1), (2.5, 6)])
def test_an_input_shape_that_is_none_is_refused(shape: Any) -> None:
    """Only two whole numbers above 0 are an input shape."""
    with pytest.raises(ValueError, match="input_shape"):
        small().build_model(shape)


def test_predicting_other_shapes_is_refused(saved: Path) -> None:
    """A loaded model takes only the sequences that it was made for."""
    predictor = LSTMPricePredictor()
    predictor.load_model(saved)
    with pytest.raises(ValueError, match=r"X has sequences of \(12, 2\); the model takes \(12, 3\)"):
        predictor.predict(samples(3)[0][:, :, 1:])
    with pytest.raises(ValueError, match="not finite"):
        predictor.predict(np.full((1, STEPS, FEATURES), np.nan))


def test_diverged_training_is_said_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are no numbers end in an error, and such a model does not predict."""
    predictor = small()
    model = predictor.build_model((STEPS, FEATURES))

    def spoil(*_: Any, **__: Any) -> SimpleNamespace:
        model.set_weights([weights * np.nan for weights in model.get_weights()])
        return SimpleNamespace(history={})

    monkeypatch.setattr(type(model), "fit", spoil)
    with pytest.raises(ModelError, match="diverged"):
        predictor.train(*samples(8))
    with pytest.raises(ValueError, match="not trained"):
        predictor.predict(samples(8)[0])


@pytest.mark.parametrize("name", ["deep/er/model.keras", "model.h5"])
def test_a_saved_model_predicts_the_same(saved: Path, tmp_path: Path, name: str) -> None:
    """Folders are created, nothing else is left there, and the loaded model is the same and can be trained on."""
    predictor = LSTMPricePredictor()
    predictor.load_model(saved)
    predictor.save_model(name)
    file = tmp_path / name
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    again = small()
    again.load_model(name)
    X, y = samples(20, seed=4)
    np.testing.assert_array_equal(again.predict(X), predictor.predict(X))
    again.train(X, y)
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        predictor.save_model("model.zip")


def test_a_missing_model_is_an_os_error(tmp_path: Path) -> None:
    """A file that is not there, and a folder, are OSErrors."""
    for path in (tmp_path / "none.keras", tmp_path):
        with pytest.raises(OSError, match=re.escape(str(path))):
            LSTMPricePredictor().load_model(path)


def test_a_damaged_model_is_refused_and_the_old_one_stays(saved: Path, tmp_path: Path) -> None:
    """Noise, half a file and flipped bytes are ValueErrors or change nothing that counts; the model before predicts on."""
    whole = saved.read_bytes()
    predictor = LSTMPricePredictor()
    predictor.load_model(saved)
    X = samples(5)[0]
    before = predictor.predict(X)
    file = tmp_path / "damaged.keras"
    for content in (b"", b"noise" * 100, whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged\.keras cannot be loaded: it is corrupted"):
            predictor.load_model(file)
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 25).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        file.write_bytes(flipped)
        other = LSTMPricePredictor()
        try:
            other.load_model(file)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(other.predict(X), before)
    assert refused > 12
    np.testing.assert_array_equal(predictor.predict(X), before)


def test_a_model_of_another_kind_is_refused(saved: Path) -> None:
    """A file of Keras that takes no sequences, or holds weights that are no numbers, is not used."""
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]).save("flat.keras")
    with pytest.raises(ValueError, match=r"flat\.keras holds a model of another kind"):
        LSTMPricePredictor().load_model("flat.keras")
    model = keras.models.load_model(saved)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    model.save("nan.keras")
    with pytest.raises(ValueError, match="not all numbers"):
        LSTMPricePredictor().load_model("nan.keras")
