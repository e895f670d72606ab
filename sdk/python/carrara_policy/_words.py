"""The words of all worlds, and how they are made of what the component's bindings pass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Tuple, Union

FactValue = Union[str, int, bool, bytes, Tuple[str, ...]]
"""What a fact can be."""


@dataclass(frozen=True)
class Fact:
    """A named value that the coordinator knows."""

    name: str
    value: FactValue


def find(facts: tuple[Fact, ...], name: str) -> FactValue | None:
    """The value of the first fact of this name."""
    for fact in facts:
        if fact.name == name:
            return fact.value
    return None


def parse(text: str) -> Any:
    """The value of a JSON text; unlike :func:`json.loads`, of nothing else."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True)
class Context:
    """What every question carries."""

    settings_text: str
    """The policy entry's ``Settings`` as JSON text, ``null`` where absent."""
    now: int
    """Unix seconds by the host's clock. The host of an enclave can shift that clock."""
    revision: int
    """The revision of the state that the question is asked about."""
    facts: tuple[Fact, ...]

    @cached_property
    def settings(self) -> Any:
        """The policy entry's ``Settings``, as :mod:`json` gives them; ``None`` where absent."""
        return parse(self.settings_text)

    def fact(self, name: str) -> FactValue | None:
        """The value of the first fact of this name, such as ``secret-last-set:token``; ``None`` where there is none."""
        return find(self.facts, name)


class Question:
    """What requests and proposals have in common."""

    context: Context

    @property
    def settings(self) -> Any:
        """Short for ``context.settings``."""
        return self.context.settings

    def fact(self, name: str) -> FactValue | None:
        """Short for ``context.fact(name)``."""
        return self.context.fact(name)


@dataclass(frozen=True)
class Role:
    """A role of the manifest that a principal holds."""

    name: str
    resource_type: str
    """``Packages``, ``Secrets`` or ``Manifest``."""
    resource_names: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Principal:
    """A user of the manifest, authenticated by the client certificate."""

    name: str
    certificate_sha256: bytes
    roles: tuple[Role, ...]


def text(value: object, what: str) -> str:
    """A text as WebAssembly can carry it: without halves of surrogate pairs."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    return value.encode("utf-8", "replace").decode("utf-8")


def optional_text(value: object, what: str) -> str | None:
    """The same for a text that may be absent."""
    return None if value is None else text(value, what)


def facts(raw: Any) -> tuple[Fact, ...]:
    """Of the bindings' facts."""
    return tuple([Fact(fact.name, _value(fact.value.value)) for fact in raw])


def _value(raw: Any) -> FactValue:
    return tuple(raw) if isinstance(raw, list) else raw


def context(raw: Any) -> Context:
    """Of the bindings' context."""
    return Context(raw.settings, raw.now, raw.revision, facts(raw.facts))


def principal(raw: Any) -> Principal:
    """Of the bindings' principal."""
    roles = [Role(role.name, role.resource_type, tuple(role.resource_names), tuple(role.actions)) for role in raw.roles]
    return Principal(raw.name, raw.certificate_sha256, tuple(roles))
