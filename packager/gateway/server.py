"""Serving: everything is put together, listens, and is taken down in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web
from filelock import FileLock, Timeout

from ..capsule import Capsule
from ..comfy import ComfyClient, is_comfyui, visible_gpus
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report, silent
from .app import AccessLog, build_app
from .app import log as access_log
from .blobs import LocalOutputs
from .board import Board
from .interface import OutputStore
from .listener import address_of, listen
from .log import log_to_stderr
from .metrics import Metrics
from .pool import Pool
from .reap import reap_orphans
from .secrets import NO_SECRETS, Secrets
from .service import Service
from .settings import Settings
from .store import SqlStore
from .supervise import Attached, Backend, Supervised, end_orphans
from .telemetry import Telemetry
from .worker import Worker
from .workflow import Workflow

log = logging.getLogger(__name__)


def serve(
    capsules: Sequence[Capsule], settings: Settings, report: Report | None, listener: socket.socket | None
) -> None:
    """See `serve_capsules` of this package."""
    with listener or listen(settings) as listening:
        _serve_on(listening, capsules, settings, report or silent)


def _serve_on(listener: socket.socket, capsules: Sequence[Capsule], settings: Settings, report: Report) -> None:
    log_to_stderr()
    secrets = Secrets.of(capsules, settings, os.environ)
    log_to_stderr(secrets.shown)
    workflows = load(capsules, secrets)
    if unknown := set(settings.public) - workflows.keys():
        raise BadInput("bad-setting", f"No workflow {sorted(unknown)[0]!r} is served that could be public.")
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.state / "lock", timeout=0):
            gc.collect()
            gc.freeze()  # modules and workflows stay: no collection need go through them again
            with asyncio.Runner(loop_factory=_fast_loop()) as runner:
                runner.run(_serve(listener, workflows, settings, secrets, report))
    except Timeout as error:
        raise BadInput(
            "state-in-use",
            f"Another gateway uses the state in {settings.state}.",
            "Give this one a --state of its own.",
        ) from error
    except OSError as error:
        raise BadInput(
            "bad-state", f"The state folder {settings.state} cannot be used: {error}.", "Give --state."
        ) from error


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: a quarter less work for each request; else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def load(capsules: Sequence[Capsule], secrets: Secrets = NO_SECRETS) -> dict[str, Workflow]:
    """The workflows by name.

    Raises:
        BadInput: ``no-capsule``, ``same-name``, ``environments-differ``.
    """
    if not capsules:
        raise BadInput("no-capsule", "There is no capsule to serve.")
    workflows: dict[str, Workflow] = {}
    for workflow in (Workflow(capsule, secrets) for capsule in capsules):
        if workflow.name in workflows:
            raise BadInput("same-name", f"Two of the capsules hold a workflow {workflow.name!r}.", "Serve them apart.")
        workflows[workflow.name] = workflow
    if len({workflow.environment for workflow in workflows.values()}) > 1:
        raise BadInput(
            "environments-differ",
            "The capsules were made in different environments.",
            "Serve them with a gateway each.",
        )
    return workflows


def assemble(
    workflows: dict[str, Workflow], settings: Settings, backends: Sequence[Backend], secrets: Secrets = NO_SECRETS
) -> tuple[Service, Pool]:
    """A gateway that is not running yet: run its pool, and serve `build_app` of its service. Needs the event loop."""
    shared = settings.database.get_secret_value()
    store = SqlStore(shared or f"sqlite:///{settings.state / 'gateway.sqlite'}")
    instance = _instance(settings.state) if shared else ""
    metrics, telemetry = Metrics(), Telemetry.asked()
    outputs = _outputs(settings, instance)
    board = Board([metrics.ended, telemetry.ended] if telemetry else [metrics.ended])
    pool = Pool(
        [
            Worker(f"{instance or 'worker'}-{number}", backend, workflows, store, outputs, board, settings, secrets)
            for number, backend in enumerate(backends)
        ]
    )
    return Service(settings, workflows, store, outputs, board, pool, metrics, telemetry), pool


def _outputs(settings: Settings, instance: str) -> OutputStore:
    folder = settings.blobs or settings.state / "blobs"
    if not settings.s3:
        return LocalOutputs(folder, instance)
    from .s3 import S3Outputs  # boto3 takes a while to import

    return S3Outputs(settings.s3, folder, instance, seconds=settings.s3_link)


def _instance(state: Path) -> str:
    """A name of this gateway among those that share its database; the same in its next life."""
    file = state / "instance"
    name = file.read_text().strip() if file.exists() else ""
    if not name:
        file.write_text(name := uuid.uuid4().hex[:8])
    return name


def _backends(settings: Settings) -> list[Backend]:
    """Somebody's ComfyUI, or as many of our own as are wanted, each with a GPU to itself as far as there are any."""
    if settings.attached:
        return [Attached(settings.comfy)]
    end_orphans(settings.state)
    gpus = [] if "--cpu" in settings.arguments else visible_gpus(os.environ)
    count = settings.workers or max(1, len(gpus))
    return [Supervised(settings, number, gpus[number % len(gpus)] if gpus else "") for number in range(count)]


