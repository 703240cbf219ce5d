"""Transactions in the store's database: SQLite's in the event loop, a server's in threads."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from .problems import Problem
from .tables import BEGUN_BY_DRIVER, checkpoint, open_database, session_secret

_T = TypeVar("_T")
_PATIENCE = 10.0  # seconds that a lock, or a server that does not answer, is waited for
_AGAIN = 0.02
_UPKEEP = 10.0  # seconds
_MOST = 8  # transactions at once, on a server
_CLOCK = text("SELECT extract(epoch FROM clock_timestamp())")
#: SQLSTATEs of a transaction that may well pass when it is tried again: serialization failure, deadlock.
_PASSING = frozenset({"40001", "40P01"})


class Database(Protocol):
    """What the parts of the store need of it. `secret` is 32 bytes that only the gateways at it know."""

    secret: bytes

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """`work` in one transaction.

        Raises:
            Problem: ``store-failed`` when the database cannot be used now.
        """

    def now(self) -> float:
        """The time by the database's clock: leases of several gateways are compared by it. Seconds since the epoch."""

    async def close(self) -> None:
        """Let go of files and connections."""


def database(url: str) -> Database:
    """The database at `url` (SQLAlchemy's form). Needs the event loop.

    Raises:
        BadInput: ``state-too-new``, ``no-database``.
    """
    return SqliteDatabase(url) if url.startswith("sqlite:") else ServerDatabase(url)


class SqliteDatabase:
    """One connection, used in the event loop: a transaction takes a tenth of a millisecond, for nothing in it waits for
    the disk (see `tables`), and the way to a thread and back costs more. Only a lock is waited for outside.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)
        self.secret = session_secret(self._engine)
        # Kept: a fifth of a transaction's time is having one from the pool. For SQLAlchemy all that comes is in one
        # transaction, as its own way to begin and end one takes longer than SQLite's; the real ones are the driver's.
        self._connection = self._engine.connect().execution_options(**{BEGUN_BY_DRIVER: True})
        driver: Any = self._connection.connection.dbapi_connection
        self._driver: sqlite3.Connection = driver
        self._upkeep = asyncio.create_task(self._checkpoint())

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._once(work)
            except (OperationalError, sqlite3.OperationalError) as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise _failed(error) from error
                await asyncio.sleep(_AGAIN)

    def _once(self, work: Callable[[Connection], _T]) -> _T:
        self._driver.execute("BEGIN IMMEDIATE")
        try:
            answer = work(self._connection)
            self._driver.execute("COMMIT")
        except BaseException:
            self._driver.rollback()
            raise
        return answer

    def now(self) -> float:
        return time.time()

    async def _checkpoint(self) -> None:
        """Move the write-ahead log into the database now and then, in a thread: this is where SQLite syncs the disk."""
        while True:
            await asyncio.sleep(_UPKEEP)
            with contextlib.suppress(sqlite3.OperationalError):  # locked, or the disk is full: a later one does it
                await asyncio.to_thread(checkpoint, self._engine)

    async def close(self) -> None:
        await _cancelled(self._upkeep)
        self._connection.close()
        await asyncio.to_thread(self._engine.dispose)


class ServerDatabase:
    """PostgreSQL. Several gateways use it at once, so that what one looked up may be another's a moment later."""

    def __init__(self, url: str) -> None:
        self._engine = open_database(url, connections=_MOST)
        self.secret = session_secret(self._engine)
        self._slots = asyncio.Semaphore(_MOST)
        self._ahead = self._look_at_clock()  # seconds that its clock is ahead of ours
        self._upkeep = asyncio.create_task(self._compare_clocks())

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        end, repeated = time.monotonic() + _PATIENCE, False
        while True:
            try:
                async with self._slots:
                    return await asyncio.to_thread(self._once, work)
            except IntegrityError:  # another gateway has stored the same meanwhile: look again, and find it
                if repeated:
                    raise
                repeated = True
            except DBAPIError as error:
                # Before a transaction begins each connection is tried, so a lost one is no half-done work.
                passing = getattr(error.orig, "sqlstate", None) in _PASSING or error.statement is None
                if not passing or time.monotonic() > end:
                    raise _failed(error) from error
                await asyncio.sleep(_AGAIN * 10)

    def _once(self, work: Callable[[Connection], _T]) -> _T:
        with self._engine.begin() as connection:
            return work(connection)

    def now(self) -> float:
        return time.time() + self._ahead

    def _look_at_clock(self) -> float:
        with self._engine.connect() as connection:
            began = time.time()
            theirs = float(connection.execute(_CLOCK).scalar_one())
            return theirs - (began + time.time()) / 2

    async def _compare_clocks(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP)
            with contextlib.suppress(DBAPIError):  # who needs it says so
                self._ahead = await asyncio.to_thread(self._look_at_clock)

    async def close(self) -> None:
        await _cancelled(self._upkeep)
        await asyncio.to_thread(self._engine.dispose)


def _failed(error: Exception) -> Problem:
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return Problem(
        "store-failed",
        f"The gateway's database cannot be used: {reason}.",
        "Try again; whoever runs the gateway looks at its disk, or at the database server.",
        headers={"Retry-After": "5"},
    )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
