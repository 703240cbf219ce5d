"""One way to run another program: no shell, a clean failure, secrets kept out of messages."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import CapsuleError
from .secrets import without_secret_parameters

_CREDENTIALS = re.compile(r"(?<![\w+.-])([A-Za-z][\w+.-]{0,30}://)([^/\s?#]+)@")


def without_credentials(text: str) -> str:
    """`text` with ``user:password@`` and parameters such as ``token=`` taken out of every URL in it.

    ``ssh://git@`` names no secret and is needed; so are all other parameters.
    """

    def clean(found: re.Match[str]) -> str:
        scheme, user = found.groups()
        return found[0] if scheme.lower().endswith("ssh://") and ":" not in user else scheme

    return without_secret_parameters(_CREDENTIALS.sub(clean, text))


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run `argv` and return its standard output as text; for all else see `run_bytes`."""
    said = run_bytes(argv, cwd=cwd, env=env, stdin=None if stdin is None else stdin.encode(), timeout=timeout)
    return said.decode(errors="replace")  # not text mode, which would change line ends


def run_bytes(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
) -> bytes:
    """Run `argv` and return its standard output.

    Args:
        env: added to this process's environment; None takes a variable out of it.
        timeout: seconds.

    Raises:
        CapsuleError: ``no-program`` when it is not installed, ``command-failed`` with the end of its
            output when it exits with another status than 0, ``command-timeout``.
    """
    words = [str(word) for word in argv]
    shown = without_credentials(" ".join(words[:4]))
    try:
        done = subprocess.run(
            words, cwd=cwd, env=_environment(env), input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise CapsuleError("no-program", f"The program {words[0]!r} is not installed.", "Install it.") from error
    except subprocess.TimeoutExpired as error:
        raise CapsuleError("command-timeout", f"`{shown}` did not end within {timeout:.0f} s.") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace")
        tail = without_credentials("\n".join(said.strip().splitlines()[-12:]))
        raise CapsuleError("command-failed", f"`{shown} …` failed with status {done.returncode}: {tail}")
    return done.stdout


def _environment(changes: Mapping[str, str | None] | None) -> dict[str, str] | None:
    if not changes:
        return None
    whole: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def watch(
    argv: Sequence[str | Path],
    tick: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    every: float = 0.25,
) -> None:
    """Run a slow program and call `tick` every `every` seconds with all that it has said so far.

    When `tick` raises, or Ctrl-C arrives, the program is ended before the exception goes on.

    Raises:
        CapsuleError: ``no-program`` or ``command-failed``, as `run`.
    """
    words = [str(word) for word in argv]
    environment = _environment(env)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "said")

        def text() -> str:  # through a handle of our own: the program's must keep its place at the end
            return log.read_text("utf-8", "replace")

        try:
            with log.open("wb") as said:
                process = subprocess.Popen(
                    words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
                )
        except FileNotFoundError as error:
            message = f"The program {words[0]!r} is not installed."
            raise CapsuleError("no-program", message, "Install it.") from error
        try:
            while process.poll() is None:
                tick(text())
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(every)
        except BaseException:
            end(process)
            raise
        tick(text())
        if process.returncode != 0:
            tail = without_credentials("\n".join(text().strip().splitlines()[-12:]))
            shown = without_credentials(" ".join(words[:4]))
            message = f"`{shown} …` failed with status {process.returncode}: {tail}"
            raise CapsuleError("command-failed", message)


def end(process: subprocess.Popen[bytes], grace: float = 10) -> None:
    """Ask `process` to stop, and kill it when it has not within `grace` seconds; it is gone afterwards."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    process.kill()
    process.wait()
