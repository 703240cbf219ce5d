"""A restore into an existing ComfyUI, killed anywhere: resumed it is the one whole state, rolled back the other."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.seed import SEED, SOAK
from bench.small import Small, whole_tree
from comfy_capsule.packager.capsule import RESTORES
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.restore import resume, rollback
from comfy_capsule.packager.restore.existing.journal import Journal

POINTS = 12  # of each matrix, chosen by the seed; the soak takes all


def make_install(root: Path, small: Small) -> Path:
    """An install of which everything changes: ComfyUI, Python, a pack; with exact another pack is disabled."""
    small.install(root, core=0, packs={"tint": 0, "other": -1}, wheels=["alpha1", "beta"])
    (root / "custom_nodes/tint/settings.ini").write_text("mine\n")
    (root / "input/a.png").write_bytes(b"mine")
    return root


def said(root: Path) -> dict[str, tuple[int, bytes]]:
    """The install, without what a restore keeps for its undoing."""
    return {name: file for name, file in whole_tree(root).items() if name.partition("/")[0] != RESTORES}


class Ready:
    """An install whose restore was built, and of which no step is done; and its two whole states."""

    def __init__(self, folder: Path, small: Small) -> None:
        self.root = make_install(folder / "ready/ComfyUI", small)
        self.before = whole_tree(self.root)
        with pytest.MonkeyPatch.context() as patch:

            def stop(_: Journal, report: object) -> None:
                raise InterruptedError

            patch.setattr(Journal, "forward", stop)
            patch.setattr(Journal, "backward", lambda _: None)
            with pytest.raises(InterruptedError):
                small.into(self.root, "exact")
        self.steps = len(Journal(self.root).header().steps)
        self.after = said(self.copied(folder / "after", resume))

    def copied(self, folder: Path, end: Callable[[Path], object]) -> Path:
        root = folder / "ComfyUI"
        shutil.copytree(self.root, root, symlinks=True)
        end(root)
        return root


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, small: Small) -> Ready:
    return Ready(tmp_path_factory.mktemp("install"), small)


CALLS = ("rename", "mkdir", "fsync", "unlink", "rmdir")


def killed(work: Callable[[], object], at: int) -> bool:
    """Whether a process of its own was killed (SIGKILL) before the call number `at` that changes a disk."""
    child = os.fork()
    if child == 0:
        done = 0

        def counted(call: Callable[..., object], *words: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **named)

        status = 1
        try:
            for name in CALLS:
                setattr(os, name, partial(counted, getattr(os, name)))
            work()
            status = 0
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


def count(work: Callable[[], object]) -> int:
    """How many calls that change a disk `work` makes."""
    done = 0
    with pytest.MonkeyPatch.context() as patch:

        def counted(call: Callable[..., object], *words: object, **named: object) -> object:
            nonlocal done
            done += 1
            return call(*words, **named)

        for name in CALLS:
            patch.setattr(os, name, partial(counted, getattr(os, name)))
        work()
    return done


def points(total: int) -> list[int]:
    every = range(1, total + 1)
    return list(every) if SOAK else sorted(random.Random(SEED).sample(every, min(POINTS, total)))


def test_killed_at_any_step_it_is_resumed_or_undone(ready: Ready, tmp_path: Path) -> None:
    assert ready.steps > 20
    assert ready.before != ready.after
    counted = ready.copied(tmp_path / "counted", lambda _: None)
    total = count(lambda: resume(counted))
    assert total > 100
    for at in points(total):
        for end in (resume, rollback):
            folder = tmp_path / f"{at}-{end.__name__}"
            root = ready.copied(folder, lambda _: None)
            assert killed(lambda root=root: resume(root), at)
            state = Journal(root).state()
            if end is resume and state == "open":
                resume(root)
            elif end is rollback:
                rollback(root)
            found = said(root)
            assert found == (ready.after if end is resume else ready.before), f"seed {SEED}: {end.__name__} at {at}"
            if end is rollback:
                assert whole_tree(root) == ready.before, f"seed {SEED}: left behind at {at}"
            shutil.rmtree(folder)


def test_killed_while_it_is_undone_it_is_undone_or_resumed(ready: Ready, tmp_path: Path) -> None:
    done = ready.copied(tmp_path / "done", resume)
    counted = Path(shutil.copytree(done, tmp_path / "counted", symlinks=True))
    total = count(lambda: rollback(counted))
    assert total > 100
    for at in points(total):
        for end in (resume, rollback):
            root = Path(shutil.copytree(done, tmp_path / f"{at}-{end.__name__}", symlinks=True))
            assert killed(lambda root=root: rollback(root), at)
            if Journal(root).state() == "open" or (Journal(root).state() == "applied" and end is rollback):
                end(root)
            whole = said(root)
            assert whole in (ready.before, ready.after), f"seed {SEED}: {end.__name__} at {at}"
            if end is rollback:
                assert whole == ready.before, f"seed {SEED}: {at}"
            shutil.rmtree(root)


@pytest.mark.parametrize("phase", ["plan", "sources", "python", "models", "files", "apply", "verify"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_any_phase(phase: str, number: signal.Signals, small: Small, tmp_path: Path) -> None:
    root = make_install(tmp_path / "ComfyUI", small)
    before = whole_tree(root)

    def stop(progress: Progress) -> None:
        if progress.phase == phase and (phase != "apply" or progress.done == progress.total // 2):
            os.kill(os.getpid(), number)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            small.into(root, "exact", stop)
        except KeyboardInterrupt:
            status = 130
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number == signal.SIGINT:
        assert ended == 130
        assert whole_tree(root) == before
        return
    assert ended == -signal.SIGKILL
    if Journal(root).state() == "open":
        assert phase in ("apply", "verify")
        with pytest.raises(BadInput) as caught:
            small.into(root, "exact")
        assert caught.value.code == "restore-interrupted"
        assert "--resume" in caught.value.cure
        assert "--rollback" in caught.value.cure
        rollback(root)
        assert whole_tree(root) == before
    else:
        assert said(root) == before
        if Journal(root).state() == "building":
            assert rollback(root).how == "nothing-changed"
        assert whole_tree(root) == before
    small.into(root, "exact")
