"""The part of the model card that weighs: trades after costs, tests against the baselines, trials before this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from models.markdown import NONE, Table, as_table, is_number, number, table_of, words

_FIGURES = ("daily_sharpe", "deflated_sharpe", "days_to_prove")


def after_costs(report: Table, names: Mapping[str, str]) -> str:
    """Trades, tests and trials of a report, as far as they are there.

    Args:
        report: The evaluation on the test slice.
        names: Forecasters by their names in the report -> for people.
    """
    parts = [*_money(report, names), *_tests(report, names), *_trials(report)]
    return "\n\n".join(parts) or "Costs were not counted, and nothing was tested against the baselines."


def _money(report: Table, names: Mapping[str, str]) -> Iterator[str]:
    """What trades on the forecasts earned."""
    costs = as_table(report.get("costs")).get("round_trip_bps")
    found = {
        name: as_table(as_table(figures).get("expectancy"))
        for name, figures in as_table(report.get("forecasts")).items()
    }
    rows = [
        [
            names.get(name, words(name)),
            number(earned.get("trades")),
            number(earned.get("gross_bps")),
            _net(as_table(earned.get("at_1x"))),
            _net(as_table(earned.get("at_2x"))),
            *(number(earned.get(key)) for key in _FIGURES),
        ]
        for name, earned in sorted(found.items(), key=lambda one: one[0] != "model")
        if earned
    ]
    if not is_number(costs) or not rows:
        return
    yield (
        f"Trades on the forecasts that do not overlap, {number(costs)} bps a round trip taken off once and twice, no "
        "stops and no funding; bps a trade, 95 % intervals in brackets. The Sharpe ratio is that of a day; deflated, it "
        "is the probability that it is better than the best of all trials would be by luck; days to prove: how many "
        "such days would show at 95 % that it is above 0."
    )
    columns = ["", "trades", "gross", "net at 1x", "net at 2x", "daily Sharpe", "deflated", "days to prove"]
    yield table_of(columns, rows)


def _net(earned: Table) -> str:
    """A net return with its interval."""
    shown, bounds = number(earned.get("net_bps")), earned.get("net_interval")
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        return shown
    return f"{shown} [{number(bounds[0])}, {number(bounds[1])}]"


def _tests(report: Table, names: Mapping[str, str]) -> Iterator[str]:
    """The test of Diebold and Mariano against each baseline."""
    rows = [
        [
            names.get(name, words(name)),
            words(str(test.get("loss"))),
            number(test.get("mean")),
            number(test.get("statistic")),
            number(test.get("p_value")),
        ]
        for name, test in (
            (name, as_table(one)) for name, one in as_table(report.get("diebold_mariano")).items()
        )
        if test
    ]
    if rows:
        yield "The model against each baseline by the test of Diebold and Mariano; above 0 the model is better:"
        yield table_of(["against", "by", "mean", "statistic", "p"], rows)


def _trials(report: Table) -> Iterator[str]:
    """How often the minutes of the test were tried upon."""
    trials = as_table(report.get("trials"))
    count, accesses = trials.get("trials"), trials.get("accesses")
    if is_number(count) and is_number(accesses):
        yield (
            f"Distinct trials on these minutes by the ledger, this one included: {number(count)}; earlier looks at them: "
            f"{number(accesses)}. The verdict asks for {100.0 * float(trials.get('confidence', 0.95)):.4g} %."
        )
    for name, why in as_table(report.get("missing_baselines")).items():
        yield f"{words(name)} is not among the baselines: {why or NONE}."
