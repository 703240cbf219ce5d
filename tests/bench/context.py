"""Build contexts, whose copied folders lie below their digests."""

from __future__ import annotations

from pathlib import Path

from comfy_capsule.packager.image import ImagePlan
from comfy_capsule.packager.image import dockerfile as written
from comfy_capsule.packager.image.equal import COPIED


def dockerfile(plan: ImagePlan) -> str:
    """The Dockerfile of a context whose folders all have the digest ``12ab``."""
    return written(plan, {name: f"{name}/12ab" for name in COPIED})


def below(folder: Path) -> Path:
    """The one folder in `folder`, which is named by its digest."""
    (found,) = folder.iterdir()
    assert len(found.name) == 32
    return found
