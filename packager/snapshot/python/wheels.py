"""Which file of an index is the installed one: proved by its RECORD, and known from then on without asking again."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from packaging.pylock import PackageWheel
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from pydantic import BaseModel, ConfigDict

from ...cache import Cache
from ...capsule import canonical_json, sha256_bytes
from ...comfy import Install
from ...progress import Progress, Report
from .contents import Distribution, Places
from .distinfo import installed_identity
from .index import Indexes, Offer, Offers
from .record import is_same_wheel, wheel_lines
from .wheelzip import Unreachable, Unreadable, metadata_beside, peek

_PROVED, _NOWHERE, _OTHER = "wheel", "wheel-is-nowhere", "wheel-is-another"
_AT_ONCE = 8  # connections
_ASK_AGAIN = 7 * 24 * 3600  # seconds
_MANY = 6  # of them in vain: nobody is there


class Installed(BaseModel):
    """A distribution and where it lies."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    distribution: Distribution
    places: Places


class Origins(BaseModel):
    """Where the installed wheels can be had again, by distribution name.

    Attributes:
        proved: files whose RECORD is the installed one.
        likely: files with the installed wheel's tags whose content could not be looked at.
        source: those that the indexes have as source only.
        nowhere: those of which the indexes have no file that is the installed one. What stands nowhere here could not
            be asked.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    proved: dict[str, Offer] = {}
    likely: dict[str, Offer] = {}
    source: frozenset[str] = frozenset()
    nowhere: frozenset[str] = frozenset()


def find_origins(wanted: Sequence[Installed], install: Install, cache: Cache, report: Report) -> Origins:
    """The origin of each of `wanted`. Asks the indexes for those alone of which nothing is known from before."""
    keys = {item.distribution.name: _key(item.distribution, install) for item in wanted}
    known = cache.get(_PROVED, keys.values())
    proved = {name: _from_json(known[key]) for name, key in keys.items() if key in known}
    left = [item for item in wanted if item.distribution.name not in proved]
    if not left:
        return Origins(proved=proved)
    indexes = Indexes(install.python)
    keys_here = {name: f"{key}|{indexes.digest}" for name, key in keys.items()}
    before = cache.get(_NOWHERE, (keys_here[item.distribution.name] for item in left))
    fresh = {key for key, answer in before.items() if _is_fresh(answer)}
    left = [item for item in left if keys_here[item.distribution.name] not in fresh]
    found = _ask(left, indexes, cache, report) if left else Origins()
    cache.put(_PROVED, {keys[name]: _as_json(offer) for name, offer in found.proved.items()})
    why = dict.fromkeys(found.nowhere, "another") | dict.fromkeys(found.source, "source")
    cache.put(_NOWHERE, {keys_here[name]: f"{reason} {int(time.time())}" for name, reason in why.items()})
    # What could not be asked now is as it was the last time.
    unknown = keys_here.keys() - why.keys() - found.proved.keys() - found.likely.keys()
    why |= {name: before[keys_here[name]].partition(" ")[0] for name in unknown if keys_here[name] in before}
    return Origins(
        proved={**proved, **found.proved},
        likely=found.likely,
        source=frozenset(name for name, reason in why.items() if reason == "source"),
        nowhere=frozenset(name for name, reason in why.items() if reason == "another"),
    )


def _is_fresh(answer: str) -> bool:
    """Whether an index need not be asked again for what it did not have: it may have been put there since."""
    asked = answer.partition(" ")[2]
    return asked.isdecimal() and 0 <= time.time() - int(asked) < _ASK_AGAIN


def _key(item: Distribution, install: Install) -> str:
    here = (sys.platform, platform.machine(), install.implementation, install.python_version)
    return sha256_bytes(canonical_json([item.name, item.version, item.record, *here]))


def _ask(wanted: Sequence[Installed], indexes: Indexes, cache: Cache, report: Report) -> Origins:
    looking = _Looking(indexes, cache)
    offers = indexes.ask(_pins(wanted))
    proved, likely = looking.look(wanted, offers, report)
    left = [item for item in wanted if item.distribution.name not in {*proved, *offers.unreachable}]
    further = indexes.ask_further(_pins(left)) if left else Offers()
    more, likelier = looking.look(left, further, report)
    proved, likely = {**proved, **more}, {**likelier, **likely}
    unknown = offers.unreachable | further.unreachable | looking.undecided
    nowhere = {item.distribution.name for item in wanted} - proved.keys() - likely.keys() - unknown
    source = nowhere & (offers.without_wheels | further.without_wheels)
    return Origins(
        proved=proved,
        likely={name: offer for name, offer in likely.items() if name not in proved},
        source=frozenset(source),
        nowhere=frozenset(nowhere - source),
    )


def _pins(wanted: Iterable[Installed]) -> list[str]:
    return [f"{item.distribution.name}=={item.distribution.version}" for item in wanted]


class _Looking:
    """Looks into the offered wheels, several at once; gives up when nobody answers."""

    def __init__(self, indexes: Indexes, cache: Cache) -> None:
        self._indexes = indexes
        self._cache = cache
        self._lock = threading.Lock()
        self._in_vain = 0
        self.undecided: frozenset[str] = frozenset()  # names of which a file could not be looked into

    @property
    def gave_up(self) -> bool:
        """Whether too many connections came to nothing."""
        return self._in_vain >= _MANY

    def look(
        self, wanted: Sequence[Installed], offers: Offers, report: Report
    ) -> tuple[dict[str, Offer], dict[str, Offer]]:
        """Which of `offers` are the `wanted` ones, and which may be, by name."""
        proved: dict[str, Offer] = {}
        likely: dict[str, Offer] = {}
        several = [offers.wheels.get(item.distribution.name, ()) for item in wanted]
        with ThreadPoolExecutor(_AT_ONCE) as executor:
            answers = executor.map(self._choose, wanted, several)
            for done, (item, (offer, certain)) in enumerate(zip(wanted, answers, strict=True), 1):
                name = item.distribution.name
                report(Progress(phase="python", item=name, done=done, total=len(wanted)))
                if offer is not None:
                    (proved if certain else likely)[name] = offer
        return proved, likely

    def _choose(self, item: Installed, offers: Sequence[Offer]) -> tuple[Offer | None, bool]:
        """The offered file that is the installed one, and whether that is certain."""
        tags = frozenset(tag for text in item.distribution.tags for tag in parse_tag(text))
        likely = None
        for offer in sorted(offers, key=lambda offer: _tags(offer) != tags):  # the likeliest first
            if not offer.wheel.hashes.get("sha256"):
                continue  # nothing that could be held to
            same, size = self._is_same(item, offer)
            if same:
                return Offer(wheel=_with_size(offer.wheel, size), index=offer.index), True
            if same is None:
                with self._lock:
                    self.undecided |= {item.distribution.name}
            if same is None and _tags(offer) == tags:
                likely = likely or Offer(wheel=_with_size(offer.wheel, None), index=offer.index)
        return likely, False

    def _is_same(self, item: Installed, offer: Offer) -> tuple[bool | None, int]:
        """Whether `offer` is the installed wheel, None where that cannot be said; and its size in bytes when it is."""
        url = offer.wheel.url or ""
        key = f"{offer.wheel.hashes['sha256']}|{item.distribution.record}"
        if self._cache.get(_OTHER, [key]):
            return False, 0
        try:
            if self.gave_up:
                return None, 0
            seen = peek(self._indexes.with_credentials(url))
            installed = installed_identity(item.places, item.distribution.info)
        except Unreadable:
            return None if self._has_same_metadata(item, url) else False, 0
        except OSError:
            return None, 0
        except Unreachable:
            with self._lock:
                self._in_vain += 1
            return None, 0
        if is_same_wheel(installed, wheel_lines(seen.record, item.places.layout)):
            return True, seen.size
        self._cache.put(_OTHER, {key: "1"})
        return False, 0

    def _has_same_metadata(self, item: Installed, url: str) -> bool:
        """Whether the METADATA that the index serves, where it does, is the installed one."""
        try:
            data = metadata_beside(self._indexes.with_credentials(url))
        except (Unreachable, Unreadable):
            data = None
        if data is None:
            return True
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return item.distribution.metadata == f"sha256={digest}"


def _tags(offer: Offer) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(offer.wheel.filename)[3]
    except InvalidWheelFilename:
        return frozenset()


def _with_size(wheel: PackageWheel, size: int | None) -> PackageWheel:
    return PackageWheel(name=wheel.name, url=wheel.url, size=size, hashes=wheel.hashes)


def _as_json(offer: Offer) -> str:
    wheel = offer.wheel
    said: Mapping[str, object] = {
        "name": wheel.name,
        "url": wheel.url,
        "size": wheel.size,
        "hashes": dict(wheel.hashes),
    }
    return json.dumps({"wheel": said, "index": offer.index})


def _from_json(text: str) -> Offer:
    said = json.loads(text)
    return Offer(wheel=PackageWheel(**said["wheel"]), index=said["index"])
