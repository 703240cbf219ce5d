"""podman, real: the same layers twice, steps without a network, cancels that leave nothing, a registry, a container."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bench.images import small_capsule
from bench.podman import PodmanBench, podman_bench
from bench.registry import PASSWORD, USER, registry
from comfy_capsule.packager.errors import Cancelled, CapsuleError
from comfy_capsule.packager.image import LABEL, BuildRequest, Podman, StartRequest, build, publish
from comfy_capsule.packager.progress import Progress, silent

pytestmark = pytest.mark.sampled

SECRET = "planted-9f0c2d7be1"
SERVED = "localhost/small:1"
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanBench]:
    with podman_bench(tmp_path_factory.mktemp("podman")) as found:
        yield found


@pytest.fixture(scope="module")
def engine(bench: PodmanBench) -> Podman:
    return Podman(bench.environment)


def request(folder: Path, bench: PodmanBench, proof: str = "true", environment: str = "true") -> BuildRequest:
    """A context of one file, in stages as ours are; the image answers its health check after two seconds."""
    (folder / "lock").mkdir(parents=True)
    (folder / "lock/is").write_text(folder.name)
    (folder / "Dockerfile").write_text(f"""\
FROM {bench.base} AS environment
RUN --mount=type=bind,source=lock,target=/build/lock cp /build/lock/is /is && cat /proc/net/dev > /net && {environment}
RUN mkdir /state && chmod 1777 /state
USER 1000:0

# The proof.
FROM environment AS proof
RUN --network=none cat /proc/net/dev > /state/net && {proof}

