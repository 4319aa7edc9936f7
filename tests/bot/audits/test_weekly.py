"""The weekly pipeline on one market: promotes a planted edge, refuses noise, and takes out a model whose edge turned."""

import pytest

from bot.audits.martingales import martingale
from bot.audits.paths import WEEK_MINUTES, PathAudit, PlantedMarket
from bot.audits.weekly import WeeklyAudit, weekly_audit
from bot.core.matching import Costs
from bot.errors import ConfigError

SYMBOL = "BTC/USDT"


def _told(share: float, words: str) -> None:
    """Nobody is told."""


def _minutes(audit: WeeklyAudit) -> int:
    return audit.history_minutes + (audit.weeks - 1) * WEEK_MINUTES + audit.watch_minutes + 60


def test_a_planted_edge_is_promoted_and_taken_out_when_it_turns():
    """An edge of 53 % is promoted as soon as there are eight weeks; turned, it is cut to half and then to nothing."""
    audit = weekly_audit(weeks=8, watch_minutes=4 * 1440)
    size = _minutes(audit)
    flip = audit.history_minutes + (audit.weeks - 1) * WEEK_MINUTES
    found = audit(PlantedMarket(0.53, size, flip).series(11), Costs(), 11, _told)
    assert found.promoted_week == 8
    assert found.stopped_by == {"weeks": 7, "minutes": 1, "positive_weeks": 7}
    assert found.half_after_minutes is not None
    assert found.flat_after_minutes is not None
    assert found.half_after_minutes <= found.flat_after_minutes <= 3 * 1440


def test_noise_is_refused_every_week():
    """On a martingale no week promotes, and the reasons are counted."""
    audit = weekly_audit(weeks=9)
    candles = martingale("garch_t", minutes=_minutes(audit), seed=5)
    found = audit({SYMBOL: candles}, Costs(), 5, _told)
    assert found.promoted_week is None
    assert found.decisions == 9
    assert sum(found.stopped_by.get(name, 0) for name in ("gain", "slope", "positive_weeks")) >= 2


def test_it_is_an_audit_of_paths_that_other_settings_tell_apart():
    """It fits the protocol, and its settings name all that an outcome depends on."""
    one, other = weekly_audit(weeks=12), weekly_audit(weeks=13)
    assert isinstance(one, PathAudit)
    assert one.settings != other.settings
    assert {"rules", "watch", "horizon", "model"} <= set(one.settings)


def test_an_unknown_model_is_refused():
    """A model that there is none of is named in a sentence."""
    with pytest.raises(ConfigError, match="fast or lstm"):
        weekly_audit(model="oracle")
