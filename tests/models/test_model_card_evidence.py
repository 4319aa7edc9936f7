"""What the card says of money, tests and trials."""

from __future__ import annotations

from models.model_card_evidence import after_costs


def test_nothing_counted_is_said() -> None:
    """A report of an older version has no such section but a sentence."""
    assert after_costs({}, {}).startswith("Costs were not counted")


def test_forecasters_without_trades_and_tests_are_left_out() -> None:
    """Only who expects returns has a row of trades, and only who could be compared a row of tests; the model is first."""
    earned = {"trades": 0, "gross_bps": None, "at_1x": {"net_bps": None, "net_interval": None}, "at_2x": None}
    report = {
        "costs": {"round_trip_bps": 11.0},
        "forecasts": {
            "a": {"expectancy": earned},
            "b": {"expectancy": None},
            "model": {"expectancy": earned},
        },
        "diebold_mariano": {"a": {"loss": "x", "mean": 0.0, "statistic": None, "p_value": 0.0}, "b": None},
    }
    text = after_costs(report, {"model": "model", "a": "A"})
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        "| ",
        "| ---",
        "| model",
        "| A",
        "| against",
        "| ---",
        "| A",
    ]
    assert "11 bps a round trip" in text
