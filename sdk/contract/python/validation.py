"""The contract policy for manifest-validation. See ../README.md."""

from typing import Iterator

import contract
from carrara_policy.validation import Finding, PackageVersion, Proposal, error, pointer, policy, settings, warning

settings(contract.check)


def version(it: PackageVersion) -> str:
    return f"{contract.text(it.name)} {it.security_version}"


def echo(proposal: Proposal) -> str:
    return (
        f"{contract.context(proposal.context)} change{contract.text(proposal.change)} "
        f"manifest{contract.text(proposal.manifest_text)} sha256 {proposal.manifest_sha256.hex()} "
        f"current {contract.optional(contract.text, proposal.current_text)} "
        f"versions{contract.listed(version, proposal.current_versions)} "
        f"proposer {contract.optional(contract.principal, proposal.proposer)}"
    )


@policy
def validate(proposal: Proposal) -> Iterator[Finding]:
    word = contract.word(proposal.settings)
    if word == "echo":
        yield warning("echo", "/echo", echo(proposal), hint="hint")
    elif word == "plain":
        yield error("plain", "", "plain")
    elif word == "several":
        yield error("E-1", pointer("Packages", "a/b"), "first", hint="do this")
        yield warning("W-1", "/Marbles", "second")
        yield error("E-2", "", "third ✓")
    elif word == "facts":
        yield error("facts", "", contract.looked_up(proposal))
    elif word == "count":
        yield error("count", "", contract.count())
    elif word == "log":
        contract.write_log()
    elif word != "allow":
        contract.fail()
