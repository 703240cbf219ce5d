"""How one gateway runs: arguments first, then ``COMFY_CAPSULE_*`` in the environment, a TOML file, then defaults."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import BadInput
from .keys import Key, read_key

_PREFIX = "COMFY_CAPSULE_"
_MIB = 1024 * 1024
_LISTS = ("arguments", "public", "hosts", "fetch_allow", "fetch_hosts", "fetch_ports", "webhook_secrets")
_SECRET = "whsec_"
#: What no file of settings holds, and the variable that names the file which does.
_UNWRITTEN_FILES = {"database": "DATABASE_FILE", "keys": "API_KEY_FILE", "webhook_secrets": "WEBHOOK_SECRET_FILE"}
#: What of the environment is for the bucket alone: a pack of the ComfyUI behind the gateway shall not have it.
BUCKET_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_UNWRITTEN = frozenset(_UNWRITTEN_FILES)


class Settings(BaseModel):
    """Everything a gateway can be told. Times are seconds, sizes bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    comfy: str  # the URL of a running ComfyUI, or the folder of one to start
    python: str = ""  # the Python that starts it; empty: the install's own
    arguments: tuple[str, ...] = ()  # further ones for a ComfyUI that is started, e.g. ``--cpu``
    prepare: str = ""  # a command that is run before a ComfyUI of ours is started, which waits for its success
    workers: int = Field(default=0, ge=0, le=64)  # how many ComfyUIs to start; 0: one for each GPU
    host: str = "127.0.0.1"
    port: int = Field(default=8288, ge=0, le=65535)  # 0: any free one
    state: Path
    keys: tuple[Key, ...] = ()
    database: SecretStr = SecretStr("")  # where several gateways share their work: the URL of a PostgreSQL database
    blobs: Path | None = None  # where outputs and uploads are kept; None: in `state`; with one database, one folder
    s3: str = ""  # keep them in a bucket instead, ``s3://BUCKET/PREFIX``, and give callers links to it
    s3_link: float = Field(default=3600, gt=0, le=604800)  # how long such a link is good; S3 takes a week at most
    secrets_dir: Path = Path("/run/secrets")  # a file NAME in it gives the secret NAME; the environment goes first
    public: tuple[str, ...] = ()  # workflows that need no key, where keys are needed
    insecure: bool = False  # listen beyond loopback without a key
    hosts: tuple[str, ...] = ()  # further host names that requests may be sent to

    wait: float = Field(default=30, ge=0)  # how long a run waits for its result when the request does not say
    wait_most: float = Field(default=300, ge=0)
    deadline: float = Field(default=3600, gt=0)  # of one execution, from its start
    stall: float = Field(default=1800, ge=0)  # how long ComfyUI may say nothing of what it runs; 0: for ever
    boot: float = Field(default=600, gt=0)  # how long ComfyUI may take to start
    warm_up: bool = True  # run each workflow once, as small as it goes, before a ComfyUI of ours is ready
    cancel_grace: float = Field(default=15, gt=0)  # then a ComfyUI of ours that ignores a cancel is replaced
    drain: float = Field(default=30, ge=0)  # how long running executions may take after SIGTERM
    recycle_after: int = Field(default=0, ge=0)  # executions, then a ComfyUI of ours is replaced; 0: never
    memory_limit: int = Field(default=0, ge=0)  # of a ComfyUI of ours: one that holds more is replaced; 0: no limit
    lease: float = Field(default=15, gt=0)
    lanes: int = Field(default=4, ge=1, le=8)  # prompts handed to one ComfyUI at a time, at most: see `Lanes`

    queue_bound: int = Field(default=2000, ge=1)
    batch_limit: int = Field(default=500, ge=1)  # items of one batch
    body_limit: int = Field(default=64 * _MIB, ge=1024)  # of a JSON body
    file_limit: int = Field(default=512 * _MIB, ge=1024)  # of one uploaded file, and of a multipart body
    pixel_limit: int = Field(default=178_956_970, ge=1)  # of one picture; Pillow's own limit
    inline_limit: int = Field(default=8 * _MIB, ge=0)  # larger outputs are not inlined, only linked
    log_parameters: bool = False
    embed_workflow: bool = True  # pictures hold the editor graph with the values of their run, as ComfyUI's own do

    keep: float = Field(default=30 * 86400, ge=0)  # of what has ended, its outputs, and uploads; 0: for ever
    keep_bytes: int = Field(default=0, ge=0)  # of outputs and uploads together, the oldest go first; 0: no limit

    fetch_media: bool = True  # files that a caller gives by URL; what follows is for webhooks, too
    fetch_http: bool = False  # also without TLS
    fetch_ports: tuple[int, ...] = (80, 443, 8080, 8443)
    fetch_hosts: tuple[str, ...] = ()  # if there are any, only these; ``*.example.com`` for all below it
    fetch_allow: tuple[IPvAnyNetwork, ...] = ()  # networks that may be asked though they are private
    fetch_timeout: float = Field(default=60, gt=0)  # of one file

    webhook_secrets: tuple[SecretStr, ...] = ()  # each signs; without any there are no webhooks
    webhook_tries: int = Field(default=8, ge=1)
    webhook_delay: float = Field(default=5, gt=0)  # before the second try; each further one waits five times as long
    webhook_timeout: float = Field(default=15, gt=0)  # of one try

    @field_validator("webhook_secrets")
    @classmethod
    def _are_secrets(cls, given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        """``whsec_`` and the base64 of 24 to 64 bytes, as Standard Webhooks has them."""
        for each in given:
            head, _, text = each.get_secret_value().partition("_")
            try:
                size = len(base64.b64decode(text, validate=True))
            except binascii.Error:
                size = 0
            if f"{head}_" != _SECRET or not 24 <= size <= 64:
                raise ValueError(f"a webhook secret is {_SECRET} and the base64 of 24 to 64 bytes")
        return given

    @field_validator("database")
    @classmethod
    def _is_shared(cls, given: SecretStr) -> SecretStr:
        """Several gateways at one SQLite file would each take the others' work for their own, left behind."""
        if given.get_secret_value().startswith("sqlite"):
            raise ValueError("it is the URL of a PostgreSQL database; SQLite is in `state`")
        return given

    @model_validator(mode="after")
    def _share_blobs(self) -> Settings:
        if self.database.get_secret_value() and self.blobs is None and not self.s3:
            raise ValueError("with `database`, give `blobs`, a folder that all of its gateways see, or `s3`")
        return self

    @cached_property
    def by_digest(self) -> Mapping[str, Key]:
        """The keys by their sha256."""
        return {key.sha256: key for key in self.keys}

    @property
    def attached(self) -> bool:
        """Whether ComfyUI is somebody else's and only reached by URL."""
        return self.comfy.startswith(("http://", "https://"))


def read_settings(
    environment: Mapping[str, str] | None = None,
    key_file: Path | None = None,
    config: Path | None = None,
    **arguments: Any,
) -> Settings:
    """Settings from `arguments` (those that are not None), then the environment, then the file, then defaults.

    Args:
        config: a TOML file with settings by name; else the one that ``COMFY_CAPSULE_CONFIG`` names. It holds no keys
            and no secrets: those come from files of their own.

    Raises:
        BadInput: ``bad-setting`` naming the setting, ``bad-config``, ``bad-key-file``, ``no-key`` when it would listen
            beyond loopback without a key and `insecure` was not said.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {"state": default_state(environment)}
    if config := config or _named(environment, "CONFIG"):
        values |= _of_file(config)
    for name in Settings.model_fields:
        given = environment.get(_PREFIX + name.upper(), "")
        if given and name != "keys":
            values[name] = tuple(given.split()) if name in _LISTS else given
    values |= {name: value for name, value in arguments.items() if value is not None}
    lines = re.split(r"[,\n]", environment.get(_PREFIX + "API_KEYS", ""))
    if key_file := key_file or _named(environment, "API_KEY_FILE"):
        lines += _lines(key_file)
    if secret_file := _named(environment, "WEBHOOK_SECRET_FILE"):
        lines_of = (line.strip() for line in _lines(secret_file))
        more = tuple(line for line in lines_of if line and not line.startswith("#"))
        values["webhook_secrets"] = (*values.get("webhook_secrets", ()), *more)
    if database_file := _named(environment, "DATABASE_FILE"):
        values["database"] = "".join(_lines(database_file)).strip()
    values["keys"] = (*values.get("keys", ()), *(key for line in lines if (key := read_key(line))))
    if any(key.name == "public" for key in values["keys"]):
        raise BadInput(
            "bad-key-file", "An API key is named 'public', as those are who send none.", "Name it otherwise."
        )
    if len({key.name for key in values["keys"]}) < len(values["keys"]):
        raise BadInput("bad-key-file", "Two API keys have one name, and would own each other's executions.")
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "database"
        if first["type"] == "missing":
            raise BadInput("bad-setting", f"The setting {name!r} is missing.", f"Give --{name}.") from error
        raise BadInput("bad-setting", f"The setting {name!r} cannot be used: {first['msg']}.") from error
    if not settings.keys and not settings.insecure and not is_loopback(settings.host):
        raise BadInput(
            "no-key",
            f"Listening on {settings.host} without an API key would let everybody on the network run workflows.",
            f"Give a key in {_PREFIX}API_KEYS or --api-key-file, listen on 127.0.0.1, or say --insecure.",
        )
    return settings


def _of_file(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput("bad-config", f"The settings in {path} cannot be read: {error}.") from error
    if found := _UNWRITTEN & given.keys():
        name = sorted(found)[0]
        raise BadInput(
            "bad-config",
            f"The file {path} holds {name!r}, which stands in no file of settings.",
            f"Give it in a file of its own: {_PREFIX}{_UNWRITTEN_FILES[name]}.",
        )
    return given


def settings_text(settings: Settings) -> str:
    """`settings` as a TOML file that `read_settings` takes again. Keys and secrets are counted, never told."""
    import tomlkit

    document = tomlkit.document()
    for name, value in settings.model_dump(mode="json", exclude=set(_UNWRITTEN), exclude_none=True).items():
        document.add(name, value)
    for name in sorted(_UNWRITTEN):
        given = getattr(settings, name)
        told = len(given) if isinstance(given, tuple) else "given" if given else "none"
        document.add(tomlkit.comment(f"{name}: {told}, from {_PREFIX}{_UNWRITTEN_FILES[name]}"))
    return document.as_string()


def _named(environment: Mapping[str, str], name: str) -> Path | None:
    """The file that the environment names."""
    return Path(environment[_PREFIX + name]) if environment.get(_PREFIX + name) else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("bad-key-file", f"The key file {file} cannot be read: {error}.") from error


def default_state(environment: Mapping[str, str]) -> Path:
    """Where a gateway keeps its state when nobody says: the user's state folder."""
    base = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "comfy-capsule" / "gateway"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
