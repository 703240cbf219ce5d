"""What ``/metrics`` tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .models import Execution
from .supervise import Backend

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def route_of(request: web.Request) -> str:
    """The pattern of its route, never its path: paths have no end."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


class WorkerState(Protocol):
    """What is told of one worker; `name` is its label."""

    name: str
    backend: Backend

    @property
    def not_ready(self) -> str: ...


class Metrics:
    """One gateway's, in a registry of its own. With several gateways at one store, each counts what it ended."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._executions = Counter(
            "workflow_executions", "Executions that have ended.", ("workflow", "state"), registry=registry
        )
        self._durations = Histogram(
            "workflow_execution_duration_seconds",
            "How long executions waited (phase queued) and ran (phase running).",
            ("workflow", "phase"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._requests = Histogram(
            "api_request_duration_seconds",
            "How long requests took, until their answer was sent.",
            ("method", "route", "status"),
            registry=registry,
            buckets=_SECONDS,
        )

    def ended(self, execution: Execution) -> None:
        """Count an execution once, at its end."""
        self._executions.labels(execution.workflow, execution.state).inc()
        started = execution.started or execution.finished
        self._durations.labels(execution.workflow, "queued").observe(max(0, started - execution.created))
        if execution.started:
            self._durations.labels(execution.workflow, "running").observe(max(0, execution.finished - started))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request to a `route_of`."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def text(self, workers: Sequence[WorkerState], *, waiting: int) -> bytes:
        """All of it in Prometheus' text format, version 0.0.4, with what `workers` and the queue are now."""
        now = CollectorRegistry()
        now.register(_Now(workers, waiting))
        return generate_latest(self._registry) + generate_latest(now)


class _Now(Collector):
    def __init__(self, workers: Sequence[WorkerState], waiting: int) -> None:
        self._workers, self._waiting = workers, waiting

    def collect(self) -> Iterator[Metric]:
        ready = sum(not worker.not_ready for worker in self._workers)
        yield GaugeMetricFamily("queue_depth", "Executions that wait.", value=self._waiting)
        yield GaugeMetricFamily("active_workers", "Workers that can run something.", value=ready)
        restarts = CounterMetricFamily("worker_restarts", "Starts of ComfyUI after its first.", labels=["worker"])
        loads = CounterMetricFamily("worker_model_loads", "Models that ComfyUI loaded.", labels=["worker"])
        peak = GaugeMetricFamily("worker_peak_memory_bytes", "The most that ComfyUI held.", labels=["worker"])
        for worker in self._workers:
            restarts.add_metric([worker.name], max(0, worker.backend.generation - 1))
            loads.add_metric([worker.name], worker.backend.model_loads)
            if most := worker.backend.peak_memory:
                peak.add_metric([worker.name], most)
        yield from (restarts, loads, peak)
