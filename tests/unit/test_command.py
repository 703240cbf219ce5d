"""One way to run a program: what it says comes whole, and no secret of a URL is shown or kept."""

from __future__ import annotations

import sys

import pytest

from comfy_capsule.packager.command import run, run_bytes, without_credentials
from comfy_capsule.packager.errors import CapsuleError


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://user:token@example.com/x.git", "https://example.com/x.git"),
        ("https://token@example.com/x.git", "https://example.com/x.git"),
        ("https://user:p@ss@example.com/x.git", "https://example.com/x.git"),
        ("ssh://git@example.com:2222/x.git", "ssh://git@example.com:2222/x.git"),
        ("ssh://git:secret@example.com/x.git", "ssh://example.com/x.git"),
        ("git@example.com:x.git", "git@example.com:x.git"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("https://example.com/x.git?private_token=abcdef12", "https://example.com/x.git"),
        ("https://example.com/m/1?type=Model&token=abcdef12&fp=fp16", "https://example.com/m/1?type=Model&fp=fp16"),
        ("https://u:p@example.com/m?api_key=abcdef12#sha", "https://example.com/m#sha"),
        ("https://s3/m?X-Amz-Date=2&X-Amz-Signature=0a1b2c3d", "https://s3/m?X-Amz-Date=2"),
        ("https://example.com/m?download=true&key=name", "https://example.com/m?download=true&key=name"),
    ],
)
def test_credentials_go_and_the_user_of_ssh_stays(given: str, kept: str) -> None:
    assert without_credentials(f"see {given} there") == f"see {kept} there"


def test_a_failure_says_what_the_program_said_without_secrets() -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('cannot read https://me:hush@example.com/x')"]
    with pytest.raises(CapsuleError) as caught:
        run(words)
    assert caught.value.code == "command-failed"
    assert "https://example.com/x" in caught.value.message
    assert "hush" not in str(caught.value)


def test_bytes_and_line_ends_are_kept() -> None:
    code = r"import sys; sys.stdout.buffer.write(b'a\r\n\xff')"
    assert run_bytes([sys.executable, "-c", code]) == b"a\r\n\xff"


def test_what_is_missing_or_too_slow_is_said() -> None:
    with pytest.raises(CapsuleError, match="not installed"):
        run(["no-such-program-at-all"])
    with pytest.raises(CapsuleError, match="did not end within"):
        run([sys.executable, "-c", "import time; time.sleep(9)"], timeout=0.2)
