"""What a build took, for Prometheus: a file for the text collector of its node exporter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .builder import BuiltImage


def write_metrics(path: Path, workflow: str, images: Sequence[BuiltImage]) -> None:
    """Write the file at once, as its readers expect.

    The format: https://prometheus.io/docs/instrumenting/exposition_formats/; the file's name must end with ``.prom``
    for https://github.com/prometheus/node_exporter#textfile-collector.
    """
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()
    of = ("workflow", "image")
    seconds = Gauge("container_build_duration_seconds", "From the capsule to the image.", of, registry=registry)
    size = Gauge("container_image_size_bytes", "As the engine counts it.", of, registry=registry)
    for image in images:
        seconds.labels(workflow, image.tag).set(image.seconds)
        size.labels(workflow, image.tag).set(image.size_bytes)
    write_to_textfile(str(path), registry)
