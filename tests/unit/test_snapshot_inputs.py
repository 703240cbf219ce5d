"""Inputs: the very files of ComfyUI's input folder that a graph reads, and by name what cannot be carried."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.snapshot.inputs import Inputs, read_inputs
from model_cases import install_of

INFO = {
    "LoadImage": {"input": {"required": {"image": [["photo.png"], {"image_upload": True}]}}},
    "LoadAudio": {"input": {"required": {"audio": ["COMBO", {"options": [], "audio_upload": True}]}}},
    "LoadVideo": {"input": {"required": {"file": ["COMBO", {"options": [], "video_upload": True}]}}},
    "Load3D": {
        "input": {
            "required": {
                "model_file": ["COMBO", {"options": ["none"], "file_upload": True}],
                "image": ["LOAD_3D", {}],
            }
        }
    },
    "LoadImageOutput": {
        "input": {"required": {"image": ["COMBO", {"image_upload": True, "image_folder": "output", "remote": {}}]}}
    },
    "PackText": {"input": {"required": {"file": [["notes.txt", "sub/more.txt"], {}], "mode": [["a", "b"], {}]}}},
    "PackFolder": {"input": {"required": {"folder": [["set", "other"], {}]}}},
    "PackPath": {"input": {"required": {"path": ["STRING", {}]}}},
}


@pytest.fixture
def install(tmp_path: Path) -> Install:
    return install_of(tmp_path / "ComfyUI", ())


def put(install: Install, *names: str) -> None:
    for name in names:
        (install.input_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (install.input_dir / name).write_bytes(os.fsencode(name))


def read(install: Install, class_type: str, **inputs: Any) -> Inputs:
    return read_inputs(install, {"1": {"class_type": class_type, "inputs": inputs}}, INFO)


def names(read: Inputs) -> list[str]:
    assert sorted(read.carried) == sorted(f"inputs/{item.name}" for item in read.files)
    return [item.name for item in read.files]


@pytest.mark.parametrize(
    ("class_type", "inputs", "expected"),
    [
        ("LoadImage", {"image": "photo.png"}, ["photo.png"]),
        ("LoadImage", {"image": "sub\\caf\u00e9.png [input]"}, ["sub/caf\u00e9.png"]),
        ("LoadImage", {"image": {"__value__": ["photo.png", "sub/more.txt"]}}, ["photo.png", "sub/more.txt"]),
        ("LoadAudio", {"audio": "bell.flac"}, ["bell.flac"]),
        ("LoadVideo", {"file": "clip.mp4[input]"}, ["clip.mp4"]),
        ("Load3D", {"model_file": "3d/cube.glb", "image": {"image": "shot.png [input]"}}, ["3d/cube.glb", "shot.png"]),
        ("Load3D", {"model_file": "none", "image": ""}, []),
        ("PackText", {"file": "notes.txt", "mode": "a"}, ["notes.txt"]),
        ("PackText", {"file": "gone.txt", "mode": "b"}, []),
        ("PackFolder", {"folder": "set"}, ["set/1.png", "set/deep/2.png"]),
        ("PackFolder", {"folder": "set", "cover": "set/1.png"}, ["set/1.png", "set/deep/2.png"]),
        ("PackPath", {"path": "clip.mp4"}, ["clip.mp4"]),
        ("PackPath", {"path": "input/clip.mp4"}, ["clip.mp4"]),
        ("PackPath", {"path": "../ComfyUI/secret.txt"}, []),
        ("PackPath", {"path": "a photo.png on a wall"}, []),
    ],
)
def test_what_a_graph_reads(install: Install, class_type: str, inputs: dict[str, Any], expected: list[str]) -> None:
    put(install, "photo.png", "sub/cafe\u0301.png", "bell.flac", "clip.mp4", "3d/cube.glb", "shot.png", "notes.txt")
    put(install, "sub/more.txt", "set/1.png", "set/deep/2.png", "other/3.png", "a")
    (install.root / "secret.txt").write_text("secret")
    found = read(install, class_type, **inputs)
    assert names(found) == expected
    assert found.findings == ()


def codes(read: Inputs) -> list[tuple[str, str]]:
    assert all(item.cure for item in read.findings)
    return [(item.code, item.subject) for item in read.findings]


@pytest.mark.parametrize("name", ["what?.png", "a:b.png", "tab\t.png", "pipe|.png", "no-utf8-\udcff.png"])
def test_a_name_that_other_systems_refuse_is_a_finding_with_its_cure(install: Install, name: str) -> None:
    put(install, name)
    found = read(install, "LoadImage", image=name)
    assert names(found) == []
    assert codes(found) == [("input-not-carried", name.replace("\udcff", "\\udcff"))]
    assert codes(read(install, "LoadImage", image="half\ud800.png")) == [("input-missing", "half\\ud800.png")]
    assert found.findings[0].blocks
    assert "Rename" in found.findings[0].cure


def test_what_is_no_file_is_said_and_not_waited_for(install: Install) -> None:
    os.mkfifo(install.input_dir / "pipe.png")
    (install.input_dir / "circle.png").symlink_to("circle.png")
    assert codes(read(install, "LoadImage", image="pipe.png")) == [("input-not-carried", "pipe.png")]
    assert codes(read(install, "LoadImage", image="circle.png")) == [("input-missing", "circle.png")]
    (install.input_dir / "set").mkdir()
    os.mkfifo(install.input_dir / "set/pipe")
    assert codes(read(install, "PackFolder", folder="set")) == [("input-not-carried", "set/pipe")]


def test_a_link_out_of_the_folder_is_not_followed(install: Install, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (install.input_dir / "link.png").symlink_to(tmp_path / "secret.png")
    (install.input_dir / "home").symlink_to(tmp_path)
    for name in ("link.png", "../../secret.png", "home/secret.png", ".", "sub/..", str(tmp_path / "secret.png")):
        found = read(install, "LoadImage", image=name)
        assert names(found) == []
        assert codes(found) == [("input-missing", name)]


def test_what_another_run_made_is_said(install: Install) -> None:
    assert codes(read(install, "LoadImage", image="made.png [output]")) == [
        ("input-of-another-run", "made.png [output]")
    ]
    assert codes(read(install, "LoadImageOutput", image="made.png")) == [("input-of-another-run", "made.png [output]")]
    shot = {"image": "threed/scene.png [temp]", "camera_info": {"zoom": 1}}
    assert codes(read(install, "Load3D", model_file="none", image=shot)) == [
        ("input-of-another-run", "threed/scene.png [temp]")
    ]


def test_a_whole_path_is_carried_and_said(install: Install) -> None:
    put(install, "clip.mp4")
    found = read(install, "PackPath", path=str(install.input_dir / "clip.mp4"))
    assert names(found) == ["clip.mp4"]
    assert codes(found) == [("input-by-path", "clip.mp4")]


def test_a_file_too_large_for_an_entry_is_said_and_not_read(install: Install) -> None:
    with (install.input_dir / "long.mp4").open("wb") as file:
        file.truncate(1 << 31)
    found = read(install, "LoadVideo", file="long.mp4")
    assert names(found) == []
    assert codes(found) == [("input-not-carried", "long.mp4")]
