"""Signatures of pushed images, by cosign (https://docs.sigstore.dev/cosign/), which is a program of the user's own."""

from __future__ import annotations

from ..command import run
from ..errors import BadInput, CapsuleError


def sign(reference: str, key: str, *, public: bool = False) -> None:
    """Sign the image `reference`, ``repository@sha256:…``, with the cosign key `key`; beside it in its registry.

    ``COSIGN_PASSWORD`` in the environment is the key's password.

    Args:
        public: whether the signature goes into the public log of Sigstore, which tells the world the image's name.

    Raises:
        BadInput: ``no-cosign``.
        CapsuleError: ``sign-failed``, with what cosign said.
    """
    try:
        _cosign("sign", "--yes", f"--tlog-upload={str(public).lower()}", "--key", key, reference)
    except CapsuleError as error:
        if isinstance(error, BadInput):
            raise
        message = f"{reference} was pushed, and could not be signed: {error.message}"
        raise CapsuleError("sign-failed", message, "Sign it with `cosign sign`.") from error


def why_unsigned(reference: str, key: str) -> str:
    """Why the image `reference` does not carry a signature by the key whose public half is `key`; empty when it does.

    Raises:
        BadInput: ``no-cosign``.
    """
    try:
        _cosign("verify", "--insecure-ignore-tlog=true", "--key", key, reference)
    except CapsuleError as error:
        if isinstance(error, BadInput):
            raise
        return error.message.strip().splitlines()[-1]
    return ""


def _cosign(*words: str) -> None:
    try:
        run(["cosign", *words], timeout=300)
    except CapsuleError as error:
        if error.code == "no-program":
            raise BadInput("no-cosign", "Signatures are cosign's, which is not installed.", "Install it.") from error
        raise
