"""What a ComfyUI of ours has written is removed, and no number comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from comfy_capsule.packager.gateway.blobs import LocalOutputs
from comfy_capsule.packager.gateway.exchange import Exchange
from comfy_capsule.packager.gateway.outputs import Reference
from comfy_capsule.packager.gateway.problems import Problem
from comfy_capsule.packager.gateway.secrets import NO_SECRETS
from comfy_capsule.packager.gateway.sweep import _AT_ONCE


class Ours:
    """A backend whose output folder is `root`; every other folder is not ours."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def folder(self, type: str) -> Path | None:
        return self._root if type == "output" else None


class Place:
    def __init__(self, folder: Path) -> None:
        self.written = folder / "output"
        self.written.mkdir()
        backend: Any = Ours(self.written)
        self.store = LocalOutputs(folder / "blobs")
        self.exchange = Exchange(backend, self.store, NO_SECRETS)

    def write(self, name: str, text: str = "x") -> Reference:
        path = self.written / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return Reference(path.name, path.parent.relative_to(self.written).as_posix().strip("."), "output")

    async def end(self, *references: Reference) -> None:
        self.exchange.ended({"1": {"images": [vars(each) for each in references]}})

    async def left(self) -> set[str]:
        await asyncio.get_running_loop().shutdown_default_executor()
        return {path.relative_to(self.written).as_posix() for path in self.written.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_the_last_number_of_each_name_stays_and_the_others_go(place: Place) -> None:
    for number in range(1, 3 * _AT_ONCE):
        for name in ("some/blank_{:05}_.png", "film_{:05}.mp4", "film_{:05}-audio.mp4"):
            await place.end(place.write(name.format(number)))
    last = 3 * _AT_ONCE - 1
    assert {f"some/blank_{last:05}_.png", f"film_{last:05}.mp4", f"film_{last:05}-audio.mp4"} <= await place.left()
    assert len(await place.left()) <= 3 + _AT_ONCE


async def test_one_that_ends_late_takes_its_own_lower_number_away(place: Place) -> None:
    first, second = place.write("a_00001_.png"), place.write("a_00002_.png")
    await place.end(second)
    await place.end(*[first] * _AT_ONCE)
    assert await place.left() == {"a_00002_.png"}


async def test_what_has_no_number_or_is_elsewhere_is_left_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "out_00001_.png").write_text("theirs")
    plain = [place.write("result.png") for _ in range(2)]
    for number in range(2 * _AT_ONCE):
        await place.end(*plain, Reference("out_00001_.png", "..", "output"), Reference("out_00001_.png", "", "input"))
        await place.end(
            Reference(f"b_{number:05}_.png", "", "input"), Reference(f"../b_{number:05}_.png", "", "output")
        )
    assert await place.left() == {"result.png"}
    assert (tmp_path / "out_00001_.png").read_text() == "theirs"


async def test_a_cached_run_that_names_a_removed_file_gets_its_bytes(place: Place) -> None:
    early = place.write("a_00001_.png", "early")
    kept = await place.exchange.fetch(early)
    for number in range(2, 2 * _AT_ONCE + 2):
        await place.end(early, place.write(f"a_{number:05}_.png"))
    assert "a_00001_.png" not in await place.left()
    assert await place.exchange.fetch(early) == kept
    found = await place.store.local(kept[0])
    assert found is not None
    assert found.read_text() == "early"
    found.unlink()
    with pytest.raises(Problem, match="cannot be read"):
        await place.exchange.fetch(early)


async def test_a_comfyui_that_came_up_anew_counts_from_one(place: Place) -> None:
    early = place.write("a_00009_.png", "early")
    await place.exchange.fetch(early)
    await place.end(early)
    place.exchange.restarted()
    (place.written / "a_00009_.png").unlink()
    for number in range(1, 3):
        await place.end(place.write(f"a_{number:05}_.png"))
    with pytest.raises(Problem, match="cannot be read"):
        await place.exchange.fetch(early)
    assert await place.left() == {"a_00001_.png", "a_00002_.png"}  # too few for a sweep
