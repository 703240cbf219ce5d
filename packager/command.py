"""One way to run another program: no shell, a clean failure, secrets kept out of messages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import CapsuleError

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


def without_credentials(text: str) -> str:
    """`text` with ``user:password@`` taken out of every URL in it."""
    return _CREDENTIALS.sub("", text)


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    encoding: str = "utf-8",
) -> str:
    """Run `argv` and return its standard output.

    Args:
        env: added to this process's environment.
        timeout: seconds.
        encoding: of what it prints; ``latin-1`` keeps every byte.

    Raises:
        CapsuleError: ``no-program`` when it is not installed, ``command-failed`` with the end of its
            output when it exits with another status than 0, ``command-timeout``.
    """
    words = [str(word) for word in argv]
    shown = without_credentials(" ".join(words[:4]))
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            input=stdin,
            capture_output=True,
            encoding=encoding,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CapsuleError("no-program", f"The program {words[0]!r} is not installed.", "Install it.") from error
    except subprocess.TimeoutExpired as error:
        raise CapsuleError("command-timeout", f"`{shown}` did not end within {timeout:.0f} s.") from error
    if done.returncode != 0:
        tail = without_credentials("\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]))
        raise CapsuleError("command-failed", f"`{shown} …` failed with status {done.returncode}: {tail}")
    return done.stdout
