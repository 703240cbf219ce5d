"""A snapshot is stopped at once, counts bytes, knows files again, and says what it could not read."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.installs import install_at
from comfy_capsule.packager import cli, terminal
from comfy_capsule.packager import export as exporting
from comfy_capsule.packager.capsule import ApiGraph, Model, Observed
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import Progress, silent
from comfy_capsule.packager.restore.compare import model_rows
from comfy_capsule.packager.snapshot import apart, packs, snapshot_apart, snapshot_install
from comfy_capsule.packager.snapshot.models.folders import model_folders
from comfy_capsule.packager.snapshot.models.models import find_models, read_models
from comfy_capsule.packager.snapshot.trees.tree import ReadTree
from model_cases import install_of

LOADER = {"Loader": {"input": {"required": {"name": [["a.safetensors", "b.safetensors"], {}]}}}}


def graph(*names: str) -> dict[str, dict[str, object]]:
    return {name: {"class_type": "Loader", "inputs": {"name": name}} for name in names}


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own cache, in a folder of the test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/comfy-capsule/answers.sqlite3"


@pytest.fixture
def install(tmp_path: Path, cached: Path) -> Install:
    root = tmp_path / "ComfyUI"
    for folder in ("custom_nodes", "models/loras", "input"):
        (root / folder).mkdir(parents=True)
    return install_at(
        root, site_packages=(tmp_path / "site-packages",), model_folders={"loras": (root / "models/loras",)}
    )


def lora(install: Install, name: str, data: bytes = b"x") -> Path:
    path = install.model_folders["loras"][0] / name
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def huge(install: Install) -> None:
    with (install.model_folders["loras"][0] / "a.safetensors").open("wb") as file:
        file.truncate(40 << 30)  # takes no disk


def test_the_live_snapshot_of_a_huge_model_counts_bytes_and_stops_within_half_a_second(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge(install)
    monkeypatch.setattr(exporting, "live_install", lambda: install)
    monkeypatch.setattr(exporting, "live_object_info", lambda: LOADER)
    events: list[Progress] = []
    asked: list[float] = []

    def cancelled() -> bool:
        if len([event for event in events if event.phase == "models" and event.done]) > 2:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(Cancelled):
        exporting.snapshot_live(graph("a.safetensors"), report=events.append, cancelled=cancelled)
    assert time.monotonic() - asked[0] < 0.5
    last = [event for event in events if event.phase == "models"][-1]
    assert (last.item, last.unit, last.total) == ("a.safetensors", "bytes", 40 << 30)
    assert 0 < last.done < last.total
    deadline = time.monotonic() + 1
    while any(thread.name.startswith(("hash-", "together-")) for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread goes on"
        time.sleep(0.01)


def test_comfyui_has_its_own_pace_back_afterwards(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "live_install", lambda: install)
    monkeypatch.setattr(exporting, "live_object_info", lambda: LOADER)
    before = (sys.getswitchinterval(), gc.get_threshold())
    during: list[tuple[float, tuple[int, int, int]]] = []

    def report(_: Progress) -> None:
        during.append((sys.getswitchinterval(), gc.get_threshold()))

    exporting.snapshot_live(report=report)
    assert {turn < before[0] and full[2] > 10_000 for turn, full in during} == {True}
    with pytest.raises(Cancelled):
        exporting.snapshot_live(cancelled=lambda: True)
    assert (sys.getswitchinterval(), gc.get_threshold()) == before


def test_a_cancelled_snapshot_reads_no_further_packs(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        (install.custom_nodes[0] / f"pack-{number:02}").mkdir()
    read: list[str] = []

    def slow(folder: Path, *_: object) -> ReadTree:
        read.append(folder.name)
        time.sleep(0.05)
        return ReadTree(source={"kind": "folder"}, findings=(), files={})

    monkeypatch.setattr(packs, "known_tree", slow)

    def cancel(event: Progress) -> None:
        if event.phase == "packs":
            raise Cancelled

    with pytest.raises(Cancelled):
        snapshot_install(install, report=cancel)
    time.sleep(0.2)
    assert 0 < len(read) < 20


def test_a_model_is_read_once_and_verify_knows_it_again(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    lora(install, "a.safetensors", b"one")
    opened: list[str] = []
    real = os.open

    def spy(name: Path, flags: int) -> int:
        opened.append(Path(name).name)
        return real(name, flags)

    monkeypatch.setattr(os, "open", spy)
    first = snapshot_install(install, graph=graph("a.safetensors"), object_info=LOADER)
    assert first.lock.models[0].sha256 == hashlib.sha256(b"one").hexdigest()
    assert snapshot_install(install, graph=graph("a.safetensors"), object_info=LOADER) == first
    rows = list(model_rows(first.lock.models, install.model_folders, silent))
    assert [item.equal for item in rows] == [True]
    assert opened.count("a.safetensors") == 1


def test_a_model_that_cannot_be_read_is_a_finding_and_not_where_it_lies(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = lora(install, "a.safetensors"), lora(install, "b.safetensors")
    real = os.open

    def refuse(name: Path, flags: int) -> int:
        if name == path:
            raise PermissionError(13, "Permission denied")
        return real(name, flags)

    monkeypatch.setattr(os, "open", refuse)
    read = read_models(install, graph("a.safetensors", "b.safetensors"), {}, LOADER, silent)
    assert [model.name for model in read.models] == ["b.safetensors"]
    found = next(item for item in read.findings if item.subject == "a.safetensors")
    assert (found.code, found.blocks) == ("model-unreadable", True)
    assert found.message == "The file a.safetensors cannot be read: Permission denied."


def test_the_store_counts_while_it_hashes_again_and_keeps_what_it_cannot_read(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    model = Model(folder="loras", name="a", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    store = ModelStore(tmp_path)
    path = store.path(model)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    events: list[Progress] = []
    assert store.find(model, events.append) == path
    assert (events[-1].unit, events[-1].done, events[-1].total) == ("bytes", len(data), len(data))
    os.utime(path)

    def cancel(_: Progress) -> None:
        raise Cancelled

    with pytest.raises(CapsuleError):
        store.find(model, cancel)
    assert path.exists()


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["comfy-capsule", "digests", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_command_finds_a_rotten_file_and_forgets_its_digest(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lora(install, "a.safetensors", b"one")
    snapshot_install(install, graph=graph("a.safetensors"), object_info=LOADER)
    assert command(monkeypatch, capsys, "verify") == (0, "1 right, 0 wrong, 0 of files that changed, now forgotten\n")
    lora(install, "a.safetensors", b"0ne")
    status, out = command(monkeypatch, capsys, "verify", "--json")
    assert status == 1
    assert json.loads(out) == {
        "right": 0,
        "outdated": 0,
        "absent": 0,
        "wrong": [
            {
                "path": str(path),
                "cached": hashlib.sha256(b"one").hexdigest(),
                "found": hashlib.sha256(b"0ne").hexdigest(),
                "reason": "",
            }
        ],
    }
    assert command(monkeypatch, capsys, "verify")[0] == 0
    snapshot_install(install, graph=graph("a.safetensors"), object_info=LOADER)
    assert command(monkeypatch, capsys, "clear", "--json") == (0, '{\n  "forgotten": 1\n}\n')


def test_five_thousand_models_take_no_second(tmp_path: Path) -> None:
    files = [f"loras/{number % 50}/{number}.safetensors" for number in range(5000)]
    install = install_of(tmp_path, [*files, "vae/v.pt"])
    names = [name.removeprefix("loras/") for name in files]
    info = {"Loader": {"input": {"required": {"lora_name": [names, {}], "text": ["STRING", {}]}}}}
    graph: ApiGraph = {
        str(number): {"class_type": "Loader", "inputs": {"lora_name": name, "text": "a cat <lora:7:1>"}}
        for number, name in enumerate(names)
    }
    begun = time.process_time()
    found, absent = find_models(model_folders(install), graph, info)
    assert time.process_time() - begun < 1.0
    assert (len(found), absent) == (5000, [])


def test_a_terminal_shows_bytes_and_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    clock = SimpleNamespace(now=0.0)
    console = Console(file=shown, force_terminal=True, width=200, get_time=lambda: clock.now)
    monkeypatch.setattr(terminal, "_err", console)
    with terminal.progress_bars(False) as report:
        for second in range(6):
            clock.now = float(second)
            report(Progress(phase="models", item="[b]a\x1b[2J", done=second * 10**9, total=10**10, unit="bytes"))
        report(Progress(phase="packs", item="one", done=1, total=2))
        clock.now = 6.0
        time.sleep(0.2)  # the bars are drawn in a thread of their own
    assert "5.0 GB of 10.0 GB, 0:05 left" in shown.getvalue()
    assert "1.0 bytes" not in shown.getvalue()
    assert "[b]a" in shown.getvalue()


def test_a_process_apart_takes_the_same_snapshot(install: Install) -> None:
    (install.input_dir / "a.png").write_bytes(b"picture")
    info = {"LoadImage": {"input": {"required": {"image": [["a.png"], {"image_upload": True}]}}}}
    asked = {"graph": {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}, "object_info": info}
    events: list[Progress] = []
    assert snapshot_apart(install, **asked, report=events.append) == snapshot_install(install, **asked)
    assert {event.phase for event in events} >= {"comfyui", "packs", "python", "system", "inputs"}


def test_only_the_asking_process_looks_at_the_machine(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Install] = []

    def observe(install: Install) -> Observed:
        looked.append(install)
        return Observed(driver="1.2")

    for module in ("apart", "snapshot"):
        monkeypatch.setattr(f"comfy_capsule.packager.snapshot.{module}.observe", observe)
    assert snapshot_apart(install).lock.observed == Observed(driver="1.2")
    assert looked == [install]
    asked = {"install": install.model_dump(mode="json"), "arguments": {}}
    (tmp_path / "request.json").write_text(json.dumps(asked))
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    apart.answer(str(tmp_path))  # what the other process does
    assert looked == [install]
    assert "lock" in json.loads((tmp_path / "answer.json").read_text())


def test_a_process_apart_ends_when_it_is_no_longer_wanted(install: Install) -> None:
    def stop(_: Progress) -> None:
        raise Cancelled("enough")

    before = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        snapshot_apart(install, report=stop)
    assert time.monotonic() - before < 5
    running = subprocess.run(["pgrep", "-f", "snapshot.apart"], capture_output=True, text=True, check=False)
    assert running.stdout == ""


def test_a_process_apart_that_dies_is_said_so(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.snapshot.apart._START", "raise SystemExit('out of memory')")
    with pytest.raises(CapsuleError, match="has ended: out of memory"):
        snapshot_apart(install)
