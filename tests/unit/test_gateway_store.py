"""The contract of an `ExecutionStore`: claims, fences, leases, and what outlives a process."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway.blobs import LocalOutputs
from comfy_capsule.packager.gateway.board import Board
from comfy_capsule.packager.gateway.models import Item, NewExecution
from comfy_capsule.packager.gateway.problems import Problem
from comfy_capsule.packager.gateway.store import SqlStore
from comfy_capsule.packager.gateway.tables import about, open_database

NEW = NewExecution(workflow="w", capsule="c", owner="ann", parameters={"seed": 1})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = SqlStore(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield made
    await made.close()


async def test_work_is_claimed_once_and_in_order(store: SqlStore) -> None:
    ids = [(await store.add(NEW, bound=10))[0].id for _ in range(3)]
    claims = await asyncio.gather(*(store.claim(f"w{n}", ["w"], 10) for n in range(4)))
    assert [claim and claim.id for claim in claims] == [*ids, None]
    assert await store.claim("w", ["other"], 10) is None


async def test_an_older_claim_can_no_longer_write(store: SqlStore) -> None:
    await store.add(NEW, bound=10)
    old = await store.claim("w1", ["w"], 0.01)
    assert old is not None
    await asyncio.sleep(0.02)
    (new,) = await store.adopt("w2", 10, own=False)
    assert (new.id, new.worker, new.prompt_id) == (old.id, "w2", old.prompt_id)
    assert await store.renew({old.id: old.token}, 10) == {}
    assert not await store.mark_submitted(old.id, old.token)
    assert not await store.requeue(old.id, old.token)
    assert not await store.finish(old.id, old.token, "failed", time.time())
    outputs = {"picture": [Item(kind="file", filename="a.png", type="image/png", size=1, sha256="ab")]}
    assert await store.finish(new.id, new.token, "succeeded", 5.0, outputs=outputs)
    assert not await store.finish(new.id, new.token, "failed", 6.0)
    ended = await store.get(new.id)
    assert ended is not None
    assert (ended.state, ended.finished, ended.outputs) == ("succeeded", 5.0, outputs)


async def test_a_living_claim_is_left_alone_but_for_an_earlier_life_of_the_same_worker(store: SqlStore) -> None:
    await store.add(NEW, bound=10)
    claim = await store.claim("w1", ["w"], 10)
    assert claim is not None
    assert await store.renew({claim.id: claim.token}, 10) == {claim.id: False}
    assert await store.adopt("w2", 10, own=True) == []
    assert [each.id for each in await store.adopt("w1", 10, own=True)] == [claim.id]


async def test_a_requeued_execution_gets_a_new_prompt_id(store: SqlStore) -> None:
    await store.add(NEW, bound=10)
    first = await store.claim("w1", ["w"], 10)
    assert first is not None
    assert await store.requeue(first.id, first.token)
    second = await store.claim("w1", ["w"], 10)
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    assert second.prompt_id != first.prompt_id


async def test_a_cancel_ends_what_is_queued_and_is_heard_by_what_runs(store: SqlStore) -> None:
    running, _ = await store.add(NEW, bound=10)
    claim = await store.claim("w1", ["w"], 10)
    assert claim is not None
    queued, _ = await store.add(NEW, bound=10)
    for each, state in ((queued, "cancelled"), (running, "running")):
        now = await store.request_cancel(each.id)
        assert now is not None
        assert (now.state, now.cancel_requested) == (state, True)
    assert await store.renew({claim.id: claim.token}, 10) == {claim.id: True}
    assert await store.claim("w1", ["w"], 10) is None


async def test_the_queue_is_bounded_and_idle_workers_skip_it(store: SqlStore) -> None:
    straight, _ = await store.add(NEW, bound=1, worker="w1", lease=10)
    assert (straight.state, straight.worker, straight.attempts) == ("running", "w1", 1)
    waits, _ = await store.add(NEW, bound=1)
    assert (waits.state, await store.waiting()) == ("queued", 1)
    with pytest.raises(Problem, match="waiting"):
        await store.add(NEW, bound=1, worker="w1", lease=10)


async def test_an_idempotency_key_belongs_to_its_owner_and_workflow(store: SqlStore) -> None:
    keyed = NEW.model_copy(update={"idempotency_key": "k", "body_digest": "1"})
    first, made = await store.add(keyed, bound=10)
    again, made_again = await store.add(keyed, bound=10)
    assert (made, made_again, again.id) == (True, False, first.id)
    for change in ({"owner": "bob"}, {"workflow": "v"}):
        other, made = await store.add(keyed.model_copy(update=change), bound=10)
        assert made
        assert other.id != first.id
    with pytest.raises(Problem) as refused:
        await store.add(keyed.model_copy(update={"body_digest": "2"}), bound=10)
    assert refused.value.code == "idempotency-conflict"


async def test_a_store_held_by_another_process_is_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    store, other = SqlStore(url), open_database(url)
    try:
        with other.begin():  # BEGIN IMMEDIATE holds the write lock
            adding = asyncio.create_task(store.add(NEW, bound=10))
            await asyncio.sleep(0.1)
            assert not adding.done()
        assert (await adding)[1]
    finally:
        await store.close()


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    with open_database(url).begin() as connection:
        connection.execute(about.update().values(value="99"))
    with pytest.raises(BadInput) as refused:
        open_database(url)
    assert refused.value.code == "state-too-new"


async def test_equal_bytes_are_kept_once_and_half_written_ones_not_at_all(tmp_path: Path) -> None:
    outputs = LocalOutputs(tmp_path / "blobs")
    large = b"x" * 3_000_000
    (tmp_path / "file").write_bytes(large)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    kept = {
        await outputs.put_bytes(large),
        await outputs.put_file(tmp_path / "file"),
        await outputs.put_stream(chunks()),
    }
    ((sha256, size),) = kept
    assert size == len(outputs.path(sha256).read_bytes()) == len(large)
    with pytest.raises(Problem):
        await outputs.put_stream(chunks(), limit=1_000_000)
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []


async def test_a_file_made_ahead_holds_the_next_result_and_no_other(tmp_path: Path) -> None:
    outputs = LocalOutputs(tmp_path / "blobs")
    outputs.expect()
    outputs.expect()
    incoming = tmp_path / "blobs" / "incoming"
    assert len(list(incoming.iterdir())) == 1
    first, second = await outputs.put_bytes(b"first, and long"), await outputs.put_bytes(b"second")
    assert outputs.path(first[0]).read_bytes() == b"first, and long"
    assert outputs.path(second[0]).read_bytes() == b"second"
    assert list(incoming.iterdir()) == []
    incoming.rmdir()
    outputs.expect()  # cannot be done, and nobody is told before there is something to write


async def test_the_events_of_the_latest_ended_executions_stay_readable(store: SqlStore) -> None:
    board = Board()
    (running, _), (ended, _) = await store.add(NEW, bound=10), await store.add(NEW, bound=10)
    board.tell(running.id, "progress", {"value": 1})
    for number in range(300):
        last = ended.model_copy(update={"id": str(number), "state": "succeeded"})
        board.end(last)
        board.end(last)  # a cancel may say so once more
    assert board.progress(running.id) == {"value": 1}
    assert [event.name async for event in board.events("299", 0, 1) if event] == ["end", "end"]
    assert await board.ended("44", 0) == last.model_copy(update={"id": "44"})
    assert await board.ended("43", 0) is None


async def test_a_webhook_is_due_once_its_execution_has_ended_and_claimed_by_one(store: SqlStore) -> None:
    made, _ = await store.add(NEW.model_copy(update={"webhook": "https://example.com/"}), bound=10)
    other, _ = await store.add(NEW, bound=10)
    assert await store.webhooks.get(other.id) is None
    assert await store.webhooks.claim(5, 10) == []
    for id in (made.id, other.id):
        await store.request_cancel(id)
    claims = [await store.webhooks.claim(5, 0.05) for _ in range(2)]
    assert [[each.execution for each in claim] for claim in claims] == [[made.id], []]
    ((old,), _) = claims
    await asyncio.sleep(0.06)
    (new,) = await store.webhooks.claim(5, 10)
    assert (old.attempts, new.attempts, new.url) == (1, 2, "https://example.com/")
    assert not await store.webhooks.settle(old.model_copy(update={"state": "dead"}))
    later = time.time() + 0.1
    assert await store.webhooks.settle(new.model_copy(update={"error": "no", "next_at": later}))
    assert await store.webhooks.claim(5, 10) == []
    await asyncio.sleep(0.11)
    (last,) = await store.webhooks.claim(5, 10)
    assert await store.webhooks.settle(last.model_copy(update={"state": "delivered"}))
    assert not await store.webhooks.settle(last)
    assert (await store.webhooks.get(made.id)) == last.model_copy(update={"state": "delivered"})


async def test_a_database_from_before_webhooks_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    made = SqlStore(f"sqlite:///{path}")
    await made.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE webhooks")
    made = SqlStore(f"sqlite:///{path}")
    assert await made.webhooks.claim(1, 1) == []
    await made.close()
