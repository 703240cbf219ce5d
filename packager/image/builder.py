"""Build: from a capsule to an image in the engine, proved on the way."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule
from ..errors import CapsuleError
from ..materialise import Packs, fitted
from ..progress import Progress, Report
from .context import write_context
from .interface import BuildRequest, ContainerEngine
from .plan import DEFAULT_BASE, EPOCH, ModelPolicy, make_plan

# Where the clients of package indexes look for a CA bundle of the user's own, in their order.
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


class BuiltImage(BaseModel):
    """An image in the engine.

    Attributes:
        digest: its id in that engine, ``sha256:…``.
        size_bytes: as the engine counts it.
        seconds: from the capsule to the loaded image.
    """

    model_config = ConfigDict(frozen=True)

    tag: str
    digest: str
    size_bytes: int
    seconds: float


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
) -> BuiltImage:
    """Build the image of `capsule` and load it into `engine` under `tag`.

    Args:
        base: the base image; a slim Debian when empty. One that has exactly the captured Python at
            ``/usr/local/bin/python3``, as the ``python`` images do, gives it to the image.
        policies: of models, see `make_plan`.
        prove: boot ComfyUI during the build, without a network, and fail unless its node classes are the captured ones.

    Raises:
        BadInput: ``no-engine``, ``no-buildx``, ``engine-too-old``, ``platform-differs``, ``context-exists``, …
        CapsuleError: ``build-failed``, ``proof-failed``, and what `write_context` raises.
    """
    started = time.monotonic()
    info = engine.info()
    # Refuses before anything is fetched or pulled.
    plan = make_plan(fitted(capsule, "linux", info.arch), packs=packs, prove=prove, policies=policies)
    base, python_in_base = _look_at_base(engine, base, plan.python_version, report)
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
            machine=info.arch,
            policies=policies,
        )
        request = BuildRequest(
            context=context.folder, tag=tag, arguments={"SOURCE_DATE_EPOCH": str(EPOCH)}, secrets=_secrets()
        )
        engine.build(request, report)
    image = engine.inspect(tag)
    if image is None:
        raise CapsuleError("build-failed", f"The engine built the image and has no {tag} now.", "Build it again.")
    return BuiltImage(tag=tag, digest=image.id, size_bytes=image.size_bytes, seconds=time.monotonic() - started)


def _look_at_base(engine: ContainerEngine, base: str, version: str, report: Report) -> tuple[str, bool]:
    """The base by its digest, where it has one, and whether it brings exactly Python `version`.

    Only the ``python`` images put one where `ImagePlan.interpreter` looks; so no container is started for others.
    """
    name = base or DEFAULT_BASE
    found = engine.inspect(name)
    by_digest = found.references[0] if found and found.references else name
    if "python" not in name:
        return by_digest, False
    report(Progress(phase="image", item=f"looking at {name}"))
    try:
        said = engine.run(name, ["/usr/local/bin/python3", "-c", "import platform; print(platform.python_version())"])
    except CapsuleError:
        return by_digest, False  # it has none there; the captured one is carried
    return by_digest, said.strip() == version


def _secrets() -> dict[str, Path]:
    """A CA bundle of the user's own, if the environment names one; it reaches the installing steps only."""
    for variable in _CA_VARIABLES:
        path = os.environ.get(variable, "")
        if path and Path(path).is_file():
            return {"ca": Path(path)}
    return {}
