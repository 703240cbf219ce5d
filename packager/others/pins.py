"""The lines of a ``pip freeze``, as other tools keep them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..capsule import Finding
from ..command import without_credentials
from .findings import left_out, pin_not_had
from .models import Pin

_HASH = re.compile(r"\s--hash=sha256:([0-9a-f]{64})(?=\s|$)")
_REMOTE = re.compile(r"(?:git\+)?(?:https?|ssh)://[^\s\\]+\Z")
_MOST = 5_000  # lines; real environments have some hundreds
_LOCAL = "Install it from an index or from a commit of a git remote, where the file was made."


def read_pins(lines: Iterable[str]) -> tuple[tuple[Pin, ...], tuple[Finding, ...]]:
    """The pins of `lines`, sorted by name, and a finding for each line that is none; comments are no line.

    One distribution twice, with two versions, is a finding, and the first counts.
    """
    pins: dict[str, Pin] = {}
    findings = []
    for number, line in enumerate(lines):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if number >= _MOST:
            findings.append(left_out("Python", f"There are more than {_MOST:,} packages; the rest is left out."))
            break
        pin = _pin(text)
        if isinstance(pin, Finding):
            findings.append(pin)
        elif pins.setdefault(pin.name, pin) != pin:
            findings.append(left_out(pin.name, f"{pin.name} is named twice; {pins[pin.name].line} is taken."))
    return tuple(pins[name] for name in sorted(pins)), tuple(findings)


def lines_of(said: Mapping[str, Any]) -> list[str]:
    """The lines that a mapping stands for: ``{"a==1": ""}``, ``{"a": "1"}`` and ``{"a": "git+https://…"}`` alike.

    The first is ComfyUI-Manager's (``manager_core.py`` get_installed_pip_packages, 3.41), the second Comfy-Desktop's
    (``src/main/lib/pip.ts`` pipFreeze); both keep the address of what was installed from one.
    """
    lines = []
    for name, value in said.items():
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            lines.append(str(name))
        elif text.startswith("-e "):
            lines.append(text)
        else:
            lines.append(f"{name} @ {text}" if ":" in text or "/" in text else f"{name}=={text}")
    return lines


def _is_address(url: str) -> bool:
    try:
        return bool(_REMOTE.match(url) and urlsplit(url).hostname)
    except ValueError:
        return False


def _pin(text: str) -> Pin | Finding:
    shown = without_credentials(text)[:120]
    if text.startswith("-"):
        return pin_not_had(shown, f"{shown!r} was an editable install, whose files no index has.", _LOCAL)
    hashes = tuple(_HASH.findall(text))
    try:
        said = Requirement(_HASH.sub("", text).replace("\\", " ").strip())
    except InvalidRequirement:
        return left_out(shown, f"{shown!r} is no line of a pip freeze.")
    name = canonicalize_name(said.name)
    if said.url:
        if not _is_address(said.url):
            return pin_not_had(name, f"{name} was installed from what is no address of a host, {shown!r}.", _LOCAL)
        return Pin(name=name, url=without_credentials(said.url), hashes=hashes)
    exact = [each.version for each in said.specifier if each.operator in ("==", "===")]
    try:
        version = str(Version(exact[0])) if len(exact) == len(said.specifier) == 1 and not said.marker else ""
    except InvalidVersion:
        version = ""
    if not version:
        return left_out(name, f"{shown!r} does not pin a version, so none is taken.")
    return Pin(name=name, version=version, hashes=hashes)
