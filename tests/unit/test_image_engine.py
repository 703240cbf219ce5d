"""Build against an engine that is only remembered: what is refused before anything is fetched, what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from comfy_capsule.packager.capsule import Capsule, ComfyUI, Finding, Lock, Pack, Platform
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, Blocked, CapsuleError
from comfy_capsule.packager.image import (
    BuildRequest,
    BuiltImage,
    Context,
    Docker,
    EngineInfo,
    ImageInfo,
    build,
    builder,
    make_plan,
    platform_tag,
    publish,
    write_metrics,
)
from comfy_capsule.packager.image.common import require_version
from comfy_capsule.packager.image.transfer import transfer
from comfy_capsule.packager.progress import Progress, Report, silent

PYLOCK = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'


def capsule(python: str = "3.11.7", arch: str = "x86_64", pylock: str = PYLOCK, **lock: object) -> Capsule:
    platform = Platform(os="linux", arch=arch, python=python)
    said = Lock(name="w", platform=platform, comfyui=ComfyUI(version="0.30.0", kind="git"))
    return Capsule(said.model_copy(update=lock), pylock, {}, {}, Contract(name="w"), {}, {})


class Remembered:
    """An engine with one base image."""

    def __init__(self, python: str = "", packages: Sequence[str] = (), there: Sequence[str] = ("debian",)) -> None:
        self.python, self.packages, self.there = python, packages, [*there, "w:1"]
        self.asked: list[BuildRequest] = []
        self.free_bytes: int | None = None
        self.arch = "amd64"
        self.same_ids = True

    def info(self) -> EngineInfo:
        said = {"containerd_store": False, "same_ids": self.same_ids, "free_bytes": self.free_bytes}
        return EngineInfo(version="26.1.5", arch="amd64", **said)

    def build(self, request: BuildRequest, report: Report) -> None:
        self.asked.append(request)

    def inspect(self, image: str) -> ImageInfo | None:
        if not image.startswith(tuple(self.there)):
            return None
        other, own = f"other.example/x@sha256:{'f' * 64}", f"{image.partition(':')[0]}@sha256:{'b' * 64}"
        references = (other, own) if "python" in image or "debian" in image else (other,)
        return ImageInfo(id="sha256:" + "a" * 64, size_bytes=7, labels={}, references=references, arch=self.arch)

    def pull(self, image: str, report: Report, *, platform: str) -> None:
        self.there.append(image)
        self.arch = platform.removeprefix("linux/")

    def push(self, image: str, report: Report) -> str:
        return f"digest-of-{image}"

    def join(self, tag: str, references: Sequence[str]) -> str:
        return f"{tag}: {' '.join(references)}"

    def run(self, image: str, argv: Sequence[str]) -> str:
        if argv[0] == "dpkg-query":
            return "".join(f"installed {name}\n" for name in self.packages) + "config-files libgl1\n"
        if not self.python:
            raise CapsuleError("container-failed", "no python3")
        return self.python + "\n"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The arguments that each context was written with."""
    calls: list[dict[str, object]] = []

    def write(capsule: Capsule, folder: Path, **arguments: object) -> Context:
        calls.append(arguments)
        (folder / "os").mkdir(parents=True)
        (folder / "os/packages.txt").write_text("libc6\nlibgl1\n")
        return Context(folder=folder, plan=make_plan(capsule), size_bytes=7)

    monkeypatch.setattr(builder, "write_context", write)
    return calls


def test_the_base_is_named_by_its_digest_and_its_equal_python_used(written: list[dict[str, object]]) -> None:
    engine = Remembered(python="3.11.7")
    image = build(capsule(), "w:1", engine=engine, report=silent, base="python:3.11-slim")
    assert (image.tag, image.digest, image.size_bytes) == ("w:1", "sha256:" + "a" * 64, 7)
    assert written[0]["base"] == f"python@sha256:{'b' * 64}"
    assert written[0]["python_in_base"] is True


def test_a_base_by_its_short_name_is_that_of_the_captured_python(written: list[dict[str, object]]) -> None:
    build(capsule(), "w:1", engine=Remembered(python="3.11.7", there=()), report=silent, base="python")
    assert written[0]["base"] == f"python@sha256:{'b' * 64}"
    assert written[0]["python_in_base"] is True
    assert make_plan(capsule(), base="python").base == "python:3.11.7-slim-bookworm"
    assert make_plan(capsule(), base="debian").base == make_plan(capsule()).base == "debian:bookworm-slim"
    assert make_plan(capsule(), base="mine.example/python:1").base == "mine.example/python:1"


@pytest.mark.parametrize("python", ["", "3.11.8"])
def test_another_python_in_the_base_is_not_used(written: list[dict[str, object]], python: str) -> None:
    build(capsule(), "w:1", engine=Remembered(python=python), report=silent, base="python:3.11-slim")
    assert written[0]["python_in_base"] is False


