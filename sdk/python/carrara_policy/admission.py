"""World ``marble-admission``: may this Marble be activated?

>>> from carrara_policy.admission import Request, Decision, allow, deny, policy
>>>
>>> @policy
... def admit(request: Request) -> Decision:
...     if request.evidence is not None and request.evidence.tcb_status != "UpToDate":
...         return deny("outdated-tcb", f"the platform is {request.evidence.tcb_status}", hint="update its firmware")
...     return allow()
>>>
>>> from carrara_policy import testing
>>> testing.admit(admit, evidence={"tcb_status": "OutOfDate"}).decision.message
'the platform is OutOfDate'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, TypeVar

from . import _words, log
from ._decision import Allow, Decision, Deny, allow, deny
from ._decision import decide as _decide
from ._policy import SettingsError, register, settings
from ._words import Context, Fact, FactValue, Question

__all__ = [
    "Allow", "Context", "Decision", "Deny", "Evidence", "Fact", "FactValue", "Request", "SettingsError",
    "allow", "deny", "log", "policy", "settings",
]  # fmt: skip

WORLD = "marble-admission"


@dataclass(frozen=True)
class Evidence:
    """What was verified about a Marble's enclave."""

    tee: str
    """``sgx``, ``tdx`` or ``sev-snp``."""
    debug: bool
    tcb_status: str
    advisories: tuple[str, ...]
    identity: tuple[Fact, ...]
    """sgx: unique-id, signer-id, product-id, security-version; tdx: mrtd, rtmr0..3; ..."""

    def fact(self, name: str) -> FactValue | None:
        """The value of the first fact of the identity with this name; ``None`` where there is none."""
        return _words.find(self.identity, name)


@dataclass(frozen=True)
class Request(Question):
    """May this Marble be activated? Its evidence has been verified and fits the manifest."""

    context: Context
    marble_type: str
    package_name: str
    uuid: str
    evidence: Evidence | None
    """``None`` in simulation, and only then."""
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    activations: int | None
    """Before this one; ``None`` where activations are not counted."""
    max_activations: int | None


Function = TypeVar("Function", bound=Callable[[Request], Decision])


def policy(function: Function) -> Function:
    """Makes a function the policy: it is asked when a Marble's evidence has been verified and matched."""
    register(WORLD, function)
    return function


def _evidence(raw: Any) -> Evidence | None:
    if raw is None:
        return None
    return Evidence(raw.tee, raw.debug, raw.tcb_status, tuple(raw.advisories), _words.facts(raw.identity))


def _request(raw: Any) -> Request:
    return Request(
        _words.context(raw.context),
        raw.marble_type,
        raw.package_name,
        raw.uuid,
        _evidence(raw.evidence),
        tuple(raw.dns_names),
        tuple(raw.ip_addresses),
        raw.activations,
        raw.max_activations,
    )


def answer(function: Callable[[Request], Decision], raw: Any) -> Decision:
    """Asks a policy what the component was asked."""
    return _decide(function, _request, raw)
