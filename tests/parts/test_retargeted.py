"""A capsule from Windows on Linux: the lock that its snapshot translated is installed, said and held to."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import Commit, build_pack
from bench.context import below
from bench.index import PackageIndex, make_wheel, serving_index
from bench.python_env import HERE, install
from bench.windows import LINUX, windows_lock
from comfy_capsule.packager.capsule import (
    SUFFIX,
    Capsule,
    ComfyUI,
    Library,
    Lock,
    Platform,
    System,
    read_capsule,
    tree_digest,
    tree_files,
    write_capsule,
)
from comfy_capsule.packager.cli import main
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.image import make_plan, write_context
from comfy_capsule.packager.materialise import fitted, installed_versions, read_pylock
from comfy_capsule.packager.progress import Progress, silent
from comfy_capsule.packager.restore import plan_restore, restore, verify
from comfy_capsule.packager.snapshot.python.retarget import retarget

MACHINE = platform.machine()
CORE = {
    **dict.fromkeys(("main.py", "nodes.py", "folder_paths.py", "comfy/__init__.py"), ""),
    "comfyui_version.py": '__version__ = "0.30.0"\n',
}
LINUX_VERSIONS = {"pure": "1.0", "native": "1.0", "torchlike": "2.0", "cudalike": "1.0"}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with serving_index(tmp_path / "index") as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.address)
        yield served


@pytest.fixture
def capsule(tmp_path: Path, index: PackageIndex) -> Capsule:
    """From Windows, with the lock that its snapshot makes for this machine; one library is known by name only."""
    core = build_pack(tmp_path / "origins", "ComfyUI", Commit("core", CORE))
    for name, text in CORE.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    tree = tree_digest(tmp_path / "tree", tree_files(tmp_path / "tree"))
    captured = windows_lock(tmp_path, index)
    made = retarget(captured, MACHINE, HERE, Path(sys.executable))
    lock = Lock(
        name="w",
        platform=Platform(os="windows", arch="AMD64", python=HERE, torch="2.0+cu130"),
        comfyui=ComfyUI(version="0.30.0", kind="git", origin=core.url, commit=core.commits[-1], tree=tree),
        system=System(libraries=(Library(soname="libodd.so.1", by="torchlike"),)),
        findings=made.findings,
    )
    files = {f"pylock.linux-{MACHINE}.toml": made.text.encode()}
    graph = {"1": {"class_type": "A", "inputs": {}}}
    file = tmp_path / f"w{SUFFIX}"
    write_capsule(Capsule(lock, captured, {}, graph, Contract(name="w"), {"A": {}}, files), file)
    return read_capsule(file)


def test_what_is_restored_is_the_translated_lock_and_is_proved_by_it(capsule: Capsule, tmp_path: Path) -> None:
    made = restore(capsule, tmp_path / "new")
    assert installed_versions(tmp_path / "new/.venv") == LINUX_VERSIONS
    assert made.table.equal, made.table.differing
    assert {"python", "digest"} <= {row.kind for row in made.table.rows}
    said = (
        f"Its Python lock is translated from windows AMD64 for linux {MACHINE} "
        "(from another file: native, torchlike; added: cudalike; left out: winonly)."
    )
    assert said in made.table.sentence
    assert "No hash" not in made.table.sentence


def test_another_wheel_than_the_translated_lock_has_differs(capsule: Capsule, tmp_path: Path) -> None:
    comfy = restore(capsule, tmp_path / "new").path
    other = make_wheel(tmp_path / "other", "native", files={"native.py": "other\n"}, tag=LINUX)
    install("uv", comfy / ".venv", [other], "--reinstall", "--no-deps", "--offline")
    table = verify(capsule, comfy)
    assert {(row.kind, row.subject) for row in table.differing} >= {("python", "native"), ("digest", "environment")}


def test_a_wheel_that_could_not_be_looked_into_is_said_to_be_unproved(capsule: Capsule, tmp_path: Path) -> None:
    entry = f"pylock.linux-{MACHINE}.toml"
    text = capsule.files[entry].decode()
    records = next(line for line in text.splitlines() if line.startswith("native = "))
    without = replace(capsule, files={**capsule.files, entry: text.replace(records + "\n", "").encode()})
    table = restore(without, tmp_path / "new").table
    assert table.equal
    assert "No hash could be had to hold to it: native." in table.sentence
    assert "digest" not in {row.kind for row in table.rows}


def test_a_dry_run_says_what_is_not_as_captured(
    capsule: Capsule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["restore", str(tmp_path / f"w{SUFFIX}"), "--into", str(tmp_path / "new"), "--dry-run", "--json"]
    monkeypatch.setattr(sys, "argv", ["comfy-capsule", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 0
    for words_said in (
        f"translated from windows AMD64 for linux {MACHINE}, not captured there",
        "2 distributions from other files",
        "native, torchlike",
        "1 distributions more",
        "1 distributions left out",
        "winonly",
    ):
        assert words_said in out
    assert not (tmp_path / "new").exists()


def test_an_image_gets_the_translated_lock_and_the_capsule_as_it_is(capsule: Capsule, tmp_path: Path) -> None:
    events: list[Progress] = []
    base = f"python:{HERE}-slim"
    made = write_context(capsule, tmp_path / "context", report=events.append, base=base, python_in_base=True)
    locked = read_pylock((made.folder / "lock/pylock.toml").read_text())
    assert locked.versions() == LINUX_VERSIONS
    assert read_capsule(below(made.folder / "capsule") / f"w{SUFFIX}").digests == capsule.digests
    assert made.plan.digests["capsule"] == capsule.digests.capsule
    assert made.plan.digests["environment"] == fitted(capsule).digests.environment != capsule.digests.environment
    assert f"Python lock translated from windows AMD64 for linux {MACHINE}" in [event.item for event in events]


def test_without_a_lock_for_the_machine_nothing_is_made(capsule: Capsule, tmp_path: Path) -> None:
    for machine in ("riscv64", "aarch64" if MACHINE == "x86_64" else "x86_64"):
        with pytest.raises(BadInput, match=rf"windows AMD64 and has no Python lock for linux {machine}") as refused:
            write_context(capsule, tmp_path / "context", report=silent, machine=machine)
        assert refused.value.code == "platform-differs"
    none = replace(capsule, files={})
    for act in (plan_restore, restore):
        with pytest.raises(BadInput, match="export it there again") as refused:
            act(none, tmp_path / "new")
        assert refused.value.code == "platform-differs"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "context").exists()


def test_what_no_lock_fits_is_compared_with_what_was_captured(capsule: Capsule, tmp_path: Path) -> None:
    comfy = restore(capsule, tmp_path / "new").path
    differing = {(row.kind, row.subject) for row in verify(replace(capsule, files={}), comfy).differing}
    assert differing >= {("platform", "os"), ("python", "native"), ("python", "winonly"), ("python", "cudalike")}
    assert ("python", "pure") not in differing


def test_one_machine_has_several_names(capsule: Capsule) -> None:
    there = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
    assert fitted(capsule, "linux", there).pylock == fitted(capsule).pylock
    assert fitted(capsule, "windows", "x86_64") is capsule
    assert make_plan(fitted(capsule, "linux", there)).python_version == HERE