def test_a_base_that_is_not_there_is_pulled(written: list[dict[str, object]]) -> None:
    engine = Remembered(there=())
    build(capsule(), "w:1", engine=engine, report=silent, no_cache=True)
    assert engine.there == ["w:1", "debian:bookworm-slim"]
    assert written[0]["base"] == f"debian@sha256:{'b' * 64}"
    assert engine.asked[0].no_cache


def test_another_platform_gets_its_own_base_and_lock(written: list[dict[str, object]]) -> None:
    engine = Remembered()
    build(capsule(arch="aarch64"), "w:1", engine=engine, report=silent, platform="linux/arm64")
    assert engine.arch == "arm64", "the base was pulled anew"
    assert (written[0]["machine"], engine.asked[0].platform) == ("arm64", "linux/arm64")
    with pytest.raises(BadInput) as refused:
        build(capsule(), "w:1", engine=engine, report=silent, platform="linux/riscv64")
    assert refused.value.code == "bad-platform"


def test_images_of_several_platforms_go_under_one_tag() -> None:
    engine = Remembered()
    assert publish(engine, ["host:5000/w:1"], "host:5000/w:1", silent) == "digest-of-host:5000/w:1"
    tags = [platform_tag("host:5000/w", each) for each in ("linux/amd64", "linux/arm64")]
    assert tags == ["host:5000/w:latest-amd64", "host:5000/w:latest-arm64"]
    joined = publish(engine, tags, "host:5000/w", silent)
    assert joined == "host:5000/w: " + " ".join(f"host:5000/w@digest-of-{each}" for each in tags)


def test_what_a_build_took_is_told_to_prometheus(tmp_path: Path) -> None:
    made = BuiltImage(tag="w:1", digest="sha256:x", size_bytes=7, seconds=2.5, log=tmp_path)
    write_metrics(tmp_path / "build.prom", "portrait", [made])
    lines = (tmp_path / "build.prom").read_text().splitlines()
    assert 'container_build_duration_seconds{image="w:1",workflow="portrait"} 2.5' in lines


def test_what_another_day_may_give_differently_is_refused_when_that_is_asked_for(
    written: list[dict[str, object]],
) -> None:
    engine = Remembered(packages=["libc6"], there=("debian", "mine"))
    with pytest.raises(Blocked) as refused:
        build(capsule(), "w:1", engine=engine, report=silent, base="mine:1", reproducible=True)
    assert (refused.value.code, refused.value.exit_status) == ("not-reproducible", 3)
    assert "no registry has given a digest to the base mine:1" in refused.value.message
    assert written == []
    with pytest.raises(Blocked, match=r"the base lacks libgl1, and a mirror's versions change"):
        build(capsule(), "w:1", engine=engine, report=silent, reproducible=True)
    assert engine.asked == []
    engine.packages = ["libc6", "libgl1"]
    build(capsule(), "w:1", engine=engine, report=silent, reproducible=True)
    engine.same_ids = False
    with pytest.raises(Blocked, match="another id each time"):
        build(capsule(), "w:1", engine=engine, report=silent, reproducible=True)
    assert len(engine.asked) == 1


def test_an_engine_without_room_for_the_context_is_not_sent_it(written: list[dict[str, object]]) -> None:
    engine = Remembered()
    engine.free_bytes = 6
    with pytest.raises(CapsuleError) as full:
        build(capsule(), "w:1", engine=engine, report=silent)
    assert full.value.code == "disk-full"
    assert engine.asked == []
    engine.free_bytes = 7
    build(capsule(), "w:1", engine=engine, report=silent)


def test_a_transfer_is_told_by_its_bytes_and_a_refusal_without_its_credentials() -> None:
    said: list[Progress] = []
    told = [
        {"status": "Preparing", "id": "a"},
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 5, "total": 10}},
        {"status": "Pushing", "id": "b", "progressDetail": {"current": 2}},
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 12, "total": 10}},
        {"aux": {"Digest": "sha256:x"}},
    ]
    assert [each for each in transfer(told, "push", "w:1", said.append) if "aux" in each]
    assert [(event.done, event.total) for event in said[1:]] == [(5, 10), (7, 12), (14, 14)]
    with pytest.raises(CapsuleError) as refused:
        list(transfer([{"error": "denied: https://me:secret@registry.example/v2"}], "push", "w:1", silent))
    assert "secret" not in refused.value.message


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
    assert make_plan(capsule(packs=packs)).packs == ("b",)
    assert make_plan(capsule(packs=packs), packs="all").packs == ("a.disabled", "b", "c")


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
            require_version("Docker Engine", said, (23, 0))
    else:
        require_version("Docker Engine", said, (23, 0))
