"""World ``marble-admission``."""

from __future__ import annotations

from . import surroundings

surroundings.close_clock()

import policy as _author  # noqa: E402, F401  (the author's module)
from wit_world.exports import marble_admitter  # noqa: E402
from wit_world.imports import types  # noqa: E402

from .. import admission  # noqa: E402
from .._policy import registered  # noqa: E402
from . import configuration, decision  # noqa: E402

_function = registered(admission.WORLD)

Configuration = configuration.exported(_function)


class MarbleAdmitter:
    def admit(self, request: marble_admitter.Request) -> types.Decision:
        surroundings.close_files()
        answer = admission.answer(_function, request)
        surroundings.flush()
        return decision.encoded(answer)
