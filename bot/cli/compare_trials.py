"""A comparison's models as trials in the ledger: each one compared is one more that could have won by luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.comparison import Standing
    from models.out_of_sample import Moments
    from models.passport import ModelPassport
    from models.trials import Ledger, Trial

Key = tuple[str, str]
"""Name and ground of a contender."""


def look_at(passport: ModelPassport, moments: Moments, at_ms: int, data: str) -> Trial:
    """The look at a model, before anything is known of its outcome.

    Args:
        passport: Of the model.
        moments: What it is compared on.
        at_ms: The time to write down, ms UTC.
        data: SHA-256 of the candles.
    """
    from models.assessment import tried_digest
    from models.trials import Subject, minutes_range

    digest = tried_digest(passport)
    subject = Subject("comparison", at_ms, passport.recipe, digest, data, passport.model_id)
    return subject.trial(*minutes_range(int(moments.ts.min()), int(moments.ts.max())))


def trial_count(looks: Mapping[Key, Trial], earlier: Sequence[Trial]) -> int:
    """How many different things were tried on the minutes compared, these models among them."""
    from models.trials import count_distinct, trials_overlapping

    now = list(looks.values())
    before = {
        other for one in now for other in trials_overlapping(earlier, one.test_from_ms, one.test_until_ms)
    }
    return count_distinct([*before, *now])


def write_down(standings: Sequence[Standing], looks: Mapping[Key, Trial], ledger: Ledger) -> None:
    """Write each model's look into the ledger, with its gain.

    Raises:
        StorageError: The disk refused.
    """
    from models.trials import record_trial

    for standing in standings:
        trial = looks.get((standing.contender.name, standing.contender.ground))
        if trial is not None:
            gain = None if standing.skill is None else standing.skill.gain
            record_trial(ledger.root, replace(trial, gain_millinats=None if gain is None else gain.value))
