"""Which names promise a secret (``api_key``, ``hf_token``, ``password``), and which values keep that promise."""

from __future__ import annotations

import itertools
import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_PASSWORDS = frozenset({"password", "passwd", "passphrase", "pwd"})
_ALONE = (
    frozenset(
        {
            "apikey",
            "secret",
            "authorization",
            "bearer",
            "credential",
            "credentials",
            "token",
            "authtoken",
            "accesstoken",
        }
    )
    | _PASSWORDS
)
_KEYS = frozenset({"api", "access", "secret", "private", "auth", "account", "subscription", "license", "signing"})
_TOKENS = frozenset({"auth", "access", "api", "hf", "bearer", "refresh", "id", "session", "security"})
#: ``trigger_token`` and ``stop_token`` are words of a prompt or of a tokenizer.
_LANGUAGE = frozenset({
    "bos", "class", "cls", "end", "eos", "image", "init", "initializer", "keyword", "mask", "max", "min", "negative",
    "new", "no", "num", "pad", "per", "placeholder", "positive", "prompt", "sep", "separator", "special", "start",
    "stop", "style", "system", "text", "total", "trigger", "unk", "vocab",
})  # fmt: skip
#: ``api_key_file`` and ``password_hint`` are about a secret, and hold none.
_ABOUT = frozenset({
    "budget", "count", "env", "environment", "field", "file", "files", "format", "header", "help", "hint", "ids",
    "index", "label", "length", "limit", "location", "method", "mode", "name", "normalization", "path", "prefix",
    "provider", "size", "source", "tooltip", "type", "uri", "url", "var", "variable", "weight",
})  # fmt: skip
_TRAILING = frozenset({"value", "text", "string", "str", "input", "comfy", "org"})
_TRIVIAL = re.compile(
    r"""(?ix) (?: (?: your | enter | insert | paste | put | add | replace | type ) (?: \b | [-_ ] ) .*
    | (?: none | null | default | change[-_ ]?me | optional | not[-_ ]?set | required | unused | disabled | enabled
        | example | sample | dummy | placeholder | undefined | anonymous | password | passwd | secret | token
        | api[-_ ]?key | access[-_ ]?token | auto | true | false )
    | [<{\[(] .* [>}\])] | \$ .* | % .* % | (?: .* \.\.\. .* ) | .* (?: x{4} | \*{3} | …) .* | (.) \1* )"""
)
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|key)\s+")


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def is_secret_name(name: str) -> bool:
    """Whether a widget, input, header or option called `name` is there to hold a secret."""
    words = _words(name[:200])
    while words and (words[-1].isdigit() or words[-1] in _TRAILING):
        words.pop()
    if not words or words[-1] in _ABOUT:
        return False
    pairs = itertools.pairwise(words)
    if any(first in {"key": _KEYS, "token": _TOKENS}.get(second, ()) for first, second in pairs):
        return True
    return words[-1] in _ALONE and not (words[-1] == "token" and len(words) > 1 and words[-2] in _LANGUAGE)


def is_trivial(value: str) -> bool:
    """Whether `value` stands where a secret would: empty, an example, or a reference to one."""
    return not value.strip() or _TRIVIAL.fullmatch(value.strip()) is not None


def is_secret_value(name: str, value: str) -> bool:
    """Whether `value`, under a name that promises a secret, is one: no example, no sentence, no word of a prompt."""
    text = value.strip()
    if is_trivial(text):
        return False
    words = set(_words(name))
    if words & _PASSWORDS:
        return len(text) >= 6
    if text.startswith("-----BEGIN "):
        return True
    text = _SCHEME.sub("", text, count=1)
    if len(text) < 8 or re.search(r"\s", text) or is_trivial(text):
        return False
    return "token" not in words or is_mixed(text) or len(text) >= 20


def is_mixed(text: str) -> bool:
    """Whether letters and digits, or both cases of letters, are in `text` as in no plain word."""
    letters = re.search(r"[A-Za-z]", text) is not None
    digits = re.search(r"[0-9]", text) is not None
    return letters and (digits or re.search(r"[a-z][A-Z]|[^\w.,-]", text) is not None)


def secret_name(text: str) -> str:
    """`text`, the name of a widget or the like, as the name of a secret: ``api key`` → ``API_KEY``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"[^A-Z0-9]+", "_", spaced.upper()).strip("_")[:60].rstrip("_")
    return name if name and name[0].isalpha() else f"SECRET_{name}".rstrip("_")
