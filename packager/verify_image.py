"""An image, proved again: by what is in it, in a container without a network, wherever the image comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .capsule import Capsule
from .errors import CapsuleError
from .image import INSTALL, LABEL, PROVE, ContainerEngine, why_unsigned
from .progress import Progress, Report
from .restore import Row, Table, row
from .run_image import image_labels


def verify_image(
    engine: ContainerEngine,
    tag: str,
    capsule: Capsule | None = None,
    *,
    example: bool = True,
    gpus: bool = False,
    signed_by: str = "",
    report: Report,
) -> Table:
    """Compare the image `tag` with the capsule that it holds, and that one with `capsule` where it is given.

    The image's own programs look at its files: this finds what differs, and not who means to deceive.

    Args:
        example: whether the capsule's example is run too.
        gpus: whether the container sees this host's GPUs, which proves what needs one.
        signed_by: the public half of a cosign key, whose signature the image must have in its registry.

    Raises:
        BadInput: ``no-image``, ``image-not-ours``, ``no-cosign``.
        CapsuleError: ``container-failed``.
    """
    labels = image_labels(engine, tag)
    signature = _signature_rows(engine, tag, signed_by) if signed_by else ()
    report(Progress(phase="verify", item=f"{tag}, in a container without a network"))
    answer = engine.run(tag, [*PROVE, "image", "/capsule", *INSTALL, *(["--example"] if example else [])], gpus=gpus)
    try:
        proof = json.loads(answer)
        table = Table(rows=tuple(map(Row.model_validate, proof["rows"])), unproved=tuple(proof["unproved"]))
        digests = tuple(_digest_rows(proof["capsule"], labels, capsule))
    except (ValueError, KeyError, TypeError) as error:
        message = f"What the image {tag} says of itself cannot be read: {str(error).splitlines()[0]}."
        raise CapsuleError("container-failed", message, "Was it built by a newer Comfy Capsule?") from error
    return table.model_copy(update={"rows": (*signature, *table.rows, *digests)})


def _signature_rows(engine: ContainerEngine, tag: str, key: str) -> tuple[Row, ...]:
    found = engine.inspect(tag)
    references = found.references if found else ()
    why = why_unsigned(references[0], key) if references else "it was never pushed or pulled"
    return (row("signature", tag, "signed", f"not signed by this key: {why}" if why else "signed"),)


def _digest_rows(inside: Mapping[str, Any], labels: Mapping[str, str], capsule: Capsule | None) -> Iterator[Row]:
    """The labels against the capsule in the image, and that against the one at hand."""
    for name in ("capsule", "contract"):
        yield row("digest", f"label {name}", inside[name], labels.get(f"{LABEL}{name}", "none"))
        if capsule is not None:
            yield row("digest", name, getattr(capsule.digests, name), inside[name])
