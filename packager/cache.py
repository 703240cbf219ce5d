"""Answers that are dear to get and cannot change for their key, kept over runs: one SQLite file for this user.

Every key names all that its answer depends on (a file's place, size and times; a RECORD's digest), so nothing is ever
out of date; what is lost is found again. So when it has grown large, of places that may be long gone, it begins anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from platformdirs import user_cache_path

_TABLE = "CREATE TABLE IF NOT EXISTS answers (kind TEXT, key TEXT, answer TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID"
_LARGEST = 1 << 30  # bytes; an environment of 300 packs and 5,000 models takes about a tenth of it
_AT_ONCE = 500  # SQLite's parameters in one statement were limited to 999 before 3.32


class Cache:
    """``(kind, key) -> answer``, all text. Safe with several threads and processes, and after a kill.

    A file that SQLite cannot read is replaced by an empty one; where none can be written, answers live in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_cache_path("comfy-capsule", appauthor=False) / "answers.sqlite3"
        self._lock = threading.Lock()
        self._connection = _open(self.path)

    def get(self, kind: str, keys: Iterable[str]) -> dict[str, str]:
        """The answers that are known for `keys`."""
        wanted = list(keys)
        found: dict[str, str] = {}
        with self._lock, contextlib.suppress(sqlite3.DatabaseError):  # damaged since it was opened: nothing is known
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, answer FROM answers WHERE kind = ? AND key IN ({marks})"
                found.update(self._connection.execute(query, [kind, *part]).fetchall())
        return found

    def put(self, kind: str, answers: Mapping[str, str]) -> None:
        """Keep `answers`, by key. When the disk is full or another process holds the file too long, they are lost."""
        rows = [(kind, key, answer) for key, answer in answers.items()]
        with self._lock, contextlib.suppress(sqlite3.DatabaseError), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)

    def all(self, kind: str) -> dict[str, str]:
        """Every answer of `kind`, by key."""
        with self._lock:
            return dict(self._connection.execute("SELECT key, answer FROM answers WHERE kind = ?", [kind]).fetchall())

    def forget(self, kind: str, keys: Iterable[str]) -> None:
        """Drop the answers for `keys`."""
        rows = [(kind, key) for key in keys]
        with self._lock, self._connection:
            self._connection.executemany("DELETE FROM answers WHERE kind = ? AND key = ?", rows)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _connect(path)
    except sqlite3.OperationalError:
        return _connect(":memory:")
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        return _connect(path)
    except OSError:
        return _connect(":memory:")


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5, check_same_thread=False)
    if isinstance(path, Path):
        with contextlib.suppress(OSError):
            path.chmod(0o600)  # an answer may hold a user's own changes of a file
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last answers, never the file
    connection.execute(_TABLE)
    _begin_anew(connection)
    return connection


def _begin_anew(connection: sqlite3.Connection) -> None:
    """Drop every answer when they have grown too large; the pages are used again, and others may be at work."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * size > _LARGEST:
        with contextlib.suppress(sqlite3.OperationalError), connection:  # locked: another one does it
            connection.execute("DELETE FROM answers")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for its timeout when several do this to a new file at once: it says that it is locked."""
    for attempt in range(100):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == 99:
                raise
            time.sleep(0.02)
