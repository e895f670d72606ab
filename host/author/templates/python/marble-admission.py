"""Asked when a Marble's evidence has been verified and matched: may it be activated?"""

from carrara_policy.admission import Decision, Request, allow, deny, policy


@policy
def admit(request: Request) -> Decision:
    """No enclave in debug mode."""
    if request.evidence is None or not request.evidence.debug:
        return allow()
    # edit here: what the log says
    return deny("debug-enclave", "an enclave in debug mode shows its memory to its host")
