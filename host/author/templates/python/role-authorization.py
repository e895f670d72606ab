"""Asked on each request that needs a user: may this user do this?"""

from carrara_policy.authorization import Decision, Request, allow, deny, policy


@policy
def authorize(request: Request) -> Decision:
    """Secrets of production are not written by users."""
    names = [name for name in request.resource_names if name.startswith("prod-")]
    if request.action != "WriteSecret" or not names:
        return allow()
    # edit here: what the user reads
    return deny("prod-secret", "secrets of production are written by nobody", resources=names)
