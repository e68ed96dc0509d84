"""A target's ticks are its own, never move, and never overlap."""

from hypothesis import given, strategies as st

from agent.scraping import schedule
from agent.scraping.schedule import Grid

SECOND = 1_000_000_000
TIMES = st.integers(1_600_000_000 * SECOND, 1_900_000_000 * SECOND)
GRIDS = st.builds(
    schedule.grid,
    st.text(max_size=20),
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=2),
    st.floats(0.1, 86_400),
)


@given(GRIDS, TIMES)
def test_the_next_tick_is_on_the_grid_and_within_an_interval(grid: Grid, now: int) -> None:
    tick = grid.after(now)
    assert 0 < tick - now <= grid.interval
    assert tick % grid.interval == grid.offset
    assert tick % schedule.MILLISECOND == 0


def test_a_restart_finds_the_same_ticks_and_the_order_of_labels_means_nothing() -> None:
    labels = [("a", "1"), ("b", "2")]
    assert schedule.grid("u", labels, 30) == schedule.grid("u", labels[::-1], 30)
    assert schedule.grid("u", labels, 30) != schedule.grid("v", labels, 30)
    assert schedule.grid("u", [("a", "1")], 30) != schedule.grid("u", [("a", "2")], 30)


def test_targets_spread_over_the_interval() -> None:
    offsets = [schedule.grid(f"http://10.0.0.{i}/", (), 10).offset for i in range(1000)]
    tenths = [sum(offset // SECOND == tenth for offset in offsets) for tenth in range(10)]
    assert min(tenths) > 60
    assert max(tenths) < 140


@given(GRIDS, TIMES, st.integers(0, 10), st.floats(0, 0.99))
def test_missed_ticks_are_counted_and_not_made_up_for(
    grid: Grid, now: int, missed: int, beyond: float
) -> None:
    tick = grid.after(now)
    end = tick + missed * grid.interval + int(beyond * grid.interval)
    following, counted = grid.following(tick, end)
    assert counted == missed
    assert following == grid.after(end)


def test_an_early_timer_does_not_repeat_its_tick() -> None:
    grid = Grid(interval=SECOND, offset=0)
    assert grid.following(10 * SECOND, 10 * SECOND - 400_000) == (11 * SECOND, 0)


def test_a_clock_set_back_starts_the_grid_anew() -> None:
    grid = Grid(interval=SECOND, offset=0)
    assert grid.following(100 * SECOND, 50 * SECOND + 1) == (51 * SECOND, 0)


def test_a_punctual_scrape_is_written_at_its_tick_and_a_late_one_at_its_time() -> None:
    grid = Grid(interval=30 * SECOND, offset=0)
    tick = 60 * SECOND
    assert grid.timestamp(tick, tick + 1_900_000) == tick
    assert grid.timestamp(tick, tick - 1_900_000) == tick
    assert grid.timestamp(tick, tick + 5_700_000) == tick + 5_000_000
    fast = Grid(interval=SECOND // 10, offset=0)  # 1 % of it is less than 2 ms
    assert fast.timestamp(tick, tick + 1_900_000) == tick + 1_000_000
