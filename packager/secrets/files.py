"""Files that hold keys: they are never carried, whatever git thinks of them."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable

from .shapes import find_shapes

#: Never carried by their name alone: what programs keep keys and passwords in.
_NAMES = (
    ".env", ".env.*", ".env~", ".env_*", ".env-*", ".*_history", "kaggle.json",
    "*.env", ".envrc", ".netrc", "_netrc", ".pypirc", ".git-credentials", ".htpasswd", ".pgpass",
    ".my.cnf", ".boto", ".s3cfg", ".dockercfg", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.keystore", "*.jks",
    "*.p12", "*.pfx", "*.kdbx", "*.ppk", "hf_token", "hf_token.txt", "huggingface_token", "huggingface_token.txt",
    "civitai_key", "civitai_key.txt", "civitai_token", "civitai_token.txt", "civitai_api_key", "civitai_api_key.txt",
    "api_key", "api_key.txt", "apikey.txt", "api_keys.txt", "token.txt", "access_token.txt", "secrets.toml",
    "secrets.json", "secrets.yaml", "secrets.yml", ".secrets",
)  # fmt: skip
#: Never carried where they stand in such a folder.
_PATHS = ("*.aws/credentials", "*.ssh/*", "*.gnupg/*", "*.docker/config.json", "*.kube/config", "*huggingface/token")
#: By their content: the ending promises nothing.
_CONFIGURATIONS = (".npmrc", ".yarnrc", ".yarnrc.yml", "pip.conf", "pip.ini", "*.json", "*.yaml", "*.yml", "*.toml",
                   "*.ini", "*.cfg", "*.conf", "*.properties", "*.txt")  # fmt: skip


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression for all `patterns` of `fnmatch`: a tree may have a hundred thousand names."""
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))


_NAMED, _PLACED, _CONFIGURED = _any_of(_NAMES), _any_of(_PATHS), _any_of((*_CONFIGURATIONS, *_NAMES))
_EXAMPLES = re.compile(r"(?i)(?:^|[._-])(?:example|examples|sample|template|dist|defaults?)(?:[._-]|$)")
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----")
_NPM_TOKEN = re.compile(rb"(?m)_(?:authToken|auth|password)\s*=\s*(?!\$)\S{6}")
_LIMIT = 64 * 1024  # bytes of the head that are looked at


def is_secret_file(name: str, head: bytes) -> bool:
    """Whether a file of a pack is there to hold a secret, and is therefore left out of its tree.

    Args:
        name: relative, with ``/``.
        head: the file's first bytes (64 KiB are enough). For an empty one the name alone speaks.

    ``.env.example`` and its like are there to be read by everybody, unless a real token stands in them.
    """
    base, lower = name.rpartition("/")[2].lower(), name.lower()
    if _PRIVATE_KEY.search(head[:_LIMIT]) and not base.endswith((".py", ".md", ".rst", ".js", ".ts")):
        return True
    if not _EXAMPLES.search(base) and (_NAMED.match(base) or _PLACED.match(lower)):
        return True
    if not head or not _CONFIGURED.match(base):
        return False
    return _NPM_TOKEN.search(head[:_LIMIT]) is not None if base == ".npmrc" else _holds_token(base, head[:_LIMIT])


def _holds_token(base: str, head: bytes) -> bool:
    """A token of a known shape in a configuration, or the JSON of a service account."""
    text = head.decode("utf-8", "replace")
    if base.endswith(".json") and '"private_key"' in text and '"client_email"' in text:
        return True
    if base in ("credentials.json", "client_secret.json", "token.json") and _has_secret_field(text):
        return True
    return any(True for _ in find_shapes(text))


def _has_secret_field(text: str) -> bool:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    from .graphs import collect_named
    from .vault import Vault

    vault = Vault()
    collect_named(said, vault, "")
    return bool(vault.places)
