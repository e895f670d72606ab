"""Asked when a manifest is set or updated: is it acceptable?"""

from carrara_policy.validation import Finding, Proposal, error, pointer, policy


@policy
def validate(proposal: Proposal) -> list[Finding]:
    """No package may allow debug mode."""
    packages = proposal.manifest.get("Packages", {})
    debug = [name for name, found in packages.items() if found.get("Debug") is True]
    # edit here: what the user reads
    text = "packages in debug mode are not allowed"
    return [error("debug-package", pointer("Packages", name, "Debug"), text) for name in debug]
