"""Adapting: what changed a little is sent as if it had been learnt from the start."""

from hypothesis import HealthCheck, given, settings, strategies as st

from agent.exposition import metrics, model, target_state, translate
from tests.fakes import scrape_histories as histories
from tests.fakes.scrape_histories import OPEN, TEXT, Step

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
ORIGIN = metrics.Origin.of(
    job="j", instance="i", scope=("agent", "1"), attributes={}, labels={"service": "s"}
)
STEPS = st.builds(
    Step, st.integers(0, len(histories.CHANGES) - 1), st.integers(0, 250), st.integers(0, 9)
)
DOINGS = st.sampled_from(["", "", "", "", "", "back", "back", "afresh", "miss", "refused"])
HISTORIES = st.lists(st.tuples(st.lists(STEPS, max_size=3), DOINGS), min_size=1, max_size=20)
TERMS = st.builds(
    target_state.Terms,
    limits=st.sampled_from(
        [
            model.Limits(),
            model.Limits(samples=60),
            model.Limits(labels=4, label_value_bytes=150, label_name_bytes=15),
        ]
    ),
    rules=st.builds(
        translate.Rules,
        honor_labels=st.booleans(),
        prefixes=st.sampled_from([(), (), (b"a", b"h", b"n", b"fr")]),
        without=st.sampled_from([(), (), ((b"envoy", b"yes"), (b"x", b"3"))]),
    ),
    drop_lines=st.booleans(),
    honor_timestamps=st.booleans(),
    track_timestamps=st.booleans(),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(30, 200), st.sampled_from([TEXT, OPEN]), TERMS, HISTORIES)
def test_whatever_changes_it_is_sent_as_if_it_had_been_learnt_anew(
    size, form, terms, history
) -> None:
    lines = histories.base(size, form)
    state = target_state.TargetState(ORIGIN, terms)
    forgetful = histories.Forgetful(ORIGIN, terms)
    time = NOW
    for steps, doing in [([], ""), *history]:
        former = lines
        for step in steps:
            lines = histories.change(lines, step)
        time += SECOND
        if doing == "miss":
            assert histories.told(state.miss("x", time, 0.1)) == histories.told(
                forgetful.miss("x", time, 0.1)
            )
        body = histories.body(lines)
        found, owed = (s.accept(body, time, 0.1, form) for s in (state, forgetful))
        assert histories.told(found) == histories.told(owed), body
        if doing == "refused":
            state.refused()
            forgetful.refused()
        if doing == "back":
            lines = former
        if found.error or doing == "afresh":  # what is wrong would stay so
            lines = histories.base(size, form)
    assert histories.told(state.vanish(time)) == histories.told(forgetful.vanish(time))
