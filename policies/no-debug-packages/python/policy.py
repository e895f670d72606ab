"""No package of a manifest may be debuggable, but those that the settings allow: ``{"allow": ["dev"]}``.

The host of an enclave in debug mode reads its memory, secrets included.
"""

from typing import Any, Iterator

from carrara_policy.validation import Finding, Proposal, SettingsError, error, pointer, policy, settings


@settings
def check(value: Any) -> Iterator[SettingsError]:
    """Judges the settings."""
    allowed = value.get("allow", []) if isinstance(value, dict) and value.keys() <= {"allow"} else None
    is_list = isinstance(allowed, list) and all(isinstance(name, str) for name in allowed)
    if value is not None and not is_list:
        yield SettingsError("Settings must be packages that may be debuggable", hint='write {"allow": ["dev"]}')


@policy
def validate(proposal: Proposal) -> Iterator[Finding]:
    """Judges a manifest."""
    allowed = (proposal.settings or {}).get("allow", [])
    for name, package in proposal.manifest.get("Packages", {}).items():
        if package.get("Debug") and name not in allowed:
            path, message = pointer("Packages", name, "Debug"), f"package {name} may not be debuggable"
            yield error("no-debug-packages", path, message, "build it without debug mode and remove Debug")
