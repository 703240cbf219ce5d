"""What is old is forgotten: by age, by size, with its bytes; never what lives, what is wanted still, or what is new."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfy_capsule.packager.gateway.blobs import LocalOutputs
from comfy_capsule.packager.gateway.models import Execution, Item, NewExecution
from comfy_capsule.packager.gateway.retention import Forgotten, Retention
from comfy_capsule.packager.gateway.settings import Settings
from comfy_capsule.packager.gateway.store import SqlStore

DAY = 86400.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'gateway.sqlite'}")
    yield store
    await store.close()


@pytest.fixture
def outputs(tmp_path: Path) -> LocalOutputs:
    return LocalOutputs(tmp_path / "blobs")


def retention(store: SqlStore, outputs: LocalOutputs, tmp_path: Path, **settings: float) -> Retention:
    return Retention(Settings(comfy="http://x", state=tmp_path, **settings), store, outputs)  # type: ignore[arg-type]


async def queued(store: SqlStore, webhook: str = "", **parameters: object) -> Execution:
    new = NewExecution(workflow="w", capsule="c", owner="o", parameters=parameters, webhook=webhook)
    return (await store.add(new, bound=1000))[0]


async def ended(store: SqlStore, outputs: LocalOutputs, data: bytes, age: float, *, webhook: str = "") -> str:
    """An execution that gave `data` and ended `age` seconds ago; its bytes are as old."""
    await queued(store, webhook)
    claimed = await store.claim("worker", ["w"], 60)
    assert claimed is not None
    sha256, size = await outputs.put_bytes(data)
    item = Item(kind="file", filename="x", type="image/png", size=size, sha256=sha256)
    await store.finish(claimed.id, claimed.token, "succeeded", time.time() - age, outputs={"picture": [item]})
    aged(outputs, sha256, age)
    return claimed.id


def aged(outputs: LocalOutputs, sha256: str, age: float) -> None:
    os.utime(outputs.path(sha256), (time.time() - age,) * 2)


async def test_what_is_too_old_goes_with_its_bytes(store: SqlStore, outputs: LocalOutputs, tmp_path: Path) -> None:
    old = await ended(store, outputs, b"old", 8 * DAY)
    shared = [await ended(store, outputs, b"shared", age) for age in (8 * DAY, 6 * DAY)]
    young = await ended(store, outputs, b"young", 6 * DAY)
    live = await queued(store)
    gone = await retention(store, outputs, tmp_path, keep=7 * DAY).sweep(time.time())
    assert gone == Forgotten(executions=2, files=0, bytes=3)
    assert [await store.get(each) is None for each in (old, *shared, young, live.id)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    for id in (shared[1], young):
        kept = await store.get(id)
        assert kept is not None
        assert outputs.path(kept.outputs["picture"][0].sha256).is_file()


async def test_for_ever_is_for_ever(store: SqlStore, outputs: LocalOutputs, tmp_path: Path) -> None:
    await ended(store, outputs, b"old", 8000 * DAY)
    assert await retention(store, outputs, tmp_path, keep=0).sweep(time.time()) == Forgotten(0, 0, 0)


async def test_an_end_that_is_still_to_be_told_is_kept(store: SqlStore, outputs: LocalOutputs, tmp_path: Path) -> None:
    id = await ended(store, outputs, b"old", 8 * DAY, webhook="https://example.com")
    sweep = retention(store, outputs, tmp_path, keep=7 * DAY).sweep
    assert (await sweep(time.time())).executions == 0
    [webhook] = await store.webhooks.claim(1, 60)
    await store.webhooks.settle(webhook.model_copy(update={"state": "delivered"}))
    assert (await sweep(time.time())).executions == 1
    assert await store.get(id) is None
    assert await store.webhooks.get(id) is None


async def test_uploads_go_unless_something_waits_for_them(
    store: SqlStore, outputs: LocalOutputs, tmp_path: Path
) -> None:
    files = []
    for data in (b"unused", b"needed", b"again"):
        sha256, size = await outputs.put_bytes(data)
        files.append(await store.add_file("o", data.decode(), "text/plain", size, sha256))
        aged(outputs, sha256, 40 * DAY)
    await queued(store, picture={"file": files[1].id})
    later = time.time() + 40 * DAY
    sweep = retention(store, outputs, tmp_path, keep=30 * DAY).sweep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("comfy_capsule.packager.gateway.store.time.time", lambda: later)
        assert (await store.add_file("o", "again", "text/plain", 5, files[2].sha256)).id == files[2].id
    gone = await sweep(later)
    assert gone == Forgotten(executions=0, files=1, bytes=6)
    assert [await store.get_file(each.id) is None for each in files] == [True, False, False]


async def test_the_oldest_go_until_the_rest_is_small_enough(
    store: SqlStore, outputs: LocalOutputs, tmp_path: Path
) -> None:
    ids = [await ended(store, outputs, bytes([number]) * 1000, (40 - number) * 3600) for number in range(30)]
    new = await ended(store, outputs, b"n" * 30_000, 0)
    sweep = retention(store, outputs, tmp_path, keep=0, keep_bytes=48_500).sweep
    gone = await sweep(time.time())
    assert gone == Forgotten(executions=20, files=0, bytes=20_000)  # looked at in tens
    assert [await store.get(id) is None for id in ids] == [True] * 20 + [False] * 10
    small = retention(store, outputs, tmp_path, keep=0, keep_bytes=1).sweep
    assert (await small(time.time())).executions == 10
    assert await store.get(new) is not None, "what is new stays, whatever its size"


async def test_bytes_that_are_kept_anew_while_the_old_are_removed_stay(outputs: LocalOutputs) -> None:
    sha256, _ = await outputs.put_bytes(b"again")
    aged(outputs, sha256, 2 * DAY)
    assert (await outputs.put_bytes(b"again"))[0] == sha256
    assert await outputs.remove_others(set(), time.time() - 3600) == 0
    aged(outputs, sha256, 2 * DAY)
    assert await outputs.remove_others({sha256}, time.time() - 3600) == 0
    assert await outputs.remove_others(set(), time.time() - 3600) == 5
    assert await outputs.size() == 0
