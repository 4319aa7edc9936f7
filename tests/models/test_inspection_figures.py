"""The pictures of an inspection."""

from __future__ import annotations

import io
from dataclasses import replace

import matplotlib.image as mpimg
import numpy as np
import pytest

from models.inspection import Inspection
from models.inspection_figures import figures, importance_png, prediction_png
from tests.inspected_model import whole_inspection
from tests.random_candles import random_candles

CANDLES = {"BTC/USDT:USDT": random_candles(700, seed=1)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """An inspection with everything."""
    return whole_inspection(tmp_path_factory.mktemp("models"), CANDLES)


def test_each_picture_is_a_whole_png(found: Inspection) -> None:
    """Four pictures, each of which can be read back and is not blank."""
    drawn = figures(found)
    assert set(drawn) == {"importance.png", "attention.png", "prediction.png", "training_curves.png"}
    for content in drawn.values():
        pixels = mpimg.imread(io.BytesIO(content), format="png")
        assert pixels.shape[0] > 300
        assert float(np.ptp(pixels[..., :3])) > 0.5


def test_there_is_no_picture_of_nothing(found: Inspection) -> None:
    """Without attention and without curves there are two pictures."""
    assert set(figures(replace(found, attention=None, curves=()))) == {"importance.png", "prediction.png"}


def test_a_simulated_market_shows(found: Inspection) -> None:
    """A picture of a simulated market carries red words that one of a real market does not."""

    def red(content: bytes) -> int:
        pixels = mpimg.imread(io.BytesIO(content), format="png")
        return int(((pixels[..., 0] > 0.6) & (pixels[..., 1] < 0.1) & (pixels[..., 2] < 0.25)).sum())

    for draw in (importance_png, prediction_png):
        assert red(draw(found)) == 0
        assert red(draw(replace(found, simulated=True))) > 100
        assert red(draw(replace(found, in_sample=True, training_known=True))) > 100


def test_withheld_forecasts_and_gaps_can_be_drawn(found: Inspection) -> None:
    """A stretch of which some forecasts are withheld and none came true is drawn too."""
    size = len(found.stretch.made_ts)
    stretch = replace(
        found.stretch, withheld=np.arange(size) % 2 == 0, realized=np.full(size, np.nan), return_scale=0.5
    )
    path = replace(found.path, realized=np.full(16, np.nan), withheld=True)
    assert prediction_png(replace(found, stretch=stretch, path=path)) != prediction_png(found)
