"""The contract policy for marble-admission. See ../README.md."""

import contract
from carrara_policy.admission import Decision, Evidence, Request, allow, deny, policy, settings

settings(contract.check)


def evidence(it: Evidence) -> str:
    return (
        f"{contract.text(it.tee)} debug {contract.truth(it.debug)} {contract.text(it.tcb_status)} "
        f"{contract.texts(it.advisories)} {contract.listed(contract.fact, it.identity)}"
    )


def echo(request: Request) -> str:
    return (
        f"{contract.context(request.context)} marble{contract.text(request.marble_type)} "
        f"package{contract.text(request.package_name)} uuid{contract.text(request.uuid)} "
        f"evidence {contract.optional(evidence, request.evidence)} dns{contract.texts(request.dns_names)} "
        f"ip{contract.texts(request.ip_addresses)} activations {contract.optional(str, request.activations)} "
        f"max {contract.optional(str, request.max_activations)}"
    )


@policy
def admit(request: Request) -> Decision:
    word = contract.word(request.settings)
    if word == "echo":
        return deny("echo", echo(request), hint="hint", resources=request.dns_names)
    if word in ("plain", "several"):
        return deny("plain", "plain")
    if word == "facts":
        return deny("facts", contract.looked_up(request))
    if word == "count":
        return deny("count", contract.count())
    if word == "log":
        contract.write_log()
    elif word != "allow":
        contract.fail()
    return allow()
