"""Sealed: a capsule with its origins inside comes back where there is no network, no origin and no cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.context import below
from bench.git import git
from bench.index import make_wheel
from bench.python_env import as_install
from bench.sealing import MODEL, Bench, checkouts, sealing_bench
from comfy_capsule.packager.capsule import (
    SMALLEST_PART,
    read_capsule,
    write_capsule,
)
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.image.context import write_context
from comfy_capsule.packager.materialise import ModelStore, site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore import plan_restore, restore
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.snapshot.trees.bundle import is_on_a_remote

ROOT = Path(sys.modules["comfy_capsule"].__file__ or "").parents[1]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with sealing_bench(tmp_path, monkeypatch) as made:
        yield made


def away(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, in an empty network namespace, as a user whose home, stores and caches are empty."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "XDG_"))}
    environment |= {"HOME": str(folder), "UV_CACHE_DIR": str(folder / "uv"), "PYTHONPATH": str(ROOT)}
    unshare = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]
    argv = [*unshare, sys.executable, "-m", "comfy_capsule.packager.cli", *map(str, words)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("part", [None, SMALLEST_PART])
def test_restored_in_an_empty_network_namespace_without_any_origin(bench: Bench, part: int | None) -> None:
    sealed = bench.seal(part=part)
    before = lock_python(as_install(bench.env), silent, known=bench.capsule.pylock)
    bench.take_everything_away()
    new = bench.folder / "new"
    done = away(bench.folder / "home", "restore", sealed, "--into", new, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    table = json.loads(done.stdout)["table"]
    assert table["equal"]
    assert {row["kind"] for row in table["rows"]} >= {"comfyui", "pack", "python", "model"}
    assert (new / "models/vae/small.safetensors").read_bytes() == MODEL
    assert (new / "custom_nodes/tint/lib/lib.py").read_text() == "x = 1\n"
    after = lock_python(as_install(new / ".venv"), silent, known=bench.capsule.pylock)
    assert after.text == before.text
    assert git("remote", "get-url", "origin", cwd=new / "custom_nodes/tint") == bench.capsule.lock.packs[0].origin
    assert is_on_a_remote(new / "custom_nodes/tint", bench.capsule.lock.packs[0].commit)
    assert not list(new.glob(".wheels-*"))


def test_a_pin_of_which_no_file_is_known_is_taken_as_the_index_has_it(bench: Bench) -> None:
    make_wheel(bench.index.folder, "delta")
    pins = ('unproved = ["delta==1.0", "nowhere==7"]', 'unproved = ["delta==1.0"]')
    texts = [bench.capsule.pylock.replace("unproved = []", pin) for pin in pins]
    lacking, odd = (replace(bench, capsule=replace(bench.capsule, pylock=text)) for text in texts)
    sealed = read_capsule(lacking.seal(what="code"))
    assert "vendor/wheels/delta-1.0-py3-none-any.whl" in sealed.vendored
    assert [item.subject for item in sealed.lock.findings if item.code == "not-vendored"] == ["nowhere==7"]
    out = odd.seal("second")
    bench.take_everything_away()
    (bench.folder / "mine").mkdir()
    again = replace(odd, capsule=read_capsule(out)).seal("third")  # the index is there, and has nothing
    assert again.read_bytes() == out.read_bytes()
    plan = plan_restore(read_capsule(out), bench.folder / "new")
    assert next(step.source for step in plan.steps if step.item == "delta==1.0") == "the capsule"
    done = away(bench.folder / "home", "restore", out, "--into", bench.folder / "new", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (site_packages(bench.folder / "new/.venv") / "delta.py").is_file()
    write_context(read_capsule(out), bench.folder / "context", report=silent, base="python:3", python_in_base=True)
    assert not (bench.folder / "context/lock/unproved.txt").exists()
    assert "delta==1.0 --hash" in (bench.folder / "context/lock/carried.txt").read_text()


def test_the_rest_of_a_capsule_without_models_comes_from_where_they_are(bench: Bench) -> None:
    sealed = read_capsule(bench.seal(what="code"))
    assert not [name for name in sealed.vendored if name.startswith("vendor/models/")]
    shutil.rmtree(bench.folder / "origins")
    made = restore(sealed, bench.folder / "new", models_from=[bench.folder / "mine"])
    assert made.table.equal


def test_the_plan_of_a_restore_says_that_all_is_in_the_capsule(bench: Bench) -> None:
    sealed = read_capsule(bench.seal())
    steps = plan_restore(sealed, bench.folder / "new").steps
    wheres = {step.what: step.source for step in steps if step.what in ("comfyui", "pack", "model")}
    assert all(where.startswith("the capsule") for where in wheres.values()), wheres
    (python,) = (step.source for step in steps if "distributions" in step.item)
    assert python == "the capsule"


def test_a_damaged_vendored_file_is_never_used(bench: Bench) -> None:
    sealed = bench.seal()
    whole = sealed.read_bytes()
    for wanted in (b"PACK", MODEL[:50], b"alpha-1.0.dist-info/METADATA"):
        at = whole.index(wanted) + 10
        sealed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CapsuleError) as caught:
            restore(read_capsule(sealed), bench.folder / "new", store=ModelStore(bench.folder / "empty"))
        assert caught.value.code in ("capsule-damaged", "model-missing")
        assert not (bench.folder / "new").exists()


def test_a_bundle_that_is_not_of_its_commit_is_refused(bench: Bench) -> None:
    """Its digest is that of the manifest, which whoever made the capsule wrote."""
    sealed = read_capsule(bench.seal())
    core, pack = (f"vendor/git/{source.commit}.bundle" for source in checkouts(sealed)[:2])
    swapped = {**sealed.vendored, pack: sealed.vendored[core]}
    write_capsule(replace(sealed, vendored=swapped, sealed=""), bench.folder / "evil.zip")
    with pytest.raises(CapsuleError) as caught:
        restore(read_capsule(bench.folder / "evil.zip"), bench.folder / "new")
    assert caught.value.code == "commit-gone"


def test_a_missing_part_is_named_before_anything_is_made(bench: Bench) -> None:
    sealed = bench.seal(part=SMALLEST_PART)
    sealed.with_name(f"{sealed.name}.002").unlink()
    for work in (
        lambda: plan_restore(read_capsule(sealed), bench.folder / "new"),
        lambda: restore(read_capsule(sealed), bench.folder / "new"),
        lambda: write_context(read_capsule(sealed), bench.folder / "context", report=silent),
    ):
        with pytest.raises(BadInput, match=r"w\.capsule\.zip\.002") as caught:
            work()
        assert caught.value.code == "capsule-part-missing"
    assert away(bench.folder / "home", "inspect", sealed, "--json").returncode == 2


def test_an_image_takes_them_too_and_holds_them_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = bench.seal()
    bench.take_everything_away()
    bench.index.asked.clear()
    capsule, folder = read_capsule(sealed), bench.folder / "context"
    write_context(capsule, folder, report=silent, base="python:3", python_in_base=True)
    assert sorted(path.name for path in (folder / "lock/wheels").iterdir()) == [
        "Gamma_ray-2.0+cu130-py3-none-any.whl",
        "alpha-1.0-py3-none-any.whl",
        "beta-1.0-py3-none-any.whl",
        "private-1.0-py3-none-any.whl",
    ]
    assert "packages = []" in (folder / "lock/pylock.toml").read_text()
    assert "/build/lock/carried.txt" in (folder / "Dockerfile").read_text()
    assert (below(folder / "sources/packs") / "tint").is_dir()
    (model,) = (folder / "models").rglob("small.safetensors")
    assert model.read_bytes() == MODEL
    kept = below(folder / "capsule") / "w.capsule.zip"
    inside = read_capsule(kept)
    assert inside.digests == capsule.digests
    assert bench.index.asked == []
    assert kept.stat().st_size < len(MODEL)


def test_the_restored_environment_says_what_the_captured_one_said_of_an_address(bench: Bench) -> None:
    made = restore(read_capsule(bench.seal()), bench.folder / "new")
    (before,), (after,) = (
        list(site_packages(folder).glob("[Gg]amma_ray-*.dist-info/direct_url.json"))
        for folder in (bench.env, made.path / ".venv")
    )
    said = [json.loads(path.read_text()) for path in (before, after)]
    assert said[0]["url"] == said[1]["url"]
    assert said[0]["archive_info"]["hashes"] == said[1]["archive_info"]["hashes"]
