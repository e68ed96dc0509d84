"""Guards of a target that changes a little: beside learning it anew, and beside one that stays."""

from collections.abc import Callable

from agent.exposition import model, target_state
from bench import expositions
from bench.test_exposition import NOW, ORIGIN

SAMPLES = 10_000
CHANGED = SAMPLES // expositions.CHURN


def bodies() -> tuple[bytes, bytes]:
    """Return two bodies, of which each has a hundredth of series that the other has not."""
    following = expositions.Churning(SAMPLES, 0)
    following()
    return following(), following()


def changing() -> Callable[[], list[target_state.Outcome]]:
    """Return what turns a target from the one to the other, and back."""
    first, second = bodies()
    state = target_state.TargetState(ORIGIN, target_state.Terms())
    state.accept(first, NOW, 0.1)

    def there_and_back() -> list[target_state.Outcome]:
        return [state.accept(body, NOW, 0.1) for body in (second, first)]

    return there_and_back


def test_exposition_accept_changed_beside_new(guard) -> None:
    first, second = bodies()
    subject = changing()
    told = subject()
    assert [each.adapted for each in told] == [True, True]
    assert [(each.series_added, each.stale) for each in told] == [(CHANGED, CHANGED)] * 2

    def learnt() -> list[target_state.Outcome]:
        states = [target_state.TargetState(ORIGIN, target_state.Terms()) for _ in range(2)]
        return [
            state.accept(body, NOW, 0.1)
            for state, body in zip(states, (second, first), strict=True)
        ]

    # Points that are marked stale come on top of those of a target that is new.
    assert [each.points - each.stale for each in told] == [each.points for each in learnt()]
    guard(subject, reference=learnt)


def test_exposition_accept_changed_beside_known(guard) -> None:
    following = expositions.stable(SAMPLES, 0, model.Format.TEXT)
    first, second = following(), following()
    state = target_state.TargetState(ORIGIN, target_state.Terms())
    state.accept(first, NOW, 0.1)

    def known() -> list[target_state.Outcome]:
        return [state.accept(body, NOW, 0.1) for body in (second, first)]

    assert all(each.known for each in known())
    guard(changing(), reference=known)
