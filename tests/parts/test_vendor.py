"""Sealed: a capsule with its origins inside comes back where there is no network, no origin and no cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench import Commit, Pack, build_pack
from bench.git import git
from bench.index import PackageIndex, default_index, make_wheel
from bench.installs import install_at
from bench.python_env import as_install, install, venv
from comfy_capsule.packager import actions
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import (
    SMALLEST_PART,
    Capsule,
    ComfyUI,
    Lock,
    Model,
    ModelOrigin,
    Platform,
    Source,
    Submodule,
    UsedFile,
    read_capsule,
    tree_digest,
    tree_files,
    write_capsule,
)
from comfy_capsule.packager.capsule import Pack as LockedPack
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, Blocked, Cancelled, CapsuleError
from comfy_capsule.packager.image.context import write_context
from comfy_capsule.packager.materialise import ModelStore, site_packages
from comfy_capsule.packager.progress import Progress, Report, silent
from comfy_capsule.packager.restore import plan_restore, restore
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.snapshot.trees.bundle import is_on_a_remote
from comfy_capsule.packager.vendor import plan_sealing, seal

ROOT = Path(sys.modules["comfy_capsule"].__file__ or "").parents[1]
CORE = {
    "main.py": "1\n",
    "nodes.py": "",
    "folder_paths.py": "",
    "comfy/__init__.py": "",
    "comfyui_version.py": '__version__ = "0.30.0"\n',
    ".gitignore": "/custom_nodes/\n/models/\n/input/\n",
}
MODEL = bytes(range(256)) * (SMALLEST_PART // 256 + 4)


@dataclass
class Bench:
    """A capsule, and everything outside it that it needs."""

    folder: Path
    capsule: Capsule
    index: PackageIndex
    env: Path

    def seal(self, name: str = "sealed", what: str = "all", **said: object) -> Path:
        out = self.folder / name / "w.capsule.zip"
        usual = {"models_from": [self.folder / "mine"], "store": ModelStore(self.folder / "store"), "report": silent}
        seal(self.capsule, out, what, **{**usual, **said})  # type: ignore[arg-type]
        return out

    def take_everything_away(self) -> None:
        for name in ("origins", "mine", "store", "index", "uv", "v"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def tree_of(pack: Pack, folder: Path) -> str:
    git("clone", "--quiet", pack.url, folder, cwd=folder.parent)
    return tree_digest(folder, tree_files(folder))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f"xdg/{name}"))
    with default_index(tmp_path, monkeypatch) as index:
        made = venv(tmp_path / "v")
        for name in ("alpha", "beta"):
            make_wheel(index.folder, name, entry=f"{name}-run = {name}:main")
        install("uv", made, ["alpha==1.0", "beta==1.0"])
        by_address = make_wheel(index.folder, "Gamma_ray", "2.0+cu130")
        address = index.address.removesuffix("simple") + "files/" + by_address.name
        install("pip", made, [f"gamma-ray @ {address}"])
        install("uv", made, [make_wheel(tmp_path / "own", "private")])
        said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
        core = build_pack(tmp_path / "origins", "ComfyUI", Commit("core", CORE))
        library = build_pack(tmp_path / "origins", "lib", Commit("lib", {"lib.py": "x = 1\n"}))
        pack = build_pack(tmp_path / "origins", "tint", Commit("old", {"a.py": "0"}), Commit("new", {"a.py": "1\n"}))
        trees = {each.name: tree_of(each, tmp_path / f"tree-{each.name}") for each in (core, library, pack)}
        whole = tmp_path / "tree-tint"
        shutil.copytree(tmp_path / "tree-lib", whole / "lib")
        lock = Lock(
            name="w",
            platform=Platform(os="linux", arch=os.uname().machine, python=".".join(map(str, sys.version_info[:3]))),
            comfyui=ComfyUI(
                version="0.30.0", kind="git", origin=core.url, commit=core.commits[-1], tree=trees["ComfyUI"]
            ),
            packs=(
                LockedPack(
                    name="tint",
                    kind="git",
                    origin=pack.url,
                    commit=pack.commits[-1],
                    tree=tree_digest(whole, tree_files(whole)),
                    submodules=(Submodule(path="lib", origin=library.url, commit=library.commits[-1]),),
                    used=True,
                ),
            ),
            models=(
                Model(
                    folder="vae", name="small.safetensors", size=len(MODEL), sha256=hashlib.sha256(MODEL).hexdigest()
                ),
            ),
        )
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/a.bin").write_bytes(MODEL)
        ui = {"nodes": [{"id": 1, "type": "Tint"}], "links": [], "version": 0.4}
        graph = {"1": {"class_type": "Tint", "inputs": {}}}
        capsule = Capsule(lock, said.text, ui, graph, Contract(name="w"), {"Tint": {}}, said.files)
        yield Bench(tmp_path, capsule, index, made)


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


def test_the_rest_of_a_capsule_without_models_comes_from_where_they_are(bench: Bench) -> None:
    sealed = read_capsule(bench.seal(what="code"))
    assert not [name for name in sealed.vendored if name.startswith("vendor/models/")]
    shutil.rmtree(bench.folder / "origins")
    made = restore(sealed, bench.folder / "new", models_from=[bench.folder / "mine"])
    assert made.table.equal


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


def checkouts(capsule: Capsule) -> list[Source | Submodule]:
    return [capsule.lock.comfyui, *capsule.lock.packs, *capsule.lock.packs[0].submodules]


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


def test_the_plan_of_a_restore_says_that_all_is_in_the_capsule(bench: Bench) -> None:
    sealed = read_capsule(bench.seal())
    steps = plan_restore(sealed, bench.folder / "new").steps
    wheres = {step.what: step.source for step in steps if step.what in ("comfyui", "pack", "model")}
    assert all(where.startswith("the capsule") for where in wheres.values()), wheres
    (python,) = (step.source for step in steps if "distributions" in step.item)
    assert python == "the capsule"


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
    assert (folder / "sources/packs/tint").is_dir()
    (model,) = (folder / "models").rglob("small.safetensors")
    assert model.read_bytes() == MODEL
    inside = read_capsule(folder / "capsule/w.capsule.zip")
    assert inside.digests == capsule.digests
    assert bench.index.asked == []
    assert (folder / "capsule/w.capsule.zip").stat().st_size < len(MODEL)


def test_the_command_seals_an_existing_capsule(bench: Bench) -> None:
    plain, sealed = bench.folder / "plain.capsule.zip", bench.folder / "sealed.capsule.zip"
    write_capsule(bench.capsule, plain)
    words = [sys.executable, "-m", "comfy_capsule.packager.cli", "vendor", plain, "--all", "-o", sealed]
    words += ["--models-from", bench.folder / "mine", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def said(*more: str) -> dict[str, object]:
        argv = [*map(str, words), *more]
        return dict(json.loads(subprocess.run(argv, env=environment, check=True, capture_output=True).stdout))

    plan = said("--dry-run")
    assert not sealed.exists()
    assert plan["unknown"] == 4
    made = said()
    assert len(made["vendored"]) == 7  # type: ignore[arg-type]
    assert made["id"] == read_capsule(sealed).digests.id
    said("--split", "66kB")
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


def test_the_restored_environment_says_what_the_captured_one_said_of_an_address(bench: Bench) -> None:
    made = restore(read_capsule(bench.seal()), bench.folder / "new")
    (before,), (after,) = (
        list(site_packages(folder).glob("[Gg]amma_ray-*.dist-info/direct_url.json"))
        for folder in (bench.env, made.path / ".venv")
    )
    said = [json.loads(path.read_text()) for path in (before, after)]
    assert said[0]["url"] == said[1]["url"]
    assert said[0]["archive_info"]["hashes"] == said[1]["archive_info"]["hashes"]


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
    monkeypatch.setattr(actions, "_read_graphs", lambda *_: (capsule.workflow, capsule.graph))
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
