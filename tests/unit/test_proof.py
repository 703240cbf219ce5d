"""The proof names every tree, pack, library and node class that is not the captured one, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.gateway import blank_capsule
from comfy_capsule.packager.capsule import (
    ComfyUI,
    Library,
    Lock,
    Pack,
    Platform,
    Program,
    System,
    UsedFile,
    sha256_bytes,
    sha256_file,
    tree_digest,
)
from comfy_capsule.packager.proof.__main__ import main
from comfy_capsule.packager.proof.environment import import_failures, import_rows, needed_rows, tree_rows
from comfy_capsule.packager.proof.parts import write_parts
from comfy_capsule.packager.restore import Row, node_rows
from comfy_capsule.packager.workflow import frozen_signatures

PLATFORM = Platform(os="linux", arch="x86_64", python="3.11.7")
CORE = {"main.py": "run()\n", "comfy/odd name.py": "x = 1\n"}
ALPHA = {"__init__.py": "a = 1\n", "web/a.js": "export {}\n"}
NO_GPU = "Found no NVIDIA driver on your system."


def definition(**inputs: Any) -> dict[str, Any]:
    return {"input": {"required": inputs}, "output": ["IMAGE"], "name": "X"}


FOUND = {
    "Load": definition(model=[["a.safetensors", "b.safetensors"], {}]),
    "Blur": definition(radius=["INT", {"min": 0, "max": 9}]),
}


def different(rows: Any) -> dict[str, str]:
    """``{subject: what was found}`` of the rows that differ."""
    return {item.subject: item.found for item in rows if not item.equal}


def test_another_machines_files_are_no_difference() -> None:
    frozen = frozen_signatures(FOUND, FOUND)
    here = {**FOUND, "Load": definition(model=[["other.safetensors"], {}]), "More": {}}
    assert different(node_rows(frozen, here)) == {}


def test_missing_and_changed_classes_are_named() -> None:
    frozen = frozen_signatures(FOUND, FOUND)
    changed = {"Blur": {**definition(radius=["INT", {"min": 0, "max": 10}]), "output": ["MASK"]}}
    assert different(node_rows(frozen, changed)) == {"Load": "missing", "Blur": "differs in input, output"}
    whole = definition(radius=["INT", {"min": False, "max": 9}])
    assert different(node_rows({"Blur": frozen["Blur"]}, {"Blur": whole})), "false is no number"


@pytest.fixture
def image(tmp_path: Path) -> tuple[Lock, dict[str, list[str]], Path]:
    """A lock, the names of its trees, and the folder in which they lie as in an image."""
    root = tmp_path / "comfyui"
    packs = root / "custom_nodes"
    for folder, files in ((root, CORE), (packs / "alpha", ALPHA)):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (packs / "lone.py").write_text("b = 2\n")
    (packs / "websocket_image_save.py").write_text("comes with ComfyUI\n")
    (packs / "alpha/__pycache__").mkdir()
    (packs / "alpha/__pycache__/a.pyc").write_bytes(b"\0")
    (packs / "alpha/seen.bin").write_bytes(b"as the run opened it")
    lock = Lock(
        name="environment",
        platform=PLATFORM,
        comfyui=ComfyUI(version="1", kind="git", tree=tree_digest(root, CORE)),
        packs=(
            Pack(name="alpha", kind="git", tree=tree_digest(packs / "alpha", ALPHA), classes=("A", "B")),
            Pack(name="lone.py", kind="file", tree=sha256_file(packs / "lone.py")),
        ),
        files=(UsedFile(place="comfyui", name="custom_nodes/alpha/seen.bin", size=20, sha256="0" * 64),),
    )
    return lock, {"": [*CORE], "custom_nodes/alpha": [*ALPHA], "custom_nodes/lone.py": []}, root


def test_trees_as_they_were_are_equal(image: tuple[Lock, dict[str, list[str]], Path]) -> None:
    assert [(item.subject, item.equal) for item in tree_rows(*image)] == [
        ("ComfyUI", True), ("alpha", True), ("lone.py", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "data", "subject", "said"),
    [
        ("custom_nodes/alpha/__init__.py", b"a = 2\n", "alpha", "tree "),
        ("custom_nodes/alpha/web/a.js", None, "alpha", "tree "),
        ("custom_nodes/alpha/more.py", b"", "alpha", "and more.py"),
        ("custom_nodes/lone.py", b"b = 3\n", "lone.py", sha256_bytes(b"b = 3\n")[:12]),
        ("custom_nodes/lone.py", None, "lone.py", "missing"),
        ("custom_nodes/stranger/__init__.py", b"", "stranger", "there"),
        ("custom_nodes/.disabled/old/__init__.py", b"", ".disabled/old", "there"),
        ("comfy/odd name.py", b"x = 2\n", "ComfyUI", "tree "),
        ("comfy/evil.py", b"x = 2\n", "ComfyUI", "and comfy/evil.py"),
    ],
)
def test_one_changed_byte_is_named(
    image: tuple[Lock, dict[str, list[str]], Path], path: str, data: bytes | None, subject: str, said: str
) -> None:
    lock, trees, root = image
    where = root / path
    if data is None:
        where.unlink()
    else:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)
    found = different(tree_rows(lock, trees, root))
    assert list(found) == [subject]
    assert said in found[subject]


def test_a_name_that_the_list_keeps_back_is_seen_by_the_digest(
    image: tuple[Lock, dict[str, list[str]], Path],
) -> None:
    lock, trees, root = image
    (root / "custom_nodes/alpha/web/a.js").unlink()
    assert "alpha" in different(tree_rows(lock, {**trees, "custom_nodes/alpha": ["__init__.py"]}, root))


def test_a_library_that_the_lock_needs_and_the_image_lacks_is_named(tmp_path: Path) -> None:
    system = System(
        libraries=(
            Library(soname="libnever.so.9", package="libnever9"),
            Library(soname="libunknown.so.9"),
            Library(soname="libcuda.so.1", kind="driver"),
            Library(soname="libc.so.6", package="libc6"),
        ),
        programs=(Program(name="never-a-program", package="never"), Program(name="sh", package="dash")),
    )
    lock = Lock(name="x", platform=PLATFORM, comfyui=ComfyUI(version="1", kind="git"), system=system)
    rows, unproved = needed_rows(lock, (tmp_path,))
    assert {item.subject for item in rows} == {"libnever.so.9", "libc.so.6", "never-a-program", "sh"}
    missing = {"libnever.so.9": "missing (package libnever9)", "never-a-program": "missing (package never)"}
    assert different(rows) == missing
    assert unproved == ["Not there, and no package is known to hold it: libunknown.so.9."]


PACKS = (
    Pack(name="alpha", kind="git", classes=("A", "B")),
    Pack(name="off", kind="git", classes=("C",), enabled=False),
    Pack(name="lone.py", kind="file", classes=("L",)),
)


def given(**classes: str) -> dict[str, Any]:
    return {name: {"python_module": f"custom_nodes.{module}"} for name, module in classes.items()}


def imported(object_info: dict[str, Any], *, lines: list[str] | None = None, gpu: bool = False) -> Any:
    return import_rows(PACKS, object_info, import_failures(lines or []), gpu)


def test_packs_that_give_what_they_gave_are_equal_and_disabled_ones_are_not_asked() -> None:
    rows, unproved, without = imported(given(A="alpha", B="alpha", L="lone", Z="not.ours"))
    assert ([item.subject for item in rows], different(rows), unproved, without) == (
        ["alpha", "lone.py"],
        {},
        [],
        set(),
    )


def test_a_pack_that_does_not_load_says_why() -> None:
    line = "[WARNING] Cannot import /comfyui/custom_nodes/alpha module for custom nodes: No module named 'gone'"
    rows, _, _ = imported(given(L="lone"), lines=[line])
    assert different(rows) == {"alpha": "does not load: No module named 'gone'"}
    rows, _, _ = imported(given(A="alpha", L="lone", N="lone"))
    assert different(rows) == {"alpha": "lacks B", "lone.py": "has N too"}


def test_what_needs_a_gpu_is_unproved_and_never_equal() -> None:
    line = f"Cannot import /comfyui/custom_nodes/alpha module for custom nodes: {NO_GPU}"
    rows, unproved, without = imported(given(L="lone"), lines=[line], gpu=True)
    assert [item.subject for item in rows] == ["lone.py"]
    assert unproved == ["needs-gpu: alpha gives A, B where there is a GPU only."]
    assert without == {"A", "B"}
    broken = "Cannot import /comfyui/custom_nodes/alpha module for custom nodes: invalid syntax (x.py, line 1)"
    rows, unproved, _ = imported(given(L="lone"), lines=[broken], gpu=True)
    assert (different(rows), unproved) == ({"alpha": "does not load: invalid syntax (x.py, line 1)"}, [])


def test_the_parts_lie_apart_so_that_a_change_has_only_its_own_proved_again(tmp_path: Path) -> None:
    def parts(name: str, **more: Any) -> dict[str, bytes]:
        folder = tmp_path / name
        write_parts(blank_capsule(**more), {"": ["main.py"]}, "used", folder)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    plain = parts("plain")
    graph = blank_capsule().graph
    titled = parts("titled", graph={**graph, "1": {**graph["1"], "_meta": {"title": "Another"}}})
    other = parts("other", graph={**graph, "1": {**graph["1"], "inputs": {**graph["1"]["inputs"], "width": 8}}})
    assert changed(plain, titled) == {"capsule/digests.json"}
    assert changed(plain, other) == {"capsule/digests.json", "graph/graph.json"}


def changed(one: dict[str, bytes], two: dict[str, bytes]) -> set[str]:
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


def test_the_whole_proof_is_joined_and_a_difference_fails_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digests.json").write_text('{"capsule": "ab"}')
    rows = [
        Row(kind="pack", subject="alpha", expected="tree 1", found="tree 1", equal=True).model_dump(),
        Row(kind="model", subject="x2", expected="aa", found="missing", equal=False).model_dump(),
    ]
    for name, chosen in (("good", rows[:1]), ("bad", rows[1:])):
        proof = {"equal": name == "good", "rows": chosen, "unproved": [f"{name}."]}
        (tmp_path / name).write_text(json.dumps(proof))
    good, bad, out = (str(tmp_path / name) for name in ("good", "bad", "out"))
    assert main(["join", str(tmp_path), good, "--out", out]) == 0
    assert json.loads(Path(out).read_text()) == {
        "capsule": {"capsule": "ab"}, "equal": True, "rows": rows[:1], "unproved": ["good."],
    }  # fmt: skip
    assert main(["join", str(tmp_path), good, bad, "--out", out]) == 1
    assert json.loads(Path(out).read_text())["equal"] is False
    assert capsys.readouterr().err == "model x2: expected aa, found missing.\n"
