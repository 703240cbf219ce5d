"""The one error family: what happened, to what, and what to do about it.

Exit statuses (the same for every command): 0 done and equal, 1 failed or different,
2 bad input or usage, 3 findings that block, 130 cancelled.
"""

from __future__ import annotations

import errno


class CapsuleError(Exception):
    """An error a person can act on.

    Attributes:
        code: stable kebab-case identifier, e.g. ``no-comfyui``; part of the public interface.
        message: one sentence, says what happened and to what.
        cure: one sentence, says what to do; empty when there is nothing to do.
        exit_status: what the command exits with.
    """

    exit_status = 1

    def __init__(self, code: str, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".rstrip()


class BadInput(CapsuleError):
    """What the caller gave cannot be used: a wrong folder, file, graph, name or option."""

    exit_status = 2


class Blocked(CapsuleError):
    """Findings stand against going on."""

    exit_status = 3


class Cancelled(CapsuleError):
    """The user stopped it."""

    exit_status = 130

    def __init__(self, message: str = "Cancelled.", cure: str = "") -> None:
        super().__init__("cancelled", message, cure)


_BAD_PATH = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    }
)


def of_system(error: OSError) -> CapsuleError:
    """What the operating system refused, as an error of ours: a path that cannot be used, or a full disk and the like.

    The file's name is in the sentence: nothing else says where it happened.
    """
    where = f"{error.filename}: " if error.filename is not None else ""
    message = f"The operating system refused: {where}{error.strerror or error}."
    if error.errno in _BAD_PATH:
        return BadInput("bad-path", message, "Check that the path is right and that you may write there.")
    return CapsuleError("system-error", message, "Check the disk's free space and the machine.")
