"""Traces by OpenTelemetry, where its variables ask for them: a span for each request, and one for each execution.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP servers; where traces go is said by its
own variables (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_SERVICE_NAME``, …).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..errors import BadInput
from .auth import Handler
from .metrics import route_of
from .models import Execution

#: Any of these asks for traces.
ASKING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_KEPT = 10_000  # executions whose request is remembered until they end
_NS = 1_000_000_000
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


class Telemetry:
    """One gateway's. An execution's span is a child of its request's, when both were in this process."""

    def __init__(self, provider: Any) -> None:
        """`provider`: an SDK's ``TracerProvider``."""
        from opentelemetry import propagate, trace

        self._provider, self._trace, self._propagate = provider, trace, propagate
        self._tracer = provider.get_tracer("comfy-capsule")
        self._requests: dict[str, Any] = {}

    @classmethod
    def asked(cls, environment: Mapping[str, str] | None = None) -> Telemetry | None:
        """As the variables say; None when they ask for nothing.

        Raises:
            BadInput: ``no-telemetry`` when they ask for it and it is not installed.
        """
        environment = os.environ if environment is None else environment
        if not any(environment.get(name) for name in ASKING) or environment.get("OTEL_SDK_DISABLED") == "true":
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise BadInput(
                "no-telemetry",
                f"{ASKING[0]} asks for traces, and OpenTelemetry is not installed.",
                "pip install 'comfy-capsule[otel]', or unset it.",
            ) from error
        named = {} if environment.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "comfy-capsule"}
        provider = TracerProvider(resource=Resource.create(named))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A span around each request, below the one that the caller's ``traceparent`` names."""
        if request.path in _QUIET:
            return await handler(request)
        route = route_of(request)
        with self._tracer.start_as_current_span(
            f"{request.method} {route}",
            context=self._propagate.extract(request.headers),
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": request.method, "http.route": route},
        ) as span:
            response = await handler(request)
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
            return response

    def made(self, id: str) -> None:
        """The request of this moment has made the execution `id`."""
        span = self._trace.get_current_span()
        if span.is_recording():
            self._requests[id] = self._trace.set_span_in_context(span)
            while len(self._requests) > _KEPT:
                del self._requests[next(iter(self._requests))]

    def ended(self, execution: Execution) -> None:
        """The span of an execution that has ended, from its arrival, with its wait and its run below it."""
        attributes = {
            "comfy_capsule.workflow": execution.workflow,
            "comfy_capsule.execution": execution.id,
            "comfy_capsule.state": execution.state,
            "comfy_capsule.attempts": execution.attempts,
        }
        whole = self._tracer.start_span(
            f"execute {execution.workflow}",
            context=self._requests.pop(execution.id, None),
            start_time=int(execution.created * _NS),
            attributes=attributes,
        )
        inside = self._trace.set_span_in_context(whole)
        started = execution.started or execution.finished
        for name, begin, end in (("queued", execution.created, started), ("running", started, execution.finished)):
            if end > begin:
                part = self._tracer.start_span(name, context=inside, start_time=int(begin * _NS))
                part.end(int(end * _NS))
        if execution.state != "succeeded":
            code = str((execution.problem or {}).get("code", execution.state))
            whole.set_status(self._trace.Status(self._trace.StatusCode.ERROR, code))
        whole.end(int(execution.finished * _NS))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
