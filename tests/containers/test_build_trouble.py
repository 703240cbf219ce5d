"""What stops a build: a cancel in any phase, an engine that dies, a full disk. One sentence, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.baseimage import base_image
from bench.engine import Engine, cache_folder
from bench.engine import engine as running_engine
from bench.images import built, small_capsule
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.image import BuiltImage, Docker, build
from comfy_capsule.packager.progress import Progress, silent

TAG = "comfy-capsule-test:trouble"


def leftovers() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("comfy-capsule-image-")}


def test_a_cancel_in_any_phase_leaves_nothing_and_the_next_build_works(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path
) -> None:
    phases: dict[str, int] = {}  # with the number of its events
    before = leftovers()

    def count(event: Progress) -> None:
        phases[event.phase] = phases.get(event.phase, 0) + 1

    built(capsule, engine, base, comfyui, TAG, count)
    engine.docker("image", "rm", TAG)
    assert {"sources", "models", "image", "build"} <= phases.keys()
    for phase, events in phases.items():
        left = [events // 2]

        def cancel(event: Progress, phase: str = phase, left: list[int] = left) -> None:
            left[0] -= event.phase == phase
            if left[0] < 0:
                raise Cancelled

        with pytest.raises(Cancelled):
            built(capsule, engine, base, comfyui, TAG, cancel)
        assert Docker(engine.environment).inspect(TAG) is None
        assert leftovers() == before
    assert built(capsule, engine, base, comfyui, TAG).digest == image.digest
    engine.docker("image", "rm", TAG)


@contextmanager
def own_engine(folder: Path) -> Iterator[Engine]:
    """One that a test may harm, with the programs of the bench's own."""
    with running_engine():
        if not (cache_folder() / "tools").exists():
            pytest.fail(
                "this machine's own engine is used, which no test may harm; the bench's own comes as root on Debian"
            )
    for name in ("tools", "config"):
        if not (folder / name).exists():
            (folder / name).symlink_to(cache_folder() / name)
    with running_engine(folder) as found:
        yield found


def test_an_engine_that_dies_half_way_is_said(tmp_path: Path) -> None:
    capsule = small_capsule(tmp_path)
    home = tmp_path / "engine"
    home.mkdir()
    with own_engine(home) as engine:
        base = base_image(engine)
        pid = int(next(Path("/run/comfy-capsule").glob(f"{_runtime(engine)}/dockerd.pid")).read_text())

        def kill(event: Progress) -> None:
            if event.phase == "build" and event.done > 2:
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(CapsuleError) as caught:
            build(capsule, TAG, engine=Docker(engine.environment), base=base, report=kill, prove=False)
    assert caught.value.code in {"build-failed", "no-engine"}
    with own_engine(home) as engine:
        assert build(capsule, TAG, engine=Docker(engine.environment), base=base, report=silent, prove=False).digest


def _runtime(engine: Engine) -> str:
    return Path(engine.environment["DOCKER_HOST"].removeprefix("unix://")).parent.name


def test_a_full_disk_is_said_and_a_build_with_room_works(tmp_path: Path) -> None:
    capsule = small_capsule(tmp_path)
    home = tmp_path / "engine"
    (home / "data-graph").mkdir(parents=True)
    mount = ("mount", "-t", "tmpfs", "-o", "size=420m", "none", home / "data-graph")
    subprocess.run(mount, check=True)
    try:
        with own_engine(home) as engine:
            base = base_image(engine)
            with pytest.raises(CapsuleError) as caught:
                build(capsule, TAG, engine=Docker(engine.environment), base=base, report=silent, prove=False)
            assert caught.value.code == "disk-full", caught.value
            assert "Nothing was tagged" in caught.value.message
            assert Docker(engine.environment).inspect(TAG) is None
            subprocess.run(("mount", "-o", "remount,size=4g", home / "data-graph"), check=True)
            assert build(capsule, TAG, engine=Docker(engine.environment), base=base, report=silent, prove=False).digest
    finally:
        subprocess.run(("umount", "--lazy", home / "data-graph"), check=True)
