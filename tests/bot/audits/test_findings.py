"""What is counted out of the paths: false promotions, power by week, reaction to a turned edge."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from bot.audits.findings import noise_finding, planted_finding, proportion, refusals
from bot.audits.paths import PathResult
from bot.audits.power_page import power_page


def path(seed: int, week: int | None = None, **told) -> PathResult:
    """A path of 26 decisions."""
    return PathResult(seed, "garch_t", week, 26, **told)


@pytest.mark.parametrize(("count", "total"), [(0, 200), (1, 200), (4, 200), (37, 50), (50, 50), (1, 1)])
def test_intervals_are_wilsons(count, total):
    """The interval is that of an independent library."""
    found = proportion(count, total)
    other = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)
    assert found.share == count / total


def test_of_nothing_nothing_is_known():
    """No path, no share: anything is possible."""
    found = proportion(0, 0)
    assert (found.share, found.low, found.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("promoted", "paths", "passed"), [(4, 200, True), (5, 200, False), (0, 20, True), (1, 20, False)]
)
def test_two_in_a_hundred_may_be_promoted_by_chance(promoted, paths, passed):
    """4 of 200 pass, 5 do not; of twenty not one may be."""
    results = [path(seed, 9 if seed < promoted else None) for seed in range(paths)]
    found = noise_finding("garch_t", results)
    assert (found.promoted.count, found.promoted.total, found.passed) == (promoted, paths, passed)
    assert found.promoted_seeds == tuple(range(promoted))
    assert found.decisions == 26 * paths
    json.dumps(found.as_json(), allow_nan=False)


def test_no_path_passes_nothing():
    """An audit of nothing shows nothing."""
    assert not noise_finding("garch_t", []).passed
    assert not planted_finding(0.52, [], weeks=12, flipped=True).passed


def test_refusals_are_shares_of_the_decisions_of_paths_never_promoted_on():
    """Tests are ordered by how often they refused; what a promoted path was refused by does not count."""
    results = [
        path(1, stopped_by={"gain": 26, "slope": 13}),
        path(2, stopped_by={"slope": 13, "trades": 26, "gain": 13}),
        path(3, 20, stopped_by={"minutes": 7}),
    ]
    assert refusals(results) == {"gain": 39 / 52, "slope": 0.5, "trades": 0.5}
    assert list(refusals(results)) == ["gain", "slope", "trades"]
    assert refusals(results[2:]) == {}


def test_power_is_the_share_promoted_by_each_week():
    """A path counts from the week in which it was promoted on."""
    found = planted_finding(0.51, [path(1, 8), path(2, 10), path(3, 13), path(4)], weeks=12, flipped=False)
    assert {week: share.count for week, share in found.power.items()} == {8: 1, 9: 1, 10: 2, 11: 2, 12: 2}
    assert found.reaction is None
    assert found.passed  # 51 % need not be found
    assert list(planted_finding(0.51, [path(1, 2)], weeks=3, flipped=False).power) == [3]


@pytest.mark.parametrize(("promoted", "passed"), [(49, True), (48, False)])
def test_an_edge_of_52_must_be_found_on_98_of_a_hundred_paths(promoted, passed):
    """49 of 50 pass, 48 do not."""
    results = [path(seed, 12 if seed < promoted else None) for seed in range(50)]
    assert planted_finding(0.52, results, weeks=12, flipped=False).passed is passed


def test_reactions_are_counted_over_promoted_paths_that_were_still_trading():
    """A champion out before the turn is a false alarm; one out of trading is at half size too; never is no minute."""
    results = [
        path(1, 8, half_after_minutes=700, flat_after_minutes=3000),
        path(2, 8, half_after_minutes=None, flat_after_minutes=1200),
        path(3, 9, half_after_minutes=1441, flat_after_minutes=4320),
        path(4, 9, half_after_minutes=-30, flat_after_minutes=-30),
        path(5, None, half_after_minutes=1, flat_after_minutes=1),
    ]
    found = planted_finding(0.53, results[:4], weeks=12, flipped=True)
    reaction = found.reaction
    assert reaction is not None
    assert (reaction.early.count, reaction.early.total) == (1, 4)
    assert (reaction.half_in_time.count, reaction.half_in_time.total) == (2, 3)
    assert (reaction.flat_in_time.count, reaction.flat_in_time.total) == (3, 3)
    assert (reaction.half_median, reaction.half_worst) == (1200.0, 1441.0)
    assert (reaction.flat_median, reaction.flat_worst) == (3000.0, 4320.0)
    assert not found.passed  # one was a minute late
    assert planted_finding(0.51, [*results[:2], results[4]], weeks=12, flipped=True).passed
    json.dumps(found.as_json(), allow_nan=False)


def test_a_champion_that_is_never_taken_out_has_no_minute():
    """None for never, and that does not pass."""
    found = planted_finding(0.53, [path(1, 8, half_after_minutes=5)], weeks=12, flipped=True)
    assert found.reaction is not None
    assert (found.reaction.half_worst, found.reaction.flat_worst) == (5.0, None)
    assert not found.passed
    gone = planted_finding(0.53, [path(1, 8, flat_after_minutes=0)], weeks=12, flipped=True)
    assert gone.reaction is not None
    assert (gone.reaction.early.count, gone.reaction.half_median) == (1, None)


def test_the_page_holds_every_curve_and_needs_no_network():
    """Each edge is a curve; the script is inside."""
    found = [planted_finding(size, [path(1, 8), path(2)], weeks=12, flipped=False) for size in (0.51, 0.52)]
    page = power_page(found, about="two <paths>")
    assert "51.0% right, 2 paths" in page
    assert "52.0% right, 2 paths" in page
    assert "two &lt;paths&gt;" in page
    assert len(page) > 1_000_000
    assert "<script src=" not in page
