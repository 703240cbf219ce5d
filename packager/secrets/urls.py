"""Secrets in the query of a URL: ``?token=…``, ``&X-Amz-Signature=…``."""

from __future__ import annotations

import re

from .names import is_mixed, is_secret_name, is_trivial

#: Names that mean a secret in an address only. Signed addresses: Amazon S3, Google Cloud Storage, CloudFront.
_PARAMETERS = frozenset({
    "auth", "awsaccesskeyid", "googleaccessid", "jwt", "key-pair-id", "pat", "x-amz-credential", "x-amz-signature",
    "x-goog-credential", "x-goog-signature",
})  # fmt: skip
#: Names that often mean something else: only a value that could be nothing else counts.
_DOUBTFUL = frozenset({"key", "sig", "signature", "hmac", "policy", "session", "code"})
_QUERY = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s?#"'<>`]*)\?([^\s#"'<>`]*)""")


def is_secret_parameter(name: str, value: str) -> bool:
    """Whether ``name=value`` in a URL's query is a secret."""
    lower = name.lower()
    if lower in _DOUBTFUL:
        return len(value) >= 16 and is_mixed(value) and not is_trivial(value)
    return (lower in _PARAMETERS or is_secret_name(name)) and len(value) >= 6 and not is_trivial(value)


def without_secret_parameters(text: str) -> str:
    """`text` with the secret parameters taken out of every URL in it; all others stay, in their order."""

    def clean(found: re.Match[str]) -> str:
        kept = [each for each in found[2].split("&") if not is_secret_parameter(*_pair(each))]
        if len(kept) == found[2].count("&") + 1:
            return found[0]
        return f"{found[1]}?{'&'.join(kept)}" if kept else found[1]

    return _QUERY.sub(clean, text) if "?" in text else text


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name, value
