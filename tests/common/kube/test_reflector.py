from collections.abc import Callable

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.kube import objects, reflector

PACE = reflector.Pace(page_items=2, first_pause=1.0, longest_pause=8.0, watch_for=100)


def fresh(random: Callable[[], float] = lambda: 1.0, **pace: object) -> reflector.Reflector[str]:
    return reflector.Reflector(PACE if not pace else reflector.Pace(**pace), random)


def page(*items: str, version: str = "5", next_page: str = "") -> objects.Page[str]:
    return objects.Page(items=items, version=version, next_page=next_page)


def event(
    verb: objects.Verb, item: str | None = None, version: str = ""
) -> objects.WatchEvent[str]:
    return objects.WatchEvent(verb=verb, item=item, version=version)


def gone() -> objects.WatchEvent[str]:
    return objects.WatchEvent(verb="ERROR", error=objects.Status(code=410, reason="Expired"))


def watching(version: str = "5") -> reflector.Reflector[str]:
    state = fresh()
    state.listed(page("a", version=version))
    assert state.next_step() == reflector.Watch(version=version, timeout=150)
    return state


def test_it_starts_with_the_first_page_of_the_newest_list() -> None:
    assert fresh().next_step() == reflector.ListPage(next_page="", version="", limit=2)


def test_the_first_list_may_come_from_the_cache_and_no_later_one() -> None:
    state = fresh(stale_first_list=True)
    assert state.next_step() == reflector.ListPage(next_page="", version="0", limit=500)
    state.listed(page("a"))
    state.failed(status=410)
    assert isinstance(state.next_step(), reflector.Pause)
    assert state.next_step() == reflector.ListPage(next_page="", version="", limit=500)


def test_pages_become_one_change() -> None:
    state = fresh()
    assert state.listed(page("a", "b", next_page="t")) is None
    assert not state.synced
    assert state.next_step() == reflector.ListPage(next_page="t", version="", limit=2)
    assert state.listed(page("c", version="9")) == reflector.Replaced(("a", "b", "c"))
    assert state.synced
    assert state.next_step() == reflector.Watch(version="9", timeout=150)


def test_events_become_changes_and_move_the_version() -> None:
    state = watching()
    assert state.heard(event("ADDED", "b", "6")) == reflector.Added("b")
    assert state.heard(event("MODIFIED", "b", "7")) == reflector.Modified("b")
    assert state.heard(event("DELETED", "b", "8")) == reflector.Deleted("b")
    assert state.heard(event("BOOKMARK", version="20")) is None
    state.closed(lasted=0.1)
    assert state.next_step() == reflector.Watch(version="20", timeout=150)


def test_a_broken_watch_resumes_where_it_was_after_a_pause() -> None:
    state = watching()
    state.heard(event("ADDED", "b", "6"))
    state.failed()
    assert state.next_step() == reflector.Pause(seconds=1.0)
    assert state.next_step() == reflector.Watch(version="6", timeout=150)


def test_410_lists_anew_whether_as_a_status_or_as_an_event() -> None:
    for tell in (lambda s: s.failed(status=410), lambda s: s.heard(gone())):
        state = watching()
        tell(state)
        assert isinstance(state.next_step(), reflector.Pause)
        assert state.next_step() == reflector.ListPage(next_page="", version="", limit=2)
        assert state.listed(page("z")) == reflector.Replaced(("z",))
        assert state.restarts == 1


def test_an_expired_page_token_forgets_the_pages_at_hand() -> None:
    state = fresh()
    state.listed(page("a", "b", next_page="t"))
    state.failed(status=410)
    state.next_step()
    assert state.listed(page("a")) == reflector.Replaced(("a",))


def test_a_failed_page_is_asked_for_again() -> None:
    state = fresh()
    state.listed(page("a", "b", next_page="t"))
    state.failed(status=500)
    state.next_step()
    assert state.next_step() == reflector.ListPage(next_page="t", version="", limit=2)
    assert state.listed(page("c")) == reflector.Replaced(("a", "b", "c"))


def test_other_error_events_resume() -> None:
    state = watching()
    state.heard(objects.WatchEvent(verb="ERROR", error=objects.Status(code=500)))
    state.next_step()
    assert state.next_step() == reflector.Watch(version="5", timeout=150)


def pauses(state: reflector.Reflector[str], failures: int) -> list[float]:
    found = []
    for _ in range(failures):
        state.failed()
        step = state.next_step()
        assert isinstance(step, reflector.Pause)
        found.append(step.seconds)
    return found


def test_pauses_double_up_to_the_longest() -> None:
    assert pauses(fresh(), 6) == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert len(pauses(fresh(), 2000)) == 2000


def test_pauses_are_jittered_down_to_a_half() -> None:
    assert pauses(fresh(lambda: 0.0), 5) == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_news_end_the_row_of_failures_but_a_list_does_not() -> None:
    state = watching()
    pauses(state, 3)
    state.failed(status=410)
    assert state.next_step() == reflector.Pause(seconds=8.0)
    state.listed(page("a"))
    assert state.attempts == 4
    state.heard(event("BOOKMARK", version="6"))
    assert state.attempts == 0


def test_the_server_may_ask_for_a_longer_pause() -> None:
    state = fresh()
    state.failed(status=429, at_least=17.0)
    assert state.next_step() == reflector.Pause(seconds=17.0)


def test_a_watch_that_ends_at_once_in_silence_counts_as_a_failure() -> None:
    state = watching()
    state.closed(lasted=0.2)
    assert state.next_step() == reflector.Pause(seconds=1.0)


def test_a_quiet_watch_that_lasted_is_opened_again_at_once() -> None:
    state = watching()
    state.closed(lasted=140.0)
    assert isinstance(state.next_step(), reflector.Watch)


