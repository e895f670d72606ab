"""World ``role-authorization``."""

from __future__ import annotations

from . import surroundings

surroundings.close_clock()

import policy as _author  # noqa: E402, F401  (the author's module)
from wit_world.exports import role_authorizer  # noqa: E402
from wit_world.imports import types  # noqa: E402

from .. import authorization  # noqa: E402
from .._policy import registered  # noqa: E402
from . import configuration, decision  # noqa: E402

_function = registered(authorization.WORLD)

Configuration = configuration.exported(_function)


class RoleAuthorizer:
    def authorize(self, request: role_authorizer.Request) -> types.Decision:
        surroundings.close_files()
        answer = authorization.answer(_function, request)
        surroundings.flush()
        return decision.encoded(answer)
