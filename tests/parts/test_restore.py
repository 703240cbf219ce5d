"""Restore of a very small ComfyUI: planned, put in place whole or not at all, compared line by line."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from bench import Commit, build_pack
from bench.index import make_wheel
from bench.python_env import as_install, install
from comfy_capsule.packager.capsule import (
    SUFFIX,
    Capsule,
    ComfyUI,
    InputFile,
    Library,
    Lock,
    Model,
    Pack,
    Platform,
    Program,
    System,
    tree_digest,
    tree_files,
    write_capsule,
)
from comfy_capsule.packager.command import run
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import Progress, silent
from comfy_capsule.packager.restore import Restored, plan_restore, restore, verify
from comfy_capsule.packager.restore.compare import system_rows
from comfy_capsule.packager.snapshot import lock_python

CORE = {
    "main.py": "raise SystemExit('booted without a yes')\n",
    "nodes.py": "",
    "folder_paths.py": "raise SystemExit('run without a yes')\n",
    "comfy/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    ".gitignore": "/custom_nodes/\n/models/\n/input/\n",
}
MODEL = b"weights" * 1000
PICTURE = b"picture"


def tree_of(files: dict[str, str], folder: Path) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return tree_digest(folder, tree_files(folder))


@pytest.fixture
def capsule(tmp_path: Path) -> Capsule:
    core = build_pack(tmp_path / "origins", "ComfyUI", Commit("core", CORE))
    files = {"__init__.py": "raise SystemExit('run without a yes')\n", "install.py": ""}
    files["picture.py"] = "import subprocess\nsubprocess.run(['ffmpeg', '-version'])\n"
    pack = build_pack(tmp_path / "origins", "tint", Commit("one", files))
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch=os.uname().machine, python=".".join(map(str, sys.version_info[:3]))),
        comfyui=ComfyUI(
            version="0.30.0",
            kind="git",
            origin=core.url,
            commit=core.commits[-1],
            tree=tree_of(CORE, tmp_path / "t1"),
        ),
        system=System(packages=("ffmpeg",), programs=(Program(name="ffmpeg", package="ffmpeg", by=("tint",)),)),
        packs=(
            Pack(
                name="tint",
                kind="git",
                origin=pack.url,
                commit=pack.commits[-1],
                tree=tree_of(files, tmp_path / "t2"),
                install_script="install.py",
                classes=("Tint",),
            ),
        ),
        models=(
            Model(
                folder="upscale_models",
                name="x2.safetensors",
                size=len(MODEL),
                sha256=hashlib.sha256(MODEL).hexdigest(),
            ),
        ),
        inputs=(InputFile(name="a.png", size=len(PICTURE), sha256=hashlib.sha256(PICTURE).hexdigest()),),
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/w.bin").write_bytes(MODEL)
    pylock = 'lock-version = "1.0"\ncreated-by = "test"\npackages = []\n'
    graph = {"1": {"class_type": "Tint", "inputs": {}}}
    ui = {"nodes": [{"id": 1, "type": "Tint"}], "links": [], "version": 0.4}
    return Capsule(lock, pylock, ui, graph, Contract(name="w"), {"Tint": {}}, {"inputs/a.png": PICTURE})


def restored(capsule: Capsule, tmp_path: Path, into: str = "new/ComfyUI") -> Restored:
    store = ModelStore(tmp_path / "store")
    return restore(capsule, tmp_path / into, models_from=[tmp_path / "mine"], store=store)


def differing(capsule: Capsule, comfy: Path) -> set[tuple[str, str]]:
    table = verify(capsule, comfy)
    return {(row.kind, row.subject) for row in table.differing} - {("digest", "environment")}


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_the_new_folder_is_the_capsule_and_nothing_of_it_ran(capsule: Capsule, tmp_path: Path) -> None:
    made = restored(capsule, tmp_path)
    comfy = tmp_path / "new/ComfyUI"
    assert made.path == comfy
    assert made.table.equal, made.table.differing
    assert "--trust" in made.table.sentence
    assert (comfy / "models/upscale_models/x2.safetensors").read_bytes() == MODEL
    assert (comfy / "input/a.png").read_bytes() == PICTURE
    assert (comfy / "custom_nodes/tint/__init__.py").is_file()
    assert run(["git", "status", "--porcelain"], cwd=comfy) == ""
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ComfyUI"]
    said = subprocess.run([comfy / "start-comfyui.sh"], capture_output=True, text=True, check=False)
    assert said.stderr == "booted without a yes\n"
    assert {row.kind for row in made.table.rows} == {
        "platform",
        "comfyui",
        "system",
        "pack",
        "model",
        "input",
        "digest",
    }


def test_verify_names_what_was_changed(capsule: Capsule, tmp_path: Path) -> None:
    comfy = restored(capsule, tmp_path).path
    site = next(comfy.glob(".venv/lib/*/site-packages"))
    assert differing(capsule, comfy) == set()
    (comfy / "nodes.py").write_text("# edited\n")
    (comfy / "custom_nodes/tint").rename(comfy / "custom_nodes/tint.disabled")
    (comfy / "custom_nodes/other").mkdir()
    (comfy / "models/upscale_models/x2.safetensors").unlink()
    (comfy / "models/upscale_models/x2.safetensors").write_bytes(MODEL[::-1])
    (comfy / "input/a.png").unlink()
    (site / "sitecustomize.py").write_text("")
    assert differing(capsule, comfy) == {
        ("comfyui", "tree"),
        ("pack", "tint"),
        ("pack", "other"),
        ("model", "upscale_models/x2.safetensors"),
        ("input", "a.png"),
        ("python", "files of no distribution"),
        ("system", "ffmpeg"),  # only a pack that is loaded starts it
    }
    assert not verify(capsule, comfy).equal


def test_an_edited_or_missing_installed_file_is_named(capsule: Capsule, tmp_path: Path) -> None:
    comfy = restored(capsule, tmp_path).path
    site = next(comfy.glob(".venv/lib/*/site-packages"))
    install("uv", comfy / ".venv", [make_wheel(tmp_path, "alpha", files={"alpha.py": "x", "more.py": ""})])
    now = lock_python(as_install(comfy / ".venv"), silent)
    here = replace(capsule, pylock=now.text, files={**capsule.files, **now.files})
    assert differing(here, comfy) == set()
    (site / "alpha.py").write_text("y")
    (site / "more.py").unlink()
    (site / "evil.pth").write_text("import os")
    rows = {row.subject: row.found for row in verify(here, comfy).differing}
    assert "alpha.py, more.py" in rows["alpha"]
    assert rows["files of no distribution"] == "evil.pth"


NEEDS = System(
    packages=("git", "libz-odd"),
    libraries=(
        Library(soname="libnonesuch.so.9", by="tint"),
        Library(soname="libcuda.so.1", kind="driver", by="torch"),
        Library(soname="libfabric.so.1", package="libfabric1", kind="optional", by="nvidia"),
    ),
    programs=(Program(name="nonesuch-program", by=("tint",)), Program(name="git", package="git", by=("tint",))),
)


def test_what_the_machine_lacks_of_the_system_is_said_before_and_after_and_stops_nothing(
    capsule: Capsule, tmp_path: Path
) -> None:
    lacking = replace(capsule, lock=capsule.lock.model_copy(update={"system": NEEDS}))
    step = next(step for step in plan_restore(lacking, tmp_path / "new").steps if step.what == "system")
    assert step.item == "1 libraries and 2 programs"
    assert step.risk == "missing here: libnonesuch.so.9, nonesuch-program"
    made = restored(capsule, tmp_path)
    table = verify(lacking, made.path)
    assert "missing here: libnonesuch.so.9, nonesuch-program" in table.sentence
    assert {row.subject for row in table.differing} == {
        *("libnonesuch.so.9", "libcuda.so.1", "libfabric.so.1", "nonesuch-program", "git", "environment"),
    }


def test_files_that_need_less_of_the_system_differ_and_more_is_no_difference(capsule: Capsule, tmp_path: Path) -> None:
    less = capsule.lock.system
    made = restored(capsule, tmp_path)
    assert not differing(replace(capsule, lock=capsule.lock.model_copy(update={"system": System()})), made.path)
    rows = list(system_rows(NEEDS, less))
    assert [row.equal for row in rows] == [False] * 5
    assert all(row.equal for row in system_rows(NEEDS, NEEDS))
    (made.path / "custom_nodes/tint/picture.py").write_text("")
    assert ("system", "ffmpeg") in differing(capsule, made.path)


def test_the_plan_says_everything_and_does_nothing(capsule: Capsule, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store")
    plan = plan_restore(capsule, tmp_path / "new", store=store)
    lines = [step.line for step in plan.steps]
    assert [line[0] for line in lines] == ["comfyui", "pack", "python", "python", "system", "model", "input", "verify"]
    assert "install.py is not run" in lines[1][4]
    assert "--models-from" in lines[5][4]
    assert lines[5][3] == f"{len(MODEL):,}"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"comfyui": {"origin": "file:///nowhere"}}, "origin-gone", 1),
        ({"comfyui": {"commit": "1" * 40}}, "commit-gone", 1),
        ({"comfyui": {"tree": "0" * 64}}, "tree-differs", 1),
        ({"comfyui": {"kind": "folder"}}, "not-carried", 1),
        ({"platform": {"python": "3.99.1"}}, "python-not-found", 2),
        ({"platform": {"arch": "riscv"}}, "platform-differs", 2),
        ({"platform": {"torch": "2.11.0+cu130"}}, "restore-differs", 1),
        ({"models": ()}, "", 0),
    ],
)
def test_what_fails_leaves_nothing(
    capsule: Capsule, tmp_path: Path, change: dict[str, dict[str, str]], code: str, status: int
) -> None:
    lock = capsule.lock
    for part, said in change.items():
        value = getattr(lock, part).model_copy(update=said) if isinstance(said, dict) else said
        lock = lock.model_copy(update={part: value})
    if not code:
        assert restored(replace(capsule, lock=lock), tmp_path).table.equal
        return
    with pytest.raises(CapsuleError) as caught:
        restored(replace(capsule, lock=lock), tmp_path)
    assert (caught.value.code, caught.value.exit_status) == (code, status)
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*restoring*"))


def test_a_missing_model_is_named_with_its_cure(capsule: Capsule, tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match=r"x2\.safetensors.*--models-from"):
        restore(capsule, tmp_path / "new", store=ModelStore(tmp_path / "empty"))
    assert not (tmp_path / "new").exists()


def test_only_into_a_new_or_empty_folder(capsule: Capsule, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("x")
    for into in ("full", "full/mine.txt"):
        with pytest.raises(BadInput) as caught:
            restored(capsule, tmp_path, into)
        assert caught.value.code == "target-not-empty"
    assert (tmp_path / "full/mine.txt").read_text() == "x"
    (tmp_path / "empty").mkdir()
    assert restored(capsule, tmp_path, "empty").table.equal


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("phase", ["python", "verify"])
def test_stopped_half_way_nothing_is_at_the_target(
    capsule: Capsule, tmp_path: Path, number: signal.Signals, phase: str
) -> None:
    file = tmp_path / f"w{SUFFIX}"
    write_capsule(capsule, file)
    script = f"""
        import os
        from pathlib import Path
        from comfy_capsule.packager.capsule import read_capsule
        from comfy_capsule.packager.materialise import ModelStore
        from comfy_capsule.packager.restore import restore

        def stop(progress):
            if progress.phase == {phase!r}:
                os.kill(os.getpid(), {int(number)})

        restore(
            read_capsule(Path({str(file)!r})), Path({str(tmp_path / "new")!r}), report=stop,
            models_from=[Path({str(tmp_path / "mine")!r})], store=ModelStore(Path({str(tmp_path / "store")!r})),
        )
    """
    root = Path(sys.modules["comfy_capsule"].__file__ or "").parents[1]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -number, done.stderr
    assert not (tmp_path / "new").exists()
    if number == signal.SIGINT:
        assert not list(tmp_path.glob(".*restoring*"))
    assert restored(capsule, tmp_path, "new").table.equal
    assert not list(tmp_path.glob(".*restoring*"))


def test_progress_comes_from_every_phase(capsule: Capsule, tmp_path: Path) -> None:
    events: list[Progress] = []
    store = ModelStore(tmp_path / "store2")
    restore(capsule, tmp_path / "new", models_from=[tmp_path / "mine"], store=store, report=events.append)
    assert list(dict.fromkeys(event.phase for event in events)) == ["sources", "python", "models", "inputs", "verify"]
