"""A change of the files is live at once; a mistake in them changes nothing and is told."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.service import files
from common.service.settings import Problem, SettingsError
from common.service.telemetry import Telemetry
from gateway import reload as module, settings

GOOD = """
pipelines:
  - name: {name}
    output: {{otlp: {{endpoint: "http://backend:4317"}}}}
"""


class Watched:
    """A configuration file, and everything that was applied from it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.applied = folder / "gateway.yaml", list[settings.Loaded]()
        self.refusal: SettingsError | None = None
        self.loads = 0
        self.file.write_text(GOOD.format(name="a"))
        self.reload = module.Reload(self._load(), self._load, self._apply)

    def _load(self) -> settings.Loaded:
        self.loads += 1
        return settings.load(self.file, environ={})

    async def _apply(self, loaded: settings.Loaded) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.applied.append(loaded)

    def replace(self, text: str, file: Path | None = None) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(file or self.file)

    @property
    def names(self) -> list[str]:
        return [loaded.config.pipelines[0].name for loaded in self.applied]


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    found = Watched(tmp_path)
    await found.reload.look()
    return found


async def test_nothing_is_read_while_nothing_changes(watched: Watched) -> None:
    loads = watched.loads
    for _ in range(100):
        await watched.reload.look()
    assert (watched.loads, watched.applied) == (loads, [])


async def test_a_change_between_the_start_and_the_first_look_is_seen(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.replace(GOOD.format(name="b"))
    await watched.reload.look()
    assert watched.names == ["b"]


async def test_a_replaced_file_is_applied_at_the_first_look(watched: Watched) -> None:
    watched.replace(GOOD.format(name="b"))
    await watched.reload.look()
    assert watched.names == ["b"]
    assert (watched.reload.reloads, watched.reload.status) == (1, "1 pipeline")


async def test_a_file_written_in_place_has_to_look_the_same_twice(watched: Watched) -> None:
    for name in ("half", "whole"):
        watched.file.write_text(GOOD.format(name=name))
        await watched.reload.look()
        assert watched.names == []
    await watched.reload.look()
    assert watched.names == ["whole"]


async def test_links_are_followed_as_config_maps_are_mounted(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(GOOD.format(name=name))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "gateway.yaml").symlink_to("..data/gateway.yaml")
    applied: list[str] = []

    async def apply(loaded: settings.Loaded) -> None:
        applied.append(loaded.config.pipelines[0].name)

    def load() -> settings.Loaded:
        return settings.load(tmp_path / "gateway.yaml", environ={})

    reload = module.Reload(load(), load, apply)
    await reload.look()
    (tmp_path / "..tmp").symlink_to("two")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    await reload.look()
    assert applied == ["two"]


async def test_a_touched_file_with_the_same_words_is_not_a_change(watched: Watched) -> None:
    watched.replace(GOOD.format(name="a") + "# a comment\n")
    await watched.reload.look()
    assert (watched.names, watched.reload.reloads) == ([], 0)


@pytest.mark.parametrize("text", ["pipelines: [", "pipelnes: []", "", "- 1"])
async def test_a_mistake_keeps_what_runs_and_is_told(
    watched: Watched, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        watched.replace(text)
        await watched.reload.look()
    assert watched.applied == []
    assert "the new configuration is refused, the old one runs" in watched.reload.status
    assert (watched.reload.failures, len(caplog.records)) == (1, 1)
    telemetry = Telemetry(process=False)
    telemetry.add(watched.reload.readings)
    assert 'headgate_gateway_reloads_total{outcome="refused"} 1.0' in telemetry.render().decode()
    watched.replace(GOOD.format(name="b"))
    await watched.reload.look()
    assert (watched.names, watched.reload.problems) == (["b"], ())


async def test_a_mistake_taken_back_is_forgotten(watched: Watched) -> None:
    watched.replace("pipelnes: []")
    await watched.reload.look()
    watched.replace(GOOD.format(name="a"))
    await watched.reload.look()
    assert (watched.reload.problems, watched.reload.reloads) == ((), 0)


async def test_a_file_that_vanishes_is_a_mistake_and_may_come_back(watched: Watched) -> None:
    watched.file.unlink()
    await watched.reload.look()
    assert "cannot read" in watched.reload.status
    watched.file.write_text(GOOD.format(name="b"))
    await watched.reload.look()
    assert watched.names == ["b"]


async def test_what_could_not_be_applied_is_tried_again_now_and_then(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.refusal = SettingsError([Problem("pipelines", "still being emptied")])
    watched.replace(GOOD.format(name="b"))
    for _ in range(3 * files.RETRY):
        await watched.reload.look()
    assert watched.reload.status.endswith("pipelines: still being emptied")
    assert (watched.reload.failures, len(caplog.records)) == (1, 1)
    watched.refusal = None
    for _ in range(files.RETRY):
        await watched.reload.look()
    assert watched.names == ["b"]


@pytest.mark.parametrize("how", ["reference", "token"])
async def test_files_that_the_document_refers_to_are_watched_as_well(
    watched: Watched, tmp_path: Path, how: str
) -> None:
    other = tmp_path / "other"
    other.write_text("one")
    text = GOOD.format(name="b")
    text += (
        f"agents: {{token_file: {other}}}"
        if how == "token"
        else f'enrichment: {{cluster_name: "${{file:{other}}}"}}'
    )
    watched.replace(text)
    for _ in range(3):
        await watched.reload.look()
    watched.replace("two", other)
    await watched.reload.look()
    assert len(watched.applied) == 2
    last = watched.applied[-1]
    assert "two" in (last.tokens, last.config.enrichment.cluster_name)


async def test_sections_that_need_a_restart_are_named(watched: Watched) -> None:
    watched.replace(GOOD.format(name="a") + "limits: {max_connections: 5}")
    await watched.reload.look()
    assert watched.reload.status == "1 pipeline; restart to change limits"
    watched.replace(GOOD.format(name="a"))
    await watched.reload.look()
    assert watched.reload.status == "1 pipeline"


async def test_following_notices_a_change_within_two_seconds(
    watched: Watched, clock: Callable[[], float]
) -> None:
    os.utime(watched.file, ns=(1, 1))
    watched.file.write_text(GOOD.format(name="b"))

    class SeenError(Exception):
        pass

    async def apply(_: settings.Loaded) -> None:
        raise SeenError

    watched.reload._apply = apply
    with pytest.raises(SeenError):
        await watched.reload.follow()
    assert clock() < 2


async def test_a_slip_that_trips_the_yaml_parser_is_refused_and_the_old_one_runs(
    watched: Watched,
) -> None:
    watched.replace("log_level: 2024-13-45")
    await watched.reload.look()
    assert watched.applied == []
    assert watched.reload.status.startswith("the new configuration is refused")