def test_pages_that_are_too_large_shrink_and_recover() -> None:
    state = fresh()
    limits = []
    for _ in range(3):
        state.failed(too_large=True)
        state.next_step()
        step = state.next_step()
        assert isinstance(step, reflector.ListPage)
        limits.append(step.limit)
    assert limits == [1, 1, 1]
    state.listed(page("a"))
    state.failed(status=410)
    state.next_step()
    assert state.next_step() == reflector.ListPage(next_page="", version="", limit=2)


class FollowsAServer(RuleBasedStateMachine):
    """Whatever fails in between, following a changing collection ends with its contents."""

    def __init__(self) -> None:
        super().__init__()
        self.truth: set[str] = set()
        self.history: list[tuple[objects.Verb, str]] = []  # version n is after n entries
        self.oldest = 0
        self.copy: set[str] = set()
        self.open_at: int | None = None
        self.snapshot: tuple[list[str], int] | None = None

    @initialize(half=st.booleans())
    def begin(self, *, half: bool) -> None:
        self.state = fresh(lambda: 0.5 if half else 0.0)

    @rule(name=st.sampled_from("abcde"))
    def change(self, name: str) -> None:
        verb: objects.Verb = "DELETED" if name in self.truth else "ADDED"
        self.truth ^= {name}
        self.history.append((verb, name))

    @rule()
    def compact(self) -> None:
        self.oldest = len(self.history)

    @precondition(lambda self: self.open_at is None)
    @rule()
    def step(self) -> None:
        match self.state.next_step():
            case reflector.Pause(seconds=seconds):
                assert 0 < seconds <= 8
            case reflector.ListPage(next_page="", limit=limit):
                self.snapshot = (sorted(self.truth), len(self.history))
                self._page(0, limit)
            case reflector.ListPage(next_page=token, limit=limit):
                assert self.snapshot is not None
                if self.snapshot[1] < self.oldest:
                    self.state.failed(status=410)
                else:
                    self._page(int(token), limit)
            case reflector.Watch(version=version):
                if int(version) < self.oldest:
                    self.state.failed(status=410)
                else:
                    self.open_at = int(version)

    def _page(self, start: int, limit: int) -> None:
        assert self.snapshot is not None
        items, version = self.snapshot
        rest = start + limit < len(items)
        read = page(
            *items[start : start + limit],
            version=str(version),
            next_page=str(start + limit) if rest else "",
        )
        self._apply(self.state.listed(read))

    def _apply(self, change: reflector.Change[str] | None) -> None:
        match change:
            case reflector.Replaced(items=items):
                self.copy = set(items)
            case reflector.Added(item=item):
                assert item not in self.copy
                self.copy.add(item)
            case reflector.Deleted(item=item):
                self.copy.remove(item)

    @precondition(lambda self: self.open_at is not None)
    @rule()
    def deliver(self) -> None:
        assert self.open_at is not None
        if self.open_at < len(self.history):
            verb, name = self.history[self.open_at]
            self.open_at += 1
            self._apply(self.state.heard(event(verb, name, str(self.open_at))))

    @precondition(lambda self: self.open_at is not None)
    @rule(how=st.sampled_from(["closed", "broken", "expired", "bookmark"]))
    def disturb(self, how: str) -> None:
        if how == "bookmark":
            self.state.heard(event("BOOKMARK", version=str(self.open_at)))
            return
        self.open_at = None
        if how == "closed":
            self.state.closed(lasted=0.0)
        elif how == "broken":
            self.state.failed()
        else:
            self.state.heard(gone())

    @rule()
    def unreachable(self) -> None:
        self.open_at = None
        self.state.failed()

    @invariant()
    def what_is_known_was_true_at_the_version(self) -> None:
        if self.open_at is not None:
            expected: set[str] = set()
            for _, name in self.history[: self.open_at]:
                expected ^= {name}
            assert self.copy == expected

    def teardown(self) -> None:
        for _ in range(100):
            if self.open_at is None:
                self.step()
        while self.open_at is not None and self.open_at < len(self.history):
            self.deliver()
        assert self.copy == self.truth


FollowsAServer.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestFollowsAServer = FollowsAServer.TestCase


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 5000))
def test_watches_do_not_all_end_together(random: float, seconds: int) -> None:
    state = fresh(lambda: random, watch_for=seconds)
    state.listed(page())
    step = state.next_step()
    assert isinstance(step, reflector.Watch)
    assert seconds <= step.timeout <= seconds * 1.5


def test_a_change_is_carried_out_by_the_one_that_it_needs() -> None:
    def carry_out(change: reflector.Change[int]) -> tuple[str, object]:
        return reflector.applied(
            change,
            lambda items: ("replace", items),
            lambda item: ("put", item),
            lambda item: ("remove", item),
        )

    assert carry_out(reflector.Replaced((1, 2))) == ("replace", (1, 2))
    assert carry_out(reflector.Added(1)) == carry_out(reflector.Modified(1)) == ("put", 1)
    assert carry_out(reflector.Deleted(1)) == ("remove", 1)


@given(items=st.lists(st.integers(), min_size=1).map(tuple))
def test_a_change_of_items_is_the_same_change_of_what_is_made_of_them(items) -> None:
    kinds: list[Callable[[int], reflector.Change[int]]] = [
        reflector.Added,
        reflector.Modified,
        reflector.Deleted,
    ]
    for kind in kinds:
        assert reflector.converted(kind(items[0]), str) == kind(str(items[0]))
    expected = reflector.Replaced(tuple(map(str, items)))
    assert reflector.converted(reflector.Replaced(items), str) == expected
