"""The web application: routes behind the guards, every error a problem document, every request logged."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from ..contract import openapi
from .auth import RATES, SESSIONS, Handler, guard
from .keys import Rates
from .metrics import route_of
from .problems import Problem
from .retention import Retention
from .routes import DOCUMENT, SERVICE, routes
from .service import Service
from .session import Sessions
from .site import routes as site_routes
from .talk import SOCKETS, hang_up
from .talk import routes as talk_routes
from .webhooks import Webhooks

log = logging.getLogger(__name__)

_BY_STATUS = {
    404: Problem("not-found", "There is nothing at this address.", "GET /openapi.json lists what there is."),
    405: Problem("method-not-allowed", "This address does not take this method."),
    413: Problem("body-too-large", "The body is larger than this gateway takes."),
}
#: Where a request keeps the pattern of its route.
_ROUTE: Any = web.RequestKey("route", str) if hasattr(web, "RequestKey") else "route"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_QUIET = frozenset({"/livez", "/readyz"})


def build_app(service: Service) -> web.Application:
    """The application that serves `service`."""
    traced = [service.telemetry.middleware] if service.telemetry is not None else []
    app = web.Application(
        middlewares=[*traced, _problems, guard(service.settings)], client_max_size=service.settings.body_limit
    )
    app[SERVICE] = service
    app[RATES] = Rates(service.settings.keys)
    app[SESSIONS] = Sessions(service.store.secret, service.settings.keys)
    served = list(service.workflows.values())
    document = openapi(
        [each.contract for each in served],
        title=served[0].contract.title or served[0].name if len(served) == 1 else "Comfy Capsule",
        version="-".join(each.id for each in served),
        keys=bool(service.settings.keys),
        webhooks=bool(service.settings.webhook_secrets),
    )
    app[DOCUMENT] = json.dumps(document, ensure_ascii=False).encode()
    for each in (*routes, *talk_routes, *site_routes):
        assert isinstance(each, web.RouteDef)
        kwargs = {**each.kwargs, "expect_handler": _expected}
        app.add_routes([web.RouteDef(each.method, each.path, each.handler, kwargs)])
    app[SOCKETS] = set()
    app.on_shutdown.append(hang_up)
    app.cleanup_ctx.append(_by_itself)
    return app


async def _by_itself(app: web.Application) -> AsyncIterator[None]:
    """While it is served: what it does by itself."""
    service = app[SERVICE]
    tasks = [asyncio.create_task(Retention(service.settings, service.store, service.outputs).run())]
    if service.settings.webhook_secrets:
        tasks.append(asyncio.create_task(Webhooks(service).run()))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await service.foreign.close()


async def _expected(request: web.Request) -> None:
    """RFC 9110, 10.1.1: 100-continue is answered, and any other word passed over, for aiohttp fails at odd bytes."""
    if request.version >= (1, 1) and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[_ROUTE] = route_of(request)
    try:
        if "%00" in request.raw_path:  # no name here has one, and some databases take none
            raise Problem("bad-request", "The address holds a zero byte.")
        return await handler(request)
    except Problem as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        return problem_response(_of_status(error))
    except (web.RequestPayloadError, HttpProcessingError):  # the latter for the headers of a part
        return problem_response(Problem("bad-request", "The body is not what its headers say, or is cut off."))
    except (ConnectionResetError, BrokenPipeError):
        raise  # the client is gone; there is nobody to answer
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            log.error("%s %s: %s", request.method, request.path, error.strerror)
            said = "The gateway's disk is full."
            return problem_response(Problem("store-failed", said, "Try again later.", headers={"Retry-After": "60"}))
        log.exception("%s %s failed", request.method, request.path)
        return problem_response(Problem("internal", "The gateway failed; its log says how."))


class AccessLog(AbstractAccessLogger):
    """One line for each request, once its answer has been sent; none for the probes. And its place in the metrics."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if isinstance(request, web.Request) and (route := request.get(_ROUTE)):  # what cannot be read has none
            request.app[SERVICE].metrics.answered(request.method, route, response.status, time)
        if request.path not in _QUIET:
            self.logger.info("%s %s %d %.1f ms", request.method, request.path, response.status, time * 1000)


def problem_response(problem: Problem) -> web.Response:
    """The answer that tells `problem`."""
    text = json.dumps(problem.document(), ensure_ascii=False)
    return web.Response(
        body=text.encode("utf-8", "replace"),  # it may quote a header that is no text
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )


def _of_status(error: web.HTTPException) -> Problem:
    problem = _BY_STATUS.get(error.status)
    if problem is None:
        return Problem("bad-request" if error.status < 500 else "internal", error.reason)
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return Problem(problem.code, problem.message, problem.cure, headers=headers)
