"""What package indexes offer for exact versions: asked through `uv`, so the user's own client settings hold."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from packaging.pylock import PackageWheel, Pylock
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ...capsule import sha256_bytes
from ...command import run, without_credentials
from ...errors import CapsuleError
from ...uv import find_uv

# In uv's own words; any of them means that no answer is to be had, for this or any other name.
_UNREACHABLE = ("Failed to fetch", "error sending request", "dns error", "Connection refused", "network connectivity")
_NO_WHEELS = re.compile(r"([A-Za-z0-9._-]+)==\S+ has no (?:usable )?wheels")
#: uv's name of a torch build, out of a local version: ``cu130``, ``cpu``, ``rocm6.4``, ``xpu``.
TORCH_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm\d+(?:\.\d+)*|xpu")
_LIMIT = 300  # seconds for one answer of uv


class Offer(BaseModel):
    """One wheel on an index; `index` is empty for the user's default one."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    wheel: PackageWheel
    index: str = ""


class Offers(BaseModel):
    """The wheels on the indexes, by normalized distribution name.

    Attributes:
        without_wheels: those that the index has as source only.
        unreachable: those of which nothing could be asked.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    wheels: dict[str, tuple[Offer, ...]] = {}
    without_wheels: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()

    def of(self, name: str) -> tuple[Offer, ...]:
        """The wheels of the distribution `name`; none where there are none."""
        return self.wheels.get(name, ())


class Indexes:
    """The package indexes as uv is set up here, for one platform.

    Args:
        python: the interpreter whose platform the wheels are for.

    Attributes:
        digest: of which indexes these are.
    """

    def __init__(self, python: Path) -> None:
        self._python = python
        self._addresses = _addresses()  # the default one first; they may hold passwords
        self.digest = sha256_bytes("\n".join(map(without_credentials, self._addresses)).encode())

    def ask(self, pins: Sequence[str]) -> Offers:
        """The wheels offered for each of `pins` (``name==version``), as uv would look for them."""
        return self._ask(pins, (), {})

    def ask_further(self, pins: Sequence[str]) -> Offers:
        """As `ask`, where uv looks no further once it knows the name: each of the user's indexes by itself.

        Builds of torch (``+cu130``) are looked for where uv knows them to be.
        """
        found = []
        if len(self._addresses) > 1:
            found += [self._ask(pins, (), {"UV_INDEX": address}) for address in self._addresses]
        builds = sorted({build for pin in pins if TORCH_BUILD.fullmatch(build := pin.partition("+")[2])})
        for build in builds:
            wanted = [pin for pin in pins if pin.endswith(f"+{build}")]
            found.append(self._ask(wanted, ("--torch-backend", build), {"UV_HTTP_RETRIES": "0"}))
        return _joined(found)

    def ask_for(self, pins: Sequence[str], platform: str, python: str, *, whole: bool = False) -> Offers:
        """The wheels offered for another platform (uv's name, ``x86_64-manylinux_2_28``) and full Python version.

        Args:
            whole: with everything that `pins` need there, which may be more; nothing when they do not go together.
        """
        words = ("--python-platform", platform, "--python-version", python)
        if not whole:
            return self._ask(pins, words, {})
        try:
            return Offers(wheels=_read(self._compile(pins, "pylock.toml", words, {}, deps=True), {}))
        except CapsuleError:
            return Offers()

    def ask_for_torch(
        self, pins: Sequence[str], build: str, platform: str, python: str
    ) -> dict[str, tuple[Offer, ...]]:
        """The wheels of `pins`, of one build of torch, and of everything that they need; none where there are none."""
        words = ("--python-platform", platform, "--python-version", python)
        for more in ((), ("--torch-backend", build)):
            try:
                return _read(self._compile(pins, "pylock.toml", (*words, *more), {}, deps=True), {})
            except CapsuleError as error:
                if error.code not in ("command-failed", "command-timeout"):
                    raise
        return {}

    def with_credentials(self, url: str) -> str:
        """`url` with the name and password that the user's own settings have for its server; not to be shown."""
        parts = urlsplit(url)
        for address in self._addresses:
            said = urlsplit(address)
            user, at, server = said.netloc.rpartition("@")
            if at and (said.scheme, server) == (parts.scheme, parts.netloc):
                return parts._replace(netloc=f"{user}@{server}").geturl()
        return url

    def _ask(self, pins: Sequence[str], words: Sequence[str], env: Mapping[str, str]) -> Offers:
        """What uv says of all `pins`; a pin that the index does not have spoils the whole answer, so it is left out."""
        left = list(pins)
        without_wheels: set[str] = set()
        while left:
            try:
                wheels = _read(self._compile(left, "pylock.toml", words, env), self._where(left, words, env))
                return Offers(wheels=wheels, without_wheels=frozenset(without_wheels))
            except CapsuleError as error:
                if error.code not in ("command-failed", "command-timeout"):
                    raise
                said = " ".join(error.message.partition(": ")[2].split())
            if any(phrase in said for phrase in _UNREACHABLE):
                names = frozenset(canonicalize_name(pin.partition("==")[0]) for pin in left)
                return Offers(without_wheels=frozenset(without_wheels), unreachable=names)
            without_wheels |= {canonicalize_name(name) for name in _NO_WHEELS.findall(said)}
            named = [pin for pin in left if _is_named(pin, said)]
            if not named:
                return self._halved(left, words, env)
            left = [pin for pin in left if pin not in named]
        return Offers(without_wheels=frozenset(without_wheels))

    def _halved(self, pins: Sequence[str], words: Sequence[str], env: Mapping[str, str]) -> Offers:
        if len(pins) == 1:
            return Offers()
        middle = len(pins) // 2
        return _joined([self._ask(pins[:middle], words, env), self._ask(pins[middle:], words, env)])

    def _where(self, pins: Sequence[str], words: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
        """The address of the index of each of `pins` that is not of the default one, by name, without credentials."""
        if len(self._addresses) < 2 and not words:
            return {}
        said = self._compile(pins, "requirements.txt", (*words, "--no-annotate", "--emit-index-annotation"), env)
        default = without_credentials(self._addresses[0]) if self._addresses else ""
        found = re.findall(r"^([A-Za-z0-9._-]+)==\S+\n    # from (\S+)$", said, re.MULTILINE)
        return {canonicalize_name(name): without_credentials(at) for name, at in found if at != default}

    def _compile(
        self, pins: Sequence[str], form: str, words: Sequence[str], env: Mapping[str, str], *, deps: bool = False
    ) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            wanted, answer = Path(scratch, "pins.txt"), Path(scratch, "pylock.toml")
            wanted.write_text("\n".join(pins) + "\n")
            fixed = ["--no-build", "--quiet", "--no-header", "--format", form, *([] if deps else ["--no-deps"])]
            where: list[str | Path] = ["--python", self._python, "-o", answer, wanted]
            run([find_uv(), "pip", "compile", *fixed, *words, *where], env=env, timeout=_LIMIT)
            return answer.read_text()


def _is_named(pin: str, said: str) -> bool:
    """Whether uv names `pin` as the cause: what it says after `you require` may name others."""
    name = re.escape(pin.partition("==")[0])
    cause = said.partition(" and you require")[0]
    return re.search(rf"(?<![\w.-]){name}(?:==| was not found| has no )", cause) is not None


def _joined(several: Iterable[Offers]) -> Offers:
    wheels: dict[str, tuple[Offer, ...]] = {}
    without_wheels: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()
    for offers in several:
        for name, found in offers.wheels.items():
            wheels[name] = (*wheels.get(name, ()), *(offer for offer in found if offer not in wheels.get(name, ())))
        without_wheels |= offers.without_wheels
        unreachable |= offers.unreachable
    return Offers(wheels=wheels, without_wheels=without_wheels, unreachable=unreachable)


def _read(text: str, where: Mapping[str, str]) -> dict[str, tuple[Offer, ...]]:
    lock = Pylock.from_dict(tomllib.loads(text))
    found: dict[str, tuple[Offer, ...]] = {}
    for item in lock.packages:
        name = canonicalize_name(item.name)
        found[name] = tuple(Offer(wheel=wheel, index=where.get(name, "")) for wheel in item.wheels or ())
    return found


def _addresses() -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        nothing = Path(scratch, "nothing.in")
        nothing.touch()
        said = run([find_uv(), "pip", "compile", "--quiet", "--no-header", "--emit-index-url", nothing], timeout=_LIMIT)
    found = re.findall(r"^--(?:extra-)?index-url (\S+)$", said, re.MULTILINE)
    return list(dict.fromkeys(found))
