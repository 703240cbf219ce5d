"""The secrets that were found, each with its name; every text is shown with ``${secret:NAME}`` in their places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .names import is_mixed, secret_name
from .shapes import find_shapes

PLACEHOLDER = re.compile(r"\$\{secret:([A-Z][A-Z0-9_]{0,63})\}")
#: Shorter values, such as a short password, are replaced only where they are the whole text.
_INSIDE = 8
#: What stands under these names is no value of a person's: a class, a kind, a reference.
_STRUCTURE = frozenset({"class_type", "type", "id", "name", "localized_name"})


def placeholder(name: str) -> str:
    """What stands for the secret `name`."""
    return f"${{secret:{name}}}"


class Vault:
    """Secrets by value. The same value has one name everywhere; names are stable as long as the order of finding is.

    Never shown, logged or written: what leaves it are names and texts without the values.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        """`reserved`: names that stand for secrets nobody knows here."""
        self._reserved = frozenset(reserved)
        self._names: dict[str, str] = {}  # value → name
        self._places: dict[str, list[str]] = {}  # name → where it was found, in words
        self._forms: dict[str, str] = {}  # a long value as it is, or as JSON writes it → name
        self._pattern: re.Pattern[str] | None = None

    @property
    def places(self) -> Mapping[str, list[str]]:
        """``{NAME: where it was found, in words}``, in the order of finding."""
        return self._places

    def add(self, name: str, value: str, where: str) -> str:
        """Remember `value`, found at `where`; its name, made from `name` if it is new."""
        known = self._names.get(value)
        if known is None:
            base = known = secret_name(name)
            number = 2
            while known in self._places or known in self._reserved:
                known, number = f"{base}_{number}", number + 1
            self._names[value] = known
            self._places[known] = []
            self._pattern = None
        if where not in self._places[known]:
            self._places[known].append(where)
        return known

    def holds(self, text: str) -> bool:
        """Whether a known secret, or one known by its shape, stands in `text`."""
        return self.shown(text) != text or bool(_whole(text))

    def in_bytes(self, data: bytes) -> bool:
        """Whether a known secret stands in `data` as it is, or as JSON writes it."""
        return any(written.encode() in data for value in self._long() for written in _written(value))

    def _long(self) -> list[str]:
        return [value for value in self._names if len(value) >= _INSIDE]

    def shown(self, text: str) -> str:
        """`text` with the known secrets replaced."""
        if text in self._names:
            return placeholder(self._names[text])
        if self._pattern is None:
            self._forms = {form: self._names[value] for value in self._long() for form in _written(value)}
            longest = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_alone, longest)) or "(?!)")
        return self._pattern.sub(lambda found: placeholder(self._forms[found[0]]), text)

    def hide(self, text: str, where: str) -> str:
        """`text` with every secret replaced: the known ones, and those known by their shape, which are remembered."""
        hidden = self.shown(text)
        if len(hidden) < _INSIDE:
            return hidden
        for start, end, name in reversed(list(_whole(hidden))):
            known = self.add(name, hidden[start:end], where)
            hidden = hidden[:start] + placeholder(known) + hidden[end:]
        return hidden

    def hide_all(self, value: Any, where: str) -> Any:
        """The JSON `value` with every secret in it replaced, in the names of its fields too."""
        return self._each(value, lambda text: self.hide(text, where))

    def shown_all(self, value: Any) -> Any:
        """The JSON `value` with the known secrets replaced."""
        return self._each(value, self.shown)

    def _each(self, value: Any, change: Callable[[str], str]) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, Mapping):
            return {self._key(key, change): self._field(key, each, change) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._each(each, change) for each in value]
        return value

    def _key(self, key: Any, change: Callable[[str], str]) -> Any:
        return change(key) if isinstance(key, str) and len(key) >= _INSIDE else key

    def _field(self, key: Any, value: Any, change: Callable[[str], str]) -> Any:
        short = isinstance(value, str) and len(value) < _INSIDE
        return value if short and key in _STRUCTURE else self._each(value, change)

    def masked(self, data: bytes) -> bytes:
        """`data` with the known secrets in it overwritten by asterisks: whatever points into the file stays true."""
        for value in self._long():
            for written in _written(value):
                for form in (written.encode(), written.encode("utf-16-le"), written.encode("utf-16-be")):
                    data = data.replace(form, b"*" * len(form))
        return data


def _written(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}


def _alone(form: str) -> str:
    """A pattern for `form`; what could be a part of a word must stand alone."""
    words = re.escape(form)
    return words if is_mixed(form) and len(form) >= 12 else rf"(?<![A-Za-z0-9_]){words}(?![A-Za-z0-9_])"


def _whole(text: str) -> list[tuple[int, int, str]]:
    """The secrets in `text` by shape, in their order; of those that overlap, the surest."""
    taken: list[tuple[int, int, str]] = []
    held = [found.span() for found in PLACEHOLDER.finditer(text)]
    for start, end, name in find_shapes(text):
        spans = [*held, *((first, last) for first, last, _ in taken)]
        if not any(start < last and first < end for first, last in spans):
            taken.append((start, end, name))
    return sorted(taken)
