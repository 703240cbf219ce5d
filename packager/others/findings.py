"""What stands against making a capsule of another tool's file: what it does not hold, and what stood in for that."""

from __future__ import annotations

from ..capsule import Finding
from .models import FORMS, Form

_AGAIN = "If the ComfyUI that it was made of still exists, export from there."

# What a form has no place for, as a sentence goes on, and what to do about it.
_NOT_HELD = {
    "local changes": (
        "does not say whether files of ComfyUI or of packs were changed; what is committed is taken",
        _AGAIN,
    ),
    "packs": ("leaves out packs that are neither a checkout nor of the registry, and disabled ones of that", _AGAIN),
    "models": (
        "does not say which models there were",
        "Restore the capsule, put the models there, and export the workflow from it.",
    ),
    "workflow": (
        "holds no workflow, so the capsule gives a ComfyUI back and serves nothing",
        "Name one with --workflow, or export one from the restored ComfyUI.",
    ),
    "platform": (
        "does not say for which system, GPU and package index it was; what fits this machine is taken",
        _AGAIN,
    ),
}
_NOT_HELD_BY: dict[Form, tuple[str, ...]] = {
    "manager": ("local changes", "models", "packs", "platform", "workflow"),
    "desktop": ("local changes", "models", "platform", "workflow"),
    "cpack": ("local changes", "packs", "platform"),
    "workflow": (),
}


def not_held(form: Form, *more: str) -> tuple[Finding, ...]:
    """What files of this `form` do not hold, and what of `more` this one does not."""
    return tuple(
        not_said(subject, f"A {FORMS[form]} {_NOT_HELD[subject][0]}.", _NOT_HELD[subject][1])
        for subject in (*_NOT_HELD_BY[form], *more)
    )


def not_said(subject: str, message: str, cure: str = _AGAIN) -> Finding:
    """What the file does not say, and nothing stands in for."""
    return Finding(code="not-in-source", subject=subject, message=message, cure=cure)


def overruled(subject: str, was: str, now: str) -> tuple[Finding, ...]:
    """What the file says, and the user said otherwise; nothing where they agree or the file is silent."""
    if was in ("", now):
        return ()
    message = f"The file says {was} for {subject}; {now} is taken, which was asked for."
    return (assumed(subject, message, "Import again without naming another one."),)


def version_differs(subject: str, was: str, now: str) -> Finding:
    """A workflow was made with another version than the one that it is exported against."""
    return Finding(
        code="version-differs",
        subject=subject,
        message=f"The workflow was made with {subject} {was}; here it is {now}.",
        cure="Nothing, if it gives the same; else put that version into the ComfyUI, and import again.",
    )


def resolved_today(subject: str, message: str) -> Finding:
    """What the file only names was looked up now."""
    return Finding(code="resolved-today", subject=subject, message=message, cure=_AGAIN)


def assumed(subject: str, message: str, cure: str) -> Finding:
    """What the file does not say was taken to be usual; `cure` says how to name something else."""
    return Finding(code="assumed", subject=subject, message=message, cure=cure)


def left_out(
    subject: str, message: str, cure: str = "Look at it, and put it there by hand if it is needed."
) -> Finding:
    """An entry of the file that nothing could be made of."""
    return Finding(code="entry-left-out", subject=subject, message=message, cure=cure, blocks=True)


def not_chosen(subject: str, message: str) -> Finding:
    """What the file lists, but does not want installed."""
    return Finding(code="not-chosen", subject=subject, message=message, cure="Nothing, unless it is needed.")


def named_only(subject: str, message: str, cure: str = _AGAIN) -> Finding:
    """A pack of which the file gives no address that has its bytes, or one that does not."""
    return Finding(code="pack-not-had", subject=subject, message=message, cure=cure, blocks=True)


def pin_not_had(subject: str, message: str, cure: str) -> Finding:
    """A distribution that could not be installed as the file says."""
    return Finding(code="pin-not-had", subject=subject, message=message, cure=cure, blocks=True)


def no_pins() -> Finding:
    """A file without a single distribution, which some tools write."""
    message = "The file lists no Python packages, so none is installed: this ComfyUI will not start."
    return pin_not_had("Python", message, "Restore it, install its and the packs' requirements there, and export.")


def no_contract(why: str) -> Finding:
    """The workflow stands in the capsule without inputs and outputs."""
    return Finding(
        code="contract-not-made",
        subject="workflow",
        message=f"The capsule has the workflow, but no inputs and outputs of it: {why}.",
        cure="Import with --trust, or export the workflow from the restored ComfyUI.",
        blocks=True,
    )
