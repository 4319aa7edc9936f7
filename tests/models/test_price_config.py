"""The configuration of the predictor is found, checked and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ConfigError
from models.price_config import architecture, load_config, training


def write(folder, **changes) -> str:
    """A configuration file with some fields of ``model`` changed, or left out where None."""
    model = {
        "lstm_units": [8],
        "dropout_rate": 0.1,
        "learning_rate": 0.01,
        "epochs": 3,
        "batch_size": 16,
    } | changes
    lines = [f"  {key}: {value}" for key, value in model.items() if value is not None]
    file = folder / "my.yaml"
    file.write_text("\n".join(["model:", *lines, "trading: {anything: 1}"]))
    return str(file)


def test_the_default_is_packaged(tmp_path, monkeypatch):
    """Where the working folder has no config/config.yaml, the one that comes with the program says the documents' values."""
    monkeypatch.chdir(tmp_path)
    assert load_config("config/config.yaml") == {
        "model": {
            "lstm_units": [64, 32],
            "dropout_rate": 0.2,
            "learning_rate": 0.001,
            "epochs": 50,
            "batch_size": 32,
            "lookback": 60,
        }
    }


def test_the_working_folder_goes_first(tmp_path, monkeypatch):
    """A config/config.yaml of the working folder is read in place of the packaged one."""
    (tmp_path / "config").mkdir()
    Path(write(tmp_path / "config")).rename(tmp_path / "config" / "config.yaml")
    monkeypatch.chdir(tmp_path)
    assert load_config("config/config.yaml")["model"]["lstm_units"] == [8]


def test_fields_become_sections(tmp_path):
    """What the file says arrives in the sections; patience and plateau are the documents'."""
    config = load_config(write(tmp_path))
    assert config["trading"] == {"anything": 1}
    assert (architecture(config).units, architecture(config).dropout) == ([8], 0.1)
    options = training(config)
    assert (options.learning_rate, options.max_epochs, options.batch_size) == (0.01, 3, 16)
    assert options.early_stopping_patience == 10
    assert options.plateau is not None
    assert options.plateau.model_dump() == {"factor": 0.5, "patience": 5, "min_learning_rate": 1e-7}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm_units": None}, r"my\.yaml: model\.lstm_units is missing"),
        ({"epochs": None}, r"my\.yaml: model\.epochs is missing"),
        ({"lstm_units": []}, r"my\.yaml: model\.lstm_units: "),
        ({"lstm_units": [64, 0]}, r"my\.yaml: model\.lstm_units\.1: "),
        ({"dropout_rate": 1.0}, r"my\.yaml: model\.dropout_rate: "),
        ({"learning_rate": 0}, r"my\.yaml: model\.learning_rate: "),
        ({"learning_rate": "fast"}, r"my\.yaml: model\.learning_rate: "),
        ({"epochs": 0}, r"my\.yaml: model\.epochs: "),
        ({"batch_size": -1}, r"my\.yaml: model\.batch_size: "),
    ],
)
def test_a_wrong_field_is_named(tmp_path, changes, message):
    """File and field are in the sentence."""
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model: [1", "is not YAML"),
        (b"- 1", "must be a table"),
        (b"", "must be a table"),
        (b"model: 3", "there must be a table named model"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, content, message):
    """What is no configuration is refused in one line."""
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(str(file))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    """A path that was given is not replaced by the default."""
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file"):
        load_config(str(tmp_path / "none.yaml"))
