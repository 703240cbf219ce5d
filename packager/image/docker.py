"""Docker as our `ContainerEngine`: its SDK for everything it can do, ``docker buildx`` for the build."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..command import run
from ..errors import BadInput, CapsuleError
from ..progress import Report
from .buildx import run_buildx
from .common import RUN_LABEL, STATE, files_archive, require_version
from .interface import BuildRequest, ContainerInfo, EngineInfo, ImageInfo, StartRequest
from .layout import MODELS
from .transfer import transfer

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import DeviceRequest

# BuildKit by default and `COPY --link` (23), `--progress=rawjson` (buildx 0.13).
_OLDEST_ENGINE = (23, 0)
_OLDEST_BUILDX = (0, 13)
_LINES = 20  # kept of what a failed program said


class Docker:
    """The Docker engine that the user's own settings lead to (``DOCKER_HOST``, context, config).

    Args:
        environment: added to this process's environment, e.g. to reach another engine.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})
        self._client: DockerClient | None = None

    def info(self) -> EngineInfo:
        """See `ContainerEngine`."""
        said = self._connect().info()
        require_version("Docker Engine", said.get("ServerVersion", ""), _OLDEST_ENGINE)
        try:
            buildx = run(["docker", "buildx", "version"], env=self._environment, timeout=30)
        except CapsuleError as error:
            raise BadInput(
                "no-buildx",
                "The `docker buildx` command is not installed; the image is built with it.",
                "Install the package docker-buildx or docker-buildx-plugin.",
            ) from error
        require_version("docker buildx", buildx, _OLDEST_BUILDX)
        driver_status = dict(pair for pair in said.get("DriverStatus") or () if len(pair) == 2)
        arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(said["Architecture"], said["Architecture"])
        store = driver_status.get("driver-type", "").startswith("io.containerd.snapshotter")
        free = _free(str(said.get("DockerRootDir", "")), self._connect().api.base_url)
        return EngineInfo(version=said["ServerVersion"], arch=arch, containerd_store=store, free_bytes=free)

    def build(self, request: BuildRequest, report: Report) -> None:
        """See `ContainerEngine`."""
        from docker.utils import parse_repository_tag

        words = ["docker", "buildx", "build", "--progress=rawjson", "--provenance=false"]
        # Into containerd's store every layer goes as an archive; packing it too takes three times as long.
        # The graph driver of other engines has no archives and ignores the word (docs/engine.md).
        # It gets its name once it is whole: a cancel comes at any time.
        words += ["--output", "type=docker,compression=uncompressed"]
        if request.platform:
            words += ["--platform", request.platform]
        if request.no_cache:
            words.append("--no-cache")
        for name, value in sorted(request.arguments.items()):
            words += ["--build-arg", f"{name}={value}"]
        for name, path in sorted(request.secrets.items()):
            words += ["--secret", f"id={name},src={path}"]
        with contextlib.ExitStack() as opened:
            log = opened.enter_context(request.log.open("w", encoding="utf-8")) if request.log else None
            made = Path(opened.enter_context(tempfile.TemporaryDirectory()), "id")
            words += ["--iidfile", str(made)]
            try:
                run_buildx([*words, str(request.context)], self._environment, report, log)
            except BaseException:
                if made.is_file():
                    self._forget(made.read_text())
                raise
            self._connect().images.get(made.read_text()).tag(*parse_repository_tag(request.tag))

    def _forget(self, id: str) -> None:
        """Remove the image, unless an earlier build has given it a name."""
        from docker.errors import DockerException

        with contextlib.suppress(DockerException):
            if not self._connect().images.get(id).tags:
                self._connect().images.remove(id)

    def inspect(self, image: str) -> ImageInfo | None:
        """See `ContainerEngine`."""
        from docker.errors import ImageNotFound

        try:
            said = self._connect().images.get(image).attrs
        except ImageNotFound:
            return None
        return ImageInfo(
            id=said["Id"],
            size_bytes=said["Size"],
            labels=said["Config"].get("Labels") or {},
            references=tuple(said.get("RepoDigests") or ()),
            arch=said["Architecture"],
        )

    def pull(self, image: str, report: Report, *, platform: str) -> None:
        """See `ContainerEngine`."""
        from docker.errors import DockerException
        from docker.utils import parse_repository_tag

        name, tag = parse_repository_tag(image)
        try:
            said = self._connect().api.pull(name, tag or "latest", stream=True, decode=True, platform=platform)
            for _ in transfer(said, "pull", image, report):
                pass
        except (DockerException, CapsuleError) as error:
            message = f"The base image {image} is not in the engine, and cannot be pulled: {_reason(error)}"
            raise BadInput(
                "no-base", message, "Name another one with --base, or pull it with `docker pull`."
            ) from error

    def push(self, image: str, report: Report) -> str:
        """See `ContainerEngine`."""
        from docker.errors import DockerException
        from docker.utils import parse_repository_tag

        name, tag = parse_repository_tag(image)
        try:
            told = self._connect().api.push(name, tag or "latest", stream=True, decode=True)
            said = list(transfer(told, "push", image, report))
            return next(str(each["aux"]["Digest"]) for each in said if "Digest" in each.get("aux", {}))
        except (DockerException, CapsuleError, StopIteration) as error:
            message = f"{image} was built, and cannot be pushed: {_reason(error)}"
            raise CapsuleError("push-failed", message, "Is it logged in (`docker login`)? Push it again.") from error

    def join(self, tag: str, references: Sequence[str]) -> str:
        """See `ContainerEngine`."""
        words = ["docker", "buildx", "imagetools"]
        try:
            run([*words, "create", "--tag", tag, *references], env=self._environment)
            said = run([*words, "inspect", tag, "--format", "{{json .Manifest}}"], env=self._environment)
        except CapsuleError as error:
            message = f"The images were pushed, and cannot be put under {tag}: {error.message}"
            raise CapsuleError("push-failed", message, "Do it with `docker buildx imagetools create`.") from error
        return str(json.loads(said)["digest"])

    def run(self, image: str, argv: Sequence[str], *, gpus: bool = False) -> str:
        """See `ContainerEngine`."""
        from docker.errors import DockerException

        try:
            container = self._connect().containers.create(
                image,
                list(argv[1:]),
                entrypoint=argv[0],
                network_mode="none",
                user="65534:65534",
                device_requests=self._devices(gpus),
            )
            try:
                container.start()
                status = container.wait(timeout=None)["StatusCode"]
                out: bytes = container.logs(stderr=False)
                said: bytes = container.logs(stdout=False, tail=_LINES) if status else b""
            finally:
                container.remove(force=True, v=True)  # also when this process is told to stop
        except DockerException as error:
            raise CapsuleError("container-failed", f"{argv[0]} failed in a container of {image}: {error}") from error
        if status:
            told = said.decode("utf-8", "replace").strip()
            message = f"{argv[0]} ended with {status} in a container of {image}: {told}"
            raise CapsuleError("container-failed", message)
        return out.decode("utf-8", "replace")

    def start(self, request: StartRequest) -> ContainerInfo:
        """See `ContainerEngine`."""
        from docker.errors import DockerException

        models = {request.models: {"bind": MODELS, "mode": "rw"}} if request.models else {}
        try:
            container = self._connect().containers.create(
                request.image,
                environment=request.environment,
                volumes={request.volume: {"bind": STATE, "mode": "rw"}} | models,
                ports={"8000/tcp": (request.address, request.port)},
                device_requests=self._devices(request.gpus),
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                labels={RUN_LABEL: request.image},
            )
            try:
                container.put_archive(STATE, files_archive(request.files))
                container.start()
            except BaseException:
                container.remove(force=True)
                raise
        except DockerException as error:
            raise CapsuleError("container-failed", f"{request.image} does not start: {_reason(error)}") from error
        return self.look(str(container.id))

    def look(self, container: str) -> ContainerInfo:
        """See `ContainerEngine`."""
        from docker.errors import NotFound

        try:
            said = self._connect().containers.get(container).attrs
        except NotFound:
            return ContainerInfo(id=container, state="ended", url="")
        health = said["State"].get("Health", {}).get("Status", "starting")
        bound = next(iter(said["NetworkSettings"]["Ports"].get("8000/tcp") or ()), None)
        return ContainerInfo(
            id=container,
            state=health if said["State"]["Running"] else "ended",
            url=f"http://{bound['HostIp']}:{bound['HostPort']}" if bound else "",
        )

    def log(self, container: str, *, follow: bool) -> Iterator[str]:
        """See `ContainerEngine`."""
        rest = b""
        for chunk in self._connect().containers.get(container).logs(stream=True, follow=follow):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)

    def stop(self, container: str, grace: float) -> None:
        """See `ContainerEngine`."""
        from docker.errors import NotFound

        with contextlib.suppress(NotFound):
            found = self._connect().containers.get(container)
            found.stop(timeout=int(grace))
            found.remove(force=True)

    def _devices(self, gpus: bool | None) -> list[DeviceRequest] | None:
        """Every GPU, or None; not said, where the engine has NVIDIA's runtime."""
        from docker.types import DeviceRequest

        if gpus is None:
            gpus = "nvidia" in (self._connect().info().get("Runtimes") or {})
        return [DeviceRequest(count=-1, capabilities=[["gpu"]])] if gpus else None

    def _connect(self) -> DockerClient:
        if self._client is not None:
            return self._client
        import docker  # not there in the image, where this package is imported too
        from docker.errors import DockerException

        environment = {**os.environ, **self._environment}
        if not environment.get("DOCKER_HOST"):
            environment["DOCKER_HOST"] = self._host_of_context()
        try:
            client = docker.from_env(environment=environment, use_ssh_client=True, timeout=120)
            client.ping()
        except DockerException as error:
            raise BadInput(
                "no-engine",
                f"No Docker engine answers here: {_reason(error)}",
                f"{_other()}Start Docker, or write the build context with --context-only DIR and build it elsewhere.",
            ) from error
        self._client = client
        return client

    def _host_of_context(self) -> str:
        """Where ``docker context`` points, which the SDK does not look at; empty for the usual socket."""
        try:
            host = run(["docker", "context", "inspect", "-f", "{{.Endpoints.docker.Host}}"], env=self._environment)
        except CapsuleError:
            return ""
        return host.strip()


def _other() -> str:
    """What else would do, for who has it."""
    return "Say --engine podman, which is installed. Or: " if shutil.which("podman") else ""


def _free(root: str, address: str) -> int | None:
    """The bytes free in the engine's folder `root`, when that is on this machine."""
    here = address == "http+docker://localhost" and os.path.isdir(root)  # the SDK's name of a socket
    return shutil.disk_usage(root).free if here else None


def _reason(error: BaseException) -> str:
    """What the operating system said, which the SDK wraps several times; else the first line."""
    text = str(error)
    found = re.search(r"\[Errno \d+\] ([^')\"]+)", text) or re.search(r"Error\(\d+, '([^']+)'", text)
    return (found[1] if found else (text.strip().splitlines() or [type(error).__name__])[0]).rstrip(".") + "."
