"""Targets that are gone are marked stale when their next two ticks have passed without them."""

from dataclasses import replace

from agent import targets
from agent.exposition import metrics, target_state
from agent.scraping import leaving
from agent.scraping.schedule import Grid
from agent.scraping.state import State

SECOND = 1_000_000_000
GRID = Grid(interval=10 * SECOND, offset=3 * SECOND)


def state(url: str = "http://x/metrics", *, last: int = 3, following: int = 13) -> State:
    target = targets.Target(
        url=url, job="j", instance="x", subject="s", attributes=(), interval=10, timeout=1
    )
    return State(target, last_scrape=last * SECOND, next_scrape=following * SECOND)


def memory() -> target_state.TargetState:
    origin = metrics.Origin.of(job="j", instance="x", scope=("s", "1"), attributes={}, labels={})
    return target_state.TargetState(origin, target_state.Terms())


def leaver(url: str) -> leaving.Leaver:
    found = leaving.leaver(state(url), memory(), GRID, 5 * SECOND)
    assert found is not None
    return found


def times(found: leaving.Leaver | None) -> tuple[float, float] | None:
    return found and (found.stamp / SECOND, found.due / SECOND)


def test_the_markers_have_the_time_of_the_next_tick_and_wait_for_one_more_and_a_tenth() -> None:
    assert times(leaving.leaver(state(), memory(), GRID, 5 * SECOND)) == (13.0, 24.0)


def test_a_scrape_under_way_is_lost_and_its_tick_taken() -> None:
    assert times(leaving.leaver(state(), memory(), GRID, 14 * SECOND)) == (23.0, 34.0)


def test_a_clock_that_was_set_back_does_not_put_the_end_far_away() -> None:
    late = state(following=10_003)
    assert times(leaving.leaver(late, memory(), GRID, 5 * SECOND)) == (13.0, 24.0)


def test_who_was_never_scraped_just_goes() -> None:
    assert leaving.leaver(state(last=0), memory(), GRID, 5 * SECOND) is None


def test_the_api_server_goes_without_markers_for_another_agent_scrapes_it_at_the_same_ticks() -> (
    None
):
    one = state()
    one.target = replace(one.target, kind="apiserver")
    assert leaving.leaver(one, memory(), GRID, 5 * SECOND) is None


def test_who_has_the_same_series_goes_on_with_them() -> None:
    all_of_them, one = leaving.Leavers(3), leaver("http://a/m")
    all_of_them.add(one)
    other = state("http://b/m").target
    assert all_of_them.back(other) is None
    assert all_of_them.back(one.target) is one
    assert all_of_them.back(one.target) is None
    assert len(all_of_them) == 0


def test_who_waits_longest_makes_room() -> None:
    all_of_them = leaving.Leavers(2)
    a, b, c = (leaver(f"http://{name}/m") for name in "abc")
    assert [all_of_them.add(one) for one in (a, b, c)] == [None, None, a]
    assert len(all_of_them) == 2
    all_of_them.take(b)
    assert [all_of_them.back(one.target) for one in (a, b, c)] == [None, None, c]
