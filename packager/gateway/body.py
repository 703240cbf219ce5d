"""Reading requests: bodies within their limits, and the headers that steer a run."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, overload

from aiohttp import BodyPartReader, web
from multidict import CIMultiDictProxy

from .media import PLAIN_TYPE, safe_filename
from .models import PRIORITY, StoredFile, Terms
from .outputs import media_type
from .problems import Problem
from .service import Service
from .workflow import Workflow

_CHUNK = 1 << 16
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?=$|[,;\s])", re.IGNORECASE)
_PRIORITY = re.compile(r"u=[0-7]|i|i=\?[01]")  # ``i``, incremental, says nothing of the queue
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?=$|[,;\s])", re.IGNORECASE)


async def parameters_of(request: web.Request, service: Service, workflow: Workflow, owner: str) -> object:
    """The parameters in a JSON or multipart body; an empty body is an empty object.

    In multipart, the part ``parameters`` is JSON and every other part is the file of the parameter it is named by.

    Raises:
        Problem: ``invalid-json``, ``body-too-large``, ``unsupported-media-type``, ``invalid-parameters``.
    """
    kind = request.content_type.lower()
    if kind == "multipart/form-data":
        return await _multipart(request, service, workflow, owner)
    if not request.can_read_body:
        return {}
    if not _is_json(kind):
        raise Problem(
            "unsupported-media-type",
            f"A body of type {kind!r} is not understood.",
            "Send application/json or multipart/form-data.",
        )
    return parse_json(await request.read())


async def _multipart(request: web.Request, service: Service, workflow: Workflow, owner: str) -> object:
    parameters: dict[str, Any] = {}
    try:
        async for part in await request.multipart():
            if request.content.total_bytes > service.settings.file_limit:  # each part alone may be small
                raise Problem("body-too-large", f"The body has more than {service.settings.file_limit} bytes.")
            if not isinstance(part, BodyPartReader) or not part.name:
                raise Problem("bad-request", "A part of the body has no name.", "Name each part by its parameter.")
            if part.name == "parameters":  # a browser gives a typed part a file name, whatever it is
                data = b"".join([chunk async for chunk in _limited(part, service.settings.body_limit)])
                given = parse_json(data)
                if not isinstance(given, dict):
                    return given
                parameters |= given
            elif part.name in workflow.media:
                stored = await keep_part(part, service, owner)
                parameters[part.name] = {"file": stored.id}
            else:
                text = b"".join([chunk async for chunk in _limited(part, service.settings.body_limit)])
                parameters[part.name] = _field(workflow, part.name, text)
    except ValueError as error:  # aiohttp's word for a broken multipart body
        raise Problem("bad-request", f"The multipart body cannot be read: {error}.") from error
    return parameters


def _field(workflow: Workflow, name: str, data: bytes) -> Any:
    """A plain form field: a text where the contract wants one, JSON elsewhere (``20``, ``true``, ``["a"]``)."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Problem("bad-request", f"The field {name!r} is not UTF-8.") from error
    kind = next((each.type for each in workflow.contract.inputs if each.name == name), "string")
    if kind in ("string", "color"):
        return text
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if kind == "json":
            raise Problem("invalid-json", f"The field {name!r} is no JSON.", 'A text is written "so".') from error
        return text  # the contract says what is wrong with it, or that it is a choice


async def keep_part(part: BodyPartReader, service: Service, owner: str) -> StoredFile:
    """Store the file of a multipart body."""
    sha256, size = await service.outputs.put_stream(_limited(part, service.settings.file_limit))
    filename = safe_filename(part.filename or "") or "file"
    return await service.store.add_file(owner, filename, _type_of(part.headers, filename), size, sha256)


async def keep_body(request: web.Request, service: Service, owner: str) -> StoredFile:
    """Store an upload: a multipart body with one file, or the bare bytes with ``?filename=``."""
    if request.content_type.lower() == "multipart/form-data":
        stored: StoredFile | None = None
        try:
            async for part in await request.multipart():
                if stored is not None or not isinstance(part, BodyPartReader):
                    raise Problem("bad-request", "More than one file was sent.", "Send one file a request.")
                if part.name != "file":
                    raise Problem("bad-request", "The part with the file is not called file.", "-F file=@picture.png")
                stored = await keep_part(part, service, owner)
        except ValueError as error:
            raise Problem("bad-request", f"The multipart body cannot be read: {error}.") from error
        if stored is None:
            raise _no_file()
        return stored
    if not request.can_read_body:
        raise _no_file()
    limit = service.settings.file_limit
    sha256, size = await service.outputs.put_stream(request.content.iter_chunked(_CHUNK), limit=limit)
    filename = safe_filename(request.query.get("filename", "")) or "file"
    return await service.store.add_file(owner, filename, _type_of(request.headers, filename), size, sha256)


def _no_file() -> Problem:
    return Problem("bad-request", "No file was sent.", "Send it as a part of its own, or as the whole body.")


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def parse_json(data: bytes) -> object:
    """The JSON in `data`. Raises Problem ``invalid-json``; NaN and Infinity are no JSON."""
    try:
        said = json.loads(data, parse_constant=_no_constant)
        if b"\\u" in data:  # only an escape can be half a character, which no answer and no store could hold
            json.dumps(said, ensure_ascii=False).encode()
        return said
    except (ValueError, RecursionError) as error:
        raise Problem("invalid-json", f"The body is no JSON: {error}.") from error


