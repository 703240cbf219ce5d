"""Executions by the thousand while gateways and their ComfyUIs are killed: what became of each, how often it ran."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfy_capsule.packager.capsule import Capsule, write_capsule
from comfy_capsule.packager.comfy import free_port
from comfy_capsule.packager.contract import Contract, Input, Output, Target

from . import trouble_nodes
from .comfyui import fresh_install
from .gateway import blank_capsule

CLIENTS = 8
PAGE = 200
STUCK = 240.0  # seconds without any execution ending


def counting_install(folder: Path) -> Path:
    """A ComfyUI with nothing but the nodes of `trouble_nodes`."""
    install = fresh_install(folder)
    packs = install / "custom_nodes"
    shutil.rmtree(packs)
    packs.mkdir()
    shutil.copy(Path(trouble_nodes.__file__), packs / "trouble_nodes.py")
    return install


def counting_capsule() -> Capsule:
    """A blank picture, counted: the input `number`, the output `picture`."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "BenchCount", "inputs": {"image": ["1", 0], "number": 0}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "counted"}},
    }
    number = Input(
        name="number", type="integer", default=0, minimum=0, maximum=2**31,
        targets=(Target(node="2", input="number"), Target(node="1", input="color")),
    )  # fmt: skip
    contract = Contract(name="count", inputs=(number,), outputs=(Output(name="picture", type="image", nodes=("3",)),))
    lock = blank_capsule().lock.model_copy(update={"name": "count"})
    return blank_capsule(lock=lock, graph=graph, contract=contract)


