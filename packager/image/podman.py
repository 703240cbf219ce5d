"""podman as our `ContainerEngine`, through its program."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..command import end, run, run_bytes, watch, without_credentials
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report
from .common import RUN_LABEL, STATE, files_archive, require_version
from .interface import BuildRequest, ContainerInfo, EngineInfo, ImageInfo, StartRequest
from .layout import MODELS, PORT
from .plan import EPOCH
from .podman_build import PodmanStatus, run_podman_build
from .two_goes import first_go, second_go

_OLDEST = (4, 3)
_LINES = 20  # kept of what a failed program said

# Where podman looks for devices by their names, https://github.com/cncf-tags/container-device-interface
_CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
_GPUS = "nvidia.com/gpu"


class Podman:
    """The podman of this user, root or not, with the user's own settings.

    Args:
        environment: added to this process's environment, e.g. to keep images elsewhere.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})

    def info(self) -> EngineInfo:
        """See `ContainerEngine`."""
        try:
            said = json.loads(self._podman("info", "--format", "json"))
        except CapsuleError as error:
            raise BadInput(
                "no-engine",
                f"No podman answers here: {error.message}",
                "Install podman, or write the build context with --context-only DIR and build it elsewhere.",
            ) from error
        version, root = said["version"]["Version"], said["store"]["graphRoot"]
        require_version("podman", version, _OLDEST)
        here = not said["host"].get("serviceIsRemote") and os.path.isdir(root)
        free = shutil.disk_usage(root).free if here else None
        return EngineInfo(
            version=version, arch=said["host"]["arch"], containerd_store=False, same_ids=False, free_bytes=free
        )

    def build(self, request: BuildRequest, report: Report) -> None:
        """See `ContainerEngine`. The layers of a build that failed stay as the cache of the next one."""
        text = (request.context / "Dockerfile").read_text(encoding="utf-8")
        there = self._working()
        with contextlib.ExitStack() as opened:
            log = opened.enter_context(request.log.open("w", encoding="utf-8")) if request.log else None
            scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            status = PodmanStatus(log)

            def go(text: str, network: str) -> str:
                """The id of the image that the Dockerfile `text` gives."""
                (scratch / "Dockerfile").write_text(text, encoding="utf-8")
                words = [*self._build_words(request), "--network", network, "--file", str(scratch / "Dockerfile")]
                words += ["--iidfile", str(scratch / "id"), str(request.context)]
                run_podman_build(words, self._environment, status, report)
                return (scratch / "id").read_text().removeprefix("sha256:")

            try:
                environment = go(first_go(text, request.context), "host")
                made = go(second_go(text, request.context, environment), "none")
            except BaseException:
                self._clear(there, status.images)
                raise
            # It gets its name once it is whole: a cancel comes at any time.
            self._podman("tag", made, request.tag)

    def _build_words(self, request: BuildRequest) -> list[str]:
        # The Docker format: OCI's has no health check. Its ids differ from build to build, its layers do not.
        words = ["podman", "build", "--format", "docker", "--identity-label=false", "--timestamp", str(EPOCH)]
        if request.platform:
            words += ["--platform", request.platform]
        words.append("--no-cache" if request.no_cache else "--layers")
        for name, value in sorted(request.arguments.items()):
            words += ["--build-arg", f"{name}={value}"]
        for name, path in sorted(request.secrets.items()):
            words += ["--secret", f"id={name},src={path}"]
        return words

    def _working(self) -> dict[str, str]:
        """``{id: image}`` of the containers that builds work in."""
        said = json.loads(self._podman("ps", "--all", "--external", "--format", "json"))
        return {each["Id"]: each["ImageID"] for each in said if each.get("Command") == ["buildah"]}

    def _clear(self, there: Mapping[str, str], images: set[str]) -> None:
        """Remove the containers that a build has left: those that were not `there`, of images that it began with."""
        with contextlib.suppress(CapsuleError):
            ids = {found.id.removeprefix("sha256:") for image in images if (found := self.inspect(image))}
            left = [id for id, image in self._working().items() if id not in there and image in ids]
            if left:
                self._podman("rm", "--force", *left)

    def inspect(self, image: str) -> ImageInfo | None:
        """See `ContainerEngine`."""
        try:
            said = json.loads(self._podman("image", "inspect", image))[0]
        except CapsuleError as error:
            if "image not known" in error.message:
                return None
            raise
        return ImageInfo(
            id=f"sha256:{said['Id']}",
            size_bytes=said["Size"],
            labels=said.get("Labels") or {},
            # podman itself gives a digest to what no registry has seen; the name says so as long as it is its own.
            references=tuple(each for each in said.get("RepoDigests") or () if not each.startswith("localhost/")),
            arch=said["Architecture"],
        )

    def pull(self, image: str, report: Report, *, platform: str) -> None:
        """See `ContainerEngine`."""
        try:
            self._transfer("pull", image, report, "--platform", platform, _whole_name(image))
        except CapsuleError as error:
            message = f"The base image {image} is not in the engine, and cannot be pulled: {_last_line(error)}"
            raise BadInput(
                "no-base", message, "Name another one with --base, or pull it with `podman pull`."
            ) from error

    def push(self, image: str, report: Report) -> str:
        """See `ContainerEngine`."""
        with tempfile.TemporaryDirectory() as scratch:
            digest = Path(scratch, "digest")
            try:
                self._transfer("push", image, report, "--digestfile", str(digest), image)
            except CapsuleError as error:
                message = f"{image} was built, and cannot be pushed: {_last_line(error)}"
                cure = "Is it logged in (`podman login`)? Push it again."
                raise CapsuleError("push-failed", message, cure) from error
            return digest.read_text().strip()

    def _transfer(self, phase: str, image: str, report: Report, *words: str) -> None:
        """``podman PHASE WORDS``; without a terminal it says of no byte how many have come."""
        watch(["podman", phase, *words], lambda _: report(Progress(phase=phase, item=image)), env=self._environment)

    def join(self, tag: str, references: Sequence[str]) -> str:
        """See `ContainerEngine`."""
        own = f"localhost/comfy-capsule-join-{uuid4().hex}"  # an image here may have the tag
        with tempfile.TemporaryDirectory() as scratch:
            digest = Path(scratch, "digest")
            try:
                self._podman("manifest", "create", own)
                try:
                    for reference in references:
                        self._podman("manifest", "add", own, f"docker://{reference}")
                    self._podman("manifest", "push", "--all", "--digestfile", str(digest), own, f"docker://{tag}")
                finally:
                    self._podman("manifest", "rm", own)
            except CapsuleError as error:
                message = f"The images were pushed, and cannot be put under {tag}: {_last_line(error)}"
                raise CapsuleError("push-failed", message, "Do it with `podman manifest`.") from error
            return digest.read_text().strip()

    def run(self, image: str, argv: Sequence[str], *, gpus: bool = False) -> str:
        """See `ContainerEngine`."""
        words = ["--network", "none", "--user", "65534:65534", "--entrypoint", json.dumps([argv[0]])]
        words += ["--log-driver", "k8s-file"]  # one that can be read again, and keeps what is an error apart
        try:
            container = self._podman("create", *words, *self._devices(gpus), image, *argv[1:]).strip()
            try:
                self._podman("start", container)  # attached to it, podman 4.3 was seen to wait for a minute
                status = self._podman("wait", container).strip()
                if status != "0":
                    said = without_credentials(self._said(container))
                    message = f"{argv[0]} ended with {status} in a container of {image}: {said}"
                    raise CapsuleError("container-failed", message)
                return self._podman("logs", container)
            finally:
                self._podman("rm", "--force", "--volumes", container)  # also when this process is told to stop
        except CapsuleError as error:
            if error.code == "container-failed":
                raise
            message = f"{argv[0]} failed in a container of {image}: {_last_line(error)}"
            raise CapsuleError("container-failed", message) from error

    def _said(self, container: str) -> str:
        """The end of what it printed, errors too."""
        return "\n".join(list(self.log(container, follow=False))[-_LINES:])

    def start(self, request: StartRequest) -> ContainerInfo:
        """See `ContainerEngine`."""
        words = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--volume", f"{request.volume}:{STATE}"]
        if request.models:
            words += ["--volume", f"{request.models}:{MODELS}"]
        host = f"[{request.address}]" if ":" in request.address else request.address
        words += ["--publish", f"{host}:{request.port or ''}:{PORT}", "--label", f"{RUN_LABEL}={request.image}"]
        for name, value in sorted(request.environment.items()):
            words += ["--env", f"{name}={value}"]
        try:
            container = self._podman("create", *words, *self._devices(request.gpus), request.image).strip()
            try:
                files = files_archive(request.files)
                run_bytes(["podman", "cp", "-", f"{container}:{STATE}"], env=self._environment, stdin=files)
                self._podman("start", container)
            except BaseException:
                self._podman("rm", "--force", container)
                raise
        except CapsuleError as error:
            message = f"{request.image} does not start: {_last_line(error)}"
            raise CapsuleError("container-failed", message) from error
        return self.look(container)

    def look(self, container: str) -> ContainerInfo:
        """See `ContainerEngine`. The health check is run for it: without systemd, podman has no clock for that."""
        healthy = self._succeeds("healthcheck", "run", container)
        if not self._succeeds("container", "exists", container):
            return ContainerInfo(id=container, state="ended", url="")
        said = json.loads(self._podman("container", "inspect", container))[0]
        bound = next(iter(said["NetworkSettings"]["Ports"].get(f"{PORT}/tcp") or ()), None)
        health = "healthy" if healthy else _health(said["State"])
        return ContainerInfo(
            id=container,
            state=health if said["State"]["Running"] else "ended",
            url=f"http://{bound['HostIp'] or '127.0.0.1'}:{bound['HostPort']}" if bound else "",
        )

    def log(self, container: str, *, follow: bool) -> Iterator[str]:
        """See `ContainerEngine`."""
        process = subprocess.Popen(
            ["podman", "logs", *(["--follow"] if follow else []), container],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us
        )
        assert process.stdout is not None
        with process.stdout as lines:
            try:
                for line in lines:
                    yield line.decode("utf-8", "replace").removesuffix("\n")
            finally:
                end(process)

    def stop(self, container: str, grace: float) -> None:
        """See `ContainerEngine`."""
        self._podman("stop", "--ignore", "--time", str(int(grace)), container)
        self._podman("rm", "--force", "--ignore", container)

    def _devices(self, gpus: bool | None) -> list[str]:
        """Every GPU, or none; not said, where NVIDIA's are described to podman."""
        if gpus is None:
            gpus = any(_GPUS in text for text in _described())
        return ["--device", f"{_GPUS}=all"] if gpus else []

    def _podman(self, *words: str) -> str:
        return run(["podman", *words], env=self._environment)

    def _succeeds(self, *words: str) -> bool:
        try:
            self._podman(*words)
        except CapsuleError:
            return False
        return True


def _health(state: Mapping[str, Any]) -> Any:
    """How podman calls it, after the check has failed once more; before the first, it has no word for it."""
    return "unhealthy" if (state.get("Health") or {}).get("Status") == "unhealthy" else "starting"


def _described() -> Iterator[str]:
    """The descriptions of devices, https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md."""
    for path in (path for folder in _CDI for path in folder.glob("*.*")):
        with contextlib.suppress(OSError):
            yield path.read_text("utf-8", "replace")


def _whole_name(image: str) -> str:
    """What Docker means by it: ``docker.io/library/debian:12`` of ``debian:12``. podman may ask, or look elsewhere."""
    first, slash, _ = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return image
    return f"docker.io/{image if slash else f'library/{image}'}"


def _last_line(error: CapsuleError) -> str:
    """What podman says at the end, without what led to it."""
    return without_credentials(error.message).strip().splitlines()[-1].partition("Error: ")[2] or error.message
