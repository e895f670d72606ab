"""The contract policy for role-authorization. See ../README.md."""

import contract
from carrara_policy.authorization import Decision, Request, allow, deny, policy, settings

settings(contract.check)


def echo(request: Request) -> str:
    return (
        f"{contract.context(request.context)} principal {contract.principal(request.principal)} "
        f"action{contract.text(request.action)} type{contract.text(request.resource_type)} "
        f"names{contract.texts(request.resource_names)}"
    )


@policy
def authorize(request: Request) -> Decision:
    word = contract.word(request.settings)
    if word == "echo":
        return deny("echo", echo(request), hint="hint", resources=request.resource_names)
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
