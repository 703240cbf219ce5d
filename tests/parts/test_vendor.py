"""Sealing: the same bytes whatever they come from, nothing half, nothing secret, and what stays out is said."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import Commit, build_pack
from bench.git import git
from bench.installs import install_at
from bench.sealing import MODEL, Bench, checkouts, sealing_bench
from comfy_capsule.packager import actions
from comfy_capsule.packager.capsule import (
    SMALLEST_PART,
    ModelOrigin,
    UsedFile,
    read_capsule,
    write_capsule,
)
from comfy_capsule.packager.capsule import Pack as LockedPack
from comfy_capsule.packager.errors import BadInput, Blocked, Cancelled, CapsuleError
from comfy_capsule.packager.materialise import ModelStore
from comfy_capsule.packager.progress import Progress, Report, silent
from comfy_capsule.packager.vendor import plan_sealing

ROOT = Path(sys.modules["comfy_capsule"].__file__ or "").parents[1]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with sealing_bench(tmp_path, monkeypatch) as made:
        yield made


def test_sealing_twice_from_different_places_gives_the_same_file(bench: Bench) -> None:
    first = bench.seal("first")
    folders = {source.commit: bench.folder / "tree-tint" for source in bench.capsule.lock.packs}
    git("gc", "--quiet", cwd=bench.folder / "tree-tint")  # all objects packed, by other rules
    second = bench.seal("second", checkouts=folders)
    assert first.read_bytes() == second.read_bytes()
    bench.take_everything_away()
    (bench.folder / "mine").mkdir()
    again = replace(bench, capsule=read_capsule(first)).seal("third")  # what it has already is asked of nobody
    assert again.read_bytes() == first.read_bytes()
    assert read_capsule(first).digests.environment == bench.capsule.digests.environment
    assert sorted(read_capsule(first).vendored) == sorted(
        [
            *(f"vendor/git/{source.commit}.bundle" for source in checkouts(bench.capsule)),
            "vendor/wheels/alpha-1.0-py3-none-any.whl",
            "vendor/wheels/beta-1.0-py3-none-any.whl",
            "vendor/wheels/Gamma_ray-2.0+cu130-py3-none-any.whl",
            f"vendor/models/{hashlib.sha256(MODEL).hexdigest()}",
        ]
    )


def test_a_commit_at_hand_needs_no_origin_and_one_that_is_not_there_does(bench: Bench) -> None:
    trees = {"ComfyUI": bench.capsule.lock.comfyui.commit, "tint": bench.capsule.lock.packs[0].commit}
    folders = {commit: bench.folder / f"tree-{name}" for name, commit in trees.items()}
    for name in ("ComfyUI.git", "tint.git"):
        shutil.rmtree(bench.folder / "origins" / name)
    bench.seal(checkouts=folders)
    with pytest.raises(CapsuleError) as caught:
        bench.seal("other", checkouts={trees["tint"]: bench.folder / "tree-lib", trees["ComfyUI"]: bench.folder})
    assert caught.value.code == "not-to-be-had"
    assert "'tint'" in caught.value.message
    assert "ComfyUI" in caught.value.message
    assert not list((bench.folder / "other").iterdir())


def test_the_plan_of_a_sealing_says_how_large_it_becomes_and_what_stays_out(bench: Bench) -> None:
    store = ModelStore(bench.folder / "store")
    sealed = bench.seal()
    plan = plan_sealing(read_capsule(sealed), "all", models_from=(), store=store, report=silent)
    assert {step.source for step in plan.steps} == {"the capsule"}
    assert abs(plan.bytes - sealed.stat().st_size) < 8192  # the zip's own directory, and the manifest
    assert plan.unknown == 0
    bench.index.asked.clear()
    shutil.rmtree(bench.folder / "mine")
    first = plan_sealing(bench.capsule, "all", store=store, report=silent)
    assert first.unknown == 4  # checkouts, and a wheel from an address
    assert [item.code for item in first.findings] == ["not-vendored"]
    assert "small.safetensors" in first.findings[0].message
    assert "--models-from" in first.findings[0].cure
    assert bench.index.asked == []


def test_what_must_be_built_is_a_finding_and_with_strict_a_refusal(bench: Bench) -> None:
    vcs = '\n[[packages]]\nname = "built"\nversion = "1"\nvcs = { type = "git", url = "https://x.invalid/b", '
    text = bench.capsule.pylock + vcs + f'commit-id = "{"1" * 40}" }}\n'
    odd = replace(bench, capsule=replace(bench.capsule, pylock=text))
    sealed = read_capsule(odd.seal())
    (finding,) = (item for item in sealed.lock.findings if item.code == "not-vendored")
    assert finding.subject == "built"
    with pytest.raises(Blocked) as caught:
        odd.seal("strict", strict=True)
    assert caught.value.exit_status == 3
    assert not (bench.folder / "strict").exists()


def test_a_commit_with_files_for_secrets_stays_out(bench: Bench) -> None:
    keys = {"a.py": "1\n", ".env": "KEY=x\n", "b.py": "token = 'ghp_" + "a1B2" * 9 + "'\n"}
    origins = [build_pack(bench.folder / "origins", "keys", Commit("x", keys))]
    origins.append(build_pack(bench.folder / "origins", "token", Commit("x", {"b.py": keys["b.py"]})))
    packs = tuple(
        LockedPack(name=each.name, kind="git", origin=each.url, commit=each.commits[-1], tree="") for each in origins
    )
    lock = bench.capsule.lock.model_copy(update={"packs": packs})
    sealed = read_capsule(replace(bench, capsule=replace(bench.capsule, lock=lock)).seal())
    assert f"vendor/git/{packs[0].commit}.bundle" not in sealed.vendored
    assert f"vendor/git/{packs[1].commit}.bundle" in sealed.vendored
    found = {item.code: item.message for item in sealed.lock.findings}
    assert ".env" in found["not-vendored"]
    assert "b.py" in found["secret-carried"]


def test_the_password_of_an_index_fetches_and_stays_outside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.index.password = "open-sesame-31"
    with pytest.raises(CapsuleError) as caught:
        bench.seal("without")
    assert "alpha" in caught.value.message
    monkeypatch.setenv("UV_DEFAULT_INDEX", bench.index.address.replace("//", "//me:open-sesame-31@"))
    sealed = bench.seal()
    assert b"open-sesame" not in sealed.read_bytes()
    bench.index.password = "another"
    with pytest.raises(CapsuleError) as caught:
        bench.seal("wrong")
    assert "open-sesame" not in str(caught.value)


def test_a_wheel_with_other_bytes_is_not_taken_and_nothing_is_left(bench: Bench) -> None:
    (bench.index.folder / "alpha-1.0-py3-none-any.whl").write_bytes(b"evil")
    with pytest.raises(CapsuleError, match=r"alpha.*(other bytes|gave)") as caught:
        bench.seal()
    assert caught.value.code == "wheel-missing"
    assert not list((bench.folder / "sealed").iterdir())


@pytest.mark.parametrize("phase", ["git", "wheels", "write"])
@pytest.mark.parametrize("part", [None, SMALLEST_PART])
def test_stopped_in_any_phase_nothing_is_left_half(bench: Bench, phase: str, part: int | None) -> None:
    def stop(event: Progress) -> None:
        if event.phase == phase:
            raise Cancelled

    with pytest.raises(Cancelled):
        bench.seal(part=part, report=stop)
    assert not list((bench.folder / "sealed").iterdir())


def test_a_full_disk_is_said_before_anything_is_fetched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.index.asked.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100))  # type: ignore[attr-defined]
    with pytest.raises(CapsuleError) as caught:
        bench.seal()
    assert caught.value.code == "disk-full"
    assert bench.index.asked == []


def test_the_command_seals_an_existing_capsule(bench: Bench) -> None:
    plain, sealed = bench.folder / "plain.capsule.zip", bench.folder / "sealed.capsule.zip"
    write_capsule(bench.capsule, plain)
    words = [sys.executable, "-m", "comfy_capsule.packager.cli", "vendor", plain, "--all", "--json"]
    words += ["--models-from", bench.folder / "mine"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def said(*more: str) -> dict[str, object]:
        argv = [*map(str, words), *more]
        return dict(json.loads(subprocess.run(argv, env=environment, check=True, capture_output=True).stdout))

    plan = said("--dry-run")
    assert not sealed.exists()
    assert plan["unknown"] == 4
    made = said("-o", str(sealed))
    assert len(made["vendored"]) == 7  # type: ignore[arg-type]
    assert made["id"] == read_capsule(sealed).digests.id
    said("-o", str(sealed), "--split", "66kB")
    assert sealed.with_name(f"{sealed.name}.001").stat().st_size == 66_000


def test_models_with_an_address_are_fetched_once_and_kept(bench: Bench) -> None:
    name = "model.bin"
    (bench.index.folder / name).write_bytes(MODEL)
    address = bench.index.address.removesuffix("simple") + f"files/{name}"
    models = tuple(
        model.model_copy(update={"sources": (ModelOrigin(url=address, proved=True),)})
        for model in bench.capsule.lock.models
    )
    shutil.rmtree(bench.folder / "mine")
    (bench.folder / "mine").mkdir()
    lock = bench.capsule.lock.model_copy(update={"models": models})
    fetched = replace(bench, capsule=replace(bench.capsule, lock=lock))
    events: list[Progress] = []
    listen: Report = events.append
    fetched.seal("one", report=listen)
    bench.index.asked.clear()
    fetched.seal("two")
    assert not [each for each in bench.index.asked if name in each]
    phases = {event.phase for event in events}
    assert {"git", "wheels", "models", "write"} <= phases
    written = [event for event in events if event.phase == "write"]
    assert written[-1].done == written[-1].total > len(MODEL)


def test_an_export_takes_what_its_comfyui_has_at_hand(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is another test's: here stands what it gave."""
    comfy = bench.folder / "tree-ComfyUI"
    shutil.copytree(bench.folder / "tree-tint", comfy / "custom_nodes/tint")
    large, cached = b"large" * 100, b"cached" * 100
    (comfy / "made.bin").write_bytes(large)
    hub = bench.folder / "xdg/CACHE/huggingface/hub/x.bin"
    hub.parent.mkdir(parents=True)
    hub.write_bytes(cached)
    names = {"comfyui": ("made.bin", large), "cache": ("huggingface/hub/x.bin", cached)}
    files = tuple(
        UsedFile(place=place, name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())  # type: ignore[arg-type]
        for place, (name, data) in names.items()
    )
    lock = bench.capsule.lock.model_copy(update={"files": files})
    capsule = replace(bench.capsule, lock=lock)
    here = install_at(comfy, model_folders={"vae": (bench.folder / "mine",)})
    monkeypatch.setattr(actions, "read_graphs", lambda *_: (capsule.workflow, capsule.graph))
    monkeypatch.setattr(actions, "find_install", lambda *_: here)
    monkeypatch.setattr(actions, "_boot", lambda *_: ({}, here, None))
    monkeypatch.setattr(actions, "make_capsule", lambda *_, **__: capsule)
    for name in ("ComfyUI.git", "tint.git"):
        shutil.rmtree(bench.folder / "origins" / name)
    words = {"name": "w", "message": "", "strict": True, "python": None, "report": silent, "vendor": "all"}
    out = bench.folder / "exported.capsule.zip"
    made = actions.export(str(comfy), Path("w"), None, out, **words)  # type: ignore[arg-type]
    assert len([name for name in made.vendored if name.startswith("vendor/models/")]) == 3
    assert read_capsule(out).digests == made.digests


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from comfy_capsule.packager.capsule import read_capsule
    from comfy_capsule.packager.vendor import seal

    def die(event):
        if event.phase == sys.argv[4]:
            os.kill(os.getpid(), signal.SIGKILL)

    capsule, out, mine = (Path(word) for word in sys.argv[1:4])
    seal(read_capsule(capsule), out, "all", models_from=[mine], part=66000, report=die)
"""


@pytest.mark.parametrize("phase", ["wheels", "write"])
def test_what_a_killed_run_left_goes_at_the_next(bench: Bench, phase: str) -> None:
    plain, out = bench.folder / "plain.zip", bench.folder / "sealed/w.capsule.zip"
    write_capsule(bench.capsule, plain)
    argv = [sys.executable, "-c", textwrap.dedent(KILLED), *map(str, (plain, out, bench.folder / "mine")), phase]
    assert subprocess.run(argv, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == -signal.SIGKILL
    left = [path.name for path in out.parent.iterdir()]
    assert left
    assert all(name.startswith(".") for name in left)
    bench.seal(part=66_000)
    assert sorted(path.name for path in out.parent.iterdir()) == [f"w.capsule.zip{end}" for end in ("", ".001", ".002")]


def test_one_process_at_a_time_writes_a_sealed_capsule(bench: Bench) -> None:
    def again(event: Progress) -> None:
        with pytest.raises(BadInput) as caught:
            bench.seal()
        assert caught.value.code == "sealing-running"

    first: list[Progress] = []
    bench.seal(report=lambda event: again(event) if event.phase == "write" and not first.append(event) else None)
    assert first
