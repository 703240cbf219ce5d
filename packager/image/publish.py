"""Built images, sent to their registry and signed there; those for several platforms under one tag."""

from __future__ import annotations

from collections.abc import Sequence

from ..progress import Report
from .interface import ContainerEngine
from .sign import sign
from .transfer import repository


def publish(
    engine: ContainerEngine, tags: Sequence[str], tag: str, report: Report, *, key: str = "", public_log: bool = False
) -> str:
    """Push the images `tags` of one repository, as `tag`; the digest by which the registry knows that.

    Where there is one, it is `tag` itself. Several, each for a platform of its own, are told apart under `tag` by an
    index (https://specs.opencontainers.org/image-spec/image-index/).

    Args:
        key: cosign's, which signs that digest; empty for no signature.
        public_log: whether the signature goes into Sigstore's public log.

    Raises:
        BadInput: ``no-cosign``.
        CapsuleError: ``push-failed``, ``sign-failed``.
    """
    digests = [engine.push(each, report) for each in tags]
    name = repository(tag)
    digest = digests[0] if list(tags) == [tag] else engine.join(tag, [f"{name}@{each}" for each in digests])
    if key:
        sign(f"{name}@{digest}", key, public=public_log)
    return digest


def platform_tag(tag: str, platform: str) -> str:
    """``name:1-arm64`` of ``name:1``, for what one of several platforms gets."""
    name = repository(tag)
    return f"{name}:{tag[len(name) + 1 :] or 'latest'}-{platform.partition('/')[2]}"
