"""The tables behind the store, and how a database is opened."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    false,
    func,
    make_url,
    select,
    text,
)  # fmt: skip
from sqlalchemy.exc import ArgumentError, OperationalError

from ..errors import BadInput
from .models import PRIORITY

#: The version of the tables; a database of a newer version is refused, an older one is brought to it.
SCHEMA = 3

#: The option of a connection whose user says BEGIN and COMMIT to the driver.
BEGUN_BY_DRIVER = "begun_by_driver"

_STEPS = {  # from each version to the next
    "1": (
        "ALTER TABLE executions ADD COLUMN batch VARCHAR(64) NOT NULL DEFAULT ''",
        "CREATE INDEX executions_by_batch ON executions (batch)",
    ),
    "2": (
        "ALTER TABLE executions ADD COLUMN priority INTEGER NOT NULL DEFAULT 3",
        "ALTER TABLE executions ADD COLUMN previews BOOLEAN NOT NULL DEFAULT FALSE",
        "CREATE INDEX executions_in_turn ON executions (state, priority, seq)",
        "DROP INDEX executions_by_state",
    ),
}

_FORM = "As postgresql://user:password@host:5432/name."
_DRIVER = "postgresql+psycopg"
_SECRET = "session_secret"
_LOCK = 0xC0F1  # any number that others do not take

metadata = MetaData()

executions = Table(
    "executions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the order of arrival
    Column("id", String(64), unique=True, nullable=False),
    Column("workflow", String(128), nullable=False),
    Column("capsule", String(64), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("prompt_id", String(64), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float, nullable=False, default=0),
    Column("finished", Float, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("submitted", Boolean, nullable=False, default=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("worker", String(128), nullable=False, default=""),
    Column("token", Integer, nullable=False, default=0),
    Column("lease_until", Float, nullable=False, default=0),
    Column("outputs", JSON, nullable=False),
    Column("problem", JSON),
    Column("idempotency_key", String(255)),
    Column("body_digest", String(64), nullable=False, default=""),
    Column("batch", String(64), nullable=False, default="", server_default=""),
    Column("priority", Integer, nullable=False, default=PRIORITY, server_default=str(PRIORITY)),
    Column("previews", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("owner", "workflow", "idempotency_key"),  # rows without a key (NULL) never collide
    Index("executions_by_batch", "batch"),
    Index("executions_in_turn", "state", "priority", "seq"),
    Index("executions_by_owner", "owner", "seq"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("workflow", String(128), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("created", Float, nullable=False),
    Column("total", Integer, nullable=False),
    Column("idempotency_key", String(255)),
    Column("body_digest", String(64), nullable=False, default=""),
    UniqueConstraint("owner", "workflow", "idempotency_key"),
)

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("type", String(128), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("owner", "sha256", "filename", "type"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("execution", String(64), primary_key=True),  # its id, or a batch's
    Column("url", String(2048), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("status", Integer, nullable=False, default=0),
    Column("error", String(255), nullable=False, default=""),
    Column("next_at", Float, nullable=False, default=0),
    Column("delivered", Float, nullable=False, default=0),
    Column("token", Integer, nullable=False, default=0),
    Column("lease_until", Float, nullable=False, default=0),
    Index("webhooks_by_state", "state", "next_at"),
)

about = Table("about", metadata, Column("name", String(32), primary_key=True), Column("value", String(255)))


def open_database(url: str, connections: int = 1) -> Engine:
    """The database at `url` (SQLAlchemy's form), its tables made if they are not there.

    Args:
        connections: how many a server may be asked for.

    Raises:
        BadInput: ``state-too-new`` when another version of the gateway made it, ``no-database`` when it cannot be used.
    """
    try:
        if url.startswith("sqlite:"):
            engine = create_engine(url)
            _make_private(engine)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin)
        else:
            # Each connection is tried before it is used: the server may have been started anew.
            engine = create_engine(_with_driver(url), pool_size=connections, max_overflow=0, pool_pre_ping=True)
        _make_tables(engine)
    except ArgumentError as error:
        raise BadInput("no-database", "The setting 'database' is no URL of a PostgreSQL database.", _FORM) from error
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise BadInput("no-database", f"The gateway's database cannot be used: {reason}.") from error
    return engine


def _make_private(engine: Engine) -> None:
    """A new file is its owner's alone, and SQLite gives those beside it the same mode."""
    if engine.url.database:
        with contextlib.suppress(OSError):  # of which SQLite tells
            os.close(os.open(engine.url.database, os.O_CREAT | os.O_RDWR, 0o600))


def _with_driver(url: str) -> URL:
    """As most write it, with the driver that we bring."""
    made = make_url(url)
    if made.drivername not in ("postgres", "postgresql", _DRIVER):
        raise ArgumentError(made.drivername)
    return made.set(drivername=_DRIVER)


def _make_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))  # another gateway may be starting, too
        metadata.create_all(connection)
        if (version := _about(connection, "schema")) is None:
            connection.execute(about.insert().values(name="schema", value=str(SCHEMA)))
        else:
            _bring_up(connection, version)
        if _about(connection, _SECRET) is None:
            connection.execute(about.insert().values(name=_SECRET, value=secrets.token_hex(32)))


def session_secret(engine: Engine) -> bytes:
    """32 bytes that sign the sessions of every gateway at this database."""
    with engine.begin() as connection:
        return bytes.fromhex(_about(connection, _SECRET) or "")


def _about(connection: Connection, name: str) -> str | None:
    return connection.execute(select(about.c.value).where(about.c.name == name)).scalar()


def _bring_up(connection: Connection, version: str) -> None:
    while version != str(SCHEMA):
        if version not in _STEPS:
            raise BadInput(
                "state-too-new",
                f"The gateway's state is of version {version}, this gateway reads version {SCHEMA}.",
                "Give another --state folder, or use the gateway that made it.",
            )
        for step in _STEPS[version]:
            connection.execute(text(step))
        version = str(int(version) + 1)
        connection.execute(about.update().where(about.c.name == "schema").values(value=version))


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    """WAL lets readers go on while one writes; its commits survive the death of the process without an fsync each."""
    connection.isolation_level = None  # we say BEGIN ourselves, see `open_database`
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Writers wait at the beginning, never half-way. Straight to the driver: a tenth of the way through SQLAlchemy."""
    if BEGUN_BY_DRIVER in connection.get_execution_options():
        return
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute("BEGIN IMMEDIATE").close()


def checkpoint(engine: Engine) -> None:
    """Bring SQLite's write-ahead log into the database; the only step that syncs the disk."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        connection = sqlite3.connect(engine.url.database, timeout=1)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        finally:
            connection.close()