def trouble_capsule() -> Capsule:
    """A small picture, and what goes wrong on its way: the input `kind`, the output `picture`."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 255}},
        "2": {"class_type": "BenchTrouble", "inputs": {"image": ["1", 0], "kind": "none"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "trouble"}},
    }
    kind = Input(
        name="kind",
        type="choice",
        default="none",
        choices=trouble_nodes.KINDS,
        targets=(Target(node="2", input="kind"),),
    )
    output = Output(name="picture", type="image", nodes=("3",))
    lock = blank_capsule().lock.model_copy(update={"name": "trouble"})
    return blank_capsule(lock=lock, graph=graph, contract=Contract(name="trouble", inputs=(kind,), outputs=(output,)))


@dataclass
class Report:
    """What became of the executions. `wrong` says in sentences what may not be."""

    states: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    repeated: int = 0  # run twice, as the policy has it: the worker died the first time
    seconds: float = 0
    wrong: list[str] = field(default_factory=list)


class Gateways:
    """Gateways that are started again when they were killed."""

    def __init__(self, folder: Path, count: int, database: str) -> None:
        self.folder, self.count = folder, count
        self.ports = [free_port() for _ in range(count)]
        self.counted = folder / "counted"
        self._capsule = folder / "count.capsule.zip"
        write_capsule(counting_capsule(), self._capsule)
        self._install = counting_install(folder / "ComfyUI")
        self._environment = {
            **os.environ,
            trouble_nodes.COUNTED: str(self.counted),
            "COMFY_CAPSULE_QUEUE_BOUND": "1000000",
            "COMFY_CAPSULE_LEASE": "3",
            "COMFY_CAPSULE_WORKERS": "1",
            "COMFY_CAPSULE_WARM_UP": "false",  # it would be counted
        }
        if database:
            self._environment |= {
                "COMFY_CAPSULE_DATABASE": database, "COMFY_CAPSULE_BLOBS": str(folder / "blobs"),
            }  # fmt: skip
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * count

    def start(self, number: int) -> None:
        state = self.folder / f"state-{number}"
        state.mkdir(exist_ok=True)
        argv = [sys.executable, "-m", "comfy_capsule.packager.cli", "serve", str(self._capsule)]
        argv += ["--comfy", str(self._install), "--port", str(self.ports[number]), "--state", str(state)]
        with (self.folder / f"log-{number}").open("ab") as log:
            self._processes[number] = subprocess.Popen(argv, stdout=log, stderr=log, env=self._environment)

    def kill_gateway(self, number: int) -> bool:
        process = self._processes[number]
        assert process is not None
        process.kill()
        process.wait()
        self.start(number)
        return True

    def kill_comfyui(self, number: int) -> bool:
        """False when there is none now."""
        with suppress(OSError, ValueError, KeyError):
            record = json.loads((self.folder / f"state-{number}" / "worker-0" / "process.json").read_text())
            os.kill(record["pid"], signal.SIGKILL)
            return True
        return False

    def stop(self) -> None:
        for process in self._processes:
            if process is not None:
                process.terminate()
        for process in self._processes:
            if process is not None:
                process.wait(60)

    def ask(self, number: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request; status 0 when nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.ports[number]}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, None
        except (OSError, ValueError):  # refused, cut off
            return 0, None


def chaos(folder: Path, *, executions: int, gateways: int, kills: int, seed: int, database: str = "") -> Report:
    """Run `executions` through `gateways`, with `kills` random kills of one or its ComfyUI while there is work."""
    dice, report, begun = random.Random(seed), Report(), time.monotonic()
    servers = Gateways(folder, gateways, database)
    ids: dict[int, str] = {}
    try:
        for number in range(gateways):
            servers.start(number)
        while any(servers.ask(number, "GET", "/readyz")[0] != 200 for number in range(gateways)):
            time.sleep(0.1)
        numbers = iter(range(executions))
        lock = threading.Lock()

        def client(own: random.Random) -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                headers = {"Prefer": "respond-async", "Idempotency-Key": f"number-{number}"}
                while True:  # as a client does that wants it done once: the same key, until there is an answer
                    at = own.randrange(gateways)
                    status, made = servers.ask(at, "POST", "/workflows/count", {"number": number}, **headers)
                    if status in (200, 202):
                        ids[number] = made["id"]
                        break
                    time.sleep(0.1)

        clients = [threading.Thread(target=client, args=(random.Random(dice.random()),)) for _ in range(CLIENTS)]
        for thread in clients:
            thread.start()
        _kill_and_wait(servers, dice, report, executions, kills)
        for thread in clients:
            thread.join()
        report.seconds = time.monotonic() - begun
        _judge(servers, ids, report)
    finally:
        servers.stop()
    return report


def _ended(servers: Gateways) -> int:
    """How many have run so far, by the file that their node writes; cheaper than asking."""
    return servers.counted.read_bytes().count(b"\n") if servers.counted.exists() else 0


def _kill_and_wait(servers: Gateways, dice: random.Random, report: Report, executions: int, kills: int) -> None:
    """Kill at places spread over the work; then wait for its end."""
    places = sorted(dice.randrange(executions * 9 // 10) for _ in range(kills))
    moved, before = time.monotonic(), 0
    while places:
        done = _ended(servers)
        if done > before:
            moved, before = time.monotonic(), done
        assert time.monotonic() - moved < STUCK, f"nothing has run for {STUCK:.0f} s, {done} have"
        if done >= places[0]:
            places.pop(0)
            number, what = dice.randrange(servers.count), dice.choice(("gateway", "comfyui"))
            kill = servers.kill_gateway if what == "gateway" else servers.kill_comfyui
            report.kills[what] += kill(number)
        time.sleep(0.02)


def _judge(servers: Gateways, ids: dict[int, str], report: Report) -> None:
    found = {execution["id"]: execution for execution in _all_ended(servers, len(ids))}
    runs = Counter(map(int, servers.counted.read_text().split()))
    for number, id in ids.items():
        execution = found.get(id)
        if execution is None:
            report.wrong.append(f"{number} is not there any more")
            continue
        state, attempts = execution["state"], execution["attempts"]
        report.states[state] += 1
        report.repeated += runs[number] > 1
        if runs[number] > attempts:
            report.wrong.append(f"{number} ran {runs[number]} times in {attempts} attempts")
        if state == "succeeded" and not (runs[number] and execution["outputs"].get("picture")):
            report.wrong.append(f"{number} has succeeded without running or without its picture")
        if state == "failed" and (execution["problem"]["code"], attempts) != ("worker-died", 2):
            report.wrong.append(f"{number} has failed: {execution['problem']}")
        if state not in ("succeeded", "failed"):
            report.wrong.append(f"{number} is {state}")
    if strange := len(found) - len(ids):
        report.wrong.append(f"{strange} executions were made that nobody asked for")


def _all_ended(servers: Gateways, count: int) -> Iterator[dict[str, Any]]:
    """Every execution, once all of them have ended."""
    end = time.monotonic() + STUCK
    while True:
        living = sum(len(_page(servers, f"?state={state}&limit=1")) for state in ("queued", "running"))
        if not living:
            break
        assert time.monotonic() < end, f"some of {count} executions do not end"
        time.sleep(0.2)
    before = ""
    while page := _page(servers, f"?limit={PAGE}{before}"):
        yield from page
        before = f"&before={page[-1]['id']}"


def _page(servers: Gateways, query: str) -> list[dict[str, Any]]:
    while True:
        for number in range(servers.count):
            status, told = servers.ask(number, "GET", f"/executions{query}")
            if status == 200:
                return list(told["executions"])
        time.sleep(0.2)
