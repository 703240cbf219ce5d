"""The contract of an `ExecutionStore`, on SQLite and on a real PostgreSQL: claims, fences, leases, the end."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.postgres import PASSWORD, Postgres
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway.blobs import LocalOutputs
from comfy_capsule.packager.gateway.board import Board
from comfy_capsule.packager.gateway.models import Item, NewBatch, NewExecution
from comfy_capsule.packager.gateway.problems import Problem
from comfy_capsule.packager.gateway.store import SqlStore
from comfy_capsule.packager.gateway.tables import about, open_database

NEW = NewExecution(workflow="w", capsule="c", owner="ann", parameters={"seed": 1})


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    return str(request.getfixturevalue("server").new_database(uuid.uuid4().hex))


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    made = SqlStore(url)
    yield made
    await made.close()


@pytest.fixture
async def beside(store: SqlStore, url: str) -> AsyncIterator[SqlStore]:
    """The same store as another gateway has it."""
    made = SqlStore(url)
    yield made
    await made.close()


async def test_work_is_claimed_once_and_in_order(store: SqlStore) -> None:
    ids = [(await store.add(NEW, bound=10))[0].id for _ in range(3)]
    claims = [await store.claim(f"w{n}", ["w"], 10) for n in range(4)]
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


def test_a_store_of_another_version_is_refused(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(about.update().values(value="99"))
    engine.dispose()
    with pytest.raises(BadInput) as refused:
        open_database(url)
    assert refused.value.code == "state-too-new"


async def test_many_ask_for_work_at_once_and_none_gets_anothers(store: SqlStore, beside: SqlStore) -> None:
    ids = {(await store.add(NEW, bound=1000))[0].id for _ in range(60)}
    asked = (each.claim(f"w{number}", ["w"], 10) for number in range(35) for each in (store, beside))
    claims = [claim.id for claim in await asyncio.gather(*asked) if claim]
    assert (len(claims), set(claims)) == (60, ids)


async def test_two_gateways_that_hear_the_same_at_once_make_one_of_it(store: SqlStore, beside: SqlStore) -> None:
    keyed = NEW.model_copy(update={"idempotency_key": "k", "body_digest": "1"})
    made = await asyncio.gather(*(each.add(keyed, bound=99) for each in (store, beside) * 10))
    assert (len({execution.id for execution, _ in made}), sum(new for _, new in made)) == (1, 1)
    files = await asyncio.gather(
        *(each.add_file("ann", "a.png", "image/png", 3, "ab") for each in (store, beside) * 10)
    )
    assert len({each.id for each in files}) == 1
    batch = NewBatch(workflow="w", capsule="c", owner="ann", items=({"seed": 1},) * 3, idempotency_key="b")
    batches = await asyncio.gather(*(each.batches.add(batch, bound=99) for each in (store, beside) * 5))
    assert (len({each.id for each, _ in batches}), sum(new for _, new in batches)) == (1, 1)
    assert await beside.waiting() == 4


async def test_what_one_gateway_left_another_takes_over_once(store: SqlStore, beside: SqlStore) -> None:
    for _ in range(20):
        await store.add(NEW, bound=99)
        assert await store.claim("gone", ["w"], 0.01)
    await asyncio.sleep(0.05)
    taken = await asyncio.gather(*(each.adopt(name, 10, own=False) for name, each in (("a", store), ("b", beside)) * 3))
    assert sum(map(len, taken)) == 20


async def test_a_batch_is_one_thing_and_many(store: SqlStore) -> None:
    new = NewBatch(workflow="w", capsule="c", owner="ann", items=tuple({"seed": each} for each in range(4)))
    batch, _ = await store.batches.add(new, bound=10)
    assert [each.parameters["seed"] for each in await store.batches.list(batch.id)] == [0, 1, 2, 3]
    assert await store.claim("w1", ["w"], 10)
    cancelled = await store.batches.cancel(batch.id)
    assert sorted(each.state for each in cancelled) == ["cancelled"] * 3 + ["running"]
    found = await store.batches.get(batch.id, "ann")
    assert found is not None
    assert found.states == {"cancelled": 3, "running": 1}
    with pytest.raises(Problem) as refused:
        await store.batches.add(new, bound=3)
    assert refused.value.code == "queue-full"


async def test_what_has_ended_is_forgotten_and_its_bytes_named_no_more(store: SqlStore) -> None:
    item = Item(kind="file", filename="a.png", type="image/png", size=7, sha256="cd")
    for _ in range(3):
        await store.add(NEW, bound=10)
    for _ in range(2):
        claim = await store.claim("w", ["w"], 10)
        assert claim is not None
        await store.finish(claim.id, claim.token, "succeeded", 5.0, outputs={"picture": [item]})
    await store.add_file("ann", "b.png", "image/png", 3, "ab")
    assert await store.digests() == {"ab", "cd"}
    assert await store.forget(6.0, 10) == (2, 14)
    assert await store.forget_files(time.time() + 1, 10) == 1
    assert await store.digests() == set()
    assert len(await store.list(None)) == 1


async def test_any_json_is_kept_as_it_is(store: SqlStore) -> None:
    parameters = {"text": "a\0b \U0001f600 \u2028", "deep": [[{"x": 2**60, "y": 1e-300}], None, True], "": ""}
    made, _ = await store.add(NEW.model_copy(update={"parameters": parameters}), bound=10)
    found = await store.get(made.id)
    assert found is not None
    assert found.parameters == parameters


async def test_what_is_listed_goes_backwards_by_pages(store: SqlStore) -> None:
    ids = [(await store.add(NEW, bound=10))[0].id for _ in range(4)]
    await store.add(NEW.model_copy(update={"owner": "bob", "workflow": "v"}), bound=10)
    first = await store.list("ann", limit=3)
    assert [each.id for each in first] == ids[:0:-1]
    assert [each.id for each in await store.list("ann", before=first[-1].id)] == ids[:1]
    assert len(await store.list(None, state="queued")) == 5
    assert len(await store.list(None, workflow="v")) == 1


async def test_a_server_that_comes_back_is_used_again(server: Postgres) -> None:
    store = SqlStore(server.new_database(uuid.uuid4().hex))
    try:
        made, _ = await store.add(NEW, bound=10)
        server.stop()
        asking = asyncio.create_task(store.get(made.id))
        await asyncio.sleep(0.5)
        assert not asking.done()
        server.start()
        assert (await asking) == made
    finally:
        await store.close()


async def test_a_server_that_stays_away_is_said_so(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfy_capsule.packager.gateway.database._PATIENCE", 0.3)
    store = SqlStore(server.new_database(uuid.uuid4().hex))
    server.stop()
    try:
        with pytest.raises(Problem) as failed:
            await store.waiting()
        assert (failed.value.code, failed.value.status) == ("store-failed", 503)
        assert PASSWORD not in str(failed.value)
    finally:
        server.start()
        await store.close()


@pytest.mark.parametrize("given", ["mysql://a/b", "nonsense", "postgresql://u:secret-word@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_used_is_bad_input(given: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_database(given)
    assert refused.value.code == "no-database"
    assert "secret-word" not in str(refused.value)


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


async def test_a_store_keeps_one_secret_in_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    secrets = set()
    for _ in range(2):
        made = SqlStore(f"sqlite:///{path}")
        secrets.add(made.secret)
        await made.close()
    assert [len(secret) for secret in secrets] == [32]
    assert {each.stat().st_mode & 0o077 for each in tmp_path.iterdir()} == {0}


async def test_a_database_from_before_webhooks_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    made = SqlStore(f"sqlite:///{path}")
    await made.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE webhooks")
    made = SqlStore(f"sqlite:///{path}")
    assert await made.webhooks.claim(1, 1) == []
    await made.close()
