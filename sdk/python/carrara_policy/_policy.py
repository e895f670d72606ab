"""The one policy of a component, what its failure looks like, and the check of its settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional, TypeVar, Union

from . import _words, log

FAILURE_CODE = "policy-error"
FAILURE_MESSAGE = "the policy failed"
FAILURE_HINT = "the coordinator's log says why"

NO_SETTINGS_MESSAGE = "this policy has no settings"
NO_SETTINGS_HINT = "remove Settings from this entry of Policies"

_MAX_U32 = 0xFFFF_FFFF


class SettingsError(Exception):
    """What is wrong with a policy entry's ``Settings``; a check returns, yields or raises it.

    ``line`` and ``column`` count from 1 in the settings' text (in the decoded text where they are a string).
    """

    def __init__(self, message: str, line: int = 1, column: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = _words.text(message, "message")
        self.line = _place(line, "line")
        self.column = _place(column, "column")
        self.hint = _words.optional_text(hint, "hint")


def _place(number: object, what: str) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_U32:
        raise TypeError(f"{what} must be an int from 0 to 2**32 - 1, not {number!r}")
    return number


Check = Callable[[Any], Union[None, SettingsError, Iterable[SettingsError]]]
"""Judges settings when a manifest is set: nothing (or no errors) accepts them."""

C = TypeVar("C", bound=Check)

_checks: dict[str, Check] = {}
_policies: dict[str, tuple[str, Callable[..., Any]]] = {}


def register(world: str, function: Any) -> None:
    """Makes ``function`` the policy of a world."""
    if not callable(function):
        raise TypeError(f"a policy is a function, not {type(function).__name__}; write @policy without parentheses")
    _policies[world] = (getattr(function, "__module__", ""), function)


def registered(world: str) -> Callable[..., Any]:
    """The policy of a world; an error while the component is built if there is none."""
    if world in _policies:
        return _policies[world][1]
    module = {"role-authorization": "authorization", "marble-admission": "admission"}.get(world, "validation")
    raise TypeError(
        f"the module has no policy for the world {world}; write `from carrara_policy.{module} import policy` and put "
        "`@policy` above its function"
    )


def settings(check: C) -> C:
    """Makes a function the check of the policy's settings, which the coordinator asks for when a manifest is set."""
    if not callable(check):
        raise TypeError(f"a check of settings is a function, not {type(check).__name__}; write @settings without parentheses")
    _checks[getattr(check, "__module__", "")] = check
    return check


def registered_check(function: Callable[..., Any] | None) -> Check | None:
    """The check that stands in the policy's module, else the only one there is."""
    own = _checks.get(getattr(function, "__module__", ""))
    return own if own is not None or len(_checks) != 1 else next(iter(_checks.values()))


def check_settings(check: Check | None, source: str) -> list[SettingsError]:
    """Asks a check; a policy without one takes ``null`` and ``{}`` only. No error means accepted. Raises nothing."""
    try:
        value = _words.parse(source)
    except json.JSONDecodeError as error:
        return [SettingsError(f"the settings are no JSON: {error.msg}", error.lineno, error.colno)]
    except (ValueError, RecursionError) as error:
        return [SettingsError(f"the settings are no JSON that can be read: {error}")]
    if check is None:
        return [] if value is None or value == {} else [SettingsError(NO_SETTINGS_MESSAGE, hint=NO_SETTINGS_HINT)]
    try:
        return _listed(check(value))
    except SettingsError as error:
        return [error]
    except BaseException as error:
        log_failure(error)
        return [SettingsError(FAILURE_MESSAGE, hint=FAILURE_HINT)]


def _listed(answer: Any) -> list[SettingsError]:
    if answer is None:
        return []
    if isinstance(answer, SettingsError):
        return [answer]
    if isinstance(answer, (str, bytes)) or not hasattr(answer, "__iter__"):
        raise TypeError(f"a check of settings must return settings errors or nothing, not {type(answer).__name__}")
    errors = list(answer)
    for error in errors:
        if not isinstance(error, SettingsError):
            raise TypeError(f"a check of settings must return settings errors, not {type(error).__name__}")
    return errors


@dataclass(frozen=True)
class _Frame:
    file: str
    line: int
    function: str


def log_failure(error: BaseException) -> None:
    """Writes why a policy failed to the log; nobody else learns it."""
    try:
        reason = str(error)
    except BaseException:
        reason = "(it cannot be shown)"
    frame = _innermost(error)
    place = "" if frame is None else f" ({frame.file}:{frame.line} in {frame.function})"
    name = type(error).__name__
    log.warn(f"{name}: {reason}{place}" if reason else f"{name}{place}")


def _innermost(error: BaseException) -> Optional[_Frame]:
    """Where the error came from, but for this package. Without module traceback, which would read source files."""
    found, entry = None, error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        if not entry.tb_frame.f_globals.get("__name__", "").startswith("carrara_policy."):
            found = _Frame(code.co_filename.replace("\\", "/").rsplit("/", 1)[-1], entry.tb_lineno, code.co_name)
        entry = entry.tb_next
    return found
