"""Which DNS names and IP addresses a Marble may have certified: ``{"web": ["*.example.org", "10.0.0.7"], "*": []}``.

The keys are Marble types; ``*`` is for those that have no key, and without it they may have no names. ``*.example.org`` allows
every name that ends with ``.example.org``, whatever stands before.
"""

from typing import Any, Iterator

from carrara_policy.admission import Decision, Request, SettingsError, allow, deny, policy, settings


@settings
def check(value: Any) -> Iterator[SettingsError]:
    """Judges the settings."""
    if value is not None and not isinstance(value, dict):
        yield SettingsError("Settings must be lists of names by Marble type", hint='write {"web": ["*.example.org"]}')
        return
    for marble, names in (value or {}).items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            yield SettingsError(f"{marble} must be a list of names")


@policy
def admit(request: Request) -> Decision:
    """Decides whether a Marble may start."""
    lists = request.settings or {}
    allowed = lists.get(request.marble_type, lists.get("*", []))
    names = request.dns_names + request.ip_addresses
    refused = [name for name in names if not any(matches(pattern, name) for pattern in allowed)]
    if not refused:
        return allow()
    message = f"{request.marble_type} may not be certified for {', '.join(refused)}"
    return deny("allowed-sans", message, resources=refused)


def matches(pattern: str, name: str) -> bool:
    """DNS names do not tell upper from lower case of ASCII's letters (RFC 4343); bytes know no others."""
    wanted, found = pattern.encode().lower(), name.encode().lower()
    if wanted.startswith(b"*."):
        return found.endswith(wanted[1:]) and len(found) >= len(wanted)
    return wanted == found
