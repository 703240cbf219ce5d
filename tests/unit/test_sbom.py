"""The bill of materials is valid CycloneDX, the same for the same things, and names what it can know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from comfy_capsule.packager import sbom
from comfy_capsule.packager.capsule import ComfyUI, Lock, Model, ModelOrigin, Pack, Platform
from comfy_capsule.packager.sbom import make_sbom

PYLOCK = """\
lock-version = "1.0"
created-by = "comfy-capsule"

[[packages]]
name = "six"
version = "1.17.0"
[[packages.wheels]]
url = "https://index.example/six-1.17.0-py2.py3-none-any.whl"
hashes = {sha256 = "%s"}
""" % ("ab" * 32)
DPKG = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Description: compression library
 Version: 9 of nothing

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
SHA = "cd" * 32
LOCK = Lock(
    name="environment",
    platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
    comfyui=ComfyUI(version="0.30.0", kind="git", commit="c" * 40, origin="https://git.example/ComfyUI"),
    packs=(
        Pack(name="alpha", kind="git", commit="a" * 40, patch="packs/alpha.patch"),
        Pack(name="beta", kind="registry", registry="beta@1.2.3"),
        Pack(name="odd \u2028 name", kind="folder", carried="packs/odd.tar"),
    ),
)
MODEL = Model(
    folder="vae", name="a/b.safetensors", size=7, sha256=SHA, sources=(ModelOrigin(url="https://h.example/b"),)
)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "comfyui/LICENSE": "          GNU GENERAL PUBLIC LICENSE\n             Version 3, 29 June 2007\n",
        "comfyui/custom_nodes/alpha/pyproject.toml": '[project]\nname = "alpha"\nlicense = "Apache-2.0 OR MIT"\n',
        "comfyui/custom_nodes/beta/license.txt": "My own terms.\n",
        "site/six-1.17.0.dist-info/METADATA": (
            "Metadata-Version: 2.1\nName: Six\nVersion: 1.17.0\nLicense: MIT\n"
            "Classifier: License :: OSI Approved :: MIT License\n"
        ),
        "gateway/six-1.17.0.dist-info/METADATA": (
            "Metadata-Version: 2.4\nName: six\nVersion: 1.17.0\nLicense-Expression: MIT\n"
        ),
        "status": DPKG,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sbom, "_DPKG", tmp_path / "status")
    return tmp_path


def bill(image: Path, **lock: object) -> str:
    venvs = [image / "site", image / "gateway"]
    return make_sbom(LOCK.model_copy(update=lock), PYLOCK, [MODEL, MODEL], comfy=image / "comfyui", venvs=venvs)


def test_it_is_valid_and_the_same_for_the_same_things(image: Path) -> None:
    text = bill(image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == bill(image)
    assert json.loads(text)["serialNumber"] != json.loads(bill(image, packs=()))["serialNumber"]


def test_it_names_every_part_with_what_is_known_of_it(image: Path) -> None:
    found = {item["bom-ref"]: item for item in json.loads(bill(image))["components"]}
    assert set(found) == {
        "debian/zlib1g@1:1.2.13.dfsg-1", "python/cpython@3.11.7", "comfyui/ComfyUI@0.30.0", f"comfyui/alpha@{'a' * 40}",
        "comfyui/beta@1.2.3", "comfyui/odd \u2028 name@", "python/six@1.17.0", "gateway/six@1.17.0",
        f"model/{SHA}/vae/a/b.safetensors@",
    }  # fmt: skip
    licences = {name: item["licenses"] for name, item in found.items() if "licenses" in item}
    assert licences == {
        "comfyui/ComfyUI@0.30.0": [{"license": {"id": "GPL-3.0-only"}}],
        f"comfyui/alpha@{'a' * 40}": [{"expression": "Apache-2.0 OR MIT"}],
        "python/six@1.17.0": [{"license": {"name": "MIT License"}}],
        "gateway/six@1.17.0": [{"license": {"id": "MIT"}}],
    }
    assert found["python/six@1.17.0"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert "hashes" not in found["gateway/six@1.17.0"], "of another environment nothing is known"
    model = found[f"model/{SHA}/vae/a/b.safetensors@"]
    assert model["externalReferences"] == [{"type": "distribution", "url": "https://h.example/b"}]
    assert found["debian/zlib1g@1:1.2.13.dfsg-1"]["purl"].startswith("pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64")
