"""What pages for people share is within bounds, and its style loads nothing."""

import re

from agent.pages import people


def test_very_long_words_are_cut_and_all_is_escaped() -> None:
    assert people.text("<" * 5000) == "&lt;" * (people.MOST_WORDS - 1) + "…"
    assert people.text(7) == "7"


def test_a_bar_turns_at_four_fifths_of_the_limit() -> None:
    assert people.bar(0.25, 10.0) == ('<meter max="10" high="8" optimum="0" value="0.25"></meter>')


def test_a_figure_has_a_name() -> None:
    assert people.figure("body", "<b>1</b>") == "<div><dt>body</dt><dd><b>1</b></dd></div>"


def test_the_style_loads_nothing_and_suits_light_dark_and_small_screens() -> None:
    assert "url(" not in people.STYLE
    assert "@import" not in people.STYLE
    assert "</" not in people.STYLE
    assert "prefers-color-scheme:dark" in people.STYLE
    assert re.search(r"@media \(max-width:\d+px\)", people.STYLE)
    assert people.STYLE.count("{") == people.STYLE.count("}")