FROM environment
COPY --link --from=proof /state/net /inner
VOLUME ["/state"]
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=600s --retries=3 CMD ["test", "-e", "/state/ready"]
ENTRYPOINT ["sh", "-c", "trap 'exit 0' TERM; id; cat /state/key; sleep 2; touch /state/ready; sleep 60 & wait"]
""")
    return BuildRequest(context=folder, tag=SERVED, log=folder / "log")


def layers(bench: PodmanBench, image: str) -> list[str]:
    return list(json.loads(bench.podman("image", "inspect", image))[0]["RootFS"]["Layers"])


def test_the_same_layers_twice_without_a_secret_and_only_the_last_ones_differ_for_another_workflow(
    bench: PodmanBench, engine: Podman, tmp_path: Path
) -> None:
    capsule = small_capsule(tmp_path)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine index.invalid login me password {SECRET}\n")
    told: list[Progress] = []
    how = {"engine": engine, "base": bench.base, "netrc": netrc}
    first = build(capsule, "w:1", report=told.append, prove=False, **how)
    assert {"environment 11/16: RUN", "sbom 2/2: RUN"} & {event.item for event in told}
    before = layers(bench, "w:1")
    again = build(capsule, "w:1", report=silent, prove=False, no_cache=True, **how)
    assert layers(bench, "w:1") == before
    assert again.size_bytes == first.size_bytes
    found = engine.inspect("w:1")
    assert found is not None
    assert found.labels[f"{LABEL}capsule"] == capsule.digests.capsule
    assert found.references == ()
    assert not any(name.startswith("io.buildah") for name in found.labels)
    assert json.loads(engine.run("w:1", ["cat", "/sbom.cdx.json"]))["bomFormat"] == "CycloneDX"

    bench.podman("save", "--output", str(tmp_path / "image.tar"), "w:1")
    with tarfile.open(tmp_path / "image.tar") as archive:
        for member in archive:
            read = archive.extractfile(member)
            assert read is None or SECRET.encode() not in read.read(), member.name
    assert SECRET not in first.log.read_text()

    other = dataclasses.replace(capsule, graph={"1": {"class_type": "A", "inputs": {"seed": 7}}})
    started = time.monotonic()
    changed = build(other, "w:2", report=silent, prove=False, **how)
    assert time.monotonic() - started < 60
    assert changed.digest != first.digest
    after = layers(bench, "w:2")
    assert len(before) == len(after)
    assert [one == two for one, two in zip(before, after, strict=True)].index(False) >= len(before) - 2

    with pytest.raises(CapsuleError) as refused:  # its ComfyUI is an empty file
        build(capsule, "w:3", report=silent, prove=True, **how)
    assert refused.value.code == "proof-failed"
    assert engine.inspect("w:3") is None


def test_what_a_step_mounts_is_in_its_caches_key_and_later_steps_have_no_network(
    bench: PodmanBench, engine: Podman, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        engine.build(request(tmp_path / name, bench), silent)
        assert engine.run(SERVED, ["cat", "/is"]) == name
    interfaces = {name: engine.run(SERVED, ["cat", name]) for name in ("/net", "/inner")}
    assert Path("/proc/net/dev").read_text().count(":") == interfaces["/net"].count(":")
    assert [line.split(":")[0].strip() for line in interfaces["/inner"].splitlines()[2:]] == ["lo"]

    bench.podman("image", "rm", SERVED)
    with pytest.raises(CapsuleError) as refused:
        engine.build(request(tmp_path / "three", bench, "echo pack x: expected 1, found 2; exit 3"), silent)
    assert refused.value.code == "proof-failed"
    assert "pack x: expected 1, found 2" in refused.value.message
    assert (tmp_path / "three/log").read_text().count("proof 2/2: RUN | pack x: expected 1") == 1
    with pytest.raises(CapsuleError, match="The step `environment 2/4: RUN` failed: No such thing") as refused:
        engine.build(request(tmp_path / "four", bench, environment="echo No such thing; exit 1"), silent)
    assert refused.value.code == "build-failed"
    assert engine.inspect(SERVED) is None
    assert working(bench) == []


def working(bench: PodmanBench) -> list[str]:
    return bench.podman("ps", "--all", "--external", "--quiet").split()


def sleeping(seconds: int) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", str(seconds).encode()]:
            found.append(path.parent.name)
    return found


@pytest.mark.parametrize(
    "step", ["environment 2/4: RUN", "environment 3/4: RUN", "proof 2/2: RUN", "image 4/6: EXPOSE"]
)
def test_a_cancel_leaves_no_process_no_container_and_no_name(
    bench: PodmanBench, engine: Podman, tmp_path: Path, step: str
) -> None:
    seconds = 4000 + os.getpid() % 1000
    slow = f"sleep {seconds}"
    asked = request(
        tmp_path / step.partition(":")[0].replace("/", "-"),
        bench,
        proof=slow if "proof" in step else "true",
        environment=slow if step == "environment 2/4: RUN" else "true",
    )
    waits = slow in (asked.context / "Dockerfile").read_text()
    cancelled = [0.0]

    def cancel(event: Progress) -> None:
        if event.item == step and (sleeping(seconds) or not waits):
            cancelled[0] = time.monotonic()
            raise Cancelled

    before = set(os.listdir(bench.environment["TMPDIR"]))
    with pytest.raises(Cancelled):
        engine.build(asked, cancel)
    assert time.monotonic() - cancelled[0] < 10
    assert sleeping(seconds) == []
    assert working(bench) == []
    assert engine.inspect(SERVED) is None
    assert set(os.listdir(bench.environment["TMPDIR"])) - before <= {"buildah-cache"}


def test_it_is_pushed_to_a_registry_with_a_login_and_joined_there(
    bench: PodmanBench, engine: Podman, tmp_path: Path
) -> None:
    with registry(tmp_path / "registry", login=True) as store:
        tag = f"{store}/team/small:1"
        engine.build(request(tmp_path / "pushed", bench).model_copy(update={"tag": tag}), silent)
        bench.know_registry(store, base64.b64encode(b"nobody:x").decode())
        with pytest.raises(CapsuleError) as refused:
            publish(engine, [tag], tag, silent)
        assert refused.value.code == "push-failed"
        assert "podman login" in refused.value.cure
        bench.know_registry(store, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        pushed = publish(engine, [tag], tag, silent)
        there = engine.inspect(tag)
        bench.podman("image", "rm", tag)
        engine.pull(f"{store}/team/small@{pushed}", silent, platform="linux/amd64")
        found = engine.inspect(f"{store}/team/small@{pushed}")
        assert found is not None
        assert there is not None
        assert found.id == there.id
        assert f"{store}/team/small@{pushed}" in found.references
        joined = engine.join(f"{store}/team/small:all", [f"{store}/team/small@{pushed}"])
        address, wanted = f"http://{store}/v2/team/small/manifests/{joined}", ", ".join(INDEXES)
        said = requests.get(address, auth=(USER, PASSWORD), headers={"Accept": wanted}, timeout=30)
        index = json.loads(said.content)
        assert [each["digest"] for each in index["manifests"]] == [pushed]


def test_it_runs_hardened_with_files_of_its_user_until_it_is_stopped(
    bench: PodmanBench, engine: Podman, tmp_path: Path
) -> None:
    engine.build(request(tmp_path / "runs", bench), silent)
    asked = StartRequest(
        image=SERVED, address="127.0.0.1", port=0, volume="small", files={"key": f"{SECRET}\n".encode()}
    )
    started = engine.start(asked)
    assert started.state == "starting"
    assert started.url.startswith("http://127.0.0.1:")
    deadline = time.monotonic() + 30
    while (seen := engine.look(started.id)).state == "starting" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen.state == "healthy"
    assert list(engine.log(started.id, follow=False)) == ["uid=1000(1000) gid=0(root) groups=0(root)", SECRET]
    facts = bench.podman("container", "inspect", started.id)
    assert SECRET not in facts
    assert json.loads(facts)[0]["HostConfig"]["ReadonlyRootfs"]
    kept = Path(bench.podman("volume", "inspect", "small", "--format", "{{.Mountpoint}}").strip(), "key")
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o400, 1000)
    engine.stop(started.id, 5)
    assert engine.look(started.id).state == "ended"
    assert kept.exists(), "its volume stays"
    with pytest.raises(CapsuleError) as refused:
        engine.start(asked.model_copy(update={"gpus": True}))
    assert refused.value.code == "container-failed"
    assert working(bench) == []
    with pytest.raises(CapsuleError, match="sh ended with 3 in a container of") as refused:
        engine.run(SERVED, ["sh", "-c", "echo no such thing >&2; exit 3"])
    assert "no such thing" in refused.value.message
    assert working(bench) == []
