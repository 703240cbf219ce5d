"""Starting, watching and stopping a process that stands in for ComfyUI."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.installs import install_at
from comfy_capsule.packager.comfy import ComfyProcess, Install, free_port
from comfy_capsule.packager.comfy.reasons import plain, why_it_ended
from comfy_capsule.packager.errors import CapsuleError

SERVES = """
import http.server, json, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"system": {"argv": sys.argv}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
print("Starting server")
print("half\\rwhole", end="")
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
Make = Callable[[str], Install]


@pytest.fixture
def install_of(tmp_path: Path) -> Make:
    """An install whose ``main.py`` is the given text, run by this Python."""

    def make(main: str) -> Install:
        (tmp_path / "main.py").write_text(main)
        return install_at(tmp_path)

    return make


async def test_it_serves_until_it_is_stopped(install_of: Make, tmp_path: Path):
    seen: list[str] = []
    async with await ComfyProcess.start(install_of(SERVES), cpu=True, on_line=seen.append) as process:
        await process.wait_ready(20)
        assert process.returncode is None
        assert process.base_url.startswith("http://127.0.0.1:")
        folders = [process.input_dir, process.output_dir, process.user_dir]
        assert all(folder.is_dir() and not folder.is_relative_to(tmp_path) for folder in folders)
        await asyncio.sleep(0.1)
        assert seen[:2] == ["Starting server", "half"]
    assert process.returncode == -15
    assert list(process.lines) == ["Starting server", "half", "whole"]
    assert not any(folder.exists() for folder in folders)


async def test_given_folders_stay(install_of: Make, tmp_path: Path):
    mine = tmp_path / "mine"
    process = await ComfyProcess.start(install_of(SERVES), cpu=True, output_dir=mine)
    await process.stop()
    assert mine.is_dir()
    assert not process.input_dir.exists()


async def test_arguments_are_comfyuis_own(install_of: Make):
    install = install_of("import sys; print(*sys.argv[1:], sep='\\n')")
    async with await ComfyProcess.start(install, extra_args=("--deterministic",), cpu=True, port=12345) as process:
        await process.wait()
    words = list(process.lines)
    assert words[:5] == ["--listen", "127.0.0.1", "--port", "12345", "--disable-auto-launch"]
    assert words[words.index("--user-directory") + 1] == str(process.user_dir)
    assert words[words.index("--database-url") + 1] == "sqlite:///:memory:"
    assert words[-2:] == ["--deterministic", "--cpu"]


async def test_the_callers_python_settings_and_secrets_stay_out(install_of: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("COMFY_CAPSULE_SECRET_KEY", "of the capsule's")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    monkeypatch.setenv("COMFY_CAPSULE_API_KEYS", "ann key")
    monkeypatch.setenv("COMFY_CAPSULE_WEBHOOK_SECRETS", "whsec_x")
    gateways = ("COMFY_CAPSULE_API_KEYS", "COMFY_CAPSULE_WEBHOOK_SECRETS")
    names = ("PYTHONPATH", "VIRTUAL_ENV", "COMFY_CAPSULE_SECRET_KEY", *gateways, "MINE")
    install = install_of(f"import os; print([os.environ.get(x) for x in {names}])")
    async with await ComfyProcess.start(install, cpu=True, env={"MINE": "1"}) as process:
        await process.wait()
    assert list(process.lines) == ["[None, None, None, None, None, '1']"]


async def test_its_children_end_with_it(install_of: Make):
    child = "import time; print('child', flush=True); time.sleep(60)"
    main = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
    main += "print(child.pid, flush=True)\nchild.wait()\n"
    process = await ComfyProcess.start(install_of(main), cpu=True)
    while len(process.lines) < 2:
        await asyncio.sleep(0.02)
    pid = int(next(line for line in process.lines if line.isdigit()))
    await process.stop()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail(f"child {pid} still runs")


async def test_one_that_ignores_sigterm_is_killed(install_of: Make):
    main = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)"
    )
    process = await ComfyProcess.start(install_of(main), cpu=True)
    while not process.lines:
        await asyncio.sleep(0.02)
    assert await process.stop(grace=0.2) == -9
    assert await process.stop() == -9


async def test_a_failed_start_gives_its_reason_at_once(install_of: Make):
    main = (
        "import sys\nprint('\\x1b[31m[ERROR]\\x1b[0m Port 8188 is already in use on address 127.0.0.1.')\nsys.exit(1)"
    )
    process = await ComfyProcess.start(install_of(main), cpu=True)
    with pytest.raises(CapsuleError, match="Port 8188 is already taken") as caught:
        await process.wait_ready(20)
    assert caught.value.code == "port-taken"
    assert not process.input_dir.exists()


async def test_another_server_on_the_port_is_not_taken_for_it(install_of: Make):
    stranger = await ComfyProcess.start(install_of(SERVES), cpu=True)
    await stranger.wait_ready(20)
    port = int(stranger.base_url.rsplit(":", 1)[1])
    late = await ComfyProcess.start(install_of("import time; time.sleep(60)"), cpu=True, port=port)
    with pytest.raises(CapsuleError) as caught:
        await late.wait_ready(0.5)
    assert caught.value.code == "comfyui-slow"
    assert late.returncode is not None
    await stranger.stop()


async def test_a_python_that_cannot_run(install_of: Make, tmp_path: Path):
    install = install_of("").model_copy(update={"python": tmp_path / "none"})
    with pytest.raises(CapsuleError) as caught:
        await ComfyProcess.start(install, cpu=True)
    assert caught.value.code == "no-program"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("RuntimeError: Found no NVIDIA driver on your system. Please check", "no-cuda", "torch finds no CUDA device"),
        ("AssertionError: Torch not compiled with CUDA enabled", "no-cuda", "torch finds no CUDA device"),
        ("ModuleNotFoundError: No module named 'einops'", "module-missing", "Its Python has no module 'einops'."),
        ("main.py: error: unrecognized arguments: --nope", "bad-argument", "unrecognized arguments: --nope"),
        ("sqlalchemy.exc.OperationalError: no such table", "start-failed", "It ended with sqlalchemy.exc."),
        ("Segmentation fault", "start-failed", "It exited with status 1, saying: Segmentation fault"),
    ],
)
def test_reasons(line: str, code: str, sentence: str):
    reason = why_it_ended(["[INFO] Starting", line, ""], 1)
    assert reason.code == code
    assert sentence in reason.message


def test_the_last_reason_wins_and_signals_are_named():
    assert why_it_ended(["ImportError: of some pack", "MemoryError"], 1).code == "out-of-memory"
    assert why_it_ended([], -9).message == "It was ended by signal 9."
    assert why_it_ended([], 3).message == "It exited with status 3 and printed nothing."
    assert plain("\x1b[1m\x1b[31m[ERROR]\x1b[0m text") == "text"


def test_a_free_port_can_be_bound():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))


async def test_a_given_back_comfyui_reads_the_caches_in_its_own_folder(
    install_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("huggingface/hub", "torch/hub", "other"):
        (tmp_path / ".capsule-cache" / name).mkdir(parents=True)
    monkeypatch.setenv("HF_HOME", "/home/somebody")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    names = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME", "HF_HUB_OFFLINE")
    install = install_of(f"import os; print([os.environ.get(x) for x in {names}])")
    async with await ComfyProcess.start(install, cpu=True) as process:
        await process.wait()
    own = [str(tmp_path / ".capsule-cache" / name) for name in ("huggingface", "huggingface/hub", "torch", "")]
    assert process.lines[0] == str([*(name.rstrip("/") for name in own), "1"])
