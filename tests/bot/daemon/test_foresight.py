"""What a predictor says of a minute, and whether it failed to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bot.core.engine_config import MODEL_FAILED, NO_MODEL, NO_PREDICTION
from bot.core.prediction import Prediction
from bot.daemon.foresight import foresee
from bot.daemon.no_trade import NoTradePredictor
from bot.errors import EngineProtocolError, ModelError
from tests.core_builders import PERPETUAL, at, candle
from tests.scripted_predictor import Scripted, ticks


def asked(says: float | Exception | None) -> Scripted:
    """A predictor that has seen a candle."""
    predictor = Scripted(says)
    predictor.observe(candle(0))
    return predictor


def test_a_forecast_passes_as_it_is() -> None:
    """What was said is handed on, with how long it took."""
    said = foresee(asked(0.001), [PERPETUAL], ticks(2.0))
    assert [one.expected_return for one in said.predictions] == [0.001]
    assert (said.absent, said.fault, said.took_ns) == (NO_PREDICTION, None, 2_000_000)


@pytest.mark.parametrize(
    "error", [ModelError("x"), RuntimeError("x"), ValueError("x"), ZeroDivisionError("x"), KeyError("x")]
)
def test_what_a_model_raises_is_a_fault(error: Exception) -> None:
    """The minute has no forecast, and the reason is that the model failed."""
    said = foresee(asked(error), [PERPETUAL], ticks())
    assert (said.predictions, said.absent) == ([], MODEL_FAILED)
    assert type(error).__name__ in str(said.fault)


def test_a_bug_of_ours_is_not_hidden() -> None:
    """An engine that was driven out of order still ends the daemon."""
    with pytest.raises(EngineProtocolError):
        foresee(asked(EngineProtocolError("x")), [PERPETUAL], ticks())


@pytest.mark.parametrize("wrong", [{"expected_return": math.inf}, {"probability_up": math.nan}])
def test_a_number_that_is_none_is_never_traded_on(wrong: dict[str, Any]) -> None:
    """Whichever figure is not finite, the expected return becomes NaN, which every engine holds on."""
    made = Prediction(PERPETUAL, at(1), "model", 15, 0.001, 0.6)._replace(**wrong)

    class Wrong(Scripted):
        def predict(self, symbols: object) -> list[Prediction]:
            return [made]

    said = foresee(Wrong(), [PERPETUAL], ticks())
    assert math.isnan(said.predictions[0].expected_return)
    assert f"not finite, for {PERPETUAL}" in str(said.fault)


def test_nobody_says_nothing_and_is_no_fault() -> None:
    """The champion that is none holds with a reason of its own."""
    nobody = NoTradePredictor()
    nobody.warm(PERPETUAL, [candle(0)])
    nobody.observe(candle(1))
    said = foresee(nobody, [PERPETUAL], ticks())
    assert (said.predictions, said.absent, said.fault) == ([], NO_MODEL, None)
