"""World ``role-authorization``: may this user do this?

>>> from carrara_policy.authorization import Request, Decision, allow, deny, policy
>>>
>>> @policy
... def authorize(request: Request) -> Decision:
...     if request.action == "WriteSecret" and request.principal.name not in request.settings["writers"]:
...         return deny("not-a-writer", f"{request.principal.name} may not write secrets", hint="ask a writer")
...     return allow()
>>>
>>> from carrara_policy import testing
>>> answer = testing.authorize(authorize, action="WriteSecret", principal="bob", settings={"writers": ["alice"]})
>>> answer.decision.code
'not-a-writer'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, TypeVar

from . import _words, log
from ._decision import Allow, Decision, Deny, allow, deny
from ._decision import decide as _decide
from ._policy import SettingsError, register, settings
from ._words import Context, Fact, FactValue, Principal, Question, Role

__all__ = [
    "Allow", "Context", "Decision", "Deny", "Fact", "FactValue", "Principal", "Request", "Role", "SettingsError",
    "allow", "deny", "log", "policy", "settings",
]  # fmt: skip

WORLD = "role-authorization"


@dataclass(frozen=True)
class Request(Question):
    """May this user do this?"""

    context: Context
    principal: Principal
    action: str
    """Such as ``ReadSecret``, ``WriteSecret``, ``UpdateManifest``."""
    resource_type: str
    resource_names: tuple[str, ...]
    """All names of one call, sorted, without duplicates."""


Function = TypeVar("Function", bound=Callable[[Request], Decision])


def policy(function: Function) -> Function:
    """Makes a function the policy: it is asked on each request that needs a user."""
    register(WORLD, function)
    return function


def _request(raw: Any) -> Request:
    context, principal = _words.context(raw.context), _words.principal(raw.principal)
    return Request(context, principal, raw.action, raw.resource_type, tuple(raw.resource_names))


def answer(function: Callable[[Request], Decision], raw: Any) -> Decision:
    """Asks a policy what the component was asked."""
    return _decide(function, _request, raw)
