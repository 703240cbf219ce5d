"""Images of one capsule, one for each platform, and where they go: what `comfy-capsule build` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .capsule import Capsule, read_capsule
from .errors import BadInput
from .image import build, engine_named, platform_tag, publish, write_context, write_metrics
from .progress import Report


def build_context(path: Path, folder: Path, how: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Write the build context of the capsule at `path` into `folder`; what was made, by name.

    Args:
        how: what `write_context` takes by name.
    """
    context = write_context(_read(path), folder, report=report, **how)
    return {"context": str(context.folder), "base": context.plan.base, "bytes": context.size_bytes}


def _read(path: Path) -> Capsule:
    capsule = read_capsule(path)
    capsule.need_workflow()
    return capsule


def build_images(
    path: Path,
    tag: str,
    how: Mapping[str, Any],
    report: Report,
    *,
    engine: str,
    platforms: Sequence[str] = (),
    push: bool = False,
    key: str = "",
    public_log: bool = False,
    metrics: Path | None = None,
) -> dict[str, Any]:
    """Build the image `tag`, one for each of `platforms`; what was made, by name.

    Args:
        how: what `build` takes by name.
        engine: its name, see `engine_named`.
        platforms: the engine's own, when there are none. Several get tags of their own, and are pushed together.
        push, key, public_log: see `publish`.
        metrics: a file to write how long it took into, see `write_metrics`.

    Raises:
        BadInput: ``no-workflow``; ``bad-usage`` for several platforms without a registry, and what `build` refuses.
        CapsuleError: see `build` and `publish`.
    """
    if len(platforms) > 1 and not push:
        message = "An engine keeps an image of one platform under a tag; a registry keeps those of several."
        raise BadInput("bad-usage", message, "Give --push, or one --platform.")
    capsule, there = _read(path), engine_named(engine)
    tags = {each: platform_tag(tag, each) for each in platforms} if len(platforms) > 1 else {"".join(platforms): tag}
    made = [build(capsule, own, engine=there, platform=each, report=report, **how) for each, own in tags.items()]
    if metrics is not None:
        write_metrics(metrics, capsule.name, made)
    said: dict[str, Any] = {
        "image": ", ".join(image.tag for image in made),
        "digest": ", ".join(image.digest for image in made),
        "bytes": sum(image.size_bytes for image in made),
        "seconds": round(sum(image.seconds for image in made), 1),
        "log": ", ".join(str(image.log) for image in made),
    }
    if push:
        said["pushed"] = publish(there, [image.tag for image in made], tag, report, key=key, public_log=public_log)
    return said
