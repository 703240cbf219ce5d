"""What stands against making a capsule of another tool's file: what it does not hold, and what stood in for that."""

from __future__ import annotations

from ..capsule import Finding
from .models import FORMS, Form

_AGAIN = "If the ComfyUI that it was made of still exists, export from there."

# What a form has no place for, as a sentence goes on, and what to do about it.
_NOT_HELD = {
    "local changes": (
        "whether files of ComfyUI or of packs were changed or added; what was committed is taken",
        _AGAIN,
    ),
    "packs": ("packs that are neither a git checkout nor from the registry, nor disabled ones of the registry", _AGAIN),
    "models": (
        "which models there were",
        "Restore the capsule, put the models there, and export the workflow from it.",
    ),
    "workflow": (
        "a workflow; the capsule gives a ComfyUI back, and serves nothing",
        "Name one with --workflow, or export one from the restored ComfyUI.",
    ),
    "platform": ("the operating system, the GPU or the package index; what fits this machine is taken", _AGAIN),
}
_NOT_HELD_BY: dict[Form, tuple[str, ...]] = {
    "manager": ("local changes", "models", "packs", "platform", "workflow"),
    "desktop": ("local changes", "models", "platform", "workflow"),
    "cpack": ("local changes", "packs", "platform"),
    "workflow": (),
}


def not_held(form: Form) -> tuple[Finding, ...]:
    """What files of this `form` do not hold."""
    return tuple(
        not_said(subject, f"A {FORMS[form]} does not say {_NOT_HELD[subject][0]}.", _NOT_HELD[subject][1])
        for subject in _NOT_HELD_BY[form]
    )


def not_said(subject: str, message: str, cure: str = _AGAIN) -> Finding:
    """What the file does not say, and nothing stands in for."""
    return Finding(code="not-in-source", subject=subject, message=message, cure=cure)


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


def no_contract(why: str) -> Finding:
    """The workflow stands in the capsule without inputs and outputs."""
    return Finding(
        code="contract-not-made",
        subject="workflow",
        message=f"The capsule has the workflow, but no inputs and outputs of it: {why}.",
        cure="Import with --trust, or export the workflow from the restored ComfyUI.",
        blocks=True,
    )
