"""Files of other tools: what they say is read, what they do not hold is said, and hostile ones do no harm."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.others import Described, Places, node_types, plan_import, read_others
from comfy_capsule.packager.others.zips import Limits, read_zip

COMMIT, OTHER = "a" * 40, "b" * 40
MANAGER: dict[str, Any] = {
    "comfyui": COMMIT,
    "git_custom_nodes": {
        "https://github.com/a/ComfyUI-Tint.git": {"hash": OTHER, "disabled": False},
        "git@example.com:b/grain": {"hash": COMMIT, "disabled": True},
        "null": {"hash": COMMIT, "disabled": False},
        "https://user:secret@example.com/c/moving": {"hash": "main", "disabled": False},
    },
    "cnr_custom_nodes": {"blur": "1.2.3", "latest-one": "nightly"},
    "file_custom_nodes": [{"filename": "one.py", "disabled": False}],
    "pips": {
        "numpy==2.1.0": "",
        "Pillow": "11.0.0",
        "tiny": "git+https://example.com/tiny@" + COMMIT,
        "near": "file:///home/me/near",
        "odd-host": "https://[x/y.whl",
        "-e git+https://example.com/e@1#egg=e": "",
        "# a comment": "",
        "odd line here": "",
        "loose>=2": "",
    },
}
UI = {
    "nodes": [
        {"id": 1, "type": "KSampler", "properties": {"cnr_id": "comfy-core", "ver": "0.3.40"}},
        {"id": 2, "type": "Tint", "properties": {"cnr_id": "tint-pack", "ver": "1.0.0"}},
        {
            "id": 3,
            "type": "CheckpointLoaderSimple",
            "properties": {
                "aux_id": "me/loader",
                "ver": OTHER,
                "models": [
                    {"name": "sd.safetensors", "url": "https://example.com/sd?token=hidden-secret-1", "hash": "1"}
                ],
            },
        },
    ],
    "links": [],
    "version": 0.4,
}
API = {"1": {"class_type": "KSampler", "inputs": {"lora": "style.safetensors"}}}


def written(folder: Path, said: Any, name: str = "snapshot.json") -> Path:
    path = folder / name
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


def codes(said: Described) -> set[tuple[str, str]]:
    return {(item.code, item.subject) for item in said.findings}


def desktop(**said: Any) -> dict[str, Any]:
    core = {"ref": "v0.3.40", "commit": COMMIT, "releaseTag": "x", "variant": "linux-cpu"}
    usual = {"version": 1, "createdAt": "2026-09-08T00:00:00Z", "trigger": "boot", "label": None, "comfyui": core}
    return {**usual, "customNodes": [], "pipPackages": {}, **said}


def envelope(*snapshots: Any, version: int = 2) -> dict[str, Any]:
    return {"type": "comfyui-desktop-2-snapshot", "version": version, "snapshots": list(snapshots)}


def test_a_manager_snapshot_says_commits_and_pins_and_the_rest_is_told(tmp_path: Path) -> None:
    said = read_others(written(tmp_path, MANAGER))
    assert (said.form, said.comfyui, said.python) == ("manager", COMMIT, "")
    assert [(pack.path, pack.kind, pack.commit or pack.registry) for pack in said.packs] == [
        ("ComfyUI-Tint", "git", OTHER),
        ("grain.disabled", "git", COMMIT),
        ("blur", "registry", "blur@1.2.3"),
    ]
    assert [pin.line for pin in said.pins] == [
        "numpy==2.1.0",
        "pillow==11.0.0",
        f"tiny @ git+https://example.com/tiny@{COMMIT}",
    ]
    assert codes(said) >= {
        *(("not-in-source", subject) for subject in ("local changes", "models", "packs", "platform", "workflow")),
        *(("pack-not-had", name) for name in ("null", "moving", "latest-one", "one.py")),
        *(("pin-not-had", name) for name in ("near", "odd-host", "-e git+https://example.com/e@1#egg=e")),
        *(("entry-left-out", name) for name in ("odd line here", "loose")),
    }
    assert all(item.cure for item in said.findings)
    assert "secret" not in said.model_dump_json()


def test_a_file_without_any_python_package_says_that_it_will_not_start(tmp_path: Path) -> None:
    for pips in ({}, None):
        assert ("pin-not-had", "Python") in codes(read_others(written(tmp_path, {**MANAGER, "pips": pips})))
    assert ("pin-not-had", "Python") in codes(read_others(written(tmp_path, envelope(desktop()))))
    assert ("pin-not-had", "Python") in codes(read_others(cpack(tmp_path, {"comfyui": COMMIT, "models": []})))


def test_the_yaml_form_is_the_same(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = yaml.dump({"custom_nodes": MANAGER}, allow_unicode=True, sort_keys=False)
    assert read_others(written(tmp_path, text, "s.yaml")) == read_others(written(tmp_path, MANAGER))


def test_without_pyyaml_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert refused(written(tmp_path, "comfyui: x", "s.yaml")) == "no-yaml"


def test_a_desktop_snapshot_keeps_folders_and_states(tmp_path: Path) -> None:
    nodes = [
        {"id": "Tint", "type": "git", "dirName": "tint-2", "enabled": True, "commit": OTHER, "url": "https://h/x/tint"},
        {"id": "blur", "type": "cnr", "dirName": "Blur", "enabled": False, "version": "1.0.0"},
        {"id": "one.py", "type": "file", "dirName": "one.py", "enabled": True},
        {"id": "plain", "type": "git", "dirName": "plain", "enabled": True},
        {"id": "up", "type": "git", "dirName": "../up", "enabled": True, "commit": OTHER, "url": "https://h/x"},
        "odd",
    ]
    newest = desktop(
        customNodes=nodes, pipPackages={"numpy": "2.1.0"}, pythonVersion="3.12.7", torchStack={"kind": "x"}
    )
    older = desktop(createdAt="2026-01-01T00:00:00Z", skipPipSync=True)
    path = written(tmp_path, envelope(newest, older))
    said = read_others(path)
    assert (said.form, said.comfyui, said.python) == ("desktop", COMMIT, "3.12.7")
    assert [(pack.name, pack.path) for pack in said.packs] == [("tint-2", "tint-2"), ("Blur", ".disabled/Blur")]
    assert [pin.line for pin in said.pins] == ["numpy==2.1.0"]
    assert codes(said) >= {
        *(("pack-not-had", name) for name in ("one.py", "plain")),
        *(("entry-left-out", name) for name in ("'../up'", "customNodes")),
        *(("assumed", "snapshot"), ("resolved-today", "torch")),
    }
    assert ("assumed", "Python") in codes(read_others(path, 2))
    assert refused(path, 3) == "no-such-snapshot"
    assert read_others(written(tmp_path, desktop())).comfyui == COMMIT  # one file of its history


@pytest.mark.parametrize(
    ("core", "found"),
    [
        ({"ref": "v0.3.40", "commit": None}, "v0.3.40"),
        ({"ref": "unknown", "commit": None, "baseTag": "v0.3.41", "commitsAhead": 0}, "v0.3.41"),
        ({"ref": "unknown", "commit": None, "baseTag": "v0.3.41", "commitsAhead": 3}, ""),
        ({"ref": "unknown", "commit": "abc"}, ""),
    ],
)
def test_a_tag_stands_for_a_commit_only_where_it_is_one(tmp_path: Path, core: dict[str, Any], found: str) -> None:
    assert read_others(written(tmp_path, envelope(desktop(comfyui=core)))).comfyui == found


def cpack(folder: Path, snapshot: Any, **more: str | bytes) -> Path:
    path = folder / "w.cpack.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("snapshot.json", json.dumps(snapshot))
        for name, data in more.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return path


MODEL = {"filename": "models\\loras\\a\\x.safetensors", "size": 7, "sha256": "C" * 64, "disabled": False}


def test_a_comfy_pack_archive_has_models_inputs_and_the_workflow(tmp_path: Path) -> None:
    source = {"download_url": "https://me:secret@example.com/x", "source": "huggingface"}
    models = [{**MODEL, "source": source}, {**MODEL, "filename": "models/x/unwanted.ckpt", "disabled": True}]
    models += [{**MODEL, "filename": "../../etc/passwd"}, {**MODEL, "filename": "models/x/y", "sha256": None}]
    api = {"1": {"class_type": "CPackInputImage", "inputs": {}}}
    files: dict[str, str | bytes] = {"workflow_dot_json": json.dumps(UI), "workflow_api_dot_json": json.dumps(api)}
    files |= {"input__in_dot_png": b"pixels", "extra_dot_sh": "echo"}
    said = read_others(cpack(tmp_path, {**MANAGER, "python": "3.11", "models": models}, **files))
    assert (said.form, said.comfyui, said.python, len(said.packs)) == ("cpack", COMMIT, "3.11", 3)
    assert [(model.folder, model.name, model.size, model.sha256) for model in said.models] == [
        ("loras", "a/x.safetensors", 7, "c" * 64)
    ]
    assert [(origin.url, origin.proved) for origin in said.models[0].sources] == [("https://example.com/x", False)]
    assert said.inputs == {"in.png": b"pixels"}
    assert (said.ui, said.api) == (UI, api)
    assert codes(said) >= {
        *(("entry-left-out", name) for name in ("'../../etc/passwd'", "models/x/y", "extra.sh")),
        *(("not-chosen", "models/x/unwanted.ckpt"), ("assumed", "contract")),
    }


def test_an_old_comfy_pack_archive_has_its_pins_in_a_file(tmp_path: Path) -> None:
    nodes = [
        {"url": "https://github.com/a/tint", "commit_hash": OTHER, "disabled": True},
        {"url": "", "commit_hash": OTHER, "disabled": False},
    ]
    pins = f"numpy==2.1.0 \\\n    --hash=sha256:{'d' * 64}\npillow==11.0.0\ncomfy-cli\n"
    said = read_others(
        cpack(tmp_path, {"comfyui": COMMIT, "custom_nodes": nodes, "models": []}, requirements_dot_txt=pins)
    )
    assert [(pack.path, pack.commit) for pack in said.packs] == [("tint.disabled", OTHER)]
    assert [(pin.line, pin.hashes) for pin in said.pins] == [("numpy==2.1.0", ("d" * 64,)), ("pillow==11.0.0", ())]
    assert ("entry-left-out", "comfy-cli") in codes(said)
    assert any(item.code == "assumed" and "onnxruntime" in item.message for item in said.findings)


def picture(folder: Path, **texts: Any) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    for name, value in texts.items():
        data += chunk(b"tEXt", name.encode() + b"\0" + json.dumps(value).encode())
    data += chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    (folder / "p.png").write_bytes(data)
    return folder / "p.png"


def test_a_picture_gives_its_graphs_and_what_they_name(tmp_path: Path) -> None:
    said = read_others(picture(tmp_path, workflow=UI, prompt=API))
    assert (said.form, said.ui, said.api, node_types(said)) == ("workflow", UI, API, ("KSampler",))
    assert codes(said) == {
        *(("pack-not-had", name) for name in ("tint-pack", "me/loader")),
        *(("model-named", name) for name in ("sd.safetensors", "style.safetensors")),
        ("not-in-source", "ComfyUI"),
    }
    assert "hidden-secret-1" not in said.model_copy(update={"ui": None}).model_dump_json()
    assert node_types(read_others(written(tmp_path, UI))) == ("CheckpointLoaderSimple", "KSampler", "Tint")


def test_the_plan_asks_nobody_and_says_what_would_be_left_out(tmp_path: Path) -> None:
    said = read_others(written(tmp_path, MANAGER))
    lines = [step.line for step in plan_import(said, Places())]
    assert [line[0] for line in lines] == ["comfyui", "pack", "pack", "pack", "python", "python"]
    assert lines[0][:3] == ("comfyui", COMMIT[:12], "https://github.com/comfyanonymous/ComfyUI")
    assert "--registry" in lines[3][3]
    assert lines[4][1:] == (
        "3 distributions for Python any",
        "your package indexes",
        "2 without a hash: resolved today",
    )
    assert "--trust" in lines[5][3]


@pytest.mark.parametrize(
    "ui",
    [
        {"nodes": [4, None, {"type": ["x"], "properties": [1]}, {"properties": {"models": {}, "cnr_id": {"x": 1}}}]},
        {"nodes": [], "definitions": {"subgraphs": [None, {"nodes": 4}]}},
        {"nodes": [{"properties": {"models": [None, {"name": ["x"], "url": 4}], "aux_id": [], "ver": {}}}]},
    ],
)
def test_odd_graphs_are_no_crash(tmp_path: Path, ui: Any) -> None:
    assert read_others(written(tmp_path, ui)).ui == ui
    api = {"1": {"class_type": "X", "inputs": [1]}, "2": {"class_type": ["y"], "inputs": None}}
    assert len(node_types(read_others(written(tmp_path, api)))) == 2


def refused(path: Path, number: int = 1) -> str:
    with pytest.raises(CapsuleError) as caught:
        read_others(path, number)
    assert isinstance(caught.value, BadInput)
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        ("{", "s.json", "others-unreadable"),
        ("[" * 100_000, "s.json", "others-unreadable"),
        ("[" * 100_000, "s.yaml", "others-unreadable"),
        ('{"a": NaN}', "s.json", "others-unreadable"),
        ("[1]", "s.json", "others-unreadable"),
        ('{"hello": 1}', "s.json", "others-unreadable"),
        ("\udcff".encode("utf-8", "surrogateescape"), "s.json", "others-unreadable"),
        ("a: &a [x, x]\nb: *a\n", "s.yaml", "others-unreadable"),
        ("!!python/object/apply:os.system ['touch /tmp/never']", "s.yaml", "others-unreadable"),
        ("1: {git_custom_nodes: {}}", "s.yaml", "others-unreadable"),
        ('{"type": "comfyui-desktop-2-snapshot", "version": 3}', "s.json", "others-too-new"),
        ('{"type": "comfyui-desktop-2-snapshot", "version": 1, "snapshots": 4}', "s.json", "no-such-snapshot"),
        ('{"customNodes": [], "pipPackages": {}, "comfyui": null}', "s.json", "others-unreadable"),
        (b"PK\x03\x04 no zip", "w.cpack.zip", "others-unreadable"),
        (b"\x89PNG\r\n\x1a\n", "p.png", "picture-unreadable"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, name: str, code: str) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert refused(tmp_path / name) == code


@pytest.mark.parametrize("key", ["git_custom_nodes", "cnr_custom_nodes", "file_custom_nodes", "pips", "comfyui"])
@pytest.mark.parametrize(
    "value", [None, 4, "text", [1], [[]], {"x": 4}, {"x": None}, {"": {"hash": []}}, {"../x": "1"}]
)
def test_values_of_another_shape_are_findings_and_no_crash(tmp_path: Path, key: str, value: Any) -> None:
    said = read_others(written(tmp_path, {**MANAGER, "git_custom_nodes": {}, "cnr_custom_nodes": {}, key: value}))
    assert all("/" not in pack.path for pack in said.packs)


@pytest.mark.parametrize(
    "url", ["--upload-pack=touch x", "ext::sh -c id", "https://-o/x", "/tmp/../x\nfetch", "file://host/x", "a b@c:d"]
)
def test_an_address_that_git_would_take_for_something_else_is_no_origin(tmp_path: Path, url: str) -> None:
    said = read_others(written(tmp_path, {"git_custom_nodes": {url: {"hash": COMMIT}}}))
    assert said.packs == ()
    assert {code for code, _ in codes(said)} >= {"pack-not-had"}


def test_folder_names_that_lead_elsewhere_are_left_out(tmp_path: Path) -> None:
    urls = [f"https://example.com/x/{name}" for name in ("..", ".git", "a\\b", ".disabled", "x.disabled")]
    said = read_others(written(tmp_path, {"git_custom_nodes": {url: {"hash": COMMIT} for url in urls}}))
    assert said.packs == ()


def zipped(folder: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return folder / "z.zip"


def test_a_zip_that_lies_unpacks_to_nothing(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    cases: list[tuple[list[tuple[zipfile.ZipInfo | str, bytes]], str]] = [
        ([("a", b"0" * 5_000_000)], "others-too-large"),
        ([(f"f{number}", b"") for number in range(11)], "others-too-large"),
        ([("../up", b"")], "capsule-unsafe-name"),
        ([("/abs", b"")], "capsule-unsafe-name"),
        ([(link, b"/etc/passwd")], "others-unreadable"),
        ([("A", b""), ("a", b"")], "others-unreadable"),
        ([("a", b""), ("a/b", b"")], "others-unreadable"),
    ]
    for entries, code in cases:
        with pytest.raises(BadInput) as caught:
            list(read_zip(zipped(tmp_path, *entries), Limits(files=10, size=1_000_000)))
        assert caught.value.code == code, entries[0][0]
    damaged = bytearray(zipped(tmp_path, ("a", b"text that is long enough")).read_bytes())
    damaged[40] ^= 0xFF
    (tmp_path / "z.zip").write_bytes(damaged)
    with pytest.raises(BadInput) as caught:
        list(read_zip(tmp_path / "z.zip", Limits(10, 1000)))
    assert caught.value.code == "others-unreadable"


def test_a_capsule_is_no_file_of_another_tool(tmp_path: Path) -> None:
    assert refused(zipped(tmp_path, ("MANIFEST.json", b"{}"), ("capsule.toml", b""))) == "is-a-capsule"
    assert refused(tmp_path / "nowhere.json") == "no-such-file"
