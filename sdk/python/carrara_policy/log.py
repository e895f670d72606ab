"""Lines for the coordinator's log: bounded in number and length, never shown to the caller.

Natively they go to stderr, or to the test that asks.
"""

from __future__ import annotations

import sys
from typing import Callable

Sink = Callable[[str, str], None]


def _to_stderr(level: str, message: str) -> None:
    sys.stderr.write(f"{level}: {message}\n")


_sink: Sink = _to_stderr


def redirect(sink: Sink) -> Sink:
    """Sends what is written from now on to ``sink``; returns where it went before."""
    global _sink
    before, _sink = _sink, sink
    return before


def _write(level: str, message: object) -> None:
    _sink(level, str(message).encode("utf-8", "replace").decode("utf-8"))


def debug(message: object) -> None:
    """Writes a line for who looks for a fault."""
    _write("debug", message)


def info(message: object) -> None:
    """Writes a line."""
    _write("info", message)


def warn(message: object) -> None:
    """Writes a line that an operator should see."""
    _write("warn", message)
