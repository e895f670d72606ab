"""Asks a policy natively, on the way that a component takes: the same conversions, the same catching of errors.

What is left out of a question has its default: empty, 0, ``None``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Callable, Iterable, Mapping, Sequence, Union

from . import _policy, admission, authorization, log, validation
from ._decision import Decision
from ._policy import Check, SettingsError
from ._words import FactValue, Principal, Role
from .validation import Finding

__all__ = ["Checked", "Decided", "Found", "admit", "authorize", "check", "principal", "role", "validate"]

_MAX_U64 = 2**64 - 1


@dataclass(frozen=True)
class Decided:
    """What a policy decided, and the lines that it wrote to the log: ``level: text``."""

    decision: Decision
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What a validator found, and the lines that it wrote to the log."""

    findings: list[Finding]
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Checked:
    """What is wrong with settings (nothing if they are accepted), and the lines that were written to the log."""

    errors: list[SettingsError]
    log: list[str] = field(default_factory=list)


def role(
    name: str = "", resource_type: str = "", resource_names: Sequence[str] = (), actions: Sequence[str] = ()
) -> Role:
    """A role that a principal holds."""
    return Role(name, resource_type, tuple(resource_names), tuple(actions))


def principal(name: str = "", roles: Iterable[Role] = (), certificate_sha256: bytes = bytes(32)) -> Principal:
    """A user."""
    return Principal(name, certificate_sha256, tuple(roles))


def authorize(
    policy: Callable[[authorization.Request], Decision],
    *,
    principal: Union[Principal, str] = "",
    action: str = "",
    resource_type: str = "",
    resource_names: Sequence[str] = (),
    settings: Any = None,
    now: int = 0,
    revision: int = 0,
    facts: Mapping[str, FactValue] = {},
) -> Decided:
    """Asks an authorizer."""
    raw = SimpleNamespace(
        context=_context(settings, now, revision, facts),
        principal=_principal(principal),
        action=action,
        resource_type=resource_type,
        resource_names=list(resource_names),
    )
    lines, decision = _listening(lambda: authorization.answer(policy, raw))
    return Decided(decision, lines)


def admit(
    policy: Callable[[admission.Request], Decision],
    *,
    marble_type: str = "",
    package_name: str = "",
    uuid: str = "",
    evidence: Mapping[str, Any] | None = None,
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    activations: int | None = None,
    max_activations: int | None = None,
    settings: Any = None,
    now: int = 0,
    revision: int = 0,
    facts: Mapping[str, FactValue] = {},
) -> Decided:
    """Asks an admitter. ``evidence`` has the fields of :class:`admission.Evidence`: sgx, UpToDate, not debug if left out."""
    raw = SimpleNamespace(
        context=_context(settings, now, revision, facts),
        marble_type=marble_type,
        package_name=package_name,
        uuid=uuid,
        evidence=None if evidence is None else _evidence(**evidence),
        dns_names=list(dns_names),
        ip_addresses=list(ip_addresses),
        activations=None if activations is None else _u64(activations),
        max_activations=None if max_activations is None else _u64(max_activations),
    )
    lines, decision = _listening(lambda: admission.answer(policy, raw))
    return Decided(decision, lines)


def validate(
    policy: Callable[[validation.Proposal], validation.Answer],
    *,
    manifest: Any = None,
    change: str = "initial",
    manifest_sha256: bytes = bytes(32),
    current: Any = None,
    current_versions: Mapping[str, int] = {},
    proposer: Union[Principal, str, None] = None,
    settings: Any = None,
    now: int = 0,
    revision: int = 0,
    facts: Mapping[str, FactValue] = {},
) -> Found:
    """Asks a validator. Manifests are values, or texts that are passed as they are."""
    versions = [SimpleNamespace(name=name, security_version=_u64(number)) for name, number in current_versions.items()]
    raw = SimpleNamespace(
        context=_context(settings, now, revision, facts),
        change=change,
        manifest=_json({} if manifest is None else manifest),
        manifest_sha256=manifest_sha256,
        current=None if current is None else _json(current),
        current_versions=versions,
        proposer=None if proposer is None else _principal(proposer),
    )
    lines, findings = _listening(lambda: validation.answer(policy, raw))
    return Found(findings, lines)


def check(check: Check, settings: Any) -> Checked:
    """Asks a policy's check of settings."""
    lines, errors = _listening(lambda: _policy.check_settings(check, json.dumps(settings)))
    return Checked(errors, lines)


def _listening(work: Callable[[], Any]) -> tuple[list[str], Any]:
    lines: list[str] = []
    before = log.redirect(lambda level, message: lines.append(f"{level}: {message}"))
    try:
        answer = work()
    finally:
        log.redirect(before)
    return lines, answer


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _context(settings: Any, now: int, revision: int, facts: Mapping[str, FactValue]) -> SimpleNamespace:
    return SimpleNamespace(
        settings=json.dumps(settings, separators=(",", ":"), ensure_ascii=False),
        now=_u64(now),
        revision=_u64(revision),
        facts=_facts(facts),
    )


def _facts(facts: Mapping[str, FactValue]) -> list[SimpleNamespace]:
    return [SimpleNamespace(name=name, value=SimpleNamespace(value=_value(value))) for name, value in facts.items()]


def _value(value: Any) -> Any:
    if isinstance(value, (str, bool, bytes)):
        return value
    if isinstance(value, int):
        return _u64(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    raise TypeError(f"a fact is a str, an int, a bool, bytes or several str, not {type(value).__name__}")


def _u64(number: int) -> int:
    if not 0 <= number <= _MAX_U64:
        raise ValueError(f"{number} does not fit into 64 bits without a sign")
    return number


def _principal(given: Union[Principal, str]) -> Principal:
    return principal(given) if isinstance(given, str) else given


def _evidence(
    tee: str = "sgx",
    debug: bool = False,
    tcb_status: str = "UpToDate",
    advisories: Sequence[str] = (),
    identity: Mapping[str, FactValue] = {},
) -> SimpleNamespace:
    return SimpleNamespace(
        tee=tee, debug=debug, tcb_status=tcb_status, advisories=list(advisories), identity=_facts(identity)
    )
