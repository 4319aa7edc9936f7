"""``bot shadow-replay``: a recorded day decided once more, and compared; the daemon runs it every night."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.watch import DEFAULT_STATE_DIR, StateDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backtests.overlay_run import OverlayRun
    from backtests.recorded import Recording
    from bot.cli.report_forecasts import ForecastCheck

MOST_LISTED = 10


def shadow_replay(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    date: Annotated[
        str, typer.Option("--date", metavar="DATE", help="The day, UTC; today and yesterday are days too.")
    ] = "yesterday",
    models_root: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models (default: STATE_DIR/models)."),
    ] = None,
    forecasts: Annotated[
        bool, typer.Option("--forecasts/--no-forecasts", help="Make the forecasts again too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")] = False,
) -> None:
    """Decide a recorded day once more and compare every decision, order and minute; 8 is the exit code of a difference.

    The result is kept in STATE_DIR/replays. What commands, restarts, lateness and the like account for is explained and
    no difference. The bot may be running; it does this each night by itself (docs/service.md).

    Example: bot shadow-replay --state-dir var --date yesterday
    """
    from bot.cli.data_tables import failed_after_json, print_json
    from bot.errors import DifferenceError

    row = replay_day(state_dir, date, models_root or state_dir / "models", forecasts=forecasts)
    keep(state_dir, row)
    if as_json:
        print_json(row)
    else:
        typer.echo(_sentence(row))
        for note in row["notes"]:
            typer.echo(f"note: {note}")
    if row["unexplained"]:
        fault = DifferenceError(
            f"{row['date']}: {row['unexplained']} differences are not explained; the first: {row['first_unexplained']}"
        )
        raise failed_after_json(fault) if as_json else fault


def replay_day(state_dir: Path, date: str, models_root: Path, *, forecasts: bool) -> dict[str, Any]:
    """Replay a day; returns what came of it as JSON values.

    Raises:
        DataError: Nothing was decided on that day.
        UsageError: It is no day.
        DifferenceError: The journal can't be followed up to where the day begins.
    """
    from backtests.decision_code import decision_code
    from backtests.overlay_run import overlay, with_more
    from bot.candles.columns import iso_utc
    from bot.cli.report_forecasts import check_forecasts
    from bot.cli.report_input import Stretch, moment, open_recording, rules_maker
    from bot.clock import monotonic_ns
    from bot.core.market import DAY_MS
    from bot.errors import UsageError

    began_ns = monotonic_ns()
    since_ms = moment("--date", date, 0)
    if since_ms % DAY_MS:
        raise UsageError(f"--date {date}: write a day, such as 2024-01-31")
    recording = open_recording(state_dir, Stretch(iso_utc(since_ms), iso_utc(since_ms + DAY_MS)))
    laid = overlay(recording, rules_maker(recording.run_id), code=decision_code())
    check = check_forecasts(recording, models_root) if forecasts else None
    if check is not None:
        laid = with_more(laid, check.differences)
    seconds = round((monotonic_ns() - began_ns) / 1e9, 1)
    return {"date": iso_utc(since_ms)[:10], **_row(recording, laid, check), "seconds": seconds}


def _row(recording: Recording, laid: OverlayRun, check: ForecastCheck | None) -> dict[str, Any]:
    from bot.candles.columns import iso_utc

    told = laid.overlay.to_json(MOST_LISTED)
    notes = [*told.pop("notes"), *(check.notes if check is not None else ())]
    return {
        "since": iso_utc(recording.since_ms),
        "until": iso_utc(recording.until_ms),
        "mode": recording.mode,
        "simulated": recording.is_simulated,
        "minutes": len(laid.recorded_ts),
        **told,
        "forecasts_checked": 0 if check is None else check.checked,
        "notes": notes,
    }


def keep(state_dir: Path, row: Mapping[str, Any]) -> None:
    """Write a result into the state folder, in one step; raises StorageError where the disk refuses."""
    import orjson

    from bot.errors import StorageError

    target = state_dir / "replays" / f"{row['date']}.json"
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(orjson.dumps(row, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):  # the first fault is the one to tell
            partial.unlink(missing_ok=True)
        raise StorageError(f"{target}: the disk refused it ({error.strerror or error})") from error


def _sentence(row: Mapping[str, Any]) -> str:
    compared = row["compared"]
    what = (
        f"{row['date']}: {row['minutes']:,} minutes decided once more, {compared.get('decision', 0):,} decisions, "
        f"{compared.get('fill', 0):,} orders that filled, {row['forecasts_checked']:,} forecasts made again"
    )
    if not row["differences"]:
        return f"{what}: all the same"
    causes = ", ".join(
        f"{sum(one['differences'].values()):,} {one['means']}"
        for one in row["by_cause"].values()
        if one["differences"]
    )
    return f"{what}; {row['differences']:,} differ from a plain backtest: {causes}"
