"""World ``manifest-validation``: is this manifest acceptable?

>>> from typing import Iterator
>>> from carrara_policy.validation import Finding, Proposal, error, pointer, policy
>>>
>>> @policy
... def validate(proposal: Proposal) -> Iterator[Finding]:
...     for name, package in proposal.manifest.get("Packages", {}).items():
...         if package.get("Debug"):
...             yield error("no-debug", pointer("Packages", name, "Debug"), f"{name} is a debug package")
>>>
>>> from carrara_policy import testing
>>> answer = testing.validate(validate, manifest={"Packages": {"a/b": {"Debug": True}}})
>>> answer.findings[0].path
'/Packages/a~1b/Debug'
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Iterable, Literal, TypeVar, Union

from . import _words, log
from ._policy import FAILURE_CODE, FAILURE_HINT, FAILURE_MESSAGE, SettingsError, log_failure, register, settings
from ._words import Context, Fact, FactValue, Principal, Question, Role

__all__ = [
    "Context", "Fact", "FactValue", "Finding", "PackageVersion", "Principal", "Proposal", "Role", "SettingsError",
    "error", "log", "pointer", "policy", "settings", "warning",
]  # fmt: skip

WORLD = "manifest-validation"


@dataclass(frozen=True)
class PackageVersion:
    """A package's security version in force, after package updates."""

    name: str
    security_version: int


@dataclass(frozen=True)
class Proposal(Question):
    """Is this manifest acceptable?"""

    context: Context
    change: str
    """``initial``, ``reset``, ``package-update`` or ``full-update``."""
    manifest_text: str
    """Normalised JSON: canonical field names, no duplicates."""
    manifest_sha256: bytes
    """Of the uploaded bytes."""
    current_text: str | None
    """The manifest in force, normalised; ``None`` at the first one."""
    current_versions: tuple[PackageVersion, ...]
    proposer: Principal | None

    @cached_property
    def manifest(self) -> Any:
        """The manifest as :mod:`json` gives it."""
        return _words.parse(self.manifest_text)

    @cached_property
    def current(self) -> Any:
        """The manifest in force as :mod:`json` gives it; ``None`` at the first one."""
        return None if self.current_text is None else _words.parse(self.current_text)


@dataclass(frozen=True)
class Finding:
    """One thing that a validator found."""

    severity: Literal["error", "warning"]
    code: str
    path: str
    """RFC 6901 pointer into the manifest; see :func:`pointer`."""
    message: str
    hint: str | None = None


def error(code: str, path: str, message: str, hint: str | None = None) -> Finding:
    """Refuses the manifest."""
    return _finding("error", code, path, message, hint)


def warning(code: str, path: str, message: str, hint: str | None = None) -> Finding:
    """Is reported."""
    return _finding("warning", code, path, message, hint)


def pointer(*keys: object) -> str:
    """The RFC 6901 pointer that leads through these keys."""
    return "".join(["/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys])


Answer = Union[None, Iterable[Finding]]
Function = TypeVar("Function", bound=Callable[[Proposal], Answer])


def policy(function: Function) -> Function:
    """Makes a function (or a generator) the policy: it is asked when a manifest is set or updated."""
    register(WORLD, function)
    return function


def _finding(severity: Literal["error", "warning"], code: str, path: str, message: str, hint: str | None) -> Finding:
    code, path = _words.text(code, "code"), _words.text(path, "path")
    return Finding(severity, code, path, _words.text(message, "message"), _words.optional_text(hint, "hint"))


def _proposal(raw: Any) -> Proposal:
    return Proposal(
        _words.context(raw.context),
        raw.change,
        raw.manifest,
        raw.manifest_sha256,
        raw.current,
        tuple([PackageVersion(version.name, version.security_version) for version in raw.current_versions]),
        None if raw.proposer is None else _words.principal(raw.proposer),
    )


def answer(function: Callable[[Proposal], Answer], raw: Any) -> list[Finding]:
    """Asks a policy what the component was asked. What it raises refuses the manifest. Raises nothing."""
    try:
        return _listed(function(_proposal(raw)))
    except BaseException as failure:
        log_failure(failure)
        return [Finding("error", FAILURE_CODE, "", FAILURE_MESSAGE, FAILURE_HINT)]


def _listed(answer: Any) -> list[Finding]:
    if answer is None:
        return []
    if isinstance(answer, (str, bytes)) or not hasattr(answer, "__iter__"):
        raise TypeError(f"a policy must return findings or nothing, not {type(answer).__name__}")
    findings = list(answer)
    for finding in findings:
        if not isinstance(finding, Finding) or finding.severity not in ("error", "warning"):
            raise TypeError(f"a policy must return findings made by error(..) or warning(..), not {finding!r}")
    return [_finding(found.severity, found.code, found.path, found.message, found.hint) for found in findings]
