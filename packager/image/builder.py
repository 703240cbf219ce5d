"""Build: from a capsule to an image in the engine, proved on the way."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from platformdirs import user_log_path
from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule
from ..errors import BadInput, Blocked, CapsuleError
from ..materialise import Packs, fitted
from ..progress import Progress, Report
from .common import disk_full
from .context import PACKAGES, Context, write_context
from .interface import BuildRequest, ContainerEngine
from .plan import EPOCH, ImagePlan, ModelPolicy, base_named, make_plan
from .transfer import repository

_ARCHES = ("amd64", "arm64")

# Where the clients of package indexes look for a CA bundle of the user's own, in their order.
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


class BuiltImage(BaseModel):
    """An image in the engine.

    Attributes:
        digest: its id in that engine, ``sha256:…``.
        log: the file with all that the build's steps have printed.
        size_bytes: as the engine counts it.
        seconds: from the capsule to the loaded image.
    """

    model_config = ConfigDict(frozen=True)

    tag: str
    digest: str
    size_bytes: int
    seconds: float
    log: Path


def build(
    capsule: Capsule,
    tag: str,
    *,
    engine: ContainerEngine,
    report: Report,
    base: str = "",
    models_from: Sequence[Path] = (),
    packs: Packs = "used",
    prove: bool = True,
    policies: Mapping[str, ModelPolicy] | None = None,
    reproducible: bool = False,
    no_cache: bool = False,
    netrc: Path | None = None,
    platform: str = "",
    torch: str = "",
) -> BuiltImage:
    """Build the image of `capsule` and load it into `engine` under `tag`.

    The same capsule on the same base gives the same files, whenever and wherever it is built, and with `no_cache` the
    same digest (docs/engine.md says why not else).

    Args:
        base: the base image; a slim Debian when empty. One that has exactly the captured Python at
            ``/usr/local/bin/python3``, as the ``python`` images do, gives it to the image.
        policies: of models, see `make_plan`.
        prove: boot ComfyUI during the build, without a network, and fail unless its node classes are the captured ones.
        reproducible: whether to refuse what another day may give differently: a base without a digest, OS packages from
            a mirror, distributions without a hash.
        no_cache: whether every step is run anew.
        netrc: a file with the logins of package indexes; the step that installs the wheels sees it, and nothing else.
        platform: ``linux/arm64``, say; the engine's own when empty. Another one it must be able to emulate.
        torch: another build of torch than the captured one, see `write_context`.

    Raises:
        BadInput: ``no-engine``, ``no-buildx``, ``engine-too-old``, ``no-base``, ``platform-differs``, …
        Blocked: ``not-reproducible``.
        CapsuleError: ``build-failed``, ``proof-failed``, ``disk-full``, and what `write_context` raises.
    """
    started = time.monotonic()
    info = engine.info()
    if reproducible and not info.same_ids:
        message = "This engine gives equal images another id each time."
        raise Blocked("not-reproducible", message, "Build with Docker, or without --reproducible.")
    arch = _arch(platform) or info.arch
    # Refuses before anything is fetched or pulled.
    plan = make_plan(fitted(capsule, "linux", arch), packs=packs, prove=prove, policies=policies)
    base, python_in_base = _look_at_base(engine, base, arch, plan.python_version, report)
    if reproducible and (floating := _floating(plan, base)):
        raise _not_reproducible(floating)
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-image-") as scratch:
        context = write_context(
            capsule,
            Path(scratch) / "context",
            report=report,
            base=base,
            models_from=models_from,
            packs=packs,
            prove=prove,
            python_in_base=python_in_base,
            machine=arch,
            policies=policies,
            torch=torch,
        )
        if reproducible and (missing := _missing_packages(engine, base, context)):
            raise _not_reproducible([f"the base lacks {', '.join(missing)}, and a mirror's versions change"])
        # Any build takes its context; what its steps take is known to their caches only.
        if info.free_bytes is not None and info.free_bytes < context.size_bytes:
            raise disk_full(f"it has {info.free_bytes:,} bytes free, and the context alone has {context.size_bytes:,}")
        log = log_of(tag)
        request = BuildRequest(
            context=context.folder,
            tag=tag,
            arguments={"SOURCE_DATE_EPOCH": str(EPOCH)},
            secrets=_secrets() | ({"netrc": netrc} if netrc else {}),
            no_cache=no_cache,
            log=log,
            platform=platform,
        )
        try:
            engine.build(request, report)
        except CapsuleError as error:
            if error.code == "build-failed":
                error.cure = f"All that its steps have printed is in {log}."
            raise
    image = engine.inspect(tag)
    if image is None:
        raise CapsuleError("build-failed", f"The engine built the image and has no {tag} now.", "Build it again.")
    seconds = time.monotonic() - started
    return BuiltImage(tag=tag, digest=image.id, size_bytes=image.size_bytes, seconds=seconds, log=log)


def log_of(tag: str) -> Path:
    """Where what the last build of `tag` printed is kept; its folder is made."""
    folder = user_log_path("comfy-capsule", appauthor=False) / "builds"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{re.sub('[^A-Za-z0-9._-]', '-', tag)}.log"


def _arch(platform: str) -> str:
    """``arm64`` of ``linux/arm64``. Raises BadInput ``bad-platform``."""
    if not platform:
        return ""
    system, _, arch = platform.partition("/")
    if system != "linux" or arch not in _ARCHES:
        known = " and ".join(f"linux/{each}" for each in _ARCHES)
        raise BadInput("bad-platform", f"Images are made for {known}, not for {platform!r}.")
    return arch


def _look_at_base(engine: ContainerEngine, base: str, arch: str, version: str, report: Report) -> tuple[str, bool]:
    """The base by its digest, where it has one, and whether it brings exactly Python `version`.

    Only the ``python`` images put one where `ImagePlan.interpreter` looks; so no container is started for others.
    """
    name = base_named(base, version)
    if (found := engine.inspect(name)) is None or found.arch != arch:
        engine.pull(name, report, platform=f"linux/{arch}")
        found = engine.inspect(name)
    references = found.references if found else ()  # also those of other registries it was pushed to
    by_digest = next((each for each in references if _short(repository(each)) == _short(repository(name))), name)
    if "python" not in name:
        return by_digest, False
    report(Progress(phase="image", item=f"looking at {name}"))
    try:
        said = engine.run(name, ["/usr/local/bin/python3", "-c", "import platform; print(platform.python_version())"])
    except CapsuleError:
        return by_digest, False  # it has none there; the captured one is carried
    return by_digest, said.strip() == version


def _short(repository: str) -> str:
    """As Docker writes it; podman writes all of it."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def _floating(plan: ImagePlan, base: str) -> list[str]:
    """What stands against the same image on another day, as far as is known before there is a context."""
    found = []
    if "@sha256:" not in base:
        found.append(f"no registry has given a digest to the base {base}")
    if plan.unproved:
        found.append("distributions without a hash are installed")
    return found


def _missing_packages(engine: ContainerEngine, base: str, context: Context) -> list[str]:
    """The Debian packages that the build would install."""
    said = engine.run(base, ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"])
    there = {line.removeprefix("installed ") for line in said.splitlines()}
    return sorted({*(context.folder / PACKAGES).read_text(encoding="utf-8").split()} - there)


def _not_reproducible(why: Sequence[str]) -> Blocked:
    return Blocked(
        "not-reproducible",
        f"The same image could not be built on another day: {'; '.join(why)}.",
        "Give a --base by its digest that has those packages, or build without --reproducible.",
    )


def _secrets() -> dict[str, Path]:
    """A CA bundle of the user's own, if the environment names one; it reaches the installing steps only."""
    for variable in _CA_VARIABLES:
        path = os.environ.get(variable, "")
        if path and Path(path).is_file():
            return {"ca": Path(path)}
    return {}
