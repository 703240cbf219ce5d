"""podman without podman: the Dockerfile in two goes, what its lines say, what is refused."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench.context import dockerfile
from comfy_capsule.packager import build_command
from comfy_capsule.packager.errors import BadInput, Cancelled, CapsuleError
from comfy_capsule.packager.image import Docker, ImagePlan, Podman, engine_named
from comfy_capsule.packager.image.podman import _described, _last_line, _whole_name
from comfy_capsule.packager.image.podman_build import PodmanStatus, run_podman_build
from comfy_capsule.packager.image.two_goes import first_go, second_go
from comfy_capsule.packager.progress import Progress

TEXT = """\
ARG BASE=debian
FROM ${BASE} AS os
RUN --mount=type=bind,source=tools,target=/build/tools cp /build/tools/uv /uv

FROM os AS environment
RUN --mount=type=bind,from=os,source=/uv,target=/build/uv \\
    --mount=type=bind,source=lock,target=/build/lock \\
    --mount=type=cache,id=x,target=/build/cache \\
    /build/uv sync
COPY --link launcher/ /

# The proof.
FROM environment AS proof
RUN --network=none --mount=type=bind,source=parts,target=/build/part \\
    prove
RUN --network=none true

FROM environment
COPY --link --chown=0:0 --from=proof /state/proof.json /proof.json
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("tools", "lock", "parts"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/file").write_text("1")
    return tmp_path


def test_the_first_go_ends_with_the_environment_and_the_second_begins_with_its_image(context: Path) -> None:
    first, second = first_go(TEXT, context), second_go(TEXT, context, "abc")
    assert first.startswith("ARG BASE=debian\nFROM ${BASE} AS os\n")
    assert first.endswith("COPY launcher/ /\n\n")
    assert second.startswith("FROM abc AS environment\n\n# The proof.\nFROM environment AS proof\nRUN --mount=")
    assert second.endswith(
        "RUN true\n\nFROM environment\nCOPY --chown=0:0 --from=proof /state/proof.json /proof.json\n"
    )
    assert "--link" not in first + second
    assert "--network" not in first + second


@pytest.mark.parametrize(("folder", "runs"), [("tools", [0, 1]), ("lock", [1]), ("parts", [2])])
def test_what_a_step_mounts_changes_it_and_nothing_else(context: Path, folder: str, runs: list[int]) -> None:
    def steps() -> list[str]:
        text = first_go(TEXT, context) + second_go(TEXT, context, "abc")
        return [run.partition(" && ")[0] for run in text.split("RUN ")[1:4]]

    before = steps()
    assert steps() == before
    (context / folder / "deep/file").write_text("2")
    assert [number for number, pair in enumerate(zip(before, steps(), strict=True)) if pair[0] != pair[1]] == runs


def test_our_own_dockerfile_comes_apart(tmp_path: Path) -> None:
    for name in ("os", "build", "gateway", "lock", "parts/environment", "parts/models", "parts/graph", "parts/capsule"):
        (tmp_path / name).mkdir(parents=True)
    digests = {"capsule": "c" * 64, "contract": "d" * 64, "environment": "e" * 64}
    said = {"name": "w", "base": "debian", "python_version": "3.11.7", "python": "carried", "digests": digests}
    text = dockerfile(ImagePlan(**said, packs=("a",), models=(), unproved=False, prove=True))
    whole = first_go(text, tmp_path) + second_go(text, tmp_path, "abc")
    assert whole.count(" AS environment") == 2
    assert whole.count("\nRUN ") == text.count("\nRUN ")
    assert "--link" not in whole.replace("# ", "")
    assert "--network=none" not in whole
    assert not [line for line in second_go(text, tmp_path, "abc").splitlines() if "from=uv" in line]


LINES = """\
[1/2] STEP 1/2: FROM localhost/base AS os
[1/2] STEP 2/2: RUN --mount=type=bind uv
--> 7409e1cb268
[2/2] STEP 1/3: FROM 7409e1cb26811 AS proof
[1/2] STEP 2/2: RUN again
[2/2] STEP 2/3: RUN prove
https://me:secret@index/x gives 404
Error: building at STEP "RUN x "y": z": while running runtime: exit status 1
"""


def fed(status: PodmanStatus, text: str) -> list[Progress]:
    return [event for line in text.splitlines() if (event := status.feed(line))]


def test_steps_are_counted_and_named_by_their_stage_also_where_stages_wait_for_each_other() -> None:
    log = io.StringIO()
    status = PodmanStatus(log)
    assert status.feed("") is None
    events = fed(status, LINES)
    assert [events[number].item for number in (0, 1, 3, 4, 5)] == [
        "os 1/2: FROM", "os 2/2: RUN", "proof 1/3: FROM", "os 2/2: RUN", "proof 2/3: RUN",
    ]  # fmt: skip
    assert (events[5].done, events[5].total) == (4, 5)
    assert status.feed("") == events[-1]
    assert {"localhost/base", "7409e1cb26811", "7409e1cb268"} == status.images
    assert log.getvalue().startswith("proof 2/3: RUN | https://index/x gives 404\n")
    assert "secret" not in log.getvalue()


@pytest.mark.parametrize("waits_first", [True, False])
def test_a_step_that_waits_for_another_stage_is_not_taken_for_the_one_that_fails(waits_first: bool) -> None:
    waits = "[2/2] STEP 1/2: FROM x\n[2/2] STEP 2/2: COPY --from=proof /a /b\n"
    runs = "[1/2] STEP 1/2: FROM x AS proof\n[1/2] STEP 2/2: RUN prove\n"
    status = PodmanStatus()
    fed(status, (waits + runs if waits_first else runs + waits) + "this differs\n")
    fed(status, 'Error: building at STEP "RUN prove": while running runtime: exit status 3\n')
    assert status.failure().code == "proof-failed"
    assert status.failure().message == "The image is not what was captured: this differs"


@pytest.mark.parametrize("late", [True, False])
def test_a_stage_that_begins_before_the_failure_is_told_hides_nothing(late: bool) -> None:
    status = PodmanStatus()
    begins = ["[3/3] STEP 1/6: FROM x", "this differs"]
    fed(status, "[2/3] STEP 1/2: FROM x AS proof\n[2/3] STEP 2/2: RUN prove\n")
    fed(status, "\n".join(begins if late else begins[::-1]) + "\n")
    fed(status, 'Error: building at STEP "RUN prove": while running runtime: exit status 3\n')
    assert status.failure().message == "The image is not what was captured: this differs"


def test_a_failed_step_is_said_with_what_it_printed() -> None:
    status = PodmanStatus()
    fed(status, LINES)
    assert status.failure().code == "proof-failed"
    assert status.failure().message == "The image is not what was captured: https://index/x gives 404"
    fed(status, '[2/2] STEP 3/3: COPY a /\nError: building at STEP "COPY a": write: no space left on device')
    fed(status, "[1/1] STEP 1/1: FROM x AS os")
    assert status.failure().code == "disk-full"
    status = PodmanStatus()
    fed(status, "Error: unknown flag: --x\n")
    assert (status.failure().code, status.failure().message) == (
        "build-failed",
        "podman build failed: unknown flag: --x",
    )


def stand_in(body: str) -> list[str]:
    return [sys.executable, "-uc", f"import os, sys, time\n{body}"]


def test_a_build_that_says_nothing_can_be_cancelled() -> None:
    told: list[Progress] = []

    def cancel(event: Progress) -> None:
        told.append(event)
        if len(told) > 2:
            raise Cancelled

    started = time.monotonic()
    with pytest.raises(Cancelled):
        run_podman_build(stand_in("print('STEP 1/1: FROM x')\ntime.sleep(60)"), {}, PodmanStatus(), cancel)
    assert time.monotonic() - started < 10
    assert {event.item for event in told} == {"image 1/1: FROM"}


def test_no_step_gets_around_its_network_by_another_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    with pytest.raises(CapsuleError, match="podman build failed: None"):
        run_podman_build(
            stand_in("print('Error:', os.environ.get('BUILDAH_ISOLATION')); sys.exit(125)"),
            {}, PodmanStatus(), lambda _: None,
        )  # fmt: skip


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, prints: str) -> None:
    (folder / "podman").write_text(f"#!/bin/sh\ncat <<'E'\n{prints}\nE\n")
    (folder / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


INFO = '{"host": {"arch": "arm64"}, "store": {"graphRoot": "/"}, "version": {"Version": "%s"}}'


def test_what_it_is_and_what_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, INFO % "4.3.1")
    found = Podman().info()
    assert (found.version, found.arch, found.containerd_store) == ("4.3.1", "arm64", False)
    assert found.free_bytes
    program(tmp_path, monkeypatch, INFO % "3.4.4")
    with pytest.raises(BadInput) as refused:
        Podman().info()
    assert refused.value.code == "engine-too-old"
    program(tmp_path, monkeypatch, INFO.replace('"host": {', '"host": {"serviceIsRemote": true, ') % "5.0.0")
    assert Podman().info().free_bytes is None


