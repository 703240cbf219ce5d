"""A real PostgreSQL server of the tests' own: Debian's package, data in a folder, reached on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comfy_capsule.packager.comfy import free_port

PASSWORD = "not-a-secret-but-must-not-be-told"
_CONFIG = "fsync = off\nmax_connections = 60\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"


class Postgres:
    """A server that can be stopped and started. `url` is that of its first database."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self.port = free_port()
        self.url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "password").write_text(PASSWORD)
        if os.getuid() == 0:  # it refuses to run as root
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", folder / "password")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{_CONFIG}port = {self.port}\n")

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._data / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"{self.url.rpartition('/')[0]}/{name}"

    def _run(self, program: str, *words: object) -> None:
        folder = programs()
        assert folder, "PostgreSQL is not installed: python -m bench.system"
        command = [str(folder / program), *map(str, words)]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def programs() -> Path | None:
    """Where its programs are; Debian keeps each version's in a folder of its own."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("pg_ctl")
    return debian[-1] if debian else Path(found).parent if found else None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own, gone at the end. Its folder is not in pytest's, which are closed to its user."""
    with tempfile.TemporaryDirectory(prefix="capsule-postgres-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
