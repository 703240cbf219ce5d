"""The other way: ``${secret:NAME}`` filled in at run time, from the environment or a folder of secret files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .vault import PLACEHOLDER

#: ``COMFY_CAPSULE_SECRET_NAME`` in the environment gives the secret NAME.
SECRET_PREFIX = "COMFY_CAPSULE_SECRET_"
_LARGEST = 64 * 1024  # bytes of a secret file


def secret_names(value: Any) -> tuple[str, ...]:
    """The secrets that the JSON `value` asks for, sorted."""
    return tuple(sorted(set(_names(value))))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _names(each)


def fill(value: Any, secrets: Mapping[str, str]) -> Any:
    """The JSON `value` with the secrets in it; `secrets` has all that it names. No secret asks for another."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: secrets[found[1]], value)
    if isinstance(value, Mapping):
        return {key: fill(each, secrets) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(each, secrets) for each in value]
    return value


def read_secrets(names: Iterable[str], environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The values of the secrets `names`: from ``COMFY_CAPSULE_SECRET_NAME``, else from the file NAME in `folder`.

    A line break at a file's end is no part of the secret.

    Raises:
        BadInput: ``secret-missing`` naming all that have none, ``secret-unreadable``.
    """
    secrets = {name: environment.get(SECRET_PREFIX + name, "") or _read(folder / name) for name in names}
    missing = [name for name, value in secrets.items() if not value]
    if missing:
        raise BadInput(
            "secret-missing",
            f"The workflow needs the secret{'s' if len(missing) > 1 else ''} {', '.join(missing)}, "
            f"which {'have' if len(missing) > 1 else 'has'} no value.",
            f"Set {SECRET_PREFIX}{missing[0]} in the environment, or put a file {missing[0]} into {folder}.",
        )
    return secrets


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadInput("secret-unreadable", f"The secret file {path} is larger than any secret.", "Correct it.")
        return data.decode("utf-8").rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = "is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error.strerror}"
        raise BadInput("secret-unreadable", f"The secret file {path} {why}.", "Correct it.") from None
