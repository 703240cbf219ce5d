"""Traces, as a collector that speaks OTLP over HTTP receives them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.fake_comfyui import FakeComfyUI
from bench.gateway_here import BLANK, gateway
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings
from comfy_capsule.packager.gateway.telemetry import Telemetry

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def received(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """The bodies that came to the collector whose address the variables have."""
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", str(server.make_url("")).rstrip("/"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        yield bodies


async def test_a_run_is_one_trace_from_the_caller_to_its_end(
    fake: FakeComfyUI, tmp_path: Path, received: list[bytes]
) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    async with gateway(Settings(comfy=fake.url, state=tmp_path / "state", wait=5)) as client:
        assert (await client.post(BLANK, json={}, headers={"traceparent": CALLER})).status == 200
        fake.failing = "1"
        assert (await client.post(BLANK, json={"color": 5})).status == 500
    spans = [
        span
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    mine = {span.name: span for span in spans if span.trace_id.hex() == CALLER.split("-")[1]}
    request, execution = mine["POST /workflows/{name}"], mine["execute blank"]
    assert request.parent_span_id.hex() == CALLER.split("-")[2]
    assert (execution.parent_span_id, mine["running"].parent_span_id) == (request.span_id, execution.span_id)
    told = {each.key: each.value.string_value or each.value.int_value for each in execution.attributes}
    assert (told["comfy_capsule.workflow"], told["comfy_capsule.state"]) == ("blank", "succeeded")
    assert execution.start_time_unix_nano <= mine["running"].start_time_unix_nano <= execution.end_time_unix_nano
    (failed,) = (span for span in spans if span.name == "execute blank" and span.span_id != execution.span_id)
    assert (failed.status.code, failed.status.message) == (2, "node-failed")
    assert not any(span.name.endswith("/readyz") for span in spans)


def test_nobody_is_told_of_anything_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Telemetry.asked({}) is None
    assert Telemetry.asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadInput) as refused:
        Telemetry.asked({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
    assert refused.value.code == "no-telemetry"
