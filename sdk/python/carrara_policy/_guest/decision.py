"""Decisions, as the bindings want them."""

from __future__ import annotations

from wit_world.imports import types

from .._decision import Allow, Decision


def encoded(decision: Decision) -> types.Decision:
    """The variant of the world."""
    if isinstance(decision, Allow):
        return types.Decision_Allow()
    denial = types.Denial(decision.code, decision.message, decision.hint, list(decision.resources))
    return types.Decision_Deny(denial)
