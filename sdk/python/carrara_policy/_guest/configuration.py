"""The check of settings, which every world exports."""

from __future__ import annotations

from typing import Any, Callable

from componentize_py_types import Err
from wit_world.exports import configuration

from .._policy import check_settings, registered_check
from . import surroundings


def exported(function: Callable[..., Any]) -> type:
    """The class that the bindings look for."""
    check = registered_check(function)

    class Configuration:
        def check(self, settings: str) -> None:
            surroundings.close_files()
            errors = check_settings(check, settings)
            surroundings.flush()
            if errors:
                raise Err([configuration.SettingsError(it.line, it.column, it.message, it.hint) for it in errors])

    return Configuration
