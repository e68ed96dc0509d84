"""The screen fits its terminal, whatever the data."""

from hypothesis import given, strategies as st

from cli.demo import screen
from cli.demo.screen import Example, Scene, Target

FIGURES = {
    "received": 1200,
    "filtered": 200,
    "delivered": 1000,
    "held": 0,
    "dropped": 0,
    "arrived": 1000,
}
EXAMPLE = Example(
    pipeline="shop",
    metric="app_visits_total",
    resource=(("k8s.pod.name", "cart-1"), ("service.name", "cart")),
    labels=(("page", "home"),),
    value="7",
)


def scene(**changes) -> Scene:
    given = {
        "seconds": 3.0,
        "headline": ["headgate demo"],
        "pipelines": {"shop": FIGURES},
        "examples": [EXAMPLE] * 50,
        "targets": [
            Target(state="up", workload="shop/cart", url="http://127.10.1.2:8080/metrics", why=""),
            Target(
                state="failing",
                workload="shop/legacy",
                url="http://127.10.1.3:9999/metrics",
                why="connection refused",
            ),
        ],
    }
    return Scene(**(given | changes))


def test_it_shows_pipelines_targets_and_arrivals() -> None:
    text = "\n".join(screen.render(scene(), 120, 40, colour=False))
    assert "shop         1,200       200      1,000     0        0    1,000" in text
    assert "1 up · 1 failing · 0 skipped" in text
    assert (
        "failing  shop/legacy  http://127.10.1.3:9999/metrics\n           connection refused"
        in text
    )
    assert "app_visits_total{page=home} 7  cart-1 cart" in text


def test_colour_is_used_only_when_asked_for() -> None:
    assert "\x1b" not in "".join(screen.render(scene(), 100, 40, colour=False))
    assert screen.RED in "".join(screen.render(scene(), 100, 40, colour=True))


def test_trouble_is_at_the_top() -> None:
    assert (
        screen.render(scene(trouble=["gateway ended"]), 80, 20, colour=False)[1]
        == "! gateway ended"
    )


@given(st.integers(10, 200), st.integers(1, 60), st.text(max_size=80), st.text(max_size=80))
def test_no_line_is_wider_than_the_terminal_and_no_screen_longer(width, height, name, why) -> None:
    lines = screen.render(
        scene(
            targets=[Target(state="up", workload=name, url="u", why=why)], pipelines={name: FIGURES}
        ),
        width,
        height,
        colour=False,
    )
    assert len(lines) <= height
    assert all(screen.columns_of(line) <= width for line in lines)
    assert all(c.isprintable() for line in lines for c in line)
