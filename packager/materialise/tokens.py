"""Whose token goes to which host: a user's own, from where the hosts' own tools look for it, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Host:
    """A host that asks for a token.

    Attributes:
        name: of its addresses; those below it (``www.``) are others.
        variables: of the environment, the first that is set counts.
    """

    name: str
    variables: tuple[str, ...]


# https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables; Civitai has no tool of its own,
# the names are those of the field's download tools.
HOSTS = (
    Host("huggingface.co", ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")),
    Host("civitai.com", ("CIVITAI_API_TOKEN", "CIVITAI_TOKEN")),
)


def tokens_of(environment: Mapping[str, str]) -> dict[str, str]:
    """``{host: token}`` of those that the user has; Hugging Face's also from the file that its login writes."""
    found = {
        host.name: token for host in HOSTS for name in reversed(host.variables) if (token := environment.get(name))
    }
    if HOSTS[0].name not in found and (token := _saved(environment)):
        found[HOSTS[0].name] = token
    return found


def variable_of(url: str) -> str:
    """The name of the variable that gives a token for `url`; empty where no host is known to ask for one."""
    name = urlsplit(url).hostname
    return next((host.variables[0] for host in HOSTS if host.name == name), "")


def page_of(url: str) -> str:
    """Where a person reads and accepts the licence of the model at `url`."""
    parts = urlsplit(url)
    words = parts.path.strip("/").split("/")
    if parts.hostname == HOSTS[0].name and len(words) >= 2:
        return f"https://{parts.hostname}/{'/'.join(words[:2])}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"


def _saved(environment: Mapping[str, str]) -> str:
    home = environment.get("HF_HOME") or str(Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    path = Path(environment.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
