"""Names that people type or files hold, where they stand for a path: none of them leads out of the folder that is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.errors import ModelError
from models.passport import read_passport
from models.registry import (
    MOST_BYTES,
    champion,
    latest,
    list_models,
    read_member,
    read_verified,
    resolve,
    set_champion,
)

WAYS_OUT = (
    "../../x",
    "..",
    "/etc/passwd",
    "a/../../b",
    "x\x00y",
    "~/x",
    ".",
    "",
    "a" * 5_000,
    "%2e%2e%2f",
    "-" * 40,
)


@pytest.mark.parametrize("name", WAYS_OUT)
def test_an_alias_names_a_model_of_its_folder_or_nothing(tmp_path: Path, name: str) -> None:
    """A champion or challenger file with a path in it is refused, and none is ever written."""
    (tmp_path / "champion").write_text(name)
    with pytest.raises(ModelError, match="does not hold a model id"):
        champion(tmp_path)
    with pytest.raises(ModelError):
        set_champion(tmp_path, name)
    with pytest.raises(ModelError):
        read_member(tmp_path, name)


@pytest.mark.parametrize("name", [name for name in WAYS_OUT if name not in {"", "."}])
def test_a_model_that_is_a_path_elsewhere_is_no_model(tmp_path: Path, name: str) -> None:
    """What is no model is refused with a sentence, wherever the path leads."""
    with pytest.raises(ModelError):
        read_verified(resolve(tmp_path, name))


def test_a_link_in_a_models_folder_is_not_followed(tmp_path: Path) -> None:
    """A model's file that is a link to something else is no part of the model, and is not read."""
    folder = tmp_path / "scalping-20240101T000000-abcdef"
    folder.mkdir()
    (folder / "passport.json").write_text("{}")
    (folder / "model.onnx").symlink_to("/dev/zero")
    (folder / "scaler.json").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError):
        read_verified(folder)
    (tmp_path / "scalping-20990101T000000-abcdef").symlink_to("/etc")
    with pytest.raises(ModelError):
        read_verified(tmp_path / latest(tmp_path))
    assert "etc" not in list_models(tmp_path)


def test_a_model_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """A sparse file of a tebibyte is not read to its end; a passport that nests without end is no passport."""
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match=f"more than {MOST_BYTES >> 20} MiB"):
        read_verified(tmp_path)
    with pytest.raises(ModelError, match="is not a passport"):
        read_passport(b"[" * 200_000, "passport.json")


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "../../etc/passwd"),
        ("explain", "x\n{}"),
        ("models", "show", "../../x"),
        ("models", "verify", "/etc"),
        ("models", "promote", "../../x"),
        ("run", "--model", "../../x"),
        ("run", "--tape", "../../nowhere.parquet"),
        ("run", "--tape", "BTC/USDT=/etc/passwd"),
        ("train", "--recipe", "../../etc/passwd", "--candles", "nowhere.parquet"),
        ("shadow-replay", "--date", "../../x"),
        ("backtest", "--candles", "/etc/passwd", "--model", "../../x"),
        ("data", "import", "../../x=/etc/passwd", "--exchange", "binance"),
        ("data", "check", "/etc/passwd"),
    ],
)
def test_a_command_with_a_way_out_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    """It ends with an exit code of ours and shows nothing of the file that it was led to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", str(tmp_path / "state"))
    code = main([*words])
    shown = capsys.readouterr()
    assert code in {1, 2, 3, 4, 5, 6}
    assert "root:" not in shown.out + shown.err
    assert "Traceback" not in shown.err
    errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1


CELLS = (
    '=cmd|"/c calc"!A1',
    "+1+1",
    "@SUM(1)",
    "-2+3",
    "\t1",
    "1e999",
    "nan",
    "inf",
    "0x10",
    "9" * 4_000,
    "",
)


@pytest.mark.parametrize("cell", CELLS)
def test_a_formula_in_candles_is_text_and_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    """A cell that a spreadsheet would carry out is no number: exit code 5, one sentence, and it is not repeated at length."""
    file = tmp_path / "candles.csv"
    rows = [f"{1_700_000_000_000 + n * 60_000},100,101,99,100.5,1" for n in range(20)]
    rows[7] = f"{1_700_000_000_000 + 7 * 60_000},{json.dumps(cell)[1:-1]},101,99,100.5,1"
    file.write_text("\n".join(("ts,open,high,low,close,volume", *rows)) + "\n")
    words = [
        "data",
        "import",
        f"BTC/USDT={file}",
        "--exchange",
        "binance",
        "--store",
        str(tmp_path / "store"),
    ]
    code = main(words)
    shown = capsys.readouterr()
    assert code == 5, shown
    assert "Traceback" not in shown.err
    assert len(shown.err) < 1_500


def test_a_line_without_an_end_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight megabytes without a line feed, and a heading of a hundred thousand columns: one sentence each."""
    for text in ("9" * 8_000_000, ",".join(f"c{n}" for n in range(100_000)) + "\n1,2\n"):
        file = tmp_path / "candles.csv"
        file.write_text(text)
        assert (
            main(
                [
                    "data",
                    "import",
                    f"BTC/USDT={file}",
                    "--exchange",
                    "binance",
                    "--store",
                    str(tmp_path / "s"),
                ]
            )
            == 5
        )
        shown = capsys.readouterr()
        assert shown.err.startswith("error: ")
        assert len(shown.err) < 2_000
