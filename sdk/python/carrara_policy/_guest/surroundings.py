"""What a component lacks, so that touching it is an error with a text and not a trap without one.

A component has no clock, files, streams or entropy; the stubs in their place end the call at once, and nobody would learn
why. :func:`close_clock` comes before the policy's module is imported, :func:`close_files` before it is asked: until then
the component is being built, which imports more.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import time
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, NoReturn

from wit_world.imports import host

from .. import log

_LEVELS = {"debug": host.Level.DEBUG, "info": host.Level.INFO, "warn": host.Level.WARN}

_CLOCK = (
    "clock_gettime", "clock_gettime_ns", "ctime", "gmtime", "localtime", "monotonic", "monotonic_ns", "perf_counter",
    "perf_counter_ns", "process_time", "process_time_ns", "sleep", "thread_time", "thread_time_ns", "time", "time_ns",
)  # fmt: skip

_FILES = ("listdir", "lstat", "mkdir", "open", "remove", "rename", "rmdir", "scandir", "stat", "unlink", "urandom")


def _no_clock(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("a policy has no clock; use context.now, in Unix seconds")


def _no_files(*_: Any, **__: Any) -> NoReturn:
    raise OSError("a policy has no files and no entropy")


class _Imports:
    """The last finder: what has not been imported while the component was built is not there."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> NoReturn:
        raise ImportError(f"a policy has no files: import {name} at the top of its module", name=name)


class _Lines(io.TextIOBase):
    """What is printed goes to the log, line by line."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            log._write(self.level, line)
        return len(text)

    def flush(self) -> None:
        rest, self.rest = self.rest, ""
        if rest:
            log._write(self.level, rest)


def close_clock() -> None:
    """Makes reading the time an error."""
    for name in _CLOCK:
        if hasattr(time, name):
            setattr(time, name, _no_clock)


def close_files() -> None:
    """Makes opening and importing an error, and sends what is printed to the log."""
    for module, names in ((builtins, ("open",)), (io, ("open", "open_code")), (os, _FILES)):
        for name in names:
            if hasattr(module, name):
                setattr(module, name, _no_files)
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _Imports()]
    sys.stdout, sys.stderr = _Lines("info"), _Lines("warn")
    log.redirect(lambda level, message: host.log(_LEVELS[level], message))


def flush() -> None:
    """Writes what was printed without an end of line."""
    sys.stdout.flush()
    sys.stderr.flush()
