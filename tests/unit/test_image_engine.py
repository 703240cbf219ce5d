"""Build against an engine that is only remembered: what is refused before anything is fetched, what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from comfy_capsule.packager.capsule import Capsule, ComfyUI, Finding, Lock, Pack, Platform
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.image import BuildRequest, Context, Docker, EngineInfo, ImageInfo, build, builder, make_plan
from comfy_capsule.packager.image.docker import _require_version
from comfy_capsule.packager.progress import Report, silent

PYLOCK = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'


def capsule(python: str = "3.11.7", arch: str = "x86_64", pylock: str = PYLOCK, **lock: object) -> Capsule:
    platform = Platform(os="linux", arch=arch, python=python)
    said = Lock(name="w", platform=platform, comfyui=ComfyUI(version="0.30.0", kind="git"))
    return Capsule(said.model_copy(update=lock), pylock, {}, {}, Contract(name="w"), {}, {})


class Remembered:
    """An engine with one base image."""

    def __init__(self, python: str = "") -> None:
        self.python = python
        self.asked: list[BuildRequest] = []

    def info(self) -> EngineInfo:
        return EngineInfo(version="26.1.5", arch="amd64", containerd_store=False)

    def build(self, request: BuildRequest, report: Report) -> None:
        self.asked.append(request)

    def inspect(self, image: str) -> ImageInfo | None:
        references = (f"{image}@sha256:{'b' * 64}",) if "base" in image or "python" in image else ()
        return ImageInfo(id="sha256:" + "a" * 64, size_bytes=7, labels={}, references=references)

    def run(self, image: str, argv: Sequence[str]) -> str:
        if not self.python:
            raise CapsuleError("container-failed", "no python3")
        return self.python + "\n"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The arguments that each context was written with."""
    calls: list[dict[str, object]] = []

    def write(capsule: Capsule, folder: Path, **arguments: object) -> Context:
        calls.append(arguments)
        return Context(folder=folder, plan=make_plan(capsule), size_bytes=0)

    monkeypatch.setattr(builder, "write_context", write)
    return calls


def test_the_base_is_named_by_its_digest_and_its_equal_python_used(written: list[dict[str, object]]) -> None:
    engine = Remembered(python="3.11.7")
    image = build(capsule(), "w:1", engine=engine, report=silent, base="python:3.11-slim")
    assert (image.tag, image.digest, image.size_bytes) == ("w:1", "sha256:" + "a" * 64, 7)
    assert written[0]["base"] == f"python:3.11-slim@sha256:{'b' * 64}"
    assert written[0]["python_in_base"] is True


@pytest.mark.parametrize("python", ["", "3.11.8"])
def test_another_python_in_the_base_is_not_used(written: list[dict[str, object]], python: str) -> None:
    build(capsule(), "w:1", engine=Remembered(python=python), report=silent, base="python:3.11-slim")
    assert written[0]["python_in_base"] is False


def test_a_ca_bundle_reaches_the_build_as_a_secret_only(
    written: list[dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    engine = Remembered()
    build(capsule(), "w:1", engine=engine, report=silent)
    assert engine.asked[0].secrets == {"ca": bundle}
    assert engine.asked[0].arguments == {"SOURCE_DATE_EPOCH": "315532800"}


def test_a_capsule_of_another_platform_is_refused(written: list[dict[str, object]]) -> None:
    with pytest.raises(BadInput) as caught:
        build(capsule(arch="aarch64"), "w:1", engine=Remembered(), report=silent)
    assert caught.value.code == "platform-differs"
    assert written == []


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (capsule(python="3.10.4"), "image-python-too-old"),
        (
            capsule(
                pylock=PYLOCK.replace(
                    "packages = []",
                    '[[packages]]\nname = "x"\nvcs = {type = "git", url = "file:///x", commit-id = "1"}',
                )
            ),
            "image-needs-build",
        ),
        (
            capsule(findings=(Finding(code="local-distribution", subject="mine", message="m", cure="c", blocks=True),)),
            "not-carried",
        ),
    ],
)
def test_what_cannot_become_an_image_is_said_first(made: Capsule, code: str) -> None:
    with pytest.raises(CapsuleError) as caught:
        make_plan(made)
    assert caught.value.code == code


def test_only_the_packs_that_the_graph_uses_unless_all_are_asked_for() -> None:
    packs = (
        Pack(name="b", kind="git", used=True),
        Pack(name="a", kind="git", enabled=False),
        Pack(name="c", kind="git"),
    )
    assert make_plan(capsule(packs=packs)).packs == ("b/",)
    assert make_plan(capsule(packs=packs), packs="all").packs == ("a.disabled/", "b/", "c/")


def test_no_engine_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        Docker({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}).info()
    assert caught.value.code == "no-engine"
    assert "\n" not in str(caught.value)
    assert "--context-only" in caught.value.cure


@pytest.mark.parametrize(("said", "refused"), [("22.06.1", True), ("23.0.0", False), ("29.1.3", False), ("dev", False)])
def test_an_old_engine_is_refused(said: str, refused: bool) -> None:
    if refused:
        with pytest.raises(BadInput, match="too old"):
            _require_version("Docker Engine", said, (23, 0))
    else:
        _require_version("Docker Engine", said, (23, 0))
