"""``bot compare --variant``: what strategies, models and settings earn on the same candles, beside one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.cli.backtest_input import Wishes, candles_of, prepare_on, rules_of, symbols_of
from bot.cli.backtest_predictions import predictions_of
from bot.cli.compare_models import tell
from bot.cli.compare_variants import SOURCES, Variant, wishes_of
from bot.errors import BotError, UsageError

if TYPE_CHECKING:
    from backtests.comparison import Comparison, VariantRun
    from backtests.inputs import PredictionColumns
    from bot.cli.backtest_input import Prepared
    from models.trials import Ledger, Trial


@dataclass(frozen=True, slots=True)
class Field:
    """All variants, ready to run and then run.

    Attributes:
        prepared: By name, in the order given.
        shared_warnings: About the data, in words.
        runs: By name.
    """

    prepared: dict[str, Prepared]
    shared_warnings: list[str]
    runs: dict[str, VariantRun] = field(default_factory=dict)


def baseline_of(variants: Sequence[Variant], told: str | None) -> str:
    """The variant that the others are held against; UsageError where there is none of that name."""
    names = [one.name for one in variants]
    if told is not None and told not in names:
        raise UsageError(f"--baseline {told}: there is no such variant; there is {', '.join(names)}")
    return told or names[0]


def prepared_field(variants: Sequence[Variant], base: Wishes) -> Field:
    """Read candles once, ask each source of predictions once, and put every variant together.

    Raises:
        BotError: As ``prepare``; what is wrong with one variant names it.
    """
    wishes = {variant.name: wishes_of(variant, base) for variant in variants}
    symbols = symbols_of(base)
    for name, one in wishes.items():
        _naming(name, rules_of, one, symbols)  # before a year of candles is read
    candles = candles_of(base)
    sources: dict[tuple[Any, ...], tuple[dict[str, PredictionColumns], list[str]]] = {}
    prepared, shared = {}, []
    for name, one in wishes.items():
        source = tuple(getattr(one, key) for key in SOURCES)
        if source not in sources:
            sources[source] = _naming(name, predictions_of, one, candles)
            shared += sources[source][1]
        prepared[name] = _naming(name, prepare_on, one, candles, sources[source][0])
        shared += prepared[name].warnings
    return Field(prepared, list(dict.fromkeys(shared)))


def _naming(name: str, call: Any, *arguments: Any) -> Any:
    """Call it; an error names the variant."""
    try:
        return call(*arguments)
    except BotError as error:
        raise type(error)(f"variant {name}: {error}") from error


def run_field(found: Field, *, jobs: int | None, quiet: bool) -> None:
    """Run each variant once, in as many processes as there are cores, or as ``jobs`` says.

    Raises:
        BotError: What a run failed of.
    """
    from backtests.cluster import Failure, Where, cores, spread
    from backtests.comparison import run_variant

    inputs = {name: one.data for name, one in found.prepared.items()}
    most = min(jobs or cores(), cores(), len(inputs))
    done: dict[str, VariantRun] = {}

    def book(name: str, outcome: VariantRun | Failure) -> None:
        if isinstance(outcome, Failure):
            raise type(outcome.fault)(f"variant {name}: {outcome.reason}")
        done[name] = outcome
        tell(f"{name}: run ({len(done)} of {len(inputs)})", quiet=quiet)

    if most == 1:
        for name in inputs:
            book(name, run_variant(inputs, name))
    else:
        spread(
            {name: name for name in inputs}, run_variant, where=Where(jobs=most), on_done=book, shared=inputs
        )
    found.runs.update({name: done[name] for name in inputs})


def written_down(found: Field, base: Wishes, ledger: Ledger) -> int:
    """Write every variant into the ledger of trials; how many distinct ones these minutes have seen with them.

    Raises:
        ModelError: The ledger is damaged.
        StorageError: The disk refused.
    """
    from models.hashing import data_digest
    from models.trials import count_distinct, read_trials, record_trial, trials_overlapping

    earlier = read_trials(ledger.root)
    data = data_digest(next(iter(found.prepared.values())).data.candles)
    trials = [
        _trial(name, one, found.runs[name], base, ledger.at_ms, data) for name, one in found.prepared.items()
    ]
    first = trials[0]
    before = trials_overlapping(earlier, first.test_from_ms, first.test_until_ms)
    for trial in trials:
        record_trial(ledger.root, trial)
    return count_distinct([*before, *trials])


def _trial(name: str, one: Prepared, run: VariantRun, base: Wishes, at_ms: int, data: str) -> Trial:
    """The look at one variant: its digest is that of everything that decides what is traded."""
    from models.hashing import canonical_json, sha256
    from models.trials import Trial, minutes_range

    told = {
        "strategies": {symbol: [*choice[:2], dict(choice[2])] for symbol, choice in one.choices.items()},
        "settings": one.settings.model_dump(
            mode="json", include={"costs", "risk", "sizing", "entry", "account"}
        ),
        "rules": {symbol: asdict(rules) for symbol, rules in one.data.config.instruments.items()},
        "funding": [str(text) for text in base.funding],
        "predictions": {symbol: _digest(columns) for symbol, columns in one.data.predictions.items()},
    }
    times = [arrays.ts for arrays in one.data.candles.values()]
    bounds = minutes_range(min(int(ts[0]) for ts in times), max(int(ts[-1]) for ts in times))
    trial = Trial("comparison", at_ms, one.strategy, sha256(canonical_json(told)), data, *bounds)
    return replace(trial, sharpe=run.daily_sharpe, note=f"variant {name}")


def _digest(columns: PredictionColumns) -> str:
    """SHA-256 of the predictions of one symbol."""
    from models.hashing import sha256

    further = (columns.uncertainty, columns.volatility)
    parts = [columns.ts.tobytes(), columns.expected_return.tobytes()]
    parts += [b"" if column is None else column.tobytes() for column in further]
    return sha256(b";".join(parts))


def document_of(found: Field, comparison: Comparison, trials: int, *, simulated: bool) -> dict[str, Any]:
    """Everything as JSON values."""
    from backtests.comparison import best_words, sentence_of
    from bot.candles.columns import iso_utc
    from bot.core.market import MINUTE_MS

    data = next(iter(found.prepared.values())).data
    times = [arrays.ts for arrays in data.candles.values()]
    verdicts = [sentence_of(name, comparison) for name in comparison.differences]
    own = [f"{name}: {words}" for name, run in found.runs.items() for words in run.warnings]
    return {
        "simulated_market": simulated,
        "symbols": list(data.symbols),
        "from": iso_utc(min(int(ts[0]) for ts in times)),
        "to": iso_utc(max(int(ts[-1]) for ts in times) + MINUTE_MS),
        "candles": sum(map(len, times)),
        "baseline": comparison.baseline,
        "variants": [
            _variant_json(name, one, found.runs[name], comparison) for name, one in found.prepared.items()
        ],
        "superior_ability_p": comparison.superiority._asdict(),
        "comparisons": comparison.comparisons,
        "trials": trials,
        "verdicts": [*verdicts, best_words(comparison)],
        "warnings": [*found.shared_warnings, *own],
    }


def _variant_json(name: str, one: Prepared, run: VariantRun, comparison: Comparison) -> dict[str, Any]:
    """One variant with all that is known of it."""
    difference = comparison.differences.get(name)
    told: Mapping[str, PredictionColumns] = one.data.predictions
    return {
        "name": name,
        "strategy": one.strategy,
        "parameters": one.parameters,
        "predictions": sorted({columns.model_id for columns in told.values()}),
        **run.figures,
        "null_because": run.reasons,
        "difference": None
        if difference is None
        else {**asdict(difference), "excludes_zero": difference.excludes_zero},
    }