async def _serve(
    listener: socket.socket, workflows: dict[str, Workflow], settings: Settings, secrets: Secrets, report: Report
) -> None:
    await _check_comfy(settings)
    backends = await asyncio.to_thread(_backends, settings)
    service, pool = assemble(workflows, settings, backends, secrets)
    runner = web.AppRunner(
        build_app(service), access_log_class=AccessLog, access_log=access_log, handle_signals=False, shutdown_timeout=5
    )
    stop = _stop_signal()
    working: asyncio.Task[None] | None = None
    reaping = asyncio.create_task(reap_orphans()) if os.getpid() == 1 else None
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        address = address_of(listener)
        log.info("listening on %s", address)
        report(Progress(phase="listening", item=address))
        working = asyncio.create_task(pool.run())
        readying = asyncio.create_task(_tell_ready(pool, report))
        await asyncio.wait({working, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        readying.cancel()
        if not working.done():
            await _drain(service, pool, settings)
    finally:
        await runner.cleanup()
        if working is not None:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await _unwrapped(working)
        await asyncio.gather(*(backend.stop() for backend in backends))
        await service.store.close()
        if service.telemetry is not None:
            await asyncio.to_thread(service.telemetry.close)
        if reaping is not None:
            reaping.cancel()


async def _check_comfy(settings: Settings) -> None:
    """What is wrong with ``--comfy`` is said before anything is answered."""
    if settings.attached:
        async with ComfyClient(settings.comfy, timeout=10) as client:
            await client.system_stats()
    elif not is_comfyui(Path(settings.comfy).expanduser()):
        raise BadInput(
            "no-comfyui",
            f"There is no ComfyUI in {settings.comfy}.",
            "Give the folder that holds ComfyUI's main.py, or a URL.",
        )


async def _tell_ready(pool: Pool, report: Report) -> None:
    while pool.not_ready:
        await asyncio.sleep(0.1)
    log.info("ready")
    report(Progress(phase="ready"))


async def _drain(service: Service, pool: Pool, settings: Settings) -> None:
    """Take nothing new; what runs may end. What does not in time is found again by the next gateway."""
    log.info("stopping; %d executions still run", pool.busy)
    service.draining = True
    pool.drain()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.drain):
            while pool.busy:
                await asyncio.sleep(0.05)
    # Whoever waits for an answer has its chance to be sent.
    await asyncio.sleep(0.1)


async def _unwrapped(working: asyncio.Task[None]) -> None:
    """A task group wraps what ended it, and so does the one around it; the reason itself is told."""
    try:
        await working
    except BaseExceptionGroup as group:
        reason: BaseException = group.subgroup(CapsuleError) or group
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        raise reason from group


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except (NotImplementedError, RuntimeError, ValueError):  # Windows; or not the main thread
            with contextlib.suppress(ValueError):
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop
