"""The gateway's log: one JSON object a line on standard error, with the execution it is about."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam

#: The id of the execution that the running task works on.
EXECUTION: ContextVar[str] = ContextVar("capsule_execution", default="")


class JsonLines(logging.Formatter):
    """Parameter values are never put into messages; so they are never here. `shown`: a line as it may be told."""

    def __init__(self, shown: Callable[[str], str] = str) -> None:
        super().__init__()
        self._shown = shown

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name.rpartition(".")[2],
            "message": record.getMessage(),
        }
        if execution := getattr(record, "execution", EXECUTION.get()):
            line["execution"] = execution
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._shown(json.dumps(line, ensure_ascii=False))


def log_to_stderr(shown: Callable[[str], str] = str) -> None:
    """Send this package's log there, each line as `shown` gives it; other loggers are left as they are."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(shown))
    logger = logging.getLogger(__package__)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    # They quote what a client sent, past this log; and Python keeps each that differs for ever.
    warnings.simplefilter("ignore", BadContentDispositionHeader)
    warnings.simplefilter("ignore", BadContentDispositionParam)