def test_without_podman_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="'podman' is not installed") as refused:
        Podman().info()
    assert refused.value.code == "no-engine"


def test_without_docker_podman_is_named_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput) as refused:
        Docker(nowhere).info()
    assert "podman" not in refused.value.cure
    program(tmp_path, monkeypatch, "")
    with pytest.raises(BadInput) as refused:
        Docker(nowhere).info()
    assert "--engine podman" in refused.value.cure


def test_engines_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    option = next(each for each in build_command.build.params if each.name == "engine")
    assert isinstance(option.type, click.Choice)
    assert [type(engine_named(name)) for name in option.type.choices] == [Docker, Podman]
    monkeypatch.setenv("COMFY_CAPSULE_ENGINE", "rkt")
    said = CliRunner().invoke(build_command.build, ["w.capsule.zip", "-t", "w:1"])
    assert "'rkt' is not one of 'docker', 'podman'" in said.output


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("debian:12", "docker.io/library/debian:12"),
        ("team/x@sha256:ab", "docker.io/team/x@sha256:ab"),
        ("localhost/x:1", "localhost/x:1"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x"),
        ("ghcr.io/a/x", "ghcr.io/a/x"),
    ],
)
def test_a_short_name_means_what_docker_means_by_it(name: str, whole: str) -> None:
    assert _whole_name(name) == whole


def test_the_last_words_are_told() -> None:
    assert _last_line(CapsuleError("x", "`podman push …` failed: Copying\nError: x: denied")) == "x: denied"
    assert _last_line(CapsuleError("x", "no words")) == "no words"


def test_gpus_are_given_where_they_are_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.image.podman._CDI", (tmp_path, tmp_path / "none"))
    assert Podman()._devices(None) == []
    assert Podman()._devices(True) == ["--device", "nvidia.com/gpu=all"]
    (tmp_path / "nvidia.yaml").write_text("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n")
    assert len(list(_described())) == 1
    assert Podman()._devices(None) == ["--device", "nvidia.com/gpu=all"]
    assert Podman()._devices(False) == []