def wait_of(request: web.Request, service: Service) -> float:
    """How many seconds the request wants to wait (RFC 7240): ``Prefer: wait=N`` or ``respond-async``."""
    prefer = ", ".join(request.headers.getall("Prefer", []))
    if _ASYNC.search(prefer):
        return 0
    if (found := _WAIT.search(prefer)) is not None:
        return min(float(found.group(1)), service.settings.wait_most)
    return service.settings.wait


def idempotency_key(request: web.Request) -> str:
    """The key, or an empty text. Raises Problem ``invalid-header``."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not 0 < len(key) <= 255 or not (key.isprintable() and key.isascii()):
        raise Problem("invalid-header", "The Idempotency-Key is empty, longer than 255 characters or not plain ASCII.")
    return key


async def items_of(request: web.Request) -> list[Any]:
    """The sets of parameters in the JSON body ``{"items": […]}`` of a batch.

    Raises:
        Problem: ``invalid-json``, ``body-too-large``, ``unsupported-media-type``.
    """
    kind = request.content_type.lower()
    if not _is_json(kind):
        raise Problem("unsupported-media-type", f"A batch of type {kind!r} is not understood.", "Send JSON.")
    given = parse_json(await request.read())
    if not isinstance(given, dict) or given.keys() != {"items"} or not isinstance(given["items"], list):
        cure = 'Send {"items": [{…}, …]}, each the parameters of a run.'
        raise Problem("invalid-json", "The body is no batch.", cure)
    return list(given["items"])


async def terms_of(request: web.Request, service: Service) -> Terms:
    """How the request wants what it asks for. Raises what the three below raise."""
    return Terms(
        idempotency_key=idempotency_key(request),
        webhook=await webhook_url(request, service),
        priority=priority_of(request),
        previews=flag(request, "previews"),
    )


def priority_of(request: web.Request) -> int:
    """The urgency ``u`` of the header Priority (RFC 9218). Raises Problem ``invalid-header``."""
    if "Priority" not in request.headers:
        return PRIORITY
    given = ", ".join(request.headers.getall("Priority"))
    members = [each.strip() for each in given.split(",")]
    unknown = [each for each in members if not _PRIORITY.fullmatch(each)]
    urgencies = [each for each in members if each.startswith("u=")]
    if unknown or len(urgencies) > 1:
        raise Problem("invalid-header", f"Priority is {given[:40]!r}.", "Send u=0, the most urgent, to u=7.")
    return int(urgencies[0][2:]) if urgencies else PRIORITY


async def webhook_url(request: web.Request, service: Service) -> str:
    """The URL of the header ``Webhook-URL``, looked at; an empty text without one.

    Raises:
        Problem: ``webhooks-off``, ``url-refused``.
    """
    url = request.headers.get("Webhook-URL")
    if url is None:
        return ""
    if not service.settings.webhook_secrets:
        raise Problem(
            "webhooks-off",
            "This gateway has no secret to sign webhooks with, and sends none.",
            "Ask for the execution with GET, or have its owner set webhook_secrets.",
        )
    listening = request.transport.get_extra_info("sockname") if request.transport else None
    port = listening[1] if listening else service.settings.port
    try:
        await service.foreign.check(url, own_port=port)
    except Problem as problem:
        said = f"The Webhook-URL cannot be taken: {problem.message}"
        raise Problem(problem.code, said, problem.cure, header="Webhook-URL") from problem
    return url


def is_gone(request: web.Request) -> Callable[[], bool]:
    """Tells whether who asks has hung up."""
    return lambda: request.transport is None or request.transport.is_closing()


def flag(request: web.Request, name: str) -> bool:
    """A query parameter that is ``true`` or ``false``. Raises Problem ``invalid-query``."""
    value = asked(request, name, "false").lower()
    if value not in ("true", "false"):
        raise Problem("invalid-query", f"{name} is {value[:40]!r}.", f"Say {name}=true or {name}=false.")
    return value == "true"


@overload
def asked(request: web.Request, name: str) -> str | None: ...
@overload
def asked(request: web.Request, name: str, otherwise: str) -> str: ...
def asked(request: web.Request, name: str, otherwise: str | None = None) -> str | None:
    """A query parameter, which may be given once. Raises Problem ``invalid-query``."""
    given = request.query.getall(name, [])
    if len(given) > 1:
        raise Problem("invalid-query", f"{name} is given {len(given)} times.", "Give it once.")
    return given[0] if given else otherwise


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


async def _limited(part: BodyPartReader, limit: int) -> AsyncIterator[bytes]:
    size = 0
    while chunk := await part.read_chunk(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise Problem("body-too-large", f"A part of the body has more than {limit} bytes.", "Send a smaller one.")
        yield chunk


def _type_of(headers: CIMultiDictProxy[str], filename: str) -> str:
    said = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    plain = PLAIN_TYPE.fullmatch(said) is not None
    return said if plain and said not in ("application/octet-stream", "multipart/form-data") else media_type(filename)
