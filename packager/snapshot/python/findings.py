"""The findings about Python distributions and the files beside them."""

from __future__ import annotations

from collections.abc import Sequence

from ...capsule import NOBODY, Finding
from .contents import Broken, Distribution

_CURES = {
    "hash-unknown": "Take the snapshot again with the package index it came from.",
    "wheel-not-proved": "Take the snapshot with an index that gives parts of a file (HTTP ranges).",
    "wheel-carried": "Install it from an index that others have too.",
    "built-from-source": "Install it from a wheel.",
    "local-distribution": "Install it from an index, or from a commit of a git remote.",
}


def distribution_finding(code: str, item: Distribution, what: str, *, blocks: bool = False) -> Finding:
    """A finding about the origin of one distribution; `what` goes on after its name and version."""
    message = f"The distribution {item.name} {item.version} {what}"
    return Finding(code=code, subject=item.name, message=message, cure=_CURES[code], blocks=blocks)


def secrets_left_out(item: Distribution, places: Sequence[str]) -> Finding:
    """Files that hold secrets are not in the wheel that is made of the installed files."""
    return Finding(
        code="secret-file-left-out",
        subject=item.name,
        message=f"Files of the distribution {item.name} that hold secrets are not carried: {_some(places)}.",
        cure="Put them there again where the capsule is restored, if it needs them.",
    )


def broken(item: Broken) -> Finding:
    """What is no whole distribution."""
    cure = "Install it again, or remove what is left of it."
    return Finding(
        code="dist-broken", subject=item.name, message=f"The distribution {item.name} {item.reason}", cure=cure
    )


def modified(name: str, counts: Sequence[tuple[str, Sequence[str]]]) -> Finding:
    """Files that are not as a wheel gave them; `counts` are words (``changed``) with the places."""
    said = ", ".join(f"{len(places)} {word}" for word, places in counts if places)
    shown = _some([place for _, places in counts for place in places])
    if name == NOBODY:
        return Finding(
            code="stray-files",
            subject="site-packages",
            message=f"Python's packages hold files of no distribution ({said}), which are carried: {shown}.",
            cure="Remove them, or install what they belong to from a wheel.",
        )
    return Finding(
        code="dist-modified",
        subject=name,
        message=f"The distribution {name} is not as it was installed ({said}); its files are carried: {shown}.",
        cure=f"Look through them for secrets, or install {name} again.",
    )


def not_carried(name: str, places: Sequence[str]) -> Finding:
    """Files that no capsule takes in."""
    whose = "of no distribution" if name == NOBODY else f"of {name}"
    return Finding(
        code="python-files-not-carried",
        subject="site-packages" if name == NOBODY else name,
        message=f"Files {whose} are links, too large or may hold secrets, and are not carried: {_some(places)}.",
        cure="Remove them, or install what they belong to from a wheel.",
        blocks=True,
    )


def retargeted(target: str, name: str, what: str) -> Finding:
    """A distribution that is another for the platform `target`; `what` goes on after its name."""
    return Finding(
        code="retargeted",
        subject=name,
        message=f"In the lock for {target}, {name} {what}",
        cure="Make the capsule on that platform to have it proved.",
    )


def _some(places: Sequence[str]) -> str:
    rest = f" and {len(places) - 5} more" if len(places) > 5 else ""
    shown = ", ".join(places[:5]) + rest
    return "".join(character if character.isprintable() else "?" for character in shown)
