"""Allow and deny, and how an authorizer or an admitter is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Union

from . import _words
from ._policy import FAILURE_CODE, FAILURE_HINT, FAILURE_MESSAGE, log_failure


@dataclass(frozen=True)
class Allow:
    """Yes, as far as this policy is concerned; every other enforcing policy must say so too."""

    allowed = True


@dataclass(frozen=True)
class Deny:
    """No."""

    code: str
    message: str
    hint: str | None = None
    resources: tuple[str, ...] = ()

    allowed = False


Decision = Union[Allow, Deny]
"""What an authorizer or an admitter answers."""

_ALLOW = Allow()


def allow() -> Allow:
    """Yes, as far as this policy is concerned; every other enforcing policy must say so too."""
    return _ALLOW


def deny(code: str, message: str, hint: str | None = None, resources: Iterable[str] = ()) -> Deny:
    """No.

    ``code`` is stable and short, for programs; ``message`` is for people, who see it; ``hint`` says what to do about it;
    ``resources`` what it is about.
    """
    if isinstance(resources, (str, bytes)):
        raise TypeError("resources must be several names, not one")
    names = tuple([_words.text(name, "a resource") for name in resources])
    code, message = _words.text(code, "code"), _words.text(message, "message")
    if not code and not message:
        raise ValueError("a denial needs a code or a message")
    return Deny(code, message, _words.optional_text(hint, "hint"), names)


def decide(function: Callable[[Any], Any], make: Callable[[Any], Any], raw: Any) -> Decision:
    """Asks a policy. What it raises is a denial; its text goes to the log. Raises nothing."""
    try:
        answer = function(make(raw))
        if isinstance(answer, Deny):
            return deny(answer.code, answer.message, answer.hint, answer.resources)
        if isinstance(answer, Allow):
            return answer
        raise TypeError(f"a policy must return allow() or deny(..), not {type(answer).__name__}")
    except BaseException as error:
        log_failure(error)
        return Deny(FAILURE_CODE, FAILURE_MESSAGE, FAILURE_HINT)
